//! The receiver on a board made of a list of bytes and a switch.

use std::cell::Cell;
use std::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};
use embedded_hal_nb::{nb, serial};
use fer_receiver::{HOLD_MS, Receiver};
use fer_wire::{Emotion, Encoder, Face, Hello, List, MAX_FRAME, Message, Score};

struct Led<'a>(&'a Cell<bool>);

impl ErrorType for Led<'_> {
    type Error = Infallible;
}

impl OutputPin for Led<'_> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

/// A UART that has received this.
struct Uart(Vec<u8>);

impl serial::ErrorType for Uart {
    type Error = Never;
}

/// embedded-hal's serial traits have no error for what can't fail.
#[derive(Debug, PartialEq, Eq)]
enum Never {}

impl serial::Error for Never {
    fn kind(&self) -> serial::ErrorKind {
        match *self {}
    }
}

impl serial::Read<u8> for Uart {
    fn read(&mut self) -> nb::Result<u8, Never> {
        if self.0.is_empty() {
            return Err(nb::Error::WouldBlock);
        }
        Ok(self.0.remove(0))
    }
}

/// The line: who is talking, then a face with this label and score.
fn line(label: u8, score: u8) -> Vec<u8> {
    let hello = Hello {
        labels: List::first_of(["sad", "happy"]),
        ..Hello::default()
    };
    let mut scores = [Score(255 - score); 2];
    scores[usize::from(label)] = Score(score);
    let face = Face {
        label,
        scores: List::first_of(scores),
        ..Face::default()
    };
    let emotion = Emotion {
        seen: 1,
        faces: List::first_of([face]),
        ..Emotion::default()
    };
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    for message in [Message::Hello(hello), Message::Emotion(emotion)] {
        let mut frame = [0; MAX_FRAME];
        bytes.extend(encoder.encode(&message, &mut frame).unwrap());
    }
    bytes
}

fn read_all(receiver: &mut Receiver<Led<'_>>, bytes: Vec<u8>) {
    let mut uart = Uart(bytes);
    while receiver.poll(&mut uart).is_ok() {}
    assert!(uart.0.is_empty());
}

#[test]
fn the_led_shows_the_emotion_and_only_with_some_certainty() {
    let lit = Cell::new(false);
    let mut receiver = Receiver::new(Led(&lit), "happy");
    for (label, score, expected) in [
        (1, 250, true),
        (0, 250, false),
        (1, 250, true),
        (1, 90, false),
    ] {
        read_all(&mut receiver, line(label, score));
        assert_eq!(lit.get(), expected, "label {label}, score {score}");
    }
}

#[test]
fn the_led_goes_dark_when_the_sender_has_gone() {
    let lit = Cell::new(false);
    let mut receiver = Receiver::new(Led(&lit), "happy");
    read_all(&mut receiver, line(1, 250));
    receiver.elapsed(HOLD_MS - 1).unwrap();
    assert!(lit.get());
    receiver.elapsed(1).unwrap();
    assert!(!lit.get());
}

#[test]
fn the_led_stays_lit_between_the_reports_of_the_slowest_sender() {
    let lit = Cell::new(false);
    let mut receiver = Receiver::new(Led(&lit), "happy");
    read_all(&mut receiver, line(1, 250));
    // `max_fps = 0.5`, and one report is lost
    receiver.elapsed(2 * 2000).unwrap();
    assert!(lit.get());
}

#[test]
fn noise_before_a_frame_and_an_emotion_that_the_model_lacks_do_no_harm() {
    let lit = Cell::new(false);
    let mut receiver = Receiver::new(Led(&lit), "happy");
    let mut noise = b"ets Jul 29 2019 12:21:46 rst:0x1".to_vec();
    noise.extend(line(1, 250));
    read_all(&mut receiver, noise);
    assert!(lit.get());
    let mut lacking = Receiver::new(Led(&lit), "contempt");
    read_all(&mut lacking, line(1, 250));
    assert!(!lit.get());
}
