//! What SIGHUP does to a service: reads the configuration again and applies what can change while frames flow.

use crate::config::{Config, ConfigError, Loaded};
use crate::pipeline::{Shared, Tuning};
use crate::processor;
use crate::reuse;
use crate::vision::track;

use super::outlets::{Outlet, Outlets};

/// Reads the configuration again, from the places it first came from.
pub type Reread = Box<dyn FnMut() -> Result<Loaded, ConfigError> + Send>;

/// Applies another configuration to a running service.
pub(super) struct Reloader {
    current: Config,
    reread: Reread,
    shared: Shared,
    outlets: Outlets,
}

/// What became of a change.
#[derive(Debug, Default)]
struct Changes {
    applied: Vec<&'static str>,
    need_restart: Vec<&'static str>,
}

impl Reloader {
    pub(super) fn new(current: Config, reread: Reread, shared: Shared, outlets: Outlets) -> Self {
        Self {
            current,
            reread,
            shared,
            outlets,
        }
    }

    /// Reads and applies; what was wrong with it leaves everything as it is.
    pub(super) fn reload(&mut self) {
        let loaded = match (self.reread)() {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(%error, "configuration not reloaded: the old one stays in force");
                return;
            }
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let Changes {
            applied,
            need_restart,
        } = self.apply(loaded.config);
        let list = |names: &[&str]| match names {
            [] => "nothing".to_owned(),
            names => names.join(", "),
        };
        tracing::info!(changed = list(&applied), "configuration reloaded");
        if !need_restart.is_empty() {
            let changed = list(&need_restart);
            tracing::warn!(changed, "these changes take effect at the next start only");
        }
    }

    fn apply(&mut self, new: Config) -> Changes {
        let mut changes = Changes::default();
        self.tune(&new, &mut changes);
        for outlet in Outlet::ALL {
            let due = outlet.differs(&self.current, &new) || self.outlets.is_stale(outlet, &new);
            if due && self.exchange(outlet, &new) {
                changes.applied.push(outlet.name());
            }
        }
        let old = &self.current;
        for (differs, name) in [
            (old.camera != new.camera, "camera"),
            (old.vision != new.vision, "vision"),
            (old.model != new.model, "model"),
            (old.led != new.led, "led"),
            (old.service != new.service, "service"),
        ] {
            if differs {
                changes.need_restart.push(name);
            }
        }
        changes
    }

    /// Opens an outlet as the new configuration says; returns whether that went well.
    fn exchange(&mut self, outlet: Outlet, new: &Config) -> bool {
        let name = outlet.name();
        let old = self.current.clone();
        // All else is as it was at the start, such as the device's name. The model that classifies for
        // HTTP is the one that was read for the first server.
        let mut next = old.clone();
        match outlet {
            Outlet::Mqtt => next.mqtt = new.mqtt.clone(),
            Outlet::Serial => next.serial = new.serial.clone(),
            Outlet::Http => next.http = new.http.clone(),
        }
        let Err(mut error) = self.outlets.reopen(outlet, &next) else {
            self.current = next;
            return true;
        };
        if outlet.differs(&old, &next) {
            tracing::error!(%error, "{name} not changed: its old settings stay in force");
            if !self.outlets.is_closed(outlet) {
                return false;
            }
            match self.outlets.reopen(outlet, &old) {
                Ok(()) => return false,
                Err(again) => error = again,
            }
        }
        tracing::error!(%error, "{name} stays closed, until a reload can open it");
        false
    }

    /// Takes over what the pipeline picks up while it runs.
    fn tune(&mut self, new: &Config, changes: &mut Changes) {
        let old = &mut self.current;
        let every_n = new.vision.every_n_frames;
        let threshold = new.service.threshold;
        for (differs, name) in [
            (old.reuse != new.reuse, "reuse"),
            (old.smoothing != new.smoothing, "smoothing"),
            (
                old.vision.every_n_frames != every_n,
                "vision.every_n_frames",
            ),
            (old.service.threshold != threshold, "service.threshold"),
            (
                old.service.budget() != new.service.budget(),
                "service.max_*",
            ),
        ] {
            if differs {
                changes.applied.push(name);
            }
        }
        // Somebody may have set another one meanwhile, over MQTT: only a change in the file counts.
        if old.service.threshold != threshold {
            self.shared.control.set_threshold(threshold);
        }
        old.reuse = new.reuse.clone();
        old.smoothing = new.smoothing.clone();
        old.vision.every_n_frames = every_n;
        old.service.threshold = threshold;
        old.service.max_fps = new.service.max_fps;
        old.service.max_cpu_percent = new.service.max_cpu_percent;
        old.service.max_celsius = new.service.max_celsius;
        self.shared.tuning.set(tuning(old));
    }
}

/// The settings that the pipeline picks up while it runs.
#[must_use]
pub fn tuning(config: &Config) -> Tuning {
    Tuning {
        processing: processor::Settings {
            detect_every: config.vision.every_n_frames,
            tracking: track::Settings::default(),
            // to judge each frame for itself is to look at it
            reuse: if config.smoothing.raw {
                reuse::Settings::OFF
            } else {
                config.reuse.settings()
            },
            smoothing: config.smoothing.settings(),
        },
        budget: config.service.budget(),
    }
}

#[cfg(test)]
mod tests;
