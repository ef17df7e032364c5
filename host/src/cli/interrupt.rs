//! Ctrl-C and SIGTERM: the first saves what is trained and ends, a second one ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of a program that a signal ended, before the signal's number is added.
const BY_SIGNAL: u8 = 128;

/// The end of a run that a signal asked for.
#[derive(Debug, thiserror::Error)]
#[error("interrupted, and saved: {go_on} goes on from here")]
pub(super) struct Interrupted {
    signal: u8,
    go_on: String,
}

impl Interrupted {
    /// How the process ends.
    pub(super) fn code(&self) -> u8 {
        BY_SIGNAL + self.signal
    }
}

/// Knows whether a signal has asked for the end.
pub(super) struct Interrupt {
    /// The signal's number; 0 where there was none.
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From here on the first signal only asks.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub(super) fn listen() -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // handlers run in the order of their registration: the first signal finds `asked` down
            flag::register_conditional_shutdown(
                number,
                i32::from(BY_SIGNAL) + number,
                Arc::clone(&asked),
            )
            .and_then(|_| flag::register(number, Arc::clone(&asked)))
            .and_then(|_| flag::register_usize(number, Arc::clone(&signal), number as usize))
            .context("cannot listen for signals")?;
        }
        Ok(Self { signal })
    }

    /// Whether to go on.
    pub(super) fn is_quiet(&self) -> bool {
        self.signal.load(Ordering::Relaxed) == 0
    }

    /// Ends here if a signal has asked for it; `go_on` is the command to continue with.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub(super) fn check(&self, go_on: &str) -> Result<()> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Interrupted {
                signal: signal as u8,
                go_on: go_on.to_owned(),
            }
            .into()),
        }
    }
}
