//! Signals: SIGTERM and SIGINT ask for an orderly end, a second one ends at once. SIGHUP reloads, or, where a terminal
//! was closed, asks for the end.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::signal_name;

use crate::control::Control;

/// Exit code of a program that a signal ended, before the signal's number is added.
const BY_SIGNAL: i32 = 128;

/// The thread that answers signals; ends when dropped.
#[derive(Debug)]
pub(super) struct SignalThread {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalThread {
    /// Starts to answer signals; `on_hangup` is called for each SIGHUP, unless this was started at a terminal.
    ///
    /// # Errors
    /// Returns an error when a handler or the thread can't be had.
    pub(super) fn start(
        control: Arc<Control>,
        mut on_hangup: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // Handlers run in the order of their registration: the first signal finds the flag down.
            flag::register_conditional_shutdown(signal, BY_SIGNAL + signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
        }
        // Who closes a terminal, or loses the connection to it, is not to leave a camera behind that watches on. SIGHUP
        // never ends at once, as the kernel and a shell may both send it.
        let at_terminal = io::stdin().is_terminal() || io::stderr().is_terminal();
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let handle = signals.handle();
        let answer = move || {
            for signal in signals.forever() {
                if signal == SIGHUP && !at_terminal {
                    on_hangup();
                } else {
                    tracing::info!("{}: ending", signal_name(signal).unwrap_or("signal"));
                    control.stop();
                }
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned());
        Ok(Self {
            handle,
            thread: Some(thread.spawn(answer)?),
        })
    }
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported where it happened.
            let _ = thread.join();
        }
    }
}
