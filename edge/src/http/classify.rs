//! One picture in, one observation out. The picture is freed with its answer; the stages' working memory, in which the
//! picture stands as small as the detector shrank it, is replaced by the next one's.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::capture::image::decode;
use crate::capture::{Frame, Pace};
use crate::control::Control;
use crate::processor::{ProcessError, Processor};
use crate::publish::Observation;
use crate::vision::DetectError;

/// Largest picture that is decoded, in pixels: above what phones send, within the memory of a small board.
pub const MAX_PIXELS: u64 = 16_000_000;

/// Turns an encoded picture into what it shows, or says why it can't.
pub type Classify = Box<dyn FnMut(&[u8]) -> Result<Observation, ClassifyError> + Send>;

/// Why there is no observation of a picture.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// The picture can't be read, or lies beside the region of the configuration.
    #[error("the picture can't be used: {0}")]
    Picture(String),
    /// Model, detector or thread failed. The reason may name files of this machine: it is not for clients.
    #[error("no picture can be classified: {0}")]
    Server(String),
}

impl ClassifyError {
    fn server(reason: impl Display) -> Self {
        Self::Server(reason.to_string())
    }
}

impl From<ProcessError> for ClassifyError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Image(_) | ProcessError::Detect(DetectError::Outside { .. }) => {
                Self::Picture(error.to_string())
            }
            ProcessError::Detect(_) | ProcessError::Infer(_) => Self::server(error),
        }
    }
}

/// Classifies with a processor of its own, so that the camera's tracks stay untouched.
///
/// The processor is built at the first picture, so that a runtime that is never asked doesn't hold a
/// second model, and lives on a thread of its own, because detectors can't move between threads. Each
/// picture is held to the threshold that `control` has by then.
#[must_use]
pub fn with<E: Display>(
    build: impl Fn() -> Result<Processor, E> + Send + Sync + 'static,
    control: Arc<Control>,
) -> Classify {
    let build = Arc::new(build);
    let mut worker = None;
    Box::new(move |bytes| {
        let mut frame = Frame::default();
        read(bytes, &mut frame).map_err(ClassifyError::Picture)?;
        let running = match worker.take() {
            Some(running) => running,
            None => Worker::start(Arc::clone(&build), Arc::clone(&control))
                .map_err(ClassifyError::server)?,
        };
        let Some(answer) = running.ask(frame) else {
            return Err(ClassifyError::server("its thread gave up on this one"));
        };
        worker = Some(running);
        answer
    })
}

/// The thread with the processor; it ends when this is dropped.
struct Worker {
    frames: Sender<Frame>,
    answers: Receiver<Result<Observation, ClassifyError>>,
}

impl Worker {
    fn start<E: Display>(
        build: Arc<impl Fn() -> Result<Processor, E> + Send + Sync + 'static>,
        control: Arc<Control>,
    ) -> io::Result<Self> {
        let (frames, incoming) = channel::<Frame>();
        let (outgoing, answers) = channel();
        thread::Builder::new()
            .name("classify".to_owned())
            .spawn(move || {
                let mut processor = None;
                for frame in incoming {
                    let answer = process(&mut processor, &*build, &control, frame);
                    if outgoing.send(answer).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { frames, answers })
    }

    /// The answer for a frame; `None` when the thread panicked over it.
    fn ask(&self, frame: Frame) -> Option<Result<Observation, ClassifyError>> {
        self.frames.send(frame).ok()?;
        self.answers.recv().ok()
    }
}

/// The frame, the only copy of the picture in its own size, is gone when this returns.
fn process<E: Display>(
    processor: &mut Option<Processor>,
    build: impl Fn() -> Result<Processor, E>,
    control: &Control,
    frame: Frame,
) -> Result<Observation, ClassifyError> {
    let processor = match processor {
        Some(processor) => processor,
        None => processor.insert(build().map_err(ClassifyError::server)?),
    };
    processor.set_threshold(control.threshold());
    let mut observation = processor.observation("http");
    processor.process(&frame, Pace::Stills, &mut observation)?;
    Ok(observation)
}

/// Decodes a picture of at most [`MAX_PIXELS`] into the frame's pixels.
///
/// # Errors
/// Returns what is wrong with the picture.
pub fn read(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    decode(bytes, MAX_PIXELS, frame)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use fer_models::{ModelPackage, Rect};
    use image::{GrayImage, ImageFormat};
    use proptest::prelude::*;

    use super::*;
    use crate::infer::fake::Brightness;
    use crate::processor::Settings;
    use crate::vision::Detector;
    use crate::vision::roi::{Region, WholeFrame};

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        GrayImage::new(width, height)
            .write_to(&mut bytes, ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    fn processor(detector: impl Detector + 'static) -> Processor {
        let manifest = ModelPackage::embedded().manifest;
        let length = manifest.input.input_len() * manifest.decision.crops.count();
        let fake = Box::new(Brightness::new(length, &manifest.labels));
        Processor::new(&manifest, Box::new(detector), fake, Settings::default())
    }

    #[test]
    fn pictures_are_bounded_before_they_are_decoded() {
        let mut frame = Frame::default();
        read(&png(20, 10), &mut frame).unwrap();
        assert_eq!((frame.width, frame.height), (20, 10));
        let error = read(&png(4001, 4000), &mut frame).unwrap_err();
        assert!(error.contains("4001x4000"), "{error}");
        assert!(read(b"", &mut frame).is_err());
    }

    #[test]
    fn the_processor_is_built_when_needed_and_again_after_a_panic() {
        let built = Arc::new(AtomicU32::new(0));
        let build = {
            let built = Arc::clone(&built);
            move || match built.fetch_add(1, Relaxed) {
                0 => Err("no model"),
                1 => panic!("as a detector might"),
                _ => Ok(processor(WholeFrame)),
            }
        };
        let mut classify = with(build, Arc::default());
        let unread = classify(b"no picture").unwrap_err();
        assert!(matches!(unread, ClassifyError::Picture(_)), "{unread}");
        assert_eq!(built.load(Relaxed), 0);
        for reason in ["no model", "gave up"] {
            let error = classify(&png(48, 48)).unwrap_err();
            assert!(matches!(error, ClassifyError::Server(_)), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        for _ in 0..2 {
            let observation = classify(&png(48, 48)).unwrap();
            assert_eq!((observation.faces.len(), &*observation.source), (1, "http"));
        }
        assert_eq!(built.load(Relaxed), 3);
    }

    #[test]
    fn a_picture_beside_the_region_is_the_clients_fault() {
        let region = Rect {
            x: 100.0,
            y: 0.0,
            width: 20.0,
            height: 20.0,
        };
        let build = move || Ok::<_, &str>(processor(Region(region)));
        let mut classify = with(build, Arc::default());
        let error = classify(&png(48, 48)).unwrap_err();
        assert!(matches!(error, ClassifyError::Picture(_)), "{error}");
    }

    proptest! {
        #[test]
        fn a_damaged_picture_is_refused_without_a_panic(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = png(16, 16);
            let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len()));
            bytes[at] = byte;
            let _ = read(&bytes, &mut Frame::default());
            prop_assert!(read(&bytes[..cut.min(20)], &mut Frame::default()).is_err());
        }
    }
}
