//! Whether work goes on, and what to say about it: read from the counters in [`Health`].

use std::fmt::Write;
use std::time::Duration;

use crate::health::{Camera, Health};

/// Compares the counters with those of the time before.
#[derive(Debug, Default)]
pub(super) struct Progress {
    beats: u64,
    captured: u64,
    /// Captured and processed at the last status.
    counted: (u64, u64),
    status: String,
}

impl Progress {
    /// Whether the service is ready: frames come, or it is known that they don't.
    pub(super) fn is_ready(health: &Health) -> bool {
        health.captured() > 0 || health.camera() != Camera::Opening
    }

    /// Whether work went on since the last call.
    ///
    /// The processing thread must have shown itself. Frames must have come where the camera delivers
    /// and shall; a camera that is away is a state, and no reason to be started again.
    pub(super) fn goes_on(&mut self, health: &Health, enabled: bool) -> bool {
        let beats = std::mem::replace(&mut self.beats, health.beats());
        let captured = std::mem::replace(&mut self.captured, health.captured());
        let frames_due = enabled && health.camera() == Camera::Online;
        self.beats != beats && (self.captured != captured || !frames_due)
    }

    /// One line about the time since the last call of this function.
    pub(super) fn status(
        &mut self,
        health: &Health,
        elapsed: Duration,
        celsius: Option<f32>,
    ) -> &str {
        let seconds = elapsed.as_secs_f64();
        let now = (health.captured(), health.processed());
        let (captured, processed) = std::mem::replace(&mut self.counted, now);
        let fps_in = (now.0 - captured) as f64 / seconds;
        let fps_out = (now.1 - processed) as f64 / seconds;
        self.status.clear();
        // Writing to a string can't fail.
        let _ = match health.camera() {
            // Rates of a moment would mislead.
            Camera::Online if elapsed < Duration::from_secs(1) => {
                write!(self.status, "frames come in")
            }
            Camera::Online => write!(
                self.status,
                "{fps_in:.1} frames/s captured, {fps_out:.1} looked at"
            ),
            other => write!(self.status, "waiting for the camera ({})", other.name()),
        };
        if let Some(celsius) = celsius {
            let _ = write!(self.status, ", {celsius:.0} °C");
        }
        &self.status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(health: &Health, frames: u64) {
        health.beat();
        (0..frames).for_each(|_| health.count_captured());
    }

    #[test]
    fn an_absent_camera_is_a_state_and_a_silent_one_is_a_fault() {
        let health = Health::new(7);
        let mut progress = Progress::default();
        for (camera, frames, expected) in [
            (Camera::Opening, 0, true),
            (Camera::Online, 3, true),
            (Camera::Online, 0, false),
            (Camera::Stalled, 0, true),
            (Camera::Offline, 0, true),
            (Camera::Online, 1, true),
        ] {
            health.set_camera(camera);
            step(&health, frames);
            assert_eq!(progress.goes_on(&health, true), expected, "{camera:?}");
        }
        step(&health, 0);
        assert!(progress.goes_on(&health, false), "switched off");
    }

    #[test]
    fn a_stuck_worker_is_a_fault_even_when_frames_come() {
        let health = Health::new(7);
        let mut progress = Progress::default();
        health.set_camera(Camera::Online);
        step(&health, 1);
        assert!(progress.goes_on(&health, true));
        health.count_captured();
        assert!(!progress.goes_on(&health, true));
    }

    #[test]
    fn the_status_tells_rates_or_what_it_waits_for() {
        let health = Health::new(7);
        let mut progress = Progress::default();
        let second = Duration::from_secs(1);
        let waiting = progress.status(&health, second, None);
        assert_eq!(waiting, "waiting for the camera (opening)");
        health.set_camera(Camera::Online);
        assert_eq!(
            progress.status(&health, Duration::ZERO, None),
            "frames come in"
        );
        step(&health, 15);
        health.count_processed(Some(second), std::iter::empty());
        assert_eq!(
            progress.status(&health, second, Some(48.6)),
            "15.0 frames/s captured, 1.0 looked at, 49 °C"
        );
    }

    #[test]
    fn it_is_ready_with_the_first_frame_or_a_camera_that_is_known_to_be_away() {
        let health = Health::new(7);
        assert!(!Progress::is_ready(&health));
        health.set_camera(Camera::Offline);
        assert!(Progress::is_ready(&health));
        let health = Health::new(7);
        health.count_captured();
        assert!(Progress::is_ready(&health));
    }
}
