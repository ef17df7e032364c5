//! The daemon around the pipeline: signals, reloading, and what systemd is told.

use std::io;
use std::sync::Arc;

mod progress;
mod reload;
mod signals;
mod supervisor;

pub use reload::{Reread, tuning};

use self::reload::Reloader;
use self::signals::SignalThread;
use self::supervisor::Supervisor;
use crate::capture::Source;
use crate::config::Config;
use crate::pipeline::{self, PipelineError, Shared};
use crate::processor::Processor;
use crate::publish::Sink;

/// Why the service ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Signals can't be received, or a thread can't be had.
    #[error("starting the service: {0}")]
    Start(io::Error),
    /// The pipeline failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// What is run.
pub struct Stages<'a> {
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// From frames to results.
    pub processor: &'a mut Processor,
    /// Where results go.
    pub sink: &'a mut dyn Sink,
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
    let mut reloader = Reloader::new(config, reread, shared.clone());
    let control = Arc::clone(&shared.control);
    let signals = SignalThread::start(control, move || reloader.reload());
    let _signals = signals.map_err(ServiceError::Start)?;
    let _supervisor = Supervisor::start(shared.clone()).map_err(ServiceError::Start)?;
    let Stages {
        source,
        processor,
        sink,
        limit,
    } = stages;
    Ok(pipeline::run(source, processor, sink, limit, shared)?)
}
