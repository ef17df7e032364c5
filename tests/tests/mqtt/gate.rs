//! The way from the publisher to the broker, which a test can close: a broker that has come back
//! must not hear the publisher before the test's own ears are there.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Gate {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    open: bool,
    /// The publisher's ends of the connections so far.
    connections: Vec<TcpStream>,
}

impl Gate {
    /// A closed gate to a broker's port.
    pub(crate) fn new(broker: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            open: false,
            connections: Vec::new(),
        }));
        let gate = Self {
            port,
            state: Arc::clone(&state),
        };
        thread::spawn(move || {
            for inner in listener.incoming().flatten() {
                // Under the lock: closing waits for a connection that is being made.
                let mut state = state.lock().unwrap();
                if !state.open {
                    continue;
                }
                if let Ok(outer) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)) {
                    state.connections.push(inner.try_clone().unwrap());
                    pass_on(&inner, &outer);
                }
            }
        });
        gate
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().open = true;
    }

    /// Lets nobody in any more and ends the connections that are there, without a goodbye.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.open = false;
        for connection in state.connections.drain(..) {
            // Fails where the broker has ended it already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Copies both ways until one side ends.
fn pass_on(one: &TcpStream, other: &TcpStream) {
    for (from, to) in [(one, other), (other, one)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}
