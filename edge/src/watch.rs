//! A value that one thread sets and others pick up when it has changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The value; share it by reference or `Arc`.
#[derive(Debug, Default)]
pub struct Watch<T> {
    value: Mutex<T>,
    changes: AtomicU64,
}

impl<T: Copy> Watch<T> {
    /// A first value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self {
            value: value.into(),
            changes: AtomicU64::new(0),
        }
    }

    /// The value as it is.
    #[must_use]
    pub fn get(&self) -> T {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets another value.
    pub fn set(&self, value: T) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The value if it was set since the call that last changed `seen`, which starts at 0.
    ///
    /// As long as nothing changes, this takes no lock.
    pub fn changed(&self, seen: &mut u64) -> Option<T> {
        let changes = self.changes.load(Ordering::Acquire);
        (std::mem::replace(seen, changes) != changes).then(|| self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn each_reader_sees_the_latest_change_once() {
        let watch = Watch::new(1);
        let (mut one, mut other) = (0, 0);
        assert_eq!(watch.changed(&mut one), None);
        watch.set(2);
        watch.set(3);
        assert_eq!(watch.changed(&mut one), Some(3));
        assert_eq!(watch.changed(&mut one), None);
        assert_eq!(watch.changed(&mut other), Some(3));
        assert_eq!(watch.get(), 3);
    }
}
