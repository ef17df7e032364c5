//! Whether the model and the detector load, and how fast they are here.

use std::time::Duration;

use fer_models::Manifest;

use super::finding::Finding;
use crate::capture::demo::Demo;
use crate::capture::{Frame, Source};
use crate::config::Config;
use crate::service::stages;

/// Frames of the demo to look at; the first are slow.
const FRAMES: u64 = 8;

/// Also returns what the model is, where it loads.
pub(super) fn examine(config: &Config) -> (Finding, Option<Manifest>) {
    const SUBJECT: &str = "model";
    match measure(config) {
        Ok((manifest, time)) => {
            let fps = 1.0 / time.as_secs_f64().max(1e-6);
            let seen = format!(
                "{}: {:.1} ms a frame with one face, so up to {fps:.0} frames a second on one core",
                manifest.name,
                time.as_secs_f64() * 1e3
            );
            let advice = "set vision.every_n_frames, or vision.min_face to a larger number";
            let finding = if fps >= 5.0 {
                Finding::good(SUBJECT, seen)
            } else {
                Finding::note(SUBJECT, seen, advice)
            };
            (finding, Some(manifest))
        }
        Err(reason) => {
            let advice = "correct model.path or vision.detector_model; without them the embedded ones are used";
            (Finding::problem(SUBJECT, reason, advice), None)
        }
    }
}

fn measure(config: &Config) -> Result<(Manifest, Duration), String> {
    let (package, mut processor) = stages::processor(config).map_err(|e| e.to_string())?;
    let mut demo = Demo::new().map_err(|e| e.to_string())?;
    let mut frame = Frame::default();
    let mut observation = processor.observation(demo.name());
    let mut fastest = Duration::MAX;
    for _ in 0..FRAMES {
        demo.next(&mut frame).map_err(|e| e.to_string())?;
        let pace = demo.pace();
        processor
            .process(&frame, pace, &mut observation)
            .map_err(|e| e.to_string())?;
        let timings = processor.timings();
        if timings.detect.is_some() {
            fastest = fastest.min(timings.whole);
        }
    }
    Ok((package.manifest, fastest))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_embedded_model_works_and_a_missing_one_is_named() {
        let (finding, manifest) = examine(&Config::default());
        assert!(finding.level != Level::Problem && manifest.is_some());
        let mut config = Config::default();
        config.model.path = Some("/nowhere/model".into());
        let (finding, manifest) = examine(&config);
        assert!(finding.level == Level::Problem && manifest.is_none());
        assert!(finding.seen.contains("/nowhere/model"), "{finding}");
    }
}
