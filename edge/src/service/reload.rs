//! What SIGHUP does: reads the configuration again and applies what can change while frames flow.

use crate::config::{Config, ConfigError, Loaded};
use crate::pipeline::{Shared, Tuning};
use crate::processor;
use crate::vision::track;

/// Reads the configuration again, from the places it first came from.
pub type Reread = Box<dyn FnMut() -> Result<Loaded, ConfigError> + Send>;

/// Applies another configuration to a running service.
pub(super) struct Reloader {
    current: Config,
    reread: Reread,
    shared: Shared,
}

/// What became of a change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    applied: Vec<&'static str>,
    need_restart: Vec<&'static str>,
}

impl Reloader {
    pub(super) fn new(current: Config, reread: Reread, shared: Shared) -> Self {
        Self {
            current,
            reread,
            shared,
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
        let mut note = |changed: bool, applied: bool, name| {
            if changed && applied {
                changes.applied.push(name);
            } else if changed {
                changes.need_restart.push(name);
            }
        };
        let old = &mut self.current;
        note(old.smoothing != new.smoothing, true, "smoothing");
        let every_n = new.vision.every_n_frames;
        note(
            old.vision.every_n_frames != every_n,
            true,
            "vision.every_n_frames",
        );
        note(
            old.service.threshold != new.service.threshold,
            true,
            "service.threshold",
        );
        note(
            old.service.budget() != new.service.budget(),
            true,
            "service.max_*",
        );
        if old.service.threshold != new.service.threshold {
            self.shared.control.set_threshold(new.service.threshold);
        }
        // What was applied is in force; the rest stays as it was at the start.
        old.smoothing = new.smoothing;
        old.vision.every_n_frames = every_n;
        old.service.threshold = new.service.threshold;
        old.service.max_fps = new.service.max_fps;
        old.service.max_cpu_percent = new.service.max_cpu_percent;
        old.service.max_celsius = new.service.max_celsius;
        note(old.vision != new.vision, false, "vision");
        note(old.model != new.model, false, "model");
        note(old.service != new.service, false, "service");
        self.shared.tuning.set(tuning(old));
        changes
    }
}

/// The settings that the pipeline picks up while it runs.
#[must_use]
pub fn tuning(config: &Config) -> Tuning {
    Tuning {
        processing: processor::Settings {
            detect_every: config.vision.every_n_frames,
            tracking: track::Settings::default(),
            smoothing: config.smoothing.settings(),
        },
        budget: config.service.budget(),
    }
}
