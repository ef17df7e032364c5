//! A publisher and what it sees.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fer_edge::control::Control;
use fer_edge::health::Health;
use fer_edge::publish::mqtt::{Device, Mqtt, Settings};
use fer_edge::publish::{Face, Observation, Sink};
use fer_models::{Labels, Rect};

/// Settings for a broker on this machine, which is tried again at once.
pub(crate) fn settings(port: u16) -> Settings {
    Settings {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        retry_first_ms: 10,
        retry_cap_ms: 50,
        ..Settings::default()
    }
}

/// A publisher with the state that it shares.
pub(crate) struct Kiosk {
    pub(crate) mqtt: Mqtt,
    pub(crate) health: Arc<Health>,
    pub(crate) control: Arc<Control>,
    seen: Observation,
}

impl Kiosk {
    pub(crate) fn start(settings: &Settings) -> Self {
        let labels = Labels::fer2013();
        let device = Device {
            id: "kiosk".to_owned(),
            name: "Kiosk".to_owned(),
            model: "vgg19-lite".to_owned(),
            labels: labels.clone(),
        };
        let health = Arc::new(Health::new(labels.len()));
        let control = Arc::new(Control::default());
        let seen = Observation {
            seq: 0,
            t_ms: 0,
            source: "test".into(),
            file: String::new(),
            model: "vgg19-lite".into(),
            faces: vec![Face {
                id: 1,
                rect: Rect {
                    x: 10.0,
                    y: 10.0,
                    width: 100.0,
                    height: 100.0,
                },
                label: 0,
                raw_label: 0,
                scores: vec![0.1; labels.len()],
            }],
            labels: Arc::new(labels),
        };
        let mqtt = Mqtt::start(settings, device, Arc::clone(&health), Arc::clone(&control));
        Self {
            mqtt: mqtt.unwrap(),
            health,
            control,
            seen,
        }
    }

    /// Publishes a frame on which the face looks otherwise than before: each makes a report.
    pub(crate) fn see_change(&mut self, seq: u64) {
        self.seen.seq = seq;
        self.seen.t_ms = seq * 20;
        let face = &mut self.seen.faces[0];
        face.label = (face.label + 1) % self.seen.labels.len();
        self.mqtt.publish(&self.seen).unwrap();
    }
}

/// Waits for what nothing announces.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
