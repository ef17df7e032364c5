//! Observations on their way to any number of readers, none of which can hold up the others.
//!
//! The hub is a ring of the last events, reused, so that publishing allocates nothing once warm and takes
//! the same short time whoever reads. A reader keeps its own place; one that has fallen behind by a whole
//! ring is dropped, because what it would see next is old anyway.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::publish::{Observation, PublishError, Sink};

/// Events that a reader may be behind: four seconds of a camera at 30 frames a second.
pub const BACKLOG: usize = 128;

/// Everything of the hub.
#[derive(Debug)]
struct State {
    /// The events of the numbers `next - BACKLOG .. next`, each at its number modulo the length.
    ring: Vec<Vec<u8>>,
    next: u64,
    readers: usize,
    last: Option<Instant>,
    closed: bool,
}

/// Where events are published and read; share it by `Arc`.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

impl Hub {
    /// An empty hub for at most this many readers.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let state = State {
            ring: vec![Vec::new(); BACKLOG],
            next: 0,
            readers: 0,
            last: None,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something was seen, and whether anybody wants to know.
    fn wanted(&self) -> bool {
        let mut state = self.lock();
        state.last = Some(Instant::now());
        state.readers > 0
    }

    /// Hands an event to every reader.
    pub fn publish(&self, event: &[u8]) {
        let mut state = self.lock();
        let slot = (state.next % BACKLOG as u64) as usize;
        state.ring[slot].clear();
        state.ring[slot].extend_from_slice(event);
        state.next += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Time since the last observation; `None` before the first.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.lock().last.map(|last| last.elapsed())
    }

    /// Ends all readers.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Reads what is published from now on; `None` when there are too many readers.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.lock();
        if state.readers >= self.most {
            return None;
        }
        state.readers += 1;
        Some(Reader {
            hub: Arc::clone(self),
            position: state.next,
        })
    }
}

/// What waiting for events brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// One or more events.
    Events,
    /// Nothing until the deadline.
    Nothing,
    /// More than [`BACKLOG`] events were missed.
    Behind,
    /// The hub was closed.
    Closed,
}

/// One reader's place; dropping it ends the subscription.
#[derive(Debug)]
pub struct Reader {
    hub: Arc<Hub>,
    position: u64,
}

impl Reader {
    /// Appends all events that are there to `out`, waiting for one until the deadline.
    pub fn receive(&mut self, out: &mut Vec<u8>, deadline: Instant) -> Received {
        let mut state = self.hub.lock();
        loop {
            if state.closed {
                return Received::Closed;
            }
            if state.next - self.position > BACKLOG as u64 {
                return Received::Behind;
            }
            if self.position < state.next {
                for number in self.position..state.next {
                    out.extend_from_slice(&state.ring[(number % BACKLOG as u64) as usize]);
                }
                self.position = state.next;
                return Received::Events;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Received::Nothing;
            };
            let waited = self.hub.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.hub.lock().readers -= 1;
    }
}

/// The sink of the pipeline: never waits, never fails.
#[derive(Debug)]
pub struct EventSink {
    hub: Arc<Hub>,
    event: Vec<u8>,
}

impl EventSink {
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            event: Vec::new(),
        }
    }
}

impl Sink for EventSink {
    fn publish(&mut self, observation: &Observation) -> Result<(), PublishError> {
        if self.hub.wanted() {
            self.event.clear();
            self.event.extend_from_slice(b"data: ");
            serde_json::to_writer(&mut self.event, observation)
                .map_err(|e| PublishError::Encode(e.to_string()))?;
            self.event.extend_from_slice(b"\n\n");
            self.hub.publish(&self.event);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn receive(reader: &mut Reader) -> (Received, String) {
        let mut out = Vec::new();
        let received = reader.receive(&mut out, Instant::now());
        (received, String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_reader_gets_what_came_after_it() {
        let hub = Arc::new(Hub::new(2));
        let mut early = hub.subscribe().unwrap();
        hub.publish(b"a");
        let mut late = hub.subscribe().unwrap();
        hub.publish(b"b");
        assert_eq!(receive(&mut early), (Received::Events, "ab".to_owned()));
        assert_eq!(receive(&mut late), (Received::Events, "b".to_owned()));
        assert_eq!(receive(&mut late), (Received::Nothing, String::new()));
    }

    #[test]
    fn who_falls_behind_is_dropped_and_nobody_else() {
        let hub = Arc::new(Hub::new(2));
        let (mut slow, mut edge) = (hub.subscribe().unwrap(), hub.subscribe().unwrap());
        hub.publish(b"x");
        receive(&mut edge);
        (0..BACKLOG).for_each(|_| hub.publish(b"y"));
        assert_eq!(receive(&mut slow).0, Received::Behind);
        assert_eq!(receive(&mut edge), (Received::Events, "y".repeat(BACKLOG)));
    }

    #[test]
    fn closing_wakes_a_waiting_reader() {
        let hub = Arc::new(Hub::new(2));
        let mut reader = hub.subscribe().unwrap();
        let waits = thread::spawn(move || {
            let far = Instant::now() + Duration::from_secs(600);
            reader.receive(&mut Vec::new(), far)
        });
        hub.close();
        assert_eq!(waits.join().unwrap(), Received::Closed);
    }

    #[test]
    fn nothing_is_written_while_nobody_reads_and_readers_are_counted() {
        let hub = Arc::new(Hub::new(2));
        assert!(!hub.wanted() && hub.idle().is_some());
        let readers = [hub.subscribe(), hub.subscribe()];
        assert!(hub.wanted() && hub.subscribe().is_none());
        drop(readers);
        assert!(!hub.wanted() && hub.subscribe().is_some());
    }
}
