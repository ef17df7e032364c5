//! What holds for every message and every line.

use fer_wire::{
    Camera, DecodeError, Decoder, Emotion, Encoder, Face, Frame, Hello, Kind, List, MAX_BODY,
    MAX_EMOTION_BODY, MAX_FACES, MAX_FRAME, MAX_LABELS, MAX_NAME_BYTES, Message, Score, Status,
    VERSION,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn face() -> impl Strategy<Value = Face> {
    let scores = vec(any::<u8>(), 0..=MAX_LABELS);
    (any::<(u32, i16, i16, u16, u16, u8)>(), scores).prop_map(
        |((id, x, y, width, height, label), scores)| Face {
            id,
            x,
            y,
            width,
            height,
            label,
            scores: List::first_of(scores.into_iter().map(Score)),
        },
    )
}

fn emotion() -> impl Strategy<Value = Emotion> {
    let faces = vec(face(), 0..=MAX_FACES);
    let numbers = any::<(u64, u32, u32, u8)>();
    (numbers, option::of(any::<u32>()), faces).prop_map(
        |((t_ms, frame, dropped, seen), unix, faces)| Emotion {
            t_ms,
            unix,
            frame,
            dropped,
            seen,
            faces: List::first_of(faces),
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    any::<(u64, u8, u64, u64, u32)>().prop_map(
        |(uptime_ms, camera, captured, processed, dropped)| Status {
            uptime_ms,
            camera: Camera::from(camera),
            captured,
            processed,
            dropped,
        },
    )
}

fn message() -> impl Strategy<Value = Message<'static>> {
    prop_oneof![
        emotion().prop_map(Message::Emotion),
        status().prop_map(Message::Status)
    ]
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut line = [0; MAX_FRAME];
    Encoder::new().encode(message, &mut line).unwrap().to_vec()
}

/// Feeds a line in pieces of `piece` bytes.
fn decoded<const N: usize>(
    line: &[u8],
    piece: usize,
    mut each: impl FnMut(Result<Frame<'_>, DecodeError>),
) {
    let mut decoder = Decoder::<N>::new();
    for mut piece in line.chunks(piece) {
        while let Some(result) = decoder.feed(&mut piece) {
            each(result);
        }
    }
}

/// The only frame on a line.
fn only(line: &[u8], check: impl FnOnce(Result<Frame<'_>, DecodeError>)) {
    only_in::<MAX_BODY>(line, line.len(), check);
}

/// As [`only`], for a decoder of another size that gets the line in pieces of `piece` bytes.
fn only_in<const N: usize>(
    line: &[u8],
    piece: usize,
    check: impl FnOnce(Result<Frame<'_>, DecodeError>),
) {
    let mut check = Some(check);
    decoded::<N>(line, piece, |result| {
        check.take().expect("one frame")(result);
    });
    assert!(check.is_none(), "no frame");
}

/// The largest values everywhere: the sizes in the crate are those of these messages.
fn largest() -> (Message<'static>, Message<'static>, Message<'static>) {
    const NAME: &str = "0123456789abcdef0123456789abcdef";
    assert_eq!(NAME.len(), MAX_NAME_BYTES);
    let face = Face {
        id: u32::MAX,
        x: i16::MIN,
        y: i16::MIN,
        width: u16::MAX,
        height: u16::MAX,
        label: u8::MAX,
        scores: List::first_of([Score(u8::MAX); MAX_LABELS]),
    };
    let hello = Hello {
        revision: u8::MAX,
        firmware: NAME,
        model: NAME,
        labels: List::first_of([NAME; MAX_LABELS]),
    };
    let emotion = Emotion {
        t_ms: u64::MAX,
        unix: Some(u32::MAX),
        frame: u32::MAX,
        dropped: u32::MAX,
        seen: u8::MAX,
        faces: List::first_of([face; MAX_FACES]),
    };
    let status = Status {
        uptime_ms: u64::MAX,
        camera: Camera::Other(u8::MAX),
        captured: u64::MAX,
        processed: u64::MAX,
        dropped: u32::MAX,
    };
    (
        Message::Hello(hello),
        Message::Emotion(emotion),
        Message::Status(status),
    )
}

#[test]
fn the_largest_messages_fit_exactly() {
    let (hello, emotion, status) = largest();
    assert_eq!(encoded(&hello).len(), MAX_FRAME);
    only_in::<MAX_BODY>(&encoded(&hello), 64, |frame| {
        assert_eq!(frame.unwrap().message, hello)
    });
    for message in [emotion, status] {
        only_in::<MAX_EMOTION_BODY>(&encoded(&message), 64, |frame| {
            assert_eq!(frame.unwrap().message, message)
        });
    }
    only_in::<{ MAX_EMOTION_BODY - 1 }>(&encoded(&emotion), 64, |frame| {
        assert_eq!(frame, Err(DecodeError::Overlong));
    });
}

#[test]
fn a_name_that_is_too_long_is_refused_and_takes_no_number() {
    let (Message::Hello(hello), ..) = largest() else {
        unreachable!("a hello")
    };
    let long = Hello {
        model: "0123456789abcdef0123456789abcdef+",
        ..hello
    };
    let mut line = [0; 2 * MAX_FRAME];
    let mut encoder = Encoder::new();
    assert!(encoder.encode(&Message::Hello(long), &mut line).is_err());
    for end in 0..MAX_FRAME {
        assert!(
            encoder
                .encode(&Message::Hello(hello), &mut line[..end])
                .is_err()
        );
    }
    let frame = encoder.encode(&Message::Hello(hello), &mut line).unwrap();
    only(frame, |frame| assert_eq!(frame.unwrap().sequence, 0));
}

#[test]
fn every_single_bit_counts() {
    let (_, emotion, status) = largest();
    for message in [emotion, status] {
        let whole = encoded(&message);
        // the zeros at both ends may become anything, when there is nothing before and after
        for bit in 8..8 * (whole.len() - 1) {
            let mut line = whole.clone();
            line[bit / 8] ^= 1 << (bit % 8);
            let mut refused = 0;
            decoded::<MAX_BODY>(&line, line.len(), |result| {
                assert!(result.is_err(), "bit {bit}");
                refused += 1;
            });
            assert!(refused > 0, "bit {bit}");
        }
    }
}

#[test]
fn a_changed_byte_is_a_wrong_checksum() {
    let (hello, emotion, status) = largest();
    for message in [hello, emotion, status] {
        let mut line = encoded(&message);
        // behind the border and the first code of COBS: the version, which is looked at later
        line[2] ^= 0x80;
        only(&line, |result| {
            assert_eq!(result, Err(DecodeError::Checksum))
        });
    }
}

#[test]
fn a_kind_of_the_future_is_skipped_and_counts_as_received() {
    let mut encoder = Encoder::new();
    let mut decoder: Decoder = Decoder::new();
    let mut line = [0; MAX_FRAME];
    let status = Message::Status(Status::default());
    for (kind, expected) in [(3, true), (200, false), (3, true)] {
        let mut frame = match kind {
            3 => encoder.encode(&status, &mut line).unwrap(),
            kind => encoder.encode_raw(kind, b"whatever", &mut line).unwrap(),
        };
        let received = decoder.feed(&mut frame).map(|frame| frame.unwrap().missed);
        assert_eq!(received, expected.then_some(0));
    }
}

#[test]
fn another_version_is_named() {
    let mut body = vec![VERSION + 1, 1, 0, 0];
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&body);
    body.extend(checksum.to_le_bytes());
    let mut line = vec![0];
    for block in body.split(|&byte| byte == 0) {
        line.push(block.len() as u8 + 1);
        line.extend(block);
    }
    line.push(0);
    only(&line, |result| {
        assert_eq!(result, Err(DecodeError::Version(VERSION + 1)))
    });
}

#[test]
fn a_payload_that_makes_no_sense_is_an_error_with_its_kind() {
    let mut line = [0; MAX_FRAME];
    for (kind, payload) in [
        (Kind::Status, &[0x80; 11][..]),
        (Kind::Hello, &[0, 2, 0xff, 0xff]),
    ] {
        let frame = Encoder::new()
            .encode_raw(kind as u8, payload, &mut line)
            .unwrap();
        only(frame, |result| {
            assert_eq!(result, Err(DecodeError::Payload(kind)))
        });
    }
}

#[test]
fn a_sender_that_starts_again_is_not_taken_for_a_gap() {
    let hello = Message::Hello(Hello::default());
    let status = Message::Status(Status::default());
    let mut line = [0; MAX_FRAME];
    let mut decoder: Decoder = Decoder::new();
    let mut missed = |encoder: &mut Encoder, message: &Message<'_>, arrives: bool| {
        let mut frame = encoder.encode(message, &mut line).unwrap();
        arrives.then(|| decoder.feed(&mut frame).unwrap().unwrap().missed)
    };
    let mut first = Encoder::new();
    assert_eq!(missed(&mut first, &hello, false), None);
    assert_eq!(
        missed(&mut first, &status, true),
        Some(0),
        "the first that is heard"
    );
    assert_eq!(missed(&mut first, &status, false), None);
    assert_eq!(missed(&mut first, &status, true), Some(1));
    assert_eq!(missed(&mut Encoder::new(), &hello, true), Some(0));
}

proptest! {
    #[test]
    fn messages_survive_the_line_in_pieces_of_any_size(messages in vec(message(), 1..5), piece in 1..700usize) {
        let mut encoder = Encoder::new();
        let mut line = Vec::new();
        for message in &messages {
            let mut buffer = [0; MAX_FRAME];
            let frame = encoder.encode(message, &mut buffer).unwrap();
            prop_assert_eq!((frame[0], frame[frame.len() - 1]), (0, 0));
            prop_assert!(!frame[1..frame.len() - 1].contains(&0));
            line.extend(frame);
        }
        let mut expected = messages.iter();
        decoded::<MAX_BODY>(&line, piece, |frame| {
            assert_eq!(frame.unwrap().message, *expected.next().unwrap());
        });
        prop_assert_eq!(expected.next(), None);
    }

    #[test]
    fn names_survive(model in "\\PC{0,8}", labels in vec("\\PC{0,8}", 0..=MAX_LABELS)) {
        let labels = List::first_of(labels.iter().map(String::as_str));
        let hello = Message::Hello(Hello { revision: 1, firmware: "", model: &model, labels });
        only(&encoded(&hello), |frame| assert_eq!(frame.unwrap().message, hello));
    }

    #[test]
    fn garbage_never_costs_the_frame_after_it(noise in vec(any::<u8>(), 0..2000), message in message()) {
        let mut line = noise;
        line.extend(encoded(&message));
        let mut last = None;
        decoded::<MAX_BODY>(&line, 64, |result| last = Some(result.map(|frame| frame.message == message)));
        prop_assert_eq!(last, Some(Ok(true)));
    }

    #[test]
    fn fields_of_the_future_are_ignored(emotion in emotion(), more in vec(any::<u8>(), 0..40)) {
        let mut payload = [0; MAX_FRAME];
        let used = postcard::to_slice(&emotion, &mut payload).unwrap().len();
        payload[used..used + more.len()].copy_from_slice(&more);
        let mut line = [0; MAX_FRAME];
        let frame = Encoder::new()
            .encode_raw(Kind::Emotion as u8, &payload[..used + more.len()], &mut line)
            .unwrap();
        only(frame, |frame| assert_eq!(frame.unwrap().message, Message::Emotion(emotion)));
    }

    #[test]
    fn a_cut_payload_is_an_error_not_a_guess(emotion in emotion(), cut in any::<prop::sample::Index>()) {
        let mut payload = [0; MAX_FRAME];
        let used = postcard::to_slice(&emotion, &mut payload).unwrap().len();
        let mut line = [0; MAX_FRAME];
        let frame = Encoder::new()
            .encode_raw(Kind::Emotion as u8, &payload[..cut.index(used)], &mut line)
            .unwrap();
        only(frame, |frame| assert_eq!(frame, Err(DecodeError::Payload(Kind::Emotion))));
    }

    #[test]
    fn a_small_decoder_survives_long_frames(message in message()) {
        let status = Message::Status(Status::default());
        let mut line = encoded(&message);
        let long = line.len() > 40;
        line.extend(encoded(&status));
        let mut results = Vec::new();
        decoded::<32>(&line, 16, |result| results.push(result.map(|frame| frame.message == status)));
        prop_assert_eq!(results.last(), Some(&Ok(true)));
        prop_assert!(!long || results[0] == Err(DecodeError::Overlong));
    }
}
