//! `fer-monitor`: prints what `fer-edge` sends on a serial line.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fer_wire::Decoder;

mod input;
mod json;
mod text;

/// Prints what fer-edge sends on a serial line, one line a frame.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
    fer-monitor /dev/ttyUSB0\n  \
    fer-monitor --json --baud 9600 /dev/serial0\n  \
    fer-monitor < recorded.bin\n\n\
    docs/serial.md describes the frames."
)]
struct Args {
    /// A serial port, a file of what came from one, or - for stdin
    #[arg(default_value = "-")]
    input: PathBuf,
    /// Speed of a serial port, in bits per second
    #[arg(long, default_value = "115200", value_name = "RATE", value_parser = input::parse_baud)]
    baud: input::Baud,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        // `fer-monitor | head` is no failure
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(
                io::stderr().lock(),
                "fer-monitor: {}: {e}",
                args.input.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> io::Result<()> {
    let mut input = input::open(&args.input, args.baud)?;
    let mut out = io::stdout().lock();
    let mut decoder: Decoder = Decoder::new();
    let mut labels = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let mut bytes = &buffer[..count];
        while let Some(received) = decoder.feed(&mut bytes) {
            if let Ok(frame) = &received {
                learn(&mut labels, frame);
            }
            if args.json {
                json::write(&mut out, &received, &labels)?;
            } else {
                text::write(&mut out, &received, &labels)?;
            }
        }
        out.flush()?;
    }
}

/// Remembers the names of the labels.
fn learn(labels: &mut Vec<String>, frame: &fer_wire::Frame<'_>) {
    if let fer_wire::Message::Hello(hello) = &frame.message {
        labels.clear();
        labels.extend(hello.labels.iter().map(|&name| name.to_owned()));
    }
}

/// The name of a label; its number until a hello has come.
fn label(labels: &[String], index: u8) -> String {
    labels
        .get(usize::from(index))
        .cloned()
        .unwrap_or_else(|| format!("label-{index}"))
}

/// The name of the camera's state.
fn camera(camera: fer_wire::Camera) -> String {
    match camera {
        fer_wire::Camera::Other(number) => format!("state-{number}"),
        known => format!("{known:?}").to_lowercase(),
    }
}
