//! Plays a recording at its own speed, so that it behaves like a camera.

use std::thread;
use std::time::{Duration, Instant};

use super::{CaptureError, Frame, Pace, Source, Step};

/// A recorded source whose frames come when their timestamps say.
pub struct Paced {
    source: Box<dyn Source>,
    started: Option<Instant>,
}

impl Paced {
    /// Paces `source`.
    #[must_use]
    pub fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            started: None,
        }
    }
}

impl Source for Paced {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn pace(&self) -> Pace {
        match self.source.pace() {
            Pace::Stills => Pace::Stills,
            Pace::Recorded | Pace::Live => Pace::Live,
        }
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        let step = self.source.next(frame)?;
        if step == Step::Frame {
            let started = *self.started.get_or_insert_with(Instant::now);
            let due = Duration::from_millis(frame.t_ms);
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
        Ok(step)
    }
}
