//! A bounded queue between two threads that can drop its oldest item, and hands buffers back.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a full queue does with a new item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The producer waits: nothing is lost.
    Wait,
    /// The oldest item is dropped and counted: the newest matters.
    DropOldest,
}

/// What [`Queue::pop_timeout`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popped<T> {
    /// The oldest item.
    Item(T),
    /// Nothing within the time.
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    spare: Vec<T>,
    dropped: u64,
    closed: bool,
}

/// The queue; share it by reference or `Arc`.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
    when_full: WhenFull,
}

impl<T> Queue<T> {
    /// An empty queue for at most `capacity` items, at least one.
    #[must_use]
    pub fn new(capacity: usize, when_full: WhenFull) -> Self {
        let state = State {
            items: VecDeque::new(),
            spare: Vec::new(),
            dropped: 0,
            closed: false,
        };
        Self {
            state: state.into(),
            changed: Condvar::new(),
            capacity: capacity.max(1),
            when_full,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code under the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item; returns false when the queue is closed.
    pub fn push(&self, item: T) -> bool {
        let mut state = self.lock();
        while state.items.len() >= self.capacity && !state.closed {
            match self.when_full {
                WhenFull::Wait => state = self.wait(state),
                WhenFull::DropOldest => {
                    let oldest = state.items.pop_front();
                    state.spare.extend(oldest);
                    state.dropped += 1;
                }
            }
        }
        if state.closed {
            return false;
        }
        state.items.push_back(item);
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Takes the oldest item, waiting for one at most about `patience`.
    pub fn pop_timeout(&self, patience: Duration) -> Popped<T> {
        let empty = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, empty)
            .unwrap_or_else(PoisonError::into_inner);
        let item = state.items.pop_front();
        let closed = state.closed;
        drop(state);
        match item {
            Some(item) => {
                self.changed.notify_all();
                Popped::Item(item)
            }
            None if closed => Popped::Closed,
            None => Popped::Nothing,
        }
    }

    /// Gives a used item back, so that its buffers are filled again.
    pub fn recycle(&self, item: T) {
        self.lock().spare.push(item);
    }

    /// A used item, if there is one.
    pub fn spare(&self) -> Option<T> {
        self.lock().spare.pop()
    }

    /// Ends the queue from either side: producers stop, consumers get what is left.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Items dropped so far.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_live_queue_keeps_the_newest_and_counts() {
        let queue = Queue::new(2, WhenFull::DropOldest);
        for i in 0..5 {
            assert!(queue.push(i));
        }
        queue.close();
        assert!(!queue.push(9));
        for popped in [Popped::Item(3), Popped::Item(4), Popped::Closed] {
            assert_eq!(queue.pop_timeout(Duration::ZERO), popped);
        }
        assert_eq!(queue.dropped(), 3);
        assert!(queue.spare().is_some());
    }

    #[test]
    fn a_waiting_queue_loses_nothing() {
        let queue = Queue::new(2, WhenFull::Wait);
        let received = thread::scope(|scope| {
            scope.spawn(|| {
                (0..100).for_each(|i| assert!(queue.push(i)));
                queue.close();
            });
            let pop = || match queue.pop_timeout(Duration::MAX) {
                Popped::Item(item) => Some(item),
                Popped::Nothing | Popped::Closed => None,
            };
            std::iter::from_fn(pop).collect::<Vec<_>>()
        });
        assert_eq!(received, (0..100).collect::<Vec<_>>());
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn patience_ends_and_what_is_left_comes_before_the_end() {
        let queue = Queue::new(2, WhenFull::Wait);
        assert_eq!(queue.pop_timeout(Duration::ZERO), Popped::Nothing);
        assert!(queue.push(1));
        queue.close();
        assert_eq!(queue.pop_timeout(Duration::MAX), Popped::Item(1));
        assert_eq!(queue.pop_timeout(Duration::MAX), Popped::Closed);
    }

    #[test]
    fn closing_frees_a_waiting_producer() {
        let queue = Queue::new(1, WhenFull::Wait);
        assert!(queue.push(1));
        thread::scope(|scope| {
            let producer = scope.spawn(|| queue.push(2));
            queue.close();
            assert!(!producer.join().unwrap());
        });
    }
}
