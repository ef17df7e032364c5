//! Any bytes, read as Y4M and as MJPEG, must end without a panic.

use fer_edge::capture::mjpeg::Mjpeg;
use fer_edge::capture::y4m::Y4m;
use fer_edge::capture::{Frame, Source, Step};

pub(crate) fn run(bytes: &[u8]) {
    if let Ok(video) = Y4m::new("fuzz", bytes) {
        drain(video);
    }
    drain(Mjpeg::new("fuzz", bytes, 25.0));
}

fn drain(mut source: impl Source) {
    let mut frame = Frame::default();
    while !matches!(source.next(&mut frame), Ok(Step::End) | Err(_)) {}
}
