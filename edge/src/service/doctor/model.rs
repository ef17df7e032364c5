//! Whether the model and the detector load, and how fast they are here.

use std::time::Duration;

use super::finding::Finding;
use crate::capture::demo::Demo;
use crate::capture::{Frame, Source};
use crate::config::Config;
use crate::service::stages;

/// Frames of the demo to look at; the first are slow.
const FRAMES: u64 = 8;

pub(super) fn examine(config: &Config) -> Finding {
    const SUBJECT: &str = "model";
    match measure(config) {
        Ok((name, time)) => {
            let fps = 1.0 / time.as_secs_f64().max(1e-6);
            let seen = format!(
                "{name}: {:.1} ms a frame with one face, so up to {fps:.0} frames a second on one core",
                time.as_secs_f64() * 1e3
            );
            if fps >= 5.0 {
                return Finding::good(SUBJECT, seen);
            }
            let advice = "set vision.every_n_frames, or vision.min_face to a larger number";
            Finding::note(SUBJECT, seen, advice)
        }
        Err(reason) => Finding::problem(
            SUBJECT,
            reason,
            "correct model.path or vision.detector_model; without them the embedded ones are used",
        ),
    }
}

fn measure(config: &Config) -> Result<(String, Duration), String> {
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
    Ok((package.manifest.name, fastest))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_embedded_model_works_and_a_missing_one_is_named() {
        assert_ne!(examine(&Config::default()).level, Level::Problem);
        let mut config = Config::default();
        config.model.path = Some("/nowhere/model".into());
        let finding = examine(&config);
        assert_eq!(finding.level, Level::Problem);
        assert!(finding.seen.contains("/nowhere/model"), "{finding}");
    }
}
