//! The sink of `fer-edge` on a port that is plugged, pulled and not read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fer_edge::health::{Camera, Health};
use fer_edge::publish::serial::{Identity, Port, Serial, Settings, tty::Tty};
use fer_edge::publish::{Face, Observation, Sink};
use fer_models::{Labels, Rect};
use fer_wire::{Decoder, Emotion, Frame, Message};

use super::pty::Cable;

fn observation(seq: u64) -> Observation {
    Observation {
        seq,
        t_ms: 33 * seq,
        source: "demo".into(),
        file: String::new(),
        model: "m".into(),
        labels: Labels::fer2013().into(),
        faces: vec![Face {
            id: 1,
            rect: Rect {
                x: 19.0,
                y: 64.0,
                width: 110.0,
                height: 110.0,
            },
            label: 3,
            raw_label: 3,
            scores: vec![0.0, 0.0, 0.0, 0.9, 0.1, 0.0, 0.0],
        }],
    }
}

fn start(port: &Path, buffer: usize) -> (Serial, Arc<Health>) {
    let settings = Settings {
        port: Some(port.into()),
        hello_secs: 1,
        buffer,
        ..Settings::default()
    };
    let identity = Identity {
        firmware: "fer-edge test".to_owned(),
        model: "m".to_owned(),
        labels: Labels::fer2013().into(),
    };
    let health = Arc::new(Health::new(7));
    health.set_camera(Camera::Online);
    (
        Serial::start(&settings, identity, health.clone()).unwrap(),
        health,
    )
}

/// Reads until `done` has seen enough; frames that are not right are not shown to it.
fn listen(cable: &mut Cable, mut done: impl FnMut(&Frame<'_>) -> bool) {
    let mut decoder: Decoder = Decoder::new();
    let mut buffer = [0; 256];
    loop {
        let count = cable.read(&mut buffer);
        let mut bytes = &buffer[..count];
        while let Some(received) = decoder.feed(&mut bytes) {
            if received.is_ok_and(|frame| done(&frame)) {
                return;
            }
        }
    }
}

/// Joins the line, learns the labels' names, and then reads the decision for a face.
fn what_a_listener_sees(cable: &mut Cable, sink: &mut Serial, seq: u64) -> (String, Emotion) {
    let mut labels: Vec<String> = Vec::new();
    let mut seen = None;
    listen(cable, |frame| {
        match frame.message {
            Message::Hello(hello) => {
                labels = hello.labels.iter().map(|&name| name.to_owned()).collect();
                sink.publish(&observation(seq)).unwrap();
            }
            Message::Emotion(emotion) if emotion.frame == seq as u32 => seen = Some(emotion),
            _ => {}
        }
        seen.is_some()
    });
    let emotion = seen.unwrap();
    (
        labels.swap_remove(usize::from(emotion.faces[0].label)),
        emotion,
    )
}

#[test]
fn hello_is_learned_after_joining_in_the_middle_of_a_frame() {
    let mut cable = Cable::new();
    let (mut sink, _) = start(cable.port(), 16);
    // the first ten bytes of the first hello are lost, and with them that hello
    let mut lost = [0; 10];
    let mut count = 0;
    while count < lost.len() {
        count += cable.read(&mut lost[count..]);
    }
    let (label, emotion) = what_a_listener_sees(&mut cable, &mut sink, 7);
    assert_eq!(label, "happy");
    assert_eq!(
        (emotion.t_ms, emotion.faces[0].score().percent()),
        (231, 90)
    );
    assert!(emotion.unix.is_some(), "this machine's clock is set");
}

/// A name that stays while the port behind it changes, as udev makes them.
fn plug(by_id: &Path, port: &Path) {
    let fresh = by_id.with_extension("new");
    symlink(port, &fresh).unwrap();
    fs::rename(fresh, by_id).unwrap();
}

#[test]
fn a_port_that_was_pulled_and_plugged_again_goes_on_with_a_hello() {
    let folder = tempfile::tempdir().unwrap();
    let by_id: PathBuf = folder.path().join("usb-FTDI-if00");
    let (mut sink, health) = start(&by_id, 16);
    let mut dropped = 0;
    for seq in 1..=3 {
        let mut cable = Cable::new();
        plug(&by_id, cable.port());
        let (label, emotion) = what_a_listener_sees(&mut cable, &mut sink, seq);
        assert_eq!(label, "happy");
        dropped = emotion.dropped;
    }
    assert_eq!(dropped, 0, "nothing was published while no port was there");
    drop(sink);
    assert!(!health.serial_open());
}

#[test]
fn a_line_that_nobody_reads_never_stops_the_pipeline() {
    let mut cable = Cable::new();
    let mut port = Tty::open(cable.port(), 115_200).unwrap();
    while port.send(&[0x55; 512], Duration::ZERO).is_ok() {}
    drop(port);
    // the port takes nothing now: this would hang if publishing waited for it
    let (mut sink, health) = start(cable.port(), 4);
    for seq in 0..20_000 {
        sink.publish(&observation(seq)).unwrap();
    }
    assert!(health.serial_dropped() > 0);
    // read at last, the newest arrives, and says how many did not
    let mut last = Emotion::default();
    listen(&mut cable, |frame| {
        if let Message::Emotion(emotion) = frame.message {
            last = emotion;
        }
        last.frame == 19_999
    });
    assert_eq!(u64::from(last.dropped), health.serial_dropped());
}
