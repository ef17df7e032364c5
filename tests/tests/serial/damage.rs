//! A million flipped, lost and doubled bytes on the way over a real terminal.
//!
//! What can be expected of a checksum: a damaged frame passes CRC-32 by accident once in 2³² times. Here
//! are about 400 000 damaged frames, so a run with fresh random numbers would accept one of them with a
//! probability of 1 in 10 000. The numbers come from a fixed seed and a generator that is written out
//! below, so every run damages the same bits in the same frames: it passes always, or never.

use std::thread;
use std::time::Duration;

use fer_edge::publish::serial::{Port, tty::Tty};
use fer_wire::{Decoder, Emotion, Encoder, Face, List, MAX_FRAME, Message, Score};

use super::pty::Cable;

const DAMAGES: u32 = 1_000_000;
const SEED: u64 = 20_261_122;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// The report with this number: sender and receiver know it without talking.
fn report(number: u32) -> Emotion {
    let mut random = Random(u64::from(number));
    let mut face = || {
        let bits = random.next();
        let scores = bits.to_le_bytes().into_iter().take(7).map(Score);
        Face {
            id: bits as u32,
            x: bits as i16,
            y: (bits >> 16) as i16,
            width: (bits >> 32) as u16,
            height: (bits >> 48) as u16,
            label: (bits % 7) as u8,
            scores: List::first_of(scores),
        }
    };
    let faces = number as usize % 3;
    Emotion {
        t_ms: u64::from(number) * 33,
        unix: Some(number),
        frame: number,
        dropped: 0,
        seen: faces as u8,
        faces: List::first_of((0..faces).map(|_| face())),
    }
}

/// Flips a bit, drops a byte or doubles one.
fn damage(frame: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(frame.len());
    match random.below(3) {
        0 => frame[at] ^= 1 << random.below(8),
        1 => drop(frame.remove(at)),
        _ => frame.insert(at, frame[at]),
    }
}

/// Calls `each` with every frame as it goes over the line, and whether it is whole, until all the damage
/// is done.
fn line(mut each: impl FnMut(&[u8], bool)) {
    let mut random = Random(SEED);
    let mut encoder = Encoder::new();
    let mut buffer = [0; MAX_FRAME];
    let mut left = DAMAGES;
    for number in 0.. {
        let message = Message::Emotion(report(number));
        let mut frame = encoder.encode(&message, &mut buffer).unwrap().to_vec();
        // half the frames stay whole, and the last does
        let damages = (random.below(8) as u32).saturating_sub(3).min(left);
        left -= damages;
        (0..damages).for_each(|_| damage(&mut frame, &mut random));
        each(&frame, damages == 0);
        if left == 0 && damages == 0 {
            return;
        }
    }
}

#[test]
fn no_damaged_frame_is_accepted_and_none_after_it_is_lost() {
    let mut cable = Cable::new();
    let port = cable.port().to_owned();
    let sender = thread::spawn(move || {
        let mut port = Tty::open(&port, 3_000_000).unwrap();
        let mut chunk = Vec::new();
        line(|frame, _| {
            chunk.extend(frame);
            if chunk.len() > 4096 {
                port.send(&chunk, Duration::from_secs(30)).unwrap();
                chunk.clear();
            }
        });
        port.send(&chunk, Duration::from_secs(30)).unwrap();
    });

    // the same line again tells which frames are whole: all of these must come
    let mut whole = Vec::new();
    line(|_, is_whole| {
        whole.push(is_whole);
    });
    let last = whole.len() as u32 - 1;
    let (mut next, mut refused, mut bordered) = (0, 0_u64, 0_u64);
    let mut decoder: Decoder = Decoder::new();
    let mut buffer = [0; 4096];
    while next <= last {
        let count = cable.read(&mut buffer);
        let mut bytes = &buffer[..count];
        while let Some(received) = decoder.feed(&mut bytes) {
            let Ok(frame) = received else {
                refused += 1;
                continue;
            };
            let Message::Emotion(emotion) = frame.message else {
                panic!("nobody sent {frame:?}");
            };
            assert_eq!(
                emotion,
                report(emotion.frame),
                "a damaged frame was accepted"
            );
            let number = emotion.frame;
            assert!(number >= next && number <= last, "{number} out of order");
            let lost = (next..number).find(|&n| whole[n as usize]);
            assert_eq!(lost, None, "a whole frame was lost before {number}");
            // only its borders were hit, of which there are two
            bordered += u64::from(!whole[number as usize]);
            next = number + 1;
        }
    }
    sender.join().unwrap();
    let damaged = whole.iter().filter(|&&whole| !whole).count() as u64;
    assert!(
        damaged > 300_000 && refused > damaged / 2,
        "{damaged} damaged, {refused} refused"
    );
    fer_tests::skip::note(&format!(
        "{DAMAGES} damages in {damaged} of {} frames: {refused} refused, {bordered} read in spite of a damaged border",
        whole.len()
    ));
}
