//! Looks at what others change without telling, and puts it into words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::session::{Level, Session};
use super::vitals::{Connection, Vitals};
use crate::control::Control;
use crate::health::Health;

/// The shared state, and what was told of it.
#[derive(Debug)]
pub(super) struct Watch {
    health: Arc<Health>,
    control: Arc<Control>,
    model: String,
    vitals: Vitals,
    every: Duration,
    next_report: Instant,
}

impl Watch {
    /// Reports health at once and then each time that `every` has passed.
    pub(super) fn new(
        health: Arc<Health>,
        control: Arc<Control>,
        model: String,
        every: Duration,
        now: Instant,
    ) -> Self {
        Self {
            vitals: Vitals::new(&health, now),
            health,
            control,
            model,
            every,
            next_report: now,
        }
    }

    /// Makes the next look report health.
    pub(super) fn report_now(&mut self, now: Instant) {
        self.next_report = now;
    }

    /// Sets the levels to what holds now.
    pub(super) fn look(&mut self, now: Instant, connects: u64, session: &mut Session) {
        let enabled = self.control.enabled();
        let camera = if enabled {
            self.health.camera().name()
        } else {
            "disabled"
        };
        session.set(Level::Camera, camera.as_bytes());
        session.set(Level::Enabled, if enabled { b"ON" } else { b"OFF" });
        let threshold = self.control.threshold().to_string();
        session.set(Level::Threshold, threshold.as_bytes());
        if self.next_report <= now {
            let mqtt = Connection {
                connects,
                waiting: session.waiting(),
                dropped: self.health.mqtt_dropped(),
            };
            let report = self.vitals.report(&self.health, &self.model, mqtt, now);
            session.set(Level::Health, &report);
            self.next_report = now + self.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Camera;
    use crate::publish::mqtt::topics::Topics;

    #[test]
    fn a_camera_that_is_switched_off_is_disabled_whatever_its_state() {
        let (health, control) = (Arc::new(Health::new(7)), Arc::new(Control::default()));
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        let mut watch = Watch::new(
            health.clone(),
            control.clone(),
            "m".to_owned(),
            minute,
            start,
        );
        let mut session = Session::new(Topics::new("fer", "homeassistant", "lobby"), 64);
        session.connected();
        let mut told = |seconds: u64| {
            watch.look(start + Duration::from_secs(seconds), 1, &mut session);
            let words = std::iter::from_fn(|| session.next()).map(|message| {
                let topic = message.topic.trim_start_matches("fer/lobby/").to_owned();
                (topic, String::from_utf8(message.payload).unwrap())
            });
            words.collect::<Vec<_>>()
        };
        let word = |topic: &str, text: &str| (topic.to_owned(), text.to_owned());
        health.set_camera(Camera::Stalled);
        let first = told(0);
        assert_eq!(
            first[..2],
            [word("camera/state", "stalled"), word("enabled/state", "ON")]
        );
        assert_eq!(first[2], word("threshold/state", "0"));
        assert_eq!(first[3].0, "health");
        assert_eq!(told(59), []);
        control.enable(false);
        // Otherwise the report may say the same as a millisecond ago: one frame a second since then.
        (0..60).for_each(|_| health.count_captured());
        let second = told(60);
        assert_eq!(
            second[..2],
            [
                word("camera/state", "disabled"),
                word("enabled/state", "OFF")
            ]
        );
        assert_eq!(second[2].0, "health");
    }
}
