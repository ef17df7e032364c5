//! The whole way of a USB camera's picture: Motion JPEG in memory to the published report.

use std::io::{self, Cursor};
use std::time::{Duration, Instant};

use fer_edge::capture::demo::Demo;
use fer_edge::capture::mjpeg::Mjpeg;
use fer_edge::capture::{Frame, Source, Step};
use fer_edge::processor::Processor;
use fer_edge::publish::Sink;
use fer_edge::publish::jsonl::JsonLines;
use fer_models::resize;
use image::codecs::jpeg::JpegEncoder;

use super::{Failure, WARM_UP};

/// Size of the pictures: what webcams deliver by default.
pub(super) const WIDTH: usize = 640;
pub(super) const HEIGHT: usize = 480;

/// Faces are searched in every n-th frame.
pub(super) const DETECT_EVERY: u64 = 5;

/// Frames of the demo that show one face; they are repeated.
const ONE_FACE: u64 = 75;

/// JPEG quality of a webcam.
const QUALITY: u8 = 85;

/// Where the time went.
pub(super) struct Times {
    /// Mean size of a picture, in bytes.
    pub(super) bytes: usize,
    /// Faces in the frames.
    pub(super) faces: usize,
    /// Faces that hardly changed and kept their scores.
    pub(super) reused: u64,
    /// Splitting the stream and decoding the picture.
    pub(super) decode: Vec<Duration>,
    /// The whole frame: also searching, tracking, cutting, classifying, publishing.
    pub(super) whole: Vec<Duration>,
}

impl Times {
    /// Frames a second.
    pub(super) fn rate(&self) -> f64 {
        let seconds = self.whole.iter().sum::<Duration>().as_secs_f64();
        self.whole.len() as f64 / seconds
    }
}

/// Runs `frames` pictures through every stage on this thread.
pub(super) fn measure(processor: &mut Processor, frames: u64) -> Result<Times, Failure> {
    let stream = stream(frames + WARM_UP)?;
    let bytes = stream.len() / (frames + WARM_UP) as usize;
    let mut source = Mjpeg::new("bench", Cursor::new(stream), 30.0);
    let mut sink = JsonLines::new(io::sink());
    let mut frame = Frame::default();
    let mut observation = processor.observation(source.name());
    let mut times = Times {
        bytes,
        faces: 0,
        reused: 0,
        decode: Vec::new(),
        whole: Vec::new(),
    };
    loop {
        let started = Instant::now();
        if source.next(&mut frame)? != Step::Frame {
            return Ok(times);
        }
        let decoded = started.elapsed();
        processor.process(&frame, source.pace(), &mut observation)?;
        sink.publish(&observation)?;
        if frame.seq >= WARM_UP {
            times.faces += observation.faces.len();
            times.reused += processor.timings().reused;
            times.decode.push(decoded);
            times.whole.push(started.elapsed());
        }
    }
}

/// The demo, enlarged, as a webcam would send it: in colour.
fn stream(frames: u64) -> Result<Vec<u8>, Failure> {
    let mut pictures = Vec::new();
    let mut source = Demo::new()?;
    let mut frame = Frame::default();
    let mut gray = vec![0; WIDTH * HEIGHT];
    let mut noise = 1u32;
    for _ in 0..ONE_FACE.min(frames) {
        source.next(&mut frame)?;
        resize(frame.view()?, WIDTH, HEIGHT, &mut gray);
        // A sensor's noise, without which the pictures would be half of a webcam's size.
        for pixel in &mut gray {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *pixel = pixel.saturating_add((noise >> 29) as u8);
        }
        // A warm tint: without colour the decoder would have less to do.
        let tint = |&y: &u8| [y.saturating_add(12), y, y.saturating_sub(18)];
        let rgb: Vec<u8> = gray.iter().flat_map(tint).collect();
        let mut jpeg = Vec::new();
        let picture = image::ExtendedColorType::Rgb8;
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(
            &rgb,
            WIDTH as u32,
            HEIGHT as u32,
            picture,
        )?;
        pictures.push(jpeg);
    }
    let repeated = pictures.iter().cycle().take(frames as usize);
    Ok(repeated.flatten().copied().collect())
}
