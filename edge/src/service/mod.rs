//! The daemon around the pipeline: what the configuration asks for, signals, reloading, and what
//! systemd is told.

use std::io;
use std::sync::Arc;

use fer_models::Labels;

pub mod device;
pub mod doctor;
mod outlets;
mod progress;
mod reload;
mod signals;
pub mod stages;
mod supervisor;

pub use outlets::{OutletError, Outlets};
pub use reload::{Reread, tuning};

use self::reload::Reloader;
use self::signals::SignalThread;
use self::supervisor::Supervisor;
use crate::capture::{Pace, Source};
use crate::config::Config;
use crate::control::Control;
use crate::health::Health;
use crate::led::{self, LedError};
use crate::pipeline::{self, PipelineError, Shared};
use crate::processor::{ProcessError, Processor};
use crate::vision::DetectError;
use crate::watch::Watch;

/// Why the service ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Signals can't be received, or a thread can't be had.
    #[error("starting the service: {0}")]
    Start(io::Error),
    /// A sink can't be opened.
    #[error(transparent)]
    Outlet(#[from] OutletError),
    /// The status LED can't be had.
    #[error(transparent)]
    Led(#[from] LedError),
    /// The configured region lies outside the first frame that the camera delivered.
    #[error("vision.region: {0}")]
    Region(DetectError),
    /// The pipeline failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

impl ServiceError {
    /// Camera and region stand in one configuration, and starting again mends neither; of a recording or a folder, it
    /// may be the picture that is wrong. Once a frame was processed, the pipeline skips those beside the region.
    fn of(error: PipelineError, pace: Pace) -> Self {
        match error {
            PipelineError::Process(ProcessError::Detect(error @ DetectError::Outside { .. }))
                if pace == Pace::Live =>
            {
                Self::Region(error)
            }
            error => Self::Pipeline(error),
        }
    }

    /// Whether the configuration is to blame, and not the moment.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Outlet(error) => error.is_configuration(),
            Self::Led(error) => error.is_configuration(),
            Self::Region(_) => true,
            Self::Start(_) | Self::Pipeline(_) => false,
        }
    }
}

/// What the pipeline and the threads around it share, as the configuration says; `labels` is the
/// number of the model's labels.
#[must_use]
pub fn share(config: &Config, labels: usize) -> Shared {
    let control = Control::default();
    // It was checked with the configuration.
    control.set_threshold(config.service.threshold);
    Shared {
        health: Arc::new(Health::new(labels)),
        control: Arc::new(control),
        tuning: Arc::new(Watch::new(tuning(config))),
    }
}

/// What is run.
pub struct Stages<'a> {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// From frames to results.
    pub processor: &'a mut Processor,
    /// The classifier's labels.
    pub labels: Arc<Labels>,
    /// The classifier's name.
    pub model: &'a str,
    /// End after this many frames.
    pub limit: Option<u64>,
}

/// Runs until the source ends or a signal asks for the end.
///
/// # Errors
/// Returns an error when it can't be started or the pipeline fails.
pub fn run(
    stages: Stages<'_>,
    config: Config,
    reread: Reread,
    shared: &Shared,
) -> Result<(), ServiceError> {
    let Stages {
        source,
        processor,
        labels,
        model,
        limit,
    } = stages;
    let pace = source.pace();
    let outlets = Outlets::open(&config, labels, model, shared)?;
    let mut sink = outlets.sink();
    let _led = led::start(&config.led, &shared.health)?;
    let mut reloader = Reloader::new(config, reread, shared.clone(), outlets);
    let control = Arc::clone(&shared.control);
    let signals = SignalThread::start(control, move || reloader.reload());
    let _signals = signals.map_err(ServiceError::Start)?;
    let _supervisor = Supervisor::start(shared.clone()).map_err(ServiceError::Start)?;
    pipeline::run(source, processor, &mut sink, limit, shared)
        .map_err(|error| ServiceError::of(error, pace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_outside_a_cameras_frame_is_a_wrong_configuration() {
        let outside = |pace| {
            let error = DetectError::Outside {
                x: 900.0,
                y: 500.0,
                region_width: 200.0,
                region_height: 200.0,
                width: 640,
                height: 480,
            };
            ServiceError::of(PipelineError::Process(error.into()), pace)
        };
        let error = outside(Pace::Live);
        assert!(error.is_configuration());
        assert!(error.to_string().starts_with("vision.region: "), "{error}");
        for pace in [Pace::Stills, Pace::Recorded] {
            assert!(!outside(pace).is_configuration());
        }
    }
}
