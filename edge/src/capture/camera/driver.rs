//! What the state machine needs of a kind of camera.

use std::io;
use std::time::Duration;

use super::super::Frame;

/// A kind of camera. Opening starts from scratch each time: new file descriptors, a new child, a new
/// connection; nothing of an earlier attempt is trusted.
pub trait Driver: Send {
    /// Opens the camera. Dropping the feed closes it and gives everything back.
    ///
    /// # Errors
    /// Returns why there is no camera at the moment.
    fn open(&mut self) -> Result<Box<dyn Feed>, Fault>;
}

/// An open camera.
pub trait Feed: Send {
    /// Waits at most about `wait` for the newest picture and puts its size and pixels into `frame`.
    ///
    /// # Errors
    /// Returns an error when this feed will bring no more: it has to be opened again.
    fn next(&mut self, frame: &mut Frame, wait: Duration) -> Result<Got, Fault>;
}

/// What a feed brought within the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// The frame was filled.
    Picture,
    /// There was a picture, but it can't be used; the text says why.
    Bad(String),
    /// Nothing yet.
    Nothing,
}

/// Why a camera can't be opened or has gone.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system refused something.
    #[error("{what}: {error}")]
    Io {
        /// The device, program or host.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// A child or a connection ended.
    #[error("{what} ended{words}")]
    Ended {
        /// The program or host.
        what: String,
        /// Its exit status and last words, with their punctuation; may be empty.
        words: String,
    },
    /// It is there, but not what is needed; the text says what was found and what was expected.
    #[error("{0}")]
    Unfit(String),
}

impl Fault {
    pub(super) fn io(what: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self::Io {
            what: what.into(),
            error: error.into(),
        }
    }
}
