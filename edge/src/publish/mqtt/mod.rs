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

mod backoff;
mod buffer;
mod commands;
mod discovery;
mod link;
mod password;
mod presence;
mod probe;
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
pub use self::settings::{Settings, SettingsError};
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
    #[error(transparent)]
    Settings(#[from] SettingsError),
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
        settings.validate()?;
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
        let hand_over = |wake| {
            // Closed: the thread has ended, and with it whoever could be told.
            if let Err(TrySendError::Full(_)) = sender.try_send(wake) {
                health.count_mqtt_dropped(1);
            }
        };
        let mut news = false;
        presence.update(&observation.faces, now, |change, held| {
            news = true;
            hand_over(Wake::Report(Report {
                kind: Kind::Event,
                payload: report::event(observation, change, held, ts),
            }));
        });
        let faces = presence.faces();
        if faces.len() != self.faces {
            self.faces = faces.len();
            hand_over(Wake::Faces(self.faces));
        }
        let due = now.duration_since(self.reported) >= self.heartbeat;
        if news || due || self.refresh.load(Relaxed) {
            self.refresh.store(false, Relaxed);
            self.reported = now;
            hand_over(Wake::Report(Report {
                kind: Kind::Emotion,
                payload: report::emotion(observation, faces, ts),
            }));
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
    use super::*;

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
