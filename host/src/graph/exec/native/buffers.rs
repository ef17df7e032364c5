//! A shelf of buffers, so that a warm step allocates no map and no gradient of one.

use crate::ops::scratch::Shelf;

/// Buffers that nobody uses just now.
#[derive(Debug)]
pub(super) struct Buffers<E> {
    free: Vec<Vec<E>>,
}

impl<E> Default for Buffers<E> {
    fn default() -> Self {
        Self { free: Vec::new() }
    }
}

impl<E: Shelf> Buffers<E> {
    /// A buffer of `len` numbers with unspecified contents: the smallest one that is large enough.
    pub(super) fn take(&mut self, len: usize) -> Vec<E> {
        let best = self
            .free
            .iter()
            .enumerate()
            .filter(|(_, b)| b.capacity() >= len)
            .min_by_key(|(_, b)| b.capacity())
            .map(|(i, _)| i);
        let mut buffer = match best {
            Some(i) => self.free.swap_remove(i),
            None => Vec::with_capacity(len),
        };
        buffer.resize(len, E::ZERO);
        buffer
    }

    /// A buffer of `len` numbers that `turn` fills from `old`, which is put back.
    pub(super) fn exchange(
        &mut self,
        old: Vec<E>,
        len: usize,
        turn: impl FnOnce(&[E], &mut [E]),
    ) -> Vec<E> {
        let mut new = self.take(len);
        turn(&old, &mut new);
        self.give(old);
        new
    }

    /// Puts a buffer back.
    pub(super) fn give(&mut self, buffer: Vec<E>) {
        if buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Buffers;

    #[test]
    fn the_best_fit_is_reused() {
        let mut shelf = Buffers::default();
        for len in [100, 10, 50] {
            shelf.give(vec![0.0f32; len]);
        }
        let taken = shelf.take(20);
        assert_eq!((taken.len(), taken.capacity()), (20, 50));
        assert_eq!(shelf.free.len(), 2);
    }
}
