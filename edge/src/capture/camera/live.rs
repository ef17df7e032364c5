//! The one state machine of all cameras.
//!
//! ```text
//!               first new picture        no new picture for stall_ms
//!   Opening ───────────────────► Online ───────────────────────────► Stalled
//!    │   ▲                        │  ▲            new picture           │ │
//!    │   │ pause over             │  └──────────────────────────────────┘ │
//!    │   │                        │ fault                                 │ fault, or no new
//!    ▼   │                        ▼                                       ▼ picture for lost_ms
//!   Offline ◄─────────────────────┴───────────────────────────────────────┘
//! ```
//!
//! Only a good picture that differs from the last one counts as new: a camera that sends garbage or
//! the same picture for ever is as lost as one that is silent. While `Control` says that looking is
//! off, the camera is closed.

use std::sync::Arc;
use std::time::Duration;

use super::super::{CaptureError, Frame, Pace, Source, Step};
use super::address::public;
use super::backoff::Backoff;
use super::clock::Clock;
use super::driver::{Driver, Feed, Got};
use super::fingerprint::fingerprint;
use super::settings::Settings;
use crate::control::Control;
use crate::health::{Camera, Health};

/// Longest time between two looks at `Control`.
const SLICE: Duration = Duration::from_millis(100);

/// A camera that comes back.
pub struct Live {
    name: String,
    driver: Box<dyn Driver>,
    clock: Box<dyn Clock>,
    limits: Limits,
    health: Arc<Health>,
    control: Arc<Control>,
    phase: Phase,
    state: Camera,
    backoff: Backoff,
    /// Kept while closed: reopening to the same frozen picture is no recovery.
    last_picture: Option<u64>,
    /// Why it is away, as far as the log knows.
    outage: Option<String>,
    started: Option<Duration>,
    seq: u64,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    open: Duration,
    stall: Duration,
    lost: Duration,
    frozen: bool,
}

enum Phase {
    Closed {
        until: Duration,
    },
    Open {
        feed: Box<dyn Feed>,
        /// When the last new picture came, or when it was opened.
        fresh: Duration,
        /// When the first new picture came.
        online: Option<Duration>,
    },
}

impl Live {
    /// A camera that is opened on the first call of `next`.
    #[must_use]
    pub fn new(
        settings: &Settings,
        driver: Box<dyn Driver>,
        clock: Box<dyn Clock>,
        health: Arc<Health>,
        control: Arc<Control>,
    ) -> Self {
        let time = Duration::from_millis;
        Self {
            // it is published
            name: public(&settings.device),
            driver,
            limits: Limits {
                open: time(settings.open_ms),
                stall: time(settings.stall_ms),
                lost: time(settings.lost_ms),
                frozen: settings.frozen,
            },
            phase: Phase::Closed { until: clock.now() },
            clock,
            health,
            control,
            state: Camera::Opening,
            backoff: Backoff::new(time(settings.retry_ms), time(settings.retry_max_ms)),
            last_picture: None,
            outage: None,
            started: None,
            seq: 0,
        }
    }

    fn enter(&mut self, state: Camera) {
        self.state = state;
        self.health.set_camera(state);
    }

    fn open(&mut self) {
        self.enter(Camera::Opening);
        match self.driver.open() {
            Ok(feed) => {
                self.phase = Phase::Open {
                    feed,
                    fresh: self.clock.now(),
                    online: None,
                };
            }
            Err(fault) => self.lose(&fault.to_string()),
        }
    }

    /// Closes the camera; returns for how long it had worked.
    fn close(&mut self, until: Duration) -> Duration {
        let before = std::mem::replace(&mut self.phase, Phase::Closed { until });
        match before {
            Phase::Open {
                online: Some(since),
                ..
            } => self.clock.now().saturating_sub(since),
            _ => Duration::ZERO,
        }
    }

