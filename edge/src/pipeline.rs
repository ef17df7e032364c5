//! Runs a source through the stages into a sink.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::budget::{self, Budget, SystemGauges};
use crate::capture::{CaptureError, Frame, Pace, Source, Step};
use crate::control::Control;
use crate::health::{Camera, Dropped, Health};
use crate::processor::{self, ProcessError, Processor};
use crate::publish::{Observation, PublishError, Sink};
use crate::queue::{Popped, Queue, WhenFull};
use crate::vision::DetectError;
use crate::watch::Watch;

/// Frames between capture and processing: one being looked at, one waiting.
const QUEUE_FRAMES: usize = 2;

/// How long processing waits for a frame before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a camera may take to be closed.
const CLOSING: Duration = Duration::from_secs(2);

/// Settings that may be changed while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tuning {
    /// How frames become results.
    pub processing: processor::Settings,
    /// What the frame rate has to keep within; holds for live sources.
    pub budget: budget::Settings,
}

/// What a run shares with the threads around it.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Counters and states, kept up to date by the run.
    pub health: Arc<Health>,
    /// Switches that the run obeys.
    pub control: Arc<Control>,
    /// Settings that the run picks up when they change.
    pub tuning: Arc<Watch<Tuning>>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The capture thread could not be started or died.
    #[error("the capture thread failed: {0}")]
    Thread(String),
    /// The source failed.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A stage failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The sink failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The source ended, and no frame of it could be used.
    #[error("{source_name}: none of the {bad} frames that were looked at could be used")]
    NothingUsable {
        /// The source's name.
        source_name: String,
        /// How many were looked at.
        bad: u64,
    },
    /// A recording without a frame.
    #[error("{source_name}: no frame was found in it")]
    Empty {
        /// The source's name.
        source_name: String,
    },
}

/// Runs until the source ends, `limit` frames have been captured, the sink's reader has gone, or an
/// end is asked for.
///
/// Capture has its own thread; everything else runs on the caller's. What was done stands in
/// [`Shared::health`], also after an error.
///
/// # Errors
/// Returns an error when the source, a stage or the sink fails for good, or no frame was usable.
pub fn run(
    source: Box<dyn Source>,
    processor: &mut Processor,
    sink: &mut dyn Sink,
    limit: Option<u64>,
    shared: &Shared,
) -> Result<(), PipelineError> {
    let pace = source.pace();
    let name = source.name().to_owned();
    let when_full = if pace == Pace::Live {
        WhenFull::DropOldest
    } else {
        WhenFull::Wait
    };
    let queue = Arc::new(Queue::new(QUEUE_FRAMES, when_full));
    let (ends, ended) = mpsc::channel::<()>();
    let capture = thread::Builder::new()
        .name("capture".to_owned())
        .spawn({
            let (queue, shared) = (Arc::clone(&queue), shared.clone());
            move || {
                let _ends = ends;
                capture(source, limit, &queue, &shared)
            }
        })
        .map_err(|e| PipelineError::Thread(e.to_string()))?;

    let mut consumer = Consumer {
        observation: processor.observation(&name),
        pace,
        processor,
        sink,
        shared,
        skipping: false,
    };
    let result = consumer.run(&queue);
    queue.close();
    // After an early end the thread may sit in a read that never returns; only a camera is worth
    // waiting for, so that it is closed.
    let finished = matches!(result, Ok(Ended::Source))
        || pace == Pace::Live && ended.recv_timeout(CLOSING) == Err(RecvTimeoutError::Disconnected);
    let captured = if finished {
        capture
            .join()
            .map_err(|_| PipelineError::Thread("it panicked".to_owned()))?
    } else {
        Ok(())
    };
    match result? {
        Ended::Source => captured?,
        // What the source says when it is torn off is no news, nor what it might still have brought.
        Ended::Reader | Ended::Asked => return Ok(()),
    }
    let bad = shared.health.dropped(Dropped::Bad);
    match (shared.health.processed(), bad) {
        (0, 0) if pace == Pace::Recorded && shared.health.captured() == 0 => {
            Err(PipelineError::Empty { source_name: name })
        }
        (0, 1..) => Err(PipelineError::NothingUsable {
            source_name: name,
            bad,
        }),
        _ => Ok(()),
    }
}

/// Who ended an orderly run.
enum Ended {
    Source,
    Reader,
    Asked,
}

/// From the queue to the sink.
struct Consumer<'a> {
    observation: Observation,
    pace: Pace,
    processor: &'a mut Processor,
    sink: &'a mut dyn Sink,
    shared: &'a Shared,
    /// Whether the last frame could not be used.
    skipping: bool,
}

