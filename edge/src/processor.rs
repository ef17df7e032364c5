//! One frame through detection, tracking, cutting, classification or reuse, and smoothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fer_models::{Crops, ImageError, Labels, Manifest, Preprocess, argmax};

use crate::capture::{Frame, Pace};
use crate::infer::{Classifier, InferError};
use crate::publish::{Face, Observation};
use crate::reuse::{self, Reuse};
use crate::smooth::{self, Smoother};
use crate::vision::track::{self, Tracker};
use crate::vision::{DetectError, Detection, Detector, Framing};

/// Without a frame for longer than this, as when the camera was away, whoever is there now counts as somebody else, however
/// well the places match. Above the pause between two frames at the least `service.max_fps`.
const GAP_MS: u64 = 5000;

/// Settings of [`Processor`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Faces are searched in every n-th frame and stay where they are in between; at least 1.
    pub detect_every: u64,
    /// How detections become tracks.
    pub tracking: track::Settings,
    /// Which faces keep the scores that they have.
    pub reuse: reuse::Settings,
    /// How scores become decisions.
    pub smoothing: smooth::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            detect_every: 1,
            tracking: track::Settings::default(),
            reuse: reuse::Settings::default(),
            smoothing: smooth::Settings::default(),
        }
    }
}

/// Where the time of one frame went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Finding faces; nothing when this frame wasn't searched.
    pub detect: Option<Duration>,
    /// Cutting all faces, and normalising those that changed.
    pub cut: Duration,
    /// Running the model on the faces that changed; nothing where there were none.
    pub infer: Option<Duration>,
    /// The whole frame, tracking and smoothing included.
    pub whole: Duration,
    /// Faces that kept their scores, so that the model didn't run on them.
    pub reused: u64,
}

/// Why a frame has no result.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The frame has no pixels or the wrong number.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The detector failed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The classifier failed.
    #[error(transparent)]
    Infer(#[from] InferError),
}

impl ProcessError {
    /// Whether only this frame is lost.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Image(_) => true,
            Self::Detect(error) => error.is_passing(),
            Self::Infer(_) => false,
        }
    }
}

/// The stages after capture, with the state and the buffers they keep from frame to frame.
pub struct Processor {
    detector: Box<dyn Detector>,
    classifier: Box<dyn Classifier>,
    tracker: Tracker,
    reuse: Reuse,
    smoother: Smoother,
    input: Preprocess,
    crops: Crops,
    labels: Arc<Labels>,
    model: Arc<str>,
    detect_every: u64,
    frames_to_detection: u64,
    detected_ms: u64,
    looked_ms: u64,
    threshold: f32,
    timings: Timings,
    spare: Vec<Face>,
    detections: Vec<Detection>,
    tile: Vec<u8>,
    tensor: Vec<f32>,
    scores: Vec<f32>,
    /// The faces in `tensor` and `scores`.
    fresh: Vec<u64>,
}

