//! A serial line: reports as frames of `fer-wire`, for a microcontroller or another computer.
//!
//! ```text
//! publish ──► Outbox ──► Worker ──► Port: Tty, or HalPort over embedded-hal
//!            (bounded)   (thread)
//! ```
//!
//! The pipeline never waits: when the line is slow or away, the oldest reports go, are counted, and
//! the count travels with the next report.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use fer_models::Labels;
use fer_wire::{MAX_LABELS, MAX_NAME_BYTES};

use super::{Observation, PublishError, Sink};
use crate::health::Health;
use crate::setting::InvalidSetting;
use outbox::Outbox;
use worker::Worker;

pub mod hal;
mod outbox;
mod pace;
mod report;
mod settings;
pub mod tty;
mod worker;

pub use settings::{Driver, Settings};

/// An open serial port.
pub trait Port: Send {
    /// Hands over all of `bytes`, waiting at most `patience` for the line to take them.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the line is too slow, and part of the bytes may have gone out;
    /// any other error when the port has gone.
    fn send(&mut self, bytes: &[u8], patience: Duration) -> io::Result<()>;

    /// Waits at most `patience` until what was handed over has gone out, and throws the rest away:
    /// closing the port would wait for it.
    ///
    /// # Errors
    /// When it can't wait. Closing may take long then.
    fn finish(&mut self, patience: Duration) -> io::Result<()>;
}

impl<P: Port + ?Sized> Port for Box<P> {
    fn send(&mut self, bytes: &[u8], patience: Duration) -> io::Result<()> {
        (**self).send(bytes, patience)
    }

    fn finish(&mut self, patience: Duration) -> io::Result<()> {
        (**self).finish(patience)
    }
}

/// Who is sending: what a receiver learns from `Hello`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Program and version, such as `fer-edge 0.1.0`.
    pub firmware: String,
    /// The model's name.
    pub model: String,
    /// The model's labels.
    pub labels: Arc<Labels>,
}

impl Identity {
    /// Checks that a frame has room for it.
    ///
    /// # Errors
    /// Names what is too long or too many.
    pub fn check(&self) -> Result<(), SerialError> {
        if self.labels.len() > MAX_LABELS {
            return Err(SerialError::Labels(self.labels.len()));
        }
        let names = [&self.firmware, &self.model].into_iter();
        let mut names = names.chain(self.labels.names());
        match names.find(|name| name.len() > MAX_NAME_BYTES) {
            Some(long) => Err(SerialError::Name(long.clone())),
            None => Ok(()),
        }
    }
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SerialError {
    /// A setting can't be used.
    #[error("serial.{0}")]
    Setting(InvalidSetting),
    /// The model has more labels than a frame holds.
    #[error("serial: the model has {0} labels, and a frame has room for {MAX_LABELS}")]
    Labels(usize),
    /// A name is longer than a frame holds.
    #[error("serial: the name {0:?} is longer than {MAX_NAME_BYTES} bytes")]
    Name(String),
    /// The thread could not be started.
    #[error("serial: starting the thread: {0}")]
    Thread(io::Error),
}

/// The sink. Dropping it sends what waits, if the port is open, and closes the port; what has not gone
/// out after two seconds is lost.
#[derive(Debug)]
pub struct Serial {
    outbox: Arc<Outbox>,
    health: Arc<Health>,
    worker: Option<JoinHandle<()>>,
}

impl Serial {
    /// Starts sending to the port of the settings. A port that is absent is waited for.
    ///
    /// # Errors
    /// When a setting can't be used, or the identity doesn't fit a frame.
    pub fn start(
        settings: &Settings,
        identity: Identity,
        health: Arc<Health>,
    ) -> Result<Self, SerialError> {
        let Some(path) = settings.port.clone() else {
            let expected = "a path such as /dev/serial0";
            let missing = InvalidSetting::new("port", "nothing", expected);
            return Err(SerialError::Setting(missing));
        };
        let (driver, baud) = (settings.driver, settings.baud);
        let name = path.display().to_string();
        let open = move || -> io::Result<Box<dyn Port>> {
            match driver {
                Driver::Tty => Ok(Box::new(tty::Tty::open(&path, baud)?)),
                #[cfg(feature = "rpi")]
                Driver::Rppal => Ok(Box::new(hal::open_rppal(&path, baud)?)),
                #[cfg(not(feature = "rpi"))]
                Driver::Rppal => Err(io::ErrorKind::Unsupported.into()),
            }
        };
        Self::start_on(settings, name, open, identity, health)
    }

    /// Starts sending to whatever `open` opens; it is called again when a port fails. `port_name` is for
    /// the log.
    ///
    /// # Errors
    /// As [`Serial::start`].
    pub fn start_on<P: Port>(
        settings: &Settings,
        port_name: String,
        open: impl FnMut() -> io::Result<P> + Send + 'static,
        identity: Identity,
        health: Arc<Health>,
    ) -> Result<Self, SerialError> {
        settings.validate().map_err(SerialError::Setting)?;
        identity.check()?;
        let outbox = Arc::new(Outbox::new(settings.buffer));
        let worker = Worker {
            open,
            port_name,
            settings: settings.clone(),
            identity,
            health: health.clone(),
            outbox: outbox.clone(),
        };
        let worker = thread::Builder::new()
            .name("serial".to_owned())
            .spawn(|| worker.run())
            .map_err(SerialError::Thread)?;
        Ok(Self {
            outbox,
            health,
            worker: Some(worker),
        })
    }
}

impl Sink for Serial {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        if self
            .outbox
            .push(report::emotion(observation, SystemTime::now()))
        {
            self.health.count_serial_dropped(1);
        }
        Ok(())
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        self.outbox.close();
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!("the serial thread panicked");
        }
    }
}

#[cfg(test)]
mod tests;
