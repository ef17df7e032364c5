//! Tells systemd how the service is: ready, a line of status, and the watchdog's food.
//!
//! All of it does nothing where no service manager listens.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::progress::Progress;
use crate::budget::{Gauges, SystemGauges};
use crate::pipeline::Shared;

/// How often progress is looked at, at least twice in the watchdog's time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the status line is renewed.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// A camera that isn't there by then is waited for in the ready state.
const READY_WITHIN: Duration = Duration::from_secs(3);

/// The thread that watches; ends when dropped.
#[derive(Debug)]
pub(super) struct Supervisor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts to watch.
    ///
    /// # Errors
    /// Returns an error when the thread can't be had.
    pub(super) fn start(shared: Shared) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
        let look_every = watchdog.map_or(LOOK_EVERY, |time| LOOK_EVERY.min(time / 2));
        let watch = move || {
            let mut watch = Watch::new(shared, watchdog.is_some());
            watch.look();
            while stopped.recv_timeout(look_every) == Err(RecvTimeoutError::Timeout) {
                watch.look();
            }
            tell(&[NotifyState::Stopping, NotifyState::Status("ending")]);
        };
        let thread = thread::Builder::new().name("supervisor".to_owned());
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread.spawn(watch)?),
        })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported where it happened.
            let _ = thread.join();
        }
    }
}

struct Watch {
    shared: Shared,
    feeds_watchdog: bool,
    progress: Progress,
    gauges: SystemGauges,
    started: Instant,
    ready: bool,
    status_at: Instant,
}

impl Watch {
    fn new(shared: Shared, feeds_watchdog: bool) -> Self {
        let started = Instant::now();
        Self {
            shared,
            feeds_watchdog,
            progress: Progress::default(),
            gauges: SystemGauges::default(),
            started,
            ready: false,
            status_at: started,
        }
    }

    fn look(&mut self) {
        let Shared {
            health, control, ..
        } = &self.shared;
        let became_ready =
            !self.ready && (Progress::is_ready(health) || self.started.elapsed() >= READY_WITHIN);
        if became_ready {
            self.ready = true;
            tell(&[NotifyState::Ready]);
        }
        // Before it is ready, systemd's start timeout watches.
        let goes_on = self.progress.goes_on(health, control.enabled());
        if self.feeds_watchdog && self.ready && goes_on {
            tell(&[NotifyState::Watchdog]);
        }
        if became_ready || self.status_at.elapsed() >= STATUS_EVERY {
            let elapsed = self.status_at.elapsed();
            self.status_at = Instant::now();
            let celsius = self.gauges.celsius();
            let status = self.progress.status(health, elapsed, celsius);
            tell(&[NotifyState::Status(status)]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager can't be reached");
    }
}
