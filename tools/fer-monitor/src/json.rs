//! Frames as JSON lines for programs.

use std::io::{self, Write};

use fer_wire::{DecodeError, Emotion, Face, Frame, Message, Score};
use serde_json::{Map, Value, json};

use crate::{camera, label};

/// Writes what was received.
pub(super) fn write(
    out: &mut impl Write,
    received: &Result<Frame<'_>, DecodeError>,
    labels: &[String],
) -> io::Result<()> {
    let value = match received {
        Err(e) => json!({"kind": "bad", "error": e.to_string()}),
        Ok(frame) => {
            let Some(mut value) = message(&frame.message, labels) else {
                return Ok(());
            };
            value["sequence"] = frame.sequence.into();
            value["missed"] = frame.missed.into();
            value
        }
    };
    writeln!(out, "{value}")
}

fn message(message: &Message<'_>, labels: &[String]) -> Option<Value> {
    Some(match message {
        Message::Hello(hello) => json!({
            "kind": "hello",
            "revision": hello.revision,
            "firmware": hello.firmware,
            "model": hello.model,
            "labels": hello.labels,
        }),
        Message::Status(status) => json!({
            "kind": "status",
            "uptime_ms": status.uptime_ms,
            "camera": camera(status.camera),
            "captured": status.captured,
            "processed": status.processed,
            "dropped": status.dropped,
        }),
        Message::Emotion(emotion) => emotion_of(emotion, labels),
        _ => return None,
    })
}

fn emotion_of(emotion: &Emotion, labels: &[String]) -> Value {
    let faces: Vec<_> = emotion.faces.iter().map(|f| face_of(f, labels)).collect();
    json!({
        "kind": "emotion",
        "t_ms": emotion.t_ms,
        "unix": emotion.unix,
        "frame": emotion.frame,
        "dropped": emotion.dropped,
        "seen": emotion.seen,
        "faces": faces,
    })
}

fn face_of(face: &Face, labels: &[String]) -> Value {
    let scores: Map<_, _> = (0..)
        .zip(face.scores.iter())
        .map(|(index, &score)| (label(labels, index), unit(score)))
        .collect();
    json!({
        "id": face.id,
        "box": (face.x, face.y, face.width, face.height),
        "label": label(labels, face.label),
        "score": unit(face.score()),
        "scores": scores,
    })
}

/// Three decimals: a step is 1/255.
fn unit(score: Score) -> Value {
    json!((f64::from(score.to_unit()) * 1e3).round() / 1e3)
}
