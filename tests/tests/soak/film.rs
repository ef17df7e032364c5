//! The demo as an endless film of 30 frames a second.

use std::io::{BufWriter, Write};
use std::process::ChildStdin;
use std::thread;

use fer_edge::capture::demo::{Demo, HEIGHT, WIDTH};
use fer_edge::capture::{Frame, Source, Step};

/// Writes Y4M until the reader goes; the reader's own clock sets the pace.
pub(super) fn play(stdin: ChildStdin) {
    thread::spawn(move || {
        let mut film = BufWriter::with_capacity(WIDTH * HEIGHT + 64, stdin);
        let mut frame = Frame::default();
        let mut write = || -> std::io::Result<()> {
            writeln!(film, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Cmono")?;
            loop {
                let mut demo = Demo::new().expect("the embedded demo");
                while let Ok(Step::Frame) = demo.next(&mut frame) {
                    film.write_all(b"FRAME\n")?;
                    film.write_all(&frame.pixels)?;
                }
            }
        };
        // the pipe breaks when the daemon ends
        let _ = write();
    });
}