    fn lose(&mut self, why: &str) {
        let worked = self.close(Duration::ZERO);
        self.backoff.after(worked);
        let pause = self.backoff.next_pause();
        self.phase = Phase::Closed {
            until: self.clock.now() + pause,
        };
        self.enter(Camera::Offline);
        // A camera may be away for months: each reason is news once.
        if self.outage.as_deref() == Some(why) {
            tracing::debug!(camera = self.name, why, ?pause, "camera still offline");
        } else {
            tracing::warn!(camera = self.name, why, "camera offline");
            self.outage = Some(why.to_owned());
        }
    }

    /// Closes the camera without a fault, to be opened as soon as that is wanted.
    fn set_aside(&mut self, why: &str) {
        if matches!(self.phase, Phase::Open { .. }) {
            tracing::info!(camera = self.name, why, "camera closed");
        }
        let now = self.clock.now();
        self.close(now);
        if self.state != Camera::Offline {
            self.enter(Camera::Offline);
        }
    }

    /// Looks at how old the last new picture is.
    fn watch(&mut self) {
        let Phase::Open { fresh, .. } = self.phase else {
            return;
        };
        let age = self.clock.now().saturating_sub(fresh);
        let Limits {
            open, stall, lost, ..
        } = self.limits;
        match self.state {
            Camera::Opening if age >= open => {
                self.lose(&format!(
                    "opened, but no new picture within {} ms",
                    open.as_millis()
                ));
            }
            Camera::Online | Camera::Stalled if age >= lost => {
                self.lose(&format!("no new picture for {} ms", lost.as_millis()));
            }
            Camera::Online if age >= stall => {
                tracing::warn!(camera = self.name, "camera stalled");
                self.enter(Camera::Stalled);
            }
            _ => {}
        }
    }

    /// Whether `frame` shows anything new; if so, the camera is online.
    fn welcome(&mut self, frame: &Frame) -> bool {
        if self.limits.frozen {
            let picture = Some(fingerprint(frame));
            if std::mem::replace(&mut self.last_picture, picture) == picture {
                return false;
            }
        }
        let now = self.clock.now();
        if let Phase::Open { fresh, online, .. } = &mut self.phase {
            *fresh = now;
            online.get_or_insert(now);
        }
        if self.state != Camera::Online {
            tracing::info!(
                camera = self.name,
                width = frame.width,
                height = frame.height,
                "camera online"
            );
            self.outage = None;
            self.enter(Camera::Online);
        }
        true
    }

    fn stamp(&mut self, frame: &mut Frame) {
        let now = self.clock.now();
        let started = *self.started.get_or_insert(now);
        frame.t_ms = now.saturating_sub(started).as_millis() as u64;
        frame.seq = self.seq;
        frame.file.clear();
        self.seq += 1;
    }

    /// One look at the open feed.
    fn read(&mut self, frame: &mut Frame) -> Option<Step> {
        let Phase::Open { feed, .. } = &mut self.phase else {
            return None;
        };
        match feed.next(frame, SLICE) {
            Err(fault) => {
                self.lose(&fault.to_string());
                None
            }
            Ok(Got::Nothing) => {
                self.watch();
                None
            }
            Ok(Got::Bad(why)) => {
                self.watch();
                self.stamp(frame);
                Some(Step::Bad(why))
            }
            Ok(Got::Picture) => {
                if !self.welcome(frame) {
                    self.watch();
                }
                // An old picture is worth a look until the camera counts as stalled.
                if self.state != Camera::Online {
                    return None;
                }
                self.stamp(frame);
                Some(Step::Frame)
            }
        }
    }
}

impl Source for Live {
    fn name(&self) -> &str {
        &self.name
    }

    fn pace(&self) -> Pace {
        Pace::Live
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        loop {
            if self.control.stopping() {
                self.set_aside("stopping");
                return Ok(Step::End);
            }
            if !self.control.enabled() {
                self.set_aside("switched off");
                self.clock.pause(SLICE);
                continue;
            }
            if self.control.take_restart() {
                self.set_aside("a restart was asked for");
            }
            match self.phase {
                Phase::Closed { until } => {
                    let left = until.saturating_sub(self.clock.now());
                    if left.is_zero() {
                        self.open();
                    } else {
                        self.clock.pause(left.min(SLICE));
                    }
                }
                Phase::Open { .. } => {
                    if let Some(step) = self.read(frame) {
                        return Ok(step);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
