//! Publishes to an MQTT broker, and takes commands from it. `docs/mqtt.md` lists the topics.
//!
//! ```text
//! publish() ── Presence: is it news? ── JSON ──► Runner (thread) ── Session, Buffer
//!   never waits                                     ▲  │
//!                                             events│  ▼requests
//!                                             link (thread): rumqttc
//! ```
//!
//! What is to be sent, when, and again, is decided by the session, which has neither network nor
//! clock. rumqttc moves packets for as long as one connection lasts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fer_models::Labels;

use self::buffer::{Kind, Report};
use self::presence::Presence;
use self::runner::{Runner, Shared, Wake};
use super::{Observation, PublishError, Sink};
use crate::control::Control;
use crate::health::Health;
use crate::setting::InvalidSetting;

mod backoff;
mod buffer;
mod commands;
mod discovery;
mod link;
mod password;
mod presence;
mod probe;
mod quota;
mod report;
mod runner;
mod session;
mod settings;
mod tls;
mod topics;
mod vitals;
mod watch;

pub use self::link::OptionsError;
pub use self::password::PasswordError;
pub use self::probe::probe;
pub use self::settings::Settings;
pub use self::tls::TlsError;

/// Messages between the pipeline and the publisher's thread. That thread never waits for the network,
/// so this only has to bridge moments in which it gets no processor time.
const CHANNEL: usize = 1024;

/// Who publishes.
#[derive(Debug, Clone)]
pub struct Device {
    /// Part of every topic, unique among the broker's clients: letters, digits, `_` and `-`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Name of the classifier.
    pub model: String,
    /// The classifier's labels.
    pub labels: Labels,
}

/// Why MQTT can't be started. That a broker can't be reached is no such reason: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// A setting can't be used.
    #[error("mqtt.{0}")]
    Setting(InvalidSetting),
    /// The device's id can't be part of a topic.
    #[error("device id: expected letters, digits, `_` and `-`, found `{0}`")]
    DeviceId(String),
    /// A file that the settings name can't be used.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The thread can't be started.
    #[error("the publisher's thread: {0}")]
    Thread(io::Error),
}

/// The MQTT sink. Dropping it says `stopped` to the broker, which takes two seconds at most.
#[derive(Debug)]
pub struct Mqtt {
    sender: SyncSender<Wake>,
    thread: Option<JoinHandle<()>>,
    health: Arc<Health>,
    refresh: Arc<AtomicBool>,
    presence: Presence,
    faces: usize,
    heartbeat: Duration,
    reported: Instant,
}

impl Mqtt {
    /// Starts to connect, and keeps trying until it is dropped.
    ///
    /// # Errors
    /// Returns an error for settings that can't work; a broker that can't be reached is not an error.
    pub fn start(
        settings: &Settings,
        device: Device,
        health: Arc<Health>,
        control: Arc<Control>,
    ) -> Result<Self, MqttError> {
        settings.validate().map_err(MqttError::Setting)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if device.id.is_empty() || !device.id.chars().all(plain) {
            return Err(MqttError::DeviceId(device.id));
        }
        link::options(settings, &device.id)?;
        let (sender, wakes) = mpsc::sync_channel(CHANNEL);
        // The first frame is reported even if it shows nobody.
        let refresh = Arc::new(AtomicBool::new(true));
        let shared = Shared {
            health: Arc::clone(&health),
            control,
            refresh: Arc::clone(&refresh),
        };
        let runner = Runner::new(settings.clone(), device, shared, (sender.clone(), wakes));
        let thread = thread::Builder::new()
            .name("mqtt".to_owned())
            .spawn(move || runner.run())
            .map_err(MqttError::Thread)?;
        Ok(Self {
            sender,
            thread: Some(thread),
            health,
            refresh,
            presence: Presence::new(settings.hold()),
            faces: 0,
            heartbeat: settings.heartbeat(),
            reported: Instant::now(),
        })
    }
}

