//! The open connections: how many there may be, and how all of them end.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Open {
    streams: HashMap<u64, Arc<TcpStream>>,
    next: u64,
    closed: bool,
}

/// The open connections of one server.
#[derive(Debug)]
pub(super) struct Connections {
    open: Mutex<Open>,
    ended: Condvar,
    most: usize,
}

impl Connections {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            open: Mutex::default(),
            ended: Condvar::new(),
            most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // No code under the lock can leave the state half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection.
    ///
    /// # Errors
    /// Gives the connection back when all places are taken.
    pub(super) fn admit(self: &Arc<Self>, stream: TcpStream) -> Result<Place, TcpStream> {
        let mut open = self.lock();
        if open.closed || open.streams.len() >= self.most {
            return Err(stream);
        }
        let number = open.next;
        open.next += 1;
        let stream = Arc::new(stream);
        open.streams.insert(number, Arc::clone(&stream));
        Ok(Place {
            all: Arc::clone(self),
            number,
            stream,
        })
    }

    /// Cuts every connection and waits until their threads have let go of them.
    pub(super) fn close(&self) {
        let mut open = self.lock();
        open.closed = true;
        for stream in open.streams.values() {
            // A connection that is gone already needs no end.
            let _: io::Result<()> = stream.shutdown(Shutdown::Both);
        }
        while !open.streams.is_empty() {
            open = self
                .ended
                .wait(open)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A connection's place; dropping it frees the place and closes the connection.
#[derive(Debug)]
pub(super) struct Place {
    all: Arc<Connections>,
    number: u64,
    stream: Arc<TcpStream>,
}

impl Place {
    /// The connection.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The connection for somebody who may outlive the place.
    pub(super) fn shared(&self) -> Arc<TcpStream> {
        Arc::clone(&self.stream)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.lock().streams.remove(&self.number);
        self.all.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn places_are_bounded_and_free_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Arc::new(Connections::new(1));
        let (_first, stream) = connected(&listener);
        let place = all.admit(stream).unwrap();
        let (_second, stream) = connected(&listener);
        let stream = all.admit(stream).unwrap_err();
        drop(place);
        assert!(all.admit(stream).is_ok());
    }

    #[test]
    fn closing_wakes_a_thread_that_reads_and_waits_for_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = Arc::new(Connections::new(1));
        let (_client, stream) = connected(&listener);
        let place = all.admit(stream).unwrap();
        let reads = thread::spawn(move || place.stream().read(&mut [0]));
        all.close();
        assert_eq!(reads.join().unwrap().unwrap(), 0);
        let (_client, stream) = connected(&listener);
        assert!(all.admit(stream).is_err());
    }
}
