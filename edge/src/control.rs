//! What may be changed while the runtime runs, by MQTT, by a signal or from the kiosk.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Switches that every thread reads; wrap it in an `Arc`.
#[derive(Debug)]
pub struct Control {
    enabled: AtomicBool,
    threshold: AtomicU32,
    restart_camera: AtomicBool,
    stop: AtomicBool,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            enabled: AtomicBool::new(true),
            threshold: AtomicU32::new(0.0f32.to_bits()),
            restart_camera: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }
}

impl Control {
    /// Whether frames are looked at.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    /// Switches looking at frames on or off.
    pub fn enable(&self, on: bool) {
        self.enabled.store(on, Relaxed);
    }

    /// Faces whose best score is below this are not reported; 0 to 1.
    #[must_use]
    pub fn threshold(&self) -> f32 {
        f32::from_bits(self.threshold.load(Relaxed))
    }

    /// Sets the threshold; returns whether it was a number from 0 to 1.
    pub fn set_threshold(&self, score: f32) -> bool {
        let valid = (0.0..=1.0).contains(&score);
        if valid {
            self.threshold.store(score.to_bits(), Relaxed);
        }
        valid
    }

    /// Asks for the camera to be opened again from scratch.
    pub fn restart_camera(&self) {
        self.restart_camera.store(true, Relaxed);
    }

    /// Whether that was asked since the last call.
    #[must_use]
    pub fn take_restart(&self) -> bool {
        self.restart_camera.swap(false, Relaxed)
    }

    /// Asks for an orderly end.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether an end was asked for.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Control;

    #[test]
    fn a_threshold_outside_0_to_1_is_refused() {
        let control = Control::default();
        assert!(control.set_threshold(0.5));
        for wrong in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert!(!control.set_threshold(wrong));
        }
        assert_eq!(control.threshold(), 0.5);
    }

    #[test]
    fn a_restart_is_asked_for_once() {
        let control = Control::default();
        control.restart_camera();
        assert!(control.take_restart());
        assert!(!control.take_restart());
    }
}
