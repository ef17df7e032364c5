//! No line makes the decoder panic, and what it reads is written back the same.
//!
//! A fuzzer can't guess checksums, so each input is tried twice: as a line, and as a payload in a frame
//! that is right.

use fer_wire::{Decoder, Encoder, Frame, MAX_EMOTION_BODY, MAX_FRAME};

fn written_again(frame: Frame<'_>) {
    let mut line = [0; MAX_FRAME];
    // names in what was read may be longer than a sender is allowed to write
    if let Ok(mut again) = Encoder::new().encode(&frame.message, &mut line) {
        let mut decoder: Decoder = Decoder::new();
        let again = decoder
            .feed(&mut again)
            .expect("a frame")
            .expect("that is right");
        assert_eq!(again.message, frame.message);
    }
}

pub(crate) fn run(input: &[u8]) {
    let mut whole: Decoder = Decoder::new();
    let mut bytewise = Decoder::<MAX_EMOTION_BODY>::new();
    let mut rest = input;
    while let Some(result) = whole.feed(&mut rest) {
        if let Ok(frame) = result {
            written_again(frame);
        }
    }
    for &byte in input {
        let _ = bytewise.push(byte);
    }

    if let Some((&kind, payload)) = input.split_first() {
        let mut line = [0; MAX_FRAME];
        if let Ok(mut frame) = Encoder::new().encode_raw(kind, payload, &mut line)
            && let Some(Ok(frame)) = Decoder::<2048>::new().feed(&mut frame)
        {
            written_again(frame);
        }
    }
}