impl Sink for Mqtt {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        let now = Instant::now();
        let ts = report::timestamp();
        let Self {
            sender,
            health,
            presence,
            ..
        } = self;
        // Closed: the thread has ended, and with it whoever could be told.
        let hand_over = |wake| !matches!(sender.try_send(wake), Err(TrySendError::Full(_)));
        let send = |kind, payload| {
            let taken = hand_over(Wake::Report(Report { kind, payload }));
            if !taken {
                health.count_mqtt_dropped(1);
            }
            taken
        };
        let mut news = false;
        presence.update(observation, now, |change, held| {
            news = true;
            send(Kind::Event, report::event(observation, change, held, ts));
        });
        let faces = presence.faces();
        // The broker keeps the number, so one that finds no room is tried again with the next frame.
        if faces.len() != self.faces && hand_over(Wake::Faces(faces.len())) {
            self.faces = faces.len();
        }
        let due = now.duration_since(self.reported) >= self.heartbeat;
        if news || due || self.refresh.load(Relaxed) {
            self.refresh.store(false, Relaxed);
            self.reported = now;
            if !send(Kind::Emotion, report::emotion(observation, faces, ts)) {
                // Kept by the broker too: the next frame says what holds then.
                self.refresh.store(true, Relaxed);
            }
        }
        Ok(())
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        // Fails only when the thread has ended already.
        let _ = self.sender.send(Wake::Stop);
        let ended = self.thread.take().map(JoinHandle::join);
        if ended.is_some_and(|ended| ended.is_err()) {
            tracing::error!("the publisher's thread has died");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::publish::fixture::{face, observation};

    /// A sink without a thread: what it hands over is the test's, and `room` messages may wait.
    fn alone(room: usize) -> (Mqtt, Receiver<Wake>) {
        let (sender, wakes) = mpsc::sync_channel(room);
        let settings = Settings::default();
        let mqtt = Mqtt {
            sender,
            thread: None,
            health: Arc::new(Health::new(7)),
            refresh: Arc::default(),
            presence: Presence::new(settings.hold()),
            faces: 0,
            heartbeat: settings.heartbeat(),
            reported: Instant::now(),
        };
        (mqtt, wakes)
    }

    #[test]
    fn what_the_broker_keeps_is_tried_again_when_it_finds_no_room() {
        let (mut mqtt, wakes) = alone(1);
        let seen = observation(vec![face(1, 0)]);
        mqtt.publish(&seen).unwrap();
        let event = wakes.try_recv();
        assert!(matches!(event, Ok(Wake::Report(report)) if report.kind == Kind::Event));
        mqtt.publish(&seen).unwrap();
        assert!(matches!(wakes.try_recv(), Ok(Wake::Faces(1))));
        mqtt.publish(&seen).unwrap();
        let emotion = wakes.try_recv();
        assert!(matches!(emotion, Ok(Wake::Report(report)) if report.kind == Kind::Emotion));
        mqtt.publish(&seen).unwrap();
        assert!(wakes.try_recv().is_err(), "all has been told");
    }

    #[test]
    fn a_folder_of_portraits_is_no_crowd() {
        let (mut mqtt, wakes) = alone(CHANNEL);
        for id in 1..=100 {
            let mut seen = observation(vec![face(id, 0)]);
            seen.file = format!("{id}.png");
            mqtt.publish(&seen).unwrap();
        }
        let (mut counts, mut last) = (Vec::new(), Vec::new());
        for wake in wakes.try_iter() {
            match wake {
                Wake::Faces(count) => counts.push(count),
                Wake::Report(report) => last = report.payload,
                Wake::Link(_) | Wake::Stop => panic!("nobody sends that here"),
            }
        }
        assert_eq!(counts, [1]);
        let emotion: serde_json::Value = serde_json::from_slice(&last).unwrap();
        assert_eq!(
            (&emotion["faces"], &emotion["face_id"]),
            (&1.into(), &100.into())
        );
        assert_eq!(emotion["others"], serde_json::json!([]));
    }

    fn start(id: &str, settings: &Settings) -> Result<Mqtt, MqttError> {
        let device = Device {
            id: id.to_owned(),
            name: "Lobby".to_owned(),
            model: "m".to_owned(),
            labels: Labels::fer2013(),
        };
        Mqtt::start(settings, device, Arc::new(Health::new(7)), Arc::default())
    }

    #[test]
    fn an_id_that_would_break_topics_is_refused() {
        for id in ["", "a/b", "lobby east", "+", "#"] {
            let error = start(id, &Settings::default()).unwrap_err();
            assert!(
                matches!(&error, MqttError::DeviceId(found) if found == id),
                "{error}"
            );
        }
    }

    #[test]
    fn a_missing_password_file_is_told_at_the_start() {
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            username: Some("kiosk".to_owned()),
            password_file: Some("/nowhere/password".into()),
            ..Settings::default()
        };
        let error = start("lobby", &settings).unwrap_err();
        assert!(error.to_string().contains("/nowhere/password"), "{error}");
    }
}
