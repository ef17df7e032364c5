//! A shelf of buffers, so that a warm step allocates nothing.

/// Buffers that nobody uses just now.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Vec<Vec<f32>>,
}

impl Buffers {
    /// A buffer of `len` numbers with unspecified contents: the smallest one that is large enough.
    pub(super) fn take(&mut self, len: usize) -> Vec<f32> {
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
        buffer.resize(len, 0.0);
        buffer
    }

    /// Puts a buffer back.
    pub(super) fn give(&mut self, buffer: Vec<f32>) {
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
            shelf.give(vec![0.0; len]);
        }
        let taken = shelf.take(20);
        assert_eq!((taken.len(), taken.capacity()), (20, 50));
        assert_eq!(shelf.free.len(), 2);
    }
}
