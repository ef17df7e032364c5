//! The default detector: SeetaFace's funnel-structured cascade (Wu, Kan, He, Shan and Chen 2016,
//! "Funnel-structured cascade for multi-view face detection with alignment-awareness") as ported by
//! the `rustface` package, with its model embedded (see `build.rs` and `NOTICE`).
//!
//! The cascade's window is 40 pixels and rustface ignores its own minimum face size, so the cost is
//! bounded here: the frame is first shrunk until the smallest wanted face is 40 pixels.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fer_models::{GrayView, Rect, resize};
use rustface::{ImageData, create_detector_with_model, read_model};

use super::{DetectError, Detection, Detector, Framing, Search};

static MODEL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/seeta_fd_frontal.bin"));

/// The cascade's window, in pixels: the smallest face it can find.
const WINDOW: f32 = 40.0;

/// The search unless said otherwise; useful scores lie between 0.9 and 4.5.
pub const SEARCH: Search = Search {
    min_face: None,
    min_score: 2.0,
};

/// Frontal faces by rustface.
pub struct RustfaceDetector {
    inner: Box<dyn rustface::Detector>,
    search: Search,
    scaled: Vec<u8>,
}

impl RustfaceDetector {
    /// Loads the embedded model.
    ///
    /// # Errors
    /// Returns an error when the model can't be read.
    pub fn new(search: Search) -> Result<Self, DetectError> {
        Ok(Self {
            inner: load(search)?,
            search,
            scaled: Vec::new(),
        })
    }
}

fn load(search: Search) -> Result<Box<dyn rustface::Detector>, DetectError> {
    let model = read_model(MODEL).map_err(DetectError::Model)?;
    let mut inner = create_detector_with_model(model);
    // rustface panics on a threshold that isn't positive.
    inner.set_score_thresh(f64::from(search.min_score).max(1e-6));
    inner.set_pyramid_scale_factor(0.8);
    inner.set_slide_window_step(4, 4);
    Ok(inner)
}

impl Detector for RustfaceDetector {
    fn framing(&self) -> Framing {
        Framing::Face
    }

    fn detect(
        &mut self,
        frame: GrayView<'_>,
        faces: &mut Vec<Detection>,
    ) -> Result<(), DetectError> {
        faces.clear();
        let (width, height) = (frame.width(), frame.height());
        let scale = WINDOW / self.search.smallest(width, height);
        let scaled = |length: usize| (length as f32 * scale).round() as usize;
        let (scaled_width, scaled_height) = (scaled(width), scaled(height));
        if (scaled_width.min(scaled_height) as f32) < WINDOW {
            return Ok(());
        }
        self.scaled.resize(scaled_width * scaled_height, 0);
        resize(frame, scaled_width, scaled_height, &mut self.scaled);

        let image = ImageData::new(&self.scaled, scaled_width as u32, scaled_height as u32);
        let inner = &mut self.inner;
        let Ok(found) = catch_unwind(AssertUnwindSafe(|| inner.detect(&image))) else {
            // Its buffers may be half written.
            self.inner = load(self.search)?;
            return Err(DetectError::Panicked { width, height });
        };
        let (scale_x, scale_y) = (
            width as f32 / scaled_width as f32,
            height as f32 / scaled_height as f32,
        );
        faces.extend(found.iter().map(|face| {
            let bbox = face.bbox();
            let rect = Rect {
                x: bbox.x() as f32 * scale_x,
                y: bbox.y() as f32 * scale_y,
                width: bbox.width() as f32 * scale_x,
                height: bbox.height() as f32 * scale_y,
            };
            Detection {
                rect,
                score: face.score() as f32,
            }
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::demo::{self, Demo};
    use crate::capture::{Frame, Source, Step};
    use proptest::prelude::*;

    fn detector() -> RustfaceDetector {
        RustfaceDetector::new(SEARCH).unwrap()
    }

    #[test]
    fn the_demo_faces_are_found() {
        let mut detector = detector();
        let mut source = Demo::new().unwrap();
        let (mut frame, mut faces) = (Frame::default(), Vec::new());
        let (mut seen, mut two) = (0, 0);
        while source.next(&mut frame).unwrap() == Step::Frame {
            // Every tenth frame: each expression at three positions.
            if frame.seq % 10 == 5 {
                detector.detect(frame.view().unwrap(), &mut faces).unwrap();
                seen += usize::from(!faces.is_empty());
                two += usize::from(faces.len() == 2);
                assert!(faces.len() <= 2, "frame {}: {faces:?}", frame.seq);
            }
        }
        let looked = (demo::FRAMES / 10) as usize;
        assert!(seen + 1 >= looked, "{seen} of {looked}");
        assert!(two >= 3, "{two}");
    }

    #[test]
    fn a_larger_frame_finds_the_same_face() {
        let mut source = Demo::new().unwrap();
        let mut frame = Frame::default();
        source.next(&mut frame).unwrap();
        let (width, height) = (960, 720);
        let mut large = vec![0; width * height];
        resize(frame.view().unwrap(), width, height, &mut large);
        let (mut small_faces, mut large_faces) = (Vec::new(), Vec::new());
        let mut detector = detector();
        detector
            .detect(frame.view().unwrap(), &mut small_faces)
            .unwrap();
        let view = GrayView::new(width, height, width, &large).unwrap();
        detector.detect(view, &mut large_faces).unwrap();
        assert_eq!(large_faces.len(), 1);
        assert!((large_faces[0].rect.x / 3.0 - small_faces[0].rect.x).abs() < 12.0);
        assert!((large_faces[0].rect.width / 3.0 - small_faces[0].rect.width).abs() < 16.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn frames_of_any_size_and_content_are_survived(
            width in 1usize..200, height in 1usize..200, seed: u32, min_face in 20f32..80.0,
        ) {
            let search = Search { min_face: Some(min_face), min_score: 0.1 };
            let mut state = seed | 1;
            let pixels: Vec<u8> = (0..width * height).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }).collect();
            let mut detector = RustfaceDetector::new(search).unwrap();
            let view = GrayView::new(width, height, width, &pixels).unwrap();
            detector.detect(view, &mut Vec::new()).unwrap();
        }
    }
}
