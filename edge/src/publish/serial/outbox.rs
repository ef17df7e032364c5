//! Reports on their way from the pipeline to the thread that sends.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fer_wire::Emotion;

/// A bounded buffer that drops its oldest report. Its memory is taken once.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State {
    reports: VecDeque<Emotion>,
    /// When it was closed.
    closed: Option<Instant>,
}

/// What ended a wait.
#[expect(
    clippy::large_enum_variant,
    reason = "a box would allocate for every report"
)]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Report(Emotion),
    Time,
    Closed,
}

impl Outbox {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            reports: VecDeque::with_capacity(capacity),
            closed: None,
        };
        Self {
            state: state.into(),
            changed: Condvar::new(),
            capacity,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a report; returns whether an older one had to go for it.
    pub(super) fn push(&self, report: Emotion) -> bool {
        let mut state = self.lock();
        let full = state.reports.len() >= self.capacity;
        if full {
            state.reports.pop_front();
        }
        state.reports.push_back(report);
        drop(state);
        self.changed.notify_all();
        full
    }

    /// Ends every wait; what is left may still be taken.
    pub(super) fn close(&self) {
        self.lock().closed.get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    /// What is left of a time that began with closing; nothing before that.
    pub(super) fn left_of(&self, goodbye: Duration) -> Option<Duration> {
        let closed = self.lock().closed?;
        Some(goodbye.saturating_sub(closed.elapsed()))
    }

    /// How many reports have not been taken.
    pub(super) fn waiting(&self) -> u64 {
        self.lock().reports.len() as u64
    }

    /// Takes the oldest report, waiting for one until a moment.
    pub(super) fn next(&self, until: Instant) -> Wake {
        self.wait(until, |state| state.reports.pop_front())
    }

    /// Lets time pass, whatever comes; only closing ends it early.
    pub(super) fn pause(&self, until: Instant) -> Wake {
        self.wait(until, |_| None)
    }

    fn wait(&self, until: Instant, take: impl Fn(&mut State) -> Option<Emotion>) -> Wake {
        let mut state = self.lock();
        loop {
            if let Some(report) = take(&mut state) {
                return Wake::Report(report);
            }
            if state.closed.is_some() {
                return Wake::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::Time;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(frame: u32) -> Emotion {
        Emotion {
            frame,
            ..Emotion::default()
        }
    }

    #[test]
    fn the_oldest_goes_and_closing_leaves_the_rest() {
        let outbox = Outbox::new(2);
        let dropped: Vec<_> = (0..4).map(|frame| outbox.push(report(frame))).collect();
        assert_eq!(dropped, [false, false, true, true]);
        let now = Instant::now();
        assert_eq!(outbox.pause(now), Wake::Time);
        assert_eq!(outbox.left_of(Duration::MAX), None);
        outbox.close();
        assert_eq!(outbox.left_of(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(outbox.pause(now + Duration::from_secs(60)), Wake::Closed);
        assert_eq!(outbox.next(now), Wake::Report(report(2)));
        assert_eq!(outbox.next(now), Wake::Report(report(3)));
        assert_eq!(outbox.next(now + Duration::from_secs(60)), Wake::Closed);
    }
}
