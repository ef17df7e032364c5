//! Per-thread work buffers, so that a warm training step allocates none of its own.

use std::cell::RefCell;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `work` a buffer of `len` floats whose contents are unspecified.
///
/// The buffer goes back to this thread's shelf afterwards. Calls nest.
pub fn with<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = work(&mut buffer[..len]);
    BUFFERS.with_borrow_mut(|shelf| shelf.push(buffer));
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn nested_loans_do_not_overlap() {
        super::with(4, |a| {
            a.fill(1.0);
            super::with(4, |b| b.fill(2.0));
            assert_eq!(a, [1.0; 4]);
        });
    }
}
