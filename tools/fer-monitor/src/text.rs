//! Frames as lines for people.

use std::io::{self, Write};

use fer_wire::{DecodeError, Emotion, Frame, Hello, Message, Status};

use crate::{camera, label};

/// Writes what was received.
pub(super) fn write(
    out: &mut impl Write,
    received: &Result<Frame<'_>, DecodeError>,
    labels: &[String],
) -> io::Result<()> {
    let frame = match received {
        Ok(frame) => frame,
        Err(e) => return writeln!(out, "{:>10}  {e}", "bad"),
    };
    if frame.missed > 0 {
        writeln!(out, "{:>10}  frames missed: {}", "gap", frame.missed)?;
    }
    match &frame.message {
        Message::Hello(hello) => write_hello(out, hello),
        Message::Status(status) => write_status(out, status),
        Message::Emotion(emotion) => write_emotion(out, emotion, labels),
        _ => Ok(()),
    }
}

fn write_hello(out: &mut impl Write, hello: &Hello<'_>) -> io::Result<()> {
    let Hello {
        firmware, model, ..
    } = hello;
    let names = hello.labels.join(" ");
    writeln!(out, "{:>10}  {firmware}, model {model}: {names}", "hello")
}

fn write_status(out: &mut impl Write, status: &Status) -> io::Result<()> {
    writeln!(
        out,
        "{:>10}  camera {}, up {} s, {} captured, {} processed, {} dropped",
        "status",
        camera(status.camera),
        status.uptime_ms / 1000,
        status.captured,
        status.processed,
        status.dropped
    )
}

fn write_emotion(out: &mut impl Write, emotion: &Emotion, labels: &[String]) -> io::Result<()> {
    write!(out, "{:>6}.{:03}", emotion.t_ms / 1000, emotion.t_ms % 1000)?;
    if emotion.faces.is_empty() {
        return writeln!(out, "  nobody");
    }
    for face in emotion.faces.iter() {
        let (name, percent) = (label(labels, face.label), face.score().percent());
        write!(
            out,
            "  #{} {name} {percent} % at {},{} {}x{}",
            face.id, face.x, face.y, face.width, face.height
        )?;
    }
    let more = usize::from(emotion.seen).saturating_sub(emotion.faces.len());
    if more > 0 {
        write!(out, "  and {more} more")?;
    }
    writeln!(out)
}
