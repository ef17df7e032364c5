//! A line that can fall silent without closing, as when a cable is pulled.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Forwards connections to a server.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    silent: Arc<(Mutex<bool>, Condvar)>,
}

impl Relay {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let silent = Arc::new((Mutex::new(false), Condvar::new()));
        let gate = Arc::clone(&silent);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else {
                    return;
                };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let gates = [Arc::clone(&gate), Arc::clone(&gate)];
                let [there, back] = gates;
                thread::spawn(move || forward(from, to, &there));
                thread::spawn(move || forward(server, client, &back));
            }
        });
        Self { address, silent }
    }

    /// Holds everything back, or lets it through again.
    pub(crate) fn silence(&self, silent: bool) {
        *self.silent.0.lock().unwrap() = silent;
        self.silent.1.notify_all();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, gate: &(Mutex<bool>, Condvar)) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let held = gate.0.lock().unwrap();
        drop(gate.1.wait_while(held, |silent| *silent).unwrap());
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
    // Who has gone already needs no end.
    let _ = to.shutdown(std::net::Shutdown::Write);
}