impl Consumer<'_> {
    fn run(&mut self, queue: &Queue<Frame>) -> Result<Ended, PipelineError> {
        let Shared {
            health,
            control,
            tuning,
        } = self.shared;
        let mut seen = 0;
        loop {
            health.beat();
            if control.stopping() {
                return Ok(Ended::Asked);
            }
            if let Some(tuning) = tuning.changed(&mut seen) {
                self.processor.set(tuning.processing);
            }
            let frame = match queue.pop_timeout(PATIENCE) {
                Popped::Item(frame) => frame,
                Popped::Nothing => continue,
                // The capture thread may have seen first that an end is asked for.
                Popped::Closed if control.stopping() => return Ok(Ended::Asked),
                Popped::Closed => return Ok(Ended::Source),
            };
            self.processor.set_threshold(control.threshold());
            let done = self.process(&frame);
            queue.recycle(frame);
            match done {
                Ok(()) => {}
                Err(PipelineError::Publish(PublishError::Closed)) => return Ok(Ended::Reader),
                Err(error) => return Err(error),
            }
        }
    }

    fn process(&mut self, frame: &Frame) -> Result<(), PipelineError> {
        let health = &self.shared.health;
        match self
            .processor
            .process(frame, self.pace, &mut self.observation)
        {
            Ok(()) => self.skipping = false,
            Err(error) if self.is_passing(&error) => {
                health.count_dropped(Dropped::Bad, 1);
                // The first in a row is news; a camera that goes on so would fill the log.
                if std::mem::replace(&mut self.skipping, true) {
                    tracing::debug!(seq = frame.seq, %error, "frame skipped");
                } else {
                    tracing::warn!(seq = frame.seq, %error, "frame skipped");
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        self.sink.publish(&self.observation)?;
        let labels = self.observation.faces.iter().map(|face| face.label);
        let timings = self.processor.timings();
        health.count_processed(timings.infer, labels);
        health.count_reused(timings.reused);
        Ok(())
    }

    /// Whether only this frame is lost. A region that has met a frame is right: one beside it is no
    /// usual frame, such as the smaller one by which a camera says that it has no signal.
    fn is_passing(&self, error: &ProcessError) -> bool {
        let beside = matches!(error, ProcessError::Detect(DetectError::Outside { .. }));
        error.is_passing() || beside && self.shared.health.processed() > 0
    }
}

/// Closes the queue however the capture thread ends, a panic included.
struct CloseOnDrop<'a>(&'a Queue<Frame>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn capture(
    mut source: Box<dyn Source>,
    limit: Option<u64>,
    queue: &Queue<Frame>,
    shared: &Shared,
) -> Result<(), CaptureError> {
    let Shared {
        health,
        control,
        tuning,
    } = shared;
    let _close = CloseOnDrop(queue);
    let live = source.pace() == Pace::Live;
    let started = Instant::now();
    let mut budget = Budget::new(tuning.get().budget, SystemGauges::default());
    let (mut seen, mut late) = (0, 0);
    let mut frame = Frame::default();
    let mut captured = 0;
    while limit.is_none_or(|limit| captured < limit) && !control.stopping() {
        match source.next(&mut frame)? {
            Step::Frame => {
                captured += 1;
                health.count_captured();
                // Sources that are no cameras have no states of their own.
                if captured == 1 && health.camera() == Camera::Opening {
                    health.set_camera(Camera::Online);
                }
                if let Some(tuning) = tuning.changed(&mut seen) {
                    budget.set(tuning.budget);
                }
                if !control.enabled() {
                    health.count_dropped(Dropped::Disabled, 1);
                    continue;
                }
                if live && !budget.admit(started.elapsed()) {
                    health.count_dropped(Dropped::Budget, 1);
                    continue;
                }
                if !queue.push(frame) {
                    break;
                }
                let dropped = queue.dropped();
                health.count_dropped(Dropped::Late, dropped - late);
                late = dropped;
                frame = queue.spare().unwrap_or_default();
            }
            Step::Bad(reason) => {
                // The first is news; a broken camera would fill the log with the rest.
                if health.dropped(Dropped::Bad) == 0 {
                    tracing::warn!(source = source.name(), reason, "bad frame skipped");
                } else {
                    tracing::debug!(source = source.name(), reason, "bad frame skipped");
                }
                health.count_dropped(Dropped::Bad, 1);
            }
            Step::End => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
