//! The sinks that the configuration asks for, each of which can be opened again while frames flow.

use std::io;
use std::sync::Arc;

use fer_models::{Labels, ModelError, ModelPackage};

use super::{device, stages};
use crate::config::Config;
use crate::control::Control;
use crate::http::{self, Classify, EventSink, HttpError, Server};
use crate::infer::TractClassifier;
use crate::pipeline::Shared;
use crate::processor::Processor;
use crate::publish::fanout::{Fanout, Slot};
use crate::publish::jsonl::JsonLines;
use crate::publish::mqtt::{self, Mqtt, MqttError};
use crate::publish::serial::{self, Serial, SerialError};
use crate::publish::{Observation, PublishError, Sink};
use crate::secret::Secret;

/// A way out for results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlet {
    /// An MQTT broker.
    Mqtt,
    /// A serial line.
    Serial,
    /// The kiosk page.
    Http,
}

impl Outlet {
    /// Every outlet.
    pub(super) const ALL: [Self; 3] = [Self::Mqtt, Self::Serial, Self::Http];

    /// The name of its table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Serial => "serial",
            Self::Http => "http",
        }
    }

    /// Whether its settings differ.
    pub(super) fn differs(self, one: &Config, other: &Config) -> bool {
        match self {
            Self::Mqtt => one.mqtt != other.mqtt,
            Self::Serial => one.serial != other.serial,
            Self::Http => one.http != other.http,
        }
    }

    /// Whether the configuration asks for it.
    fn is_on(self, config: &Config) -> bool {
        match self {
            Self::Mqtt => config.mqtt.is_on(),
            Self::Serial => config.serial.port.is_some(),
            Self::Http => config.http.enabled,
        }
    }
}

/// Why an outlet can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// MQTT.
    #[error(transparent)]
    Mqtt(#[from] MqttError),
    /// The serial line.
    #[error(transparent)]
    Serial(#[from] SerialError),
    /// The HTTP server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The model that the HTTP server classifies with.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl OutletError {
    /// Whether the configuration is to blame, and not the moment.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Mqtt(error) => !matches!(error, MqttError::Thread(_)),
            Self::Serial(error) => !matches!(error, SerialError::Thread(_)),
            Self::Http(error) => matches!(error, HttpError::Settings(_)),
            Self::Model(_) => true,
        }
    }
}

/// All outlets.
pub struct Outlets {
    stdout: Slot,
    mqtt: Slot,
    serial: Slot,
    http: Slot,
    /// What the server asks for: a file may hold another one now.
    token: Option<Secret>,
    /// What the server classifies with, once there was one.
    package: Option<Arc<ModelPackage>>,
    labels: Arc<Labels>,
    model: String,
    shared: Shared,
}

impl Outlets {
    /// Opens what the configuration asks for; `labels` and `model` are the classifier's.
    ///
    /// # Errors
    /// Returns the first outlet that can't be opened. A broker or port that is away is waited for.
    pub fn open(
        config: &Config,
        labels: Arc<Labels>,
        model: &str,
        shared: &Shared,
    ) -> Result<Self, OutletError> {
        let mut outlets = Self {
            stdout: Slot::default(),
            mqtt: Slot::default(),
            serial: Slot::default(),
            http: Slot::default(),
            token: None,
            package: None,
            labels,
            model: model.to_owned(),
            shared: shared.clone(),
        };
        if config.service.stdout {
            let lines = JsonLines::new(io::stdout());
            outlets.stdout.put(Some(Box::new(lines)));
        }
        for outlet in Outlet::ALL {
            outlets.reopen(outlet, config)?;
        }
        Ok(outlets)
    }

    /// All of them as one sink.
    #[must_use]
    pub fn sink(&self) -> Fanout {
        let mut all = Fanout::default();
        for slot in [&self.stdout, &self.mqtt, &self.serial, &self.http] {
            all.add(slot.clone());
        }
        all
    }

