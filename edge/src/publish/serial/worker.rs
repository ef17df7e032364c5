//! The thread that owns the port: opens it, talks, and opens it again when it has gone.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fer_wire::{Emotion, Encoder, Hello, List, MAX_FRAME, Message, REVISION};

use super::outbox::{Outbox, Wake};
use super::pace::Pace;
use super::settings::Settings;
use super::{Identity, Port, report};
use crate::health::{Camera, Health};

/// Pause before the first try to open a port again; doubled from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How long a port may take nothing before a frame is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long what is left may take to go out once the outbox is closed, to the last byte.
const GOODBYE: Duration = Duration::from_secs(2);

/// How often the camera's state is looked at when no report comes.
const LOOK: Duration = Duration::from_millis(250);

pub(super) struct Worker<O> {
    pub(super) open: O,
    pub(super) port_name: String,
    pub(super) settings: Settings,
    pub(super) identity: Identity,
    pub(super) health: Arc<Health>,
    pub(super) outbox: Arc<Outbox>,
}

/// One opening of the port.
struct Session<'a, P> {
    port: P,
    encoder: &'a mut Encoder,
    health: &'a Health,
    outbox: &'a Outbox,
    pace: Pace,
    /// Whether a frame has gone out.
    spoke: bool,
}

impl<P: Port, O: FnMut() -> io::Result<P>> Worker<O> {
    /// Runs until the outbox is closed.
    pub(super) fn run(mut self) {
        self.serve();
        // wherever it ended: the port may just have been away
        self.health.count_serial_dropped(self.outbox.waiting());
    }

    /// Opens the port and talks, time and again.
    fn serve(&mut self) {
        let mut encoder = Encoder::new();
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            let trouble = match (self.open)() {
                Ok(port) => {
                    tracing::info!(port = self.port_name, "serial port open");
                    self.health.set_serial_open(true);
                    let mut session = Session {
                        port,
                        encoder: &mut encoder,
                        health: &self.health,
                        outbox: &self.outbox,
                        pace: Pace::new(self.settings.baud, Instant::now()),
                        spoke: false,
                    };
                    let ended = self.talk(&mut session);
                    if session.spoke {
                        pause = FIRST_PAUSE;
                    }
                    if let Err(e) = session.finish() {
                        tracing::warn!(
                            port = self.port_name,
                            "closing the serial port may take long: {e}"
                        );
                    }
                    drop(session);
                    self.health.set_serial_open(false);
                    told.clear();
                    match ended {
                        Ok(()) => return,
                        Err(e) => e.to_string(),
                    }
                }
                Err(e) => e.to_string(),
            };
            // once for each reason, not at every try
            if trouble != told {
                tracing::warn!(
                    port = self.port_name,
                    "serial port: {trouble}; trying again"
                );
                told = trouble;
            }
            if self.outbox.pause(Instant::now() + pause) == Wake::Closed {
                return;
            }
            pause = (2 * pause).min(self.settings.reopen_after());
        }
    }

    /// Sends until the outbox is closed and empty, or the port fails. Once it is closed, a line that
    /// takes nothing ends it too, as does [`GOODBYE`].
    fn talk(&self, session: &mut Session<'_, P>) -> io::Result<()> {
        let mut hello_at = Instant::now();
        let mut camera: Option<Camera> = None;
        loop {
            let now = Instant::now();
            if self.outbox.left_of(GOODBYE) == Some(Duration::ZERO) {
                return Ok(());
            }
            // what the line did not take stays due: a receiver must not miss that the camera has gone
            let mut taken = true;
            if now >= hello_at {
                taken = session.send(&self.hello())?;
                if taken {
                    hello_at = now + self.settings.hello_every();
                    camera = None;
                } else {
                    // after a pause, in which a report gets its turn
                    hello_at = Instant::now() + LOOK;
                }
            }
            let state = self.health.camera();
            if taken && camera != Some(state) {
                let status = report::status(&self.health, session.dropped());
                taken = session.send(&Message::Status(status))?;
                if taken {
                    camera = Some(state);
                }
            }
            if let Some(until) = session.pace.hold(now) {
                self.hold(until);
            }
            match self.outbox.next(hello_at.min(now + LOOK)) {
                Wake::Report(report) => taken &= session.report(report)?,
                Wake::Time => {}
                Wake::Closed => return Ok(()),
            }
            if !taken && self.outbox.is_closed() {
                return Ok(());
            }
        }
    }

    /// Lets the line send what it was given. Once the outbox is closed, too: not every driver can throw
    /// away what it has, and closing the port would wait for it.
    fn hold(&self, until: Instant) {
        if self.outbox.pause(until) == Wake::Closed {
            let left = self.outbox.left_of(GOODBYE).unwrap_or_default();
            thread::sleep(left.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn hello(&self) -> Message<'_> {
        let labels = self.identity.labels.names().iter().map(String::as_str);
        Message::Hello(Hello {
            revision: REVISION,
            firmware: &self.identity.firmware,
            model: &self.identity.model,
            labels: List::first_of(labels),
        })
    }
}

impl<P: Port> Session<'_, P> {
    fn dropped(&self) -> u32 {
        self.health.serial_dropped() as u32
    }

    /// Readies the port for being closed. One that failed is not waited for.
    fn finish(&mut self) -> io::Result<()> {
        let left = self.outbox.left_of(GOODBYE);
        self.port.finish(left.unwrap_or_default())
    }

    /// As [`Session::send`]; a report that did not get through is counted.
    fn report(&mut self, report: Emotion) -> io::Result<bool> {
        let dropped = self.dropped();
        let sent = self.send(&Message::Emotion(Emotion { dropped, ..report }));
        if !matches!(sent, Ok(true)) {
            self.health.count_serial_dropped(1);
        }
        sent
    }

    /// Returns whether the line took the frame. The part of it that went out is no harm: the next
    /// frame starts with a zero.
    fn send(&mut self, message: &Message<'_>) -> io::Result<bool> {
        let mut line = [0; MAX_FRAME];
        let frame = self
            .encoder
            .encode(message, &mut line)
            .map_err(io::Error::other)?;
        let left = self.outbox.left_of(GOODBYE);
        let patience = left.map_or(PATIENCE, |left| left.min(PATIENCE));
        match self.port.send(frame, patience) {
            Ok(()) => {
                self.pace.given(frame.len(), Instant::now());
                self.spoke = true;
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(e) => Err(e),
        }
    }
}
