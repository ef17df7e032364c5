//! The default detector: SeetaFace's funnel-structured cascade (Wu, Kan, He, Shan and Chen 2016,
//! "Funnel-structured cascade for multi-view face detection with alignment-awareness") as `fer-faces` runs it, with its
//! model embedded (see `build.rs` and `NOTICE`).

use fer_faces::{Face, Gray};
use fer_models::{GrayView, Rect};

use super::{DetectError, Detection, Detector, Framing, Search};

static MODEL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/seeta_fd_frontal.bin"));

/// The search unless said otherwise; useful scores lie between 0.9 and 4.5.
pub const SEARCH: Search = Search {
    min_face: None,
    min_score: 2.0,
};

/// Frontal faces by SeetaFace's cascade.
pub struct SeetaDetector {
    inner: fer_faces::Detector,
    search: Search,
    found: Vec<Face>,
}

impl SeetaDetector {
    /// Loads the embedded model.
    ///
    /// # Errors
    /// Returns an error when the model can't be read.
    pub fn new(search: Search) -> Result<Self, DetectError> {
        Ok(Self {
            inner: fer_faces::Detector::new(MODEL).map_err(DetectError::Model)?,
            search,
            found: Vec::new(),
        })
    }
}

impl Detector for SeetaDetector {
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
        let search = fer_faces::Search {
            min_face: self.search.smallest(width, height),
            min_score: self.search.min_score,
            ..fer_faces::Search::default()
        };
        // Both types ask the same of a picture, so that there always is one.
        if let Some(picture) = Gray::new(width, height, frame.stride(), frame.bytes()) {
            self.inner.detect(picture, &search, &mut self.found);
            faces.extend(self.found.iter().map(|face| Detection {
                rect: Rect {
                    x: face.x,
                    y: face.y,
                    width: face.width,
                    height: face.height,
                },
                score: face.score,
            }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::demo::{self, Demo};
    use crate::capture::{Frame, Source, Step};
    use fer_models::resize;
    use proptest::prelude::*;

    fn detector() -> SeetaDetector {
        SeetaDetector::new(SEARCH).unwrap()
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
            let mut detector = SeetaDetector::new(search).unwrap();
            let view = GrayView::new(width, height, width, &pixels).unwrap();
            detector.detect(view, &mut Vec::new()).unwrap();
        }
    }
}