    /// Closes an outlet, and opens it with other settings, if they ask for one.
    ///
    /// # Errors
    /// Returns why it can't be opened; it stays closed then, unless the token was at fault, which is looked at before.
    pub(super) fn reopen(&mut self, outlet: Outlet, config: &Config) -> Result<(), OutletError> {
        // Not after the server has read it: what changes in between is then seen by the next reload.
        let token = match outlet {
            Outlet::Http if config.http.enabled => {
                config.http.secret().map_err(HttpError::Settings)?
            }
            _ => None,
        };
        // The old one goes first: it holds the port or the name at the broker.
        drop(self.slot(outlet).put(None));
        let sink = match outlet {
            _ if !outlet.is_on(config) => None,
            Outlet::Mqtt => Some(self.mqtt(config)?),
            Outlet::Serial => Some(self.serial(config)?),
            Outlet::Http => Some(self.http(config)?),
        };
        self.slot(outlet).put(sink);
        if outlet == Outlet::Http {
            self.token = token;
        }
        Ok(())
    }

    /// Whether an outlet is not open, be it that it isn't asked for or that it could not be opened.
    pub(super) fn is_closed(&self, outlet: Outlet) -> bool {
        self.slot(outlet).is_empty()
    }

    /// Whether an outlet isn't as the configuration asks for, though that may be the old one: it could not be opened, or
    /// the token's file holds another one. All other files are read again at every connection.
    pub(super) fn is_stale(&self, outlet: Outlet, config: &Config) -> bool {
        let rotated = || {
            let token = config.http.secret();
            outlet == Outlet::Http && token.is_ok_and(|token| token != self.token)
        };
        outlet.is_on(config) && (self.is_closed(outlet) || rotated())
    }

    fn slot(&self, outlet: Outlet) -> &Slot {
        match outlet {
            Outlet::Mqtt => &self.mqtt,
            Outlet::Serial => &self.serial,
            Outlet::Http => &self.http,
        }
    }

    fn mqtt(&self, config: &Config) -> Result<Box<dyn Sink + Send>, OutletError> {
        let device = mqtt::Device {
            id: device::id(&config.service),
            name: device::name(&config.service),
            model: self.model.clone(),
            labels: (*self.labels).clone(),
        };
        let Shared {
            health, control, ..
        } = &self.shared;
        let mqtt = Mqtt::start(
            &config.mqtt,
            device,
            Arc::clone(health),
            Arc::clone(control),
        )?;
        Ok(Box::new(mqtt))
    }

    fn serial(&self, config: &Config) -> Result<Box<dyn Sink + Send>, OutletError> {
        let identity = serial::Identity {
            firmware: concat!("fer-edge ", env!("CARGO_PKG_VERSION")).to_owned(),
            model: self.model.clone(),
            labels: Arc::clone(&self.labels),
        };
        let health = Arc::clone(&self.shared.health);
        let serial = Serial::start(&config.serial, identity, health)?;
        Ok(Box::new(serial))
    }

    fn http(&mut self, config: &Config) -> Result<Box<dyn Sink + Send>, OutletError> {
        let package = self.package(config)?;
        let Shared {
            health, control, ..
        } = &self.shared;
        let server = Server::start(
            &config.http,
            Arc::clone(&self.labels),
            &self.model,
            Arc::clone(health),
            Arc::clone(control),
            classify(config, package, Arc::clone(control)),
        )?;
        Ok(Box::new(Kiosk {
            events: server.sink(),
            _server: server,
        }))
    }

    /// Reads the model folder once: what becomes of it later must not part the server's answers from
    /// the camera's.
    fn package(&mut self, config: &Config) -> Result<Arc<ModelPackage>, ModelError> {
        if let Some(package) = &self.package {
            return Ok(Arc::clone(package));
        }
        let package = match &config.model.path {
            Some(path) => ModelPackage::open(path)?,
            None => ModelPackage::embedded(),
        };
        Ok(Arc::clone(self.package.insert(Arc::new(package))))
    }
}

/// Classifies pictures that are sent to the server, with stages of its own.
fn classify(config: &Config, package: Arc<ModelPackage>, control: Arc<Control>) -> Classify {
    let config = config.clone();
    http::classify::with(move || processor(&config, &package), control)
}

/// As [`stages::processor`], with a model that has been read already.
fn processor(config: &Config, package: &ModelPackage) -> Result<Processor, String> {
    let detector = stages::detector(&config.vision).map_err(|e| e.to_string())?;
    let classifier = TractClassifier::load(package).map_err(|e| e.to_string())?;
    let settings = super::tuning(config).processing;
    let classifier = Box::new(classifier);
    Ok(Processor::new(
        &package.manifest,
        detector,
        classifier,
        settings,
    ))
}

/// The server lives as long as its sink is in use.
struct Kiosk {
    events: EventSink,
    _server: Server,
}

impl Sink for Kiosk {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        self.events.publish(observation)
    }
}
