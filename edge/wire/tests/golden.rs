//! The frames in `golden.txt` are what this crate writes and reads, and what `docs/serial.md` shows to
//! people who write a receiver of their own.

use std::fmt::Write;

use fer_wire::{
    Camera, Decoder, Emotion, Encoder, Face, Hello, List, MAX_FRAME, Message, Score, Status,
};

const GOLDEN: &str = include_str!("../golden.txt");
const DOCUMENT: &str = include_str!("../../../docs/serial.md");

const FER2013: [&str; 7] = [
    "angry", "disgust", "fear", "happy", "sad", "surprise", "neutral",
];

/// What is sent, one after the other, by one encoder.
fn messages() -> [(&'static str, Message<'static>); 5] {
    let hello = Hello {
        revision: 0,
        firmware: "fer-edge 0.1.0",
        model: "vgg19-lite",
        labels: List::first_of(FER2013),
    };
    let status = Status {
        uptime_ms: 2_500,
        camera: Camera::Online,
        captured: 61,
        processed: 60,
        dropped: 0,
    };
    let happy = Face {
        id: 1,
        x: 19,
        y: 64,
        width: 110,
        height: 110,
        label: 3,
        scores: List::first_of([6, 2, 6, 223, 5, 5, 8].map(Score)),
    };
    let at_the_edge = Face {
        id: 300,
        x: -12,
        y: 5,
        width: 90,
        height: 90,
        label: 6,
        scores: List::first_of([0, 0, 0, 0, 30, 0, 225].map(Score)),
    };
    let nobody = Emotion {
        t_ms: 2_533,
        frame: 76,
        ..Emotion::default()
    };
    let one = Emotion {
        t_ms: 2_566,
        unix: Some(1_800_000_000),
        frame: 77,
        dropped: 2,
        seen: 1,
        faces: List::first_of([happy]),
    };
    let two = Emotion {
        t_ms: 4_294_967_296,
        seen: 2,
        faces: List::first_of([happy, at_the_edge]),
        ..one
    };
    [
        ("hello", Message::Hello(hello)),
        ("status, camera online", Message::Status(status)),
        (
            "emotion, nobody there, clock not set",
            Message::Emotion(nobody),
        ),
        ("emotion, one face", Message::Emotion(one)),
        (
            "emotion, two faces, one beyond the left edge",
            Message::Emotion(two),
        ),
    ]
}

/// The frames as the file has them: a name, then bytes in hex, sixteen a line.
fn golden() -> String {
    let mut encoder = Encoder::new();
    let mut line = [0; MAX_FRAME];
    let mut text = String::new();
    for (sequence, (name, message)) in messages().iter().enumerate() {
        let frame = encoder.encode(message, &mut line).unwrap();
        writeln!(text, "# {sequence}: {name}").unwrap();
        for row in frame.chunks(16) {
            let row: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{}", row.join(" ")).unwrap();
        }
    }
    text
}

#[test]
fn what_is_written_is_byte_for_byte_what_the_file_says() {
    let written = golden();
    assert!(GOLDEN == written, "golden.txt should be:\n{written}");
}

#[test]
fn what_the_file_says_is_read_back() {
    let line: Vec<u8> = GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let mut decoder: Decoder = Decoder::new();
    let mut bytes = &*line;
    for (sequence, (name, message)) in messages().into_iter().enumerate() {
        let frame = decoder.feed(&mut bytes).unwrap().unwrap();
        assert_eq!(frame.message, message, "{name}");
        assert_eq!((usize::from(frame.sequence), frame.missed), (sequence, 0));
    }
    assert_eq!(decoder.feed(&mut bytes), None);
}

#[test]
fn the_document_shows_the_same_frames() {
    assert!(
        DOCUMENT.contains(GOLDEN),
        "docs/serial.md should show:\n{GOLDEN}"
    );
}

#[test]
fn the_document_gives_the_sizes() {
    for (name, bytes) in [
        ("MAX_BODY", fer_wire::MAX_BODY),
        ("MAX_EMOTION_BODY", fer_wire::MAX_EMOTION_BODY),
        ("MAX_FRAME", fer_wire::MAX_FRAME),
        ("MAX_FACES", fer_wire::MAX_FACES),
        ("MAX_LABELS", fer_wire::MAX_LABELS),
        ("MAX_NAME_BYTES", fer_wire::MAX_NAME_BYTES),
    ] {
        let row = format!("| `{name}` | {bytes} |");
        assert!(DOCUMENT.contains(&row), "docs/serial.md should say: {row}");
    }
}