impl Processor {
    /// Joins the stages; `manifest` is the classifier's.
    #[must_use]
    pub fn new(
        manifest: &Manifest,
        detector: Box<dyn Detector>,
        classifier: Box<dyn Classifier>,
        settings: Settings,
    ) -> Self {
        Self {
            detector,
            classifier,
            tracker: Tracker::new(settings.tracking),
            reuse: Reuse::new(settings.reuse),
            smoother: Smoother::new(settings.smoothing),
            input: manifest.input,
            crops: manifest.decision.crops,
            labels: Arc::new(manifest.labels.clone()),
            model: manifest.name.as_str().into(),
            detect_every: settings.detect_every.max(1),
            frames_to_detection: 0,
            detected_ms: 0,
            looked_ms: 0,
            threshold: 0.0,
            timings: Timings::default(),
            spare: Vec::new(),
            detections: Vec::new(),
            tile: vec![0; manifest.input.tile * manifest.input.tile],
            tensor: Vec::new(),
            scores: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// Goes on with other settings; known faces stay known.
    pub fn set(&mut self, settings: Settings) {
        self.detect_every = settings.detect_every.max(1);
        self.frames_to_detection = self.frames_to_detection.min(self.detect_every);
        self.tracker.set(settings.tracking);
        self.reuse.set(settings.reuse);
        self.smoother.set(settings.smoothing);
    }

    /// Leaves out faces whose decision scores below this.
    pub fn set_threshold(&mut self, score: f32) {
        self.threshold = score;
    }

    /// An empty result for frames of the named source, to be filled again and again.
    #[must_use]
    pub fn observation(&self, source: &str) -> Observation {
        Observation {
            seq: 0,
            t_ms: 0,
            source: source.into(),
            file: String::new(),
            model: Arc::clone(&self.model),
            labels: Arc::clone(&self.labels),
            faces: Vec::new(),
        }
    }

    /// Where the time of the last frame went.
    #[must_use]
    pub fn timings(&self) -> Timings {
        self.timings
    }

    /// Fills `out` with what `frame` shows. Stills are judged each for itself.
    ///
    /// # Errors
    /// Returns an error when a stage fails; [`ProcessError::is_passing`] says whether to go on.
    pub fn process(
        &mut self,
        frame: &Frame,
        pace: Pace,
        out: &mut Observation,
    ) -> Result<(), ProcessError> {
        let started = Instant::now();
        self.timings = Timings::default();
        let pause_ms = frame.t_ms.saturating_sub(self.looked_ms);
        if pace == Pace::Stills || pause_ms > GAP_MS {
            self.forget();
        }
        self.find(frame)?;
        // Not before: a frame that can't be searched is as good as none.
        self.looked_ms = frame.t_ms;
        self.cut(frame)?;
        self.classify()?;
        self.decide(frame, out);
        self.timings.whole = started.elapsed();
        Ok(())
    }

    /// Starts over: whoever is there now is somebody else, and searched for at once.
    fn forget(&mut self) {
        self.tracker.clear();
        self.reuse.retain(|_| false);
        self.smoother.retain(|_| false);
        self.frames_to_detection = 0;
    }

    /// Searches the frame for faces when it is its turn.
    fn find(&mut self, frame: &Frame) -> Result<(), ProcessError> {
        if self.frames_to_detection == 0 {
            let started = Instant::now();
            self.detector.detect(frame.view()?, &mut self.detections)?;
            self.timings.detect = Some(started.elapsed());
            self.tracker.update(frame.t_ms, &self.detections);
            self.detected_ms = frame.t_ms;
            self.frames_to_detection = self.detect_every;
        }
        self.frames_to_detection -= 1;
        Ok(())
    }

    /// Faces of the last search. A face that was missed keeps its track, and so its number, for a
    /// while, but what lies at its old place isn't judged.
    fn present(tracker: &Tracker, detected_ms: u64) -> impl Iterator<Item = &track::Track> {
        tracker
            .tracks()
            .iter()
            .filter(move |track| track.seen_ms == detected_ms)
    }

    fn cut(&mut self, frame: &Frame) -> Result<(), ProcessError> {
        let started = Instant::now();
        let view = frame.view()?;
        let face_len = self.crops.count() * self.input.input_len();
        self.fresh.clear();
        for track in Self::present(&self.tracker, self.detected_ms) {
            let region = match self.detector.framing() {
                Framing::Face => self.input.face_square(track.rect),
                Framing::Exact => track.rect,
            };
            self.input.cut_tile(view, region, &mut self.tile);
            if self.reuse.keeps(track.id, &self.tile) {
                self.timings.reused += 1;
                continue;
            }
            let start = self.fresh.len() * face_len;
            self.fresh.push(track.id);
            if self.tensor.len() < start + face_len {
                self.tensor.resize(start + face_len, 0.0);
            }
            let tensor = &mut self.tensor[start..start + face_len];
            self.input.write_input(&self.tile, self.crops, tensor);
        }
        self.tensor.truncate(self.fresh.len() * face_len);
        self.timings.cut = started.elapsed();
        Ok(())
    }

    /// Runs the model on the faces that changed, if any did.
    fn classify(&mut self) -> Result<(), InferError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.classifier.classify(&self.tensor, &mut self.scores)?;
        let scores = self.scores.chunks_exact(self.labels.len());
        for (&id, scores) in self.fresh.iter().zip(scores) {
            self.reuse.learn(id, scores);
        }
        self.timings.infer = Some(started.elapsed());
        Ok(())
    }

    fn decide(&mut self, frame: &Frame, out: &mut Observation) {
        out.seq = frame.seq;
        out.t_ms = frame.t_ms;
        out.file.clone_from(&frame.file);
        // Faces beyond those of the last frame come from the spare ones, with their buffers.
        self.spare.append(&mut out.faces);
        let faces = Self::present(&self.tracker, self.detected_ms);
        for track in faces {
            let scores = self.reuse.scores(track.id);
            let decision = self.smoother.update(track.id, frame.t_ms, scores);
            if decision.scores[decision.label] < self.threshold {
                continue;
            }
            let mut buffer = self.spare.pop().map(|face| face.scores).unwrap_or_default();
            buffer.clear();
            buffer.extend_from_slice(decision.scores);
            out.faces.push(Face {
                id: track.id,
                rect: track.rect,
                label: decision.label,
                raw_label: argmax(scores),
                scores: buffer,
            });
        }
        let tracks = self.tracker.tracks();
        let known = |id| tracks.iter().any(|track| track.id == id);
        self.reuse.retain(known);
        self.smoother.retain(known);
    }
}

#[cfg(test)]
mod tests {
    use fer_models::ModelPackage;

    use super::*;
    use crate::infer::fake::Brightness;
    use crate::vision::roi::WholeFrame;

    /// Numbers of the one face in frames at these milliseconds, searched in every third.
    fn ids(times: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let manifest = ModelPackage::embedded().manifest;
        let face_len = manifest.decision.crops.count() * manifest.input.input_len();
        let classifier = Box::new(Brightness::new(face_len, &manifest.labels));
        let settings = Settings {
            detect_every: 3,
            ..Settings::default()
        };
        let mut processor = Processor::new(&manifest, Box::new(WholeFrame), classifier, settings);
        let mut out = processor.observation("test");
        let look = |t_ms| {
            let frame = Frame {
                width: 8,
                height: 8,
                pixels: vec![9; 64],
                t_ms,
                ..Frame::default()
            };
            processor.process(&frame, Pace::Live, &mut out).unwrap();
            out.faces[0].id
        };
        times.into_iter().map(look).collect()
    }

    #[test]
    fn a_face_keeps_its_number_where_searches_are_further_apart_than_a_gap() {
        let times = (0..9).map(|frame| frame * 2000);
        assert_eq!(ids(times), [1; 9]);
    }

    #[test]
    fn who_is_there_after_the_camera_was_away_is_somebody_else_and_found_at_once() {
        assert_eq!(ids([0, GAP_MS, 2 * GAP_MS + 1]), [1, 1, 2]);
    }
}
