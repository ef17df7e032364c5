//! Per-thread work buffers, so that a warm training step allocates none of its own.

use std::cell::RefCell;
use std::thread::LocalKey;

use super::element::Bf16;

/// A type that has a shelf of buffers in every thread.
pub trait Shelf: Copy + Send + Sync + 'static {
    /// What a new buffer is filled with.
    const ZERO: Self;

    /// This thread's shelf.
    fn shelf() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>>;
}

macro_rules! shelf {
    ($type:ty, $zero:expr) => {
        impl Shelf for $type {
            const ZERO: Self = $zero;

            fn shelf() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>> {
                thread_local! {
                    static SHELF: RefCell<Vec<Vec<$type>>> = const { RefCell::new(Vec::new()) };
                }
                &SHELF
            }
        }
    };
}

shelf!(f32, 0.0);
shelf!(u32, 0);
shelf!(Bf16, Bf16::POSITIVE_ZERO);

/// Bytes of a cache line: buffers start at one, so that vectors and tile rows never straddle two.
pub const LINE: usize = 64;

/// Lends `work` a buffer of `len` elements at the start of a cache line, contents unspecified.
///
/// The buffer goes back to this thread's shelf afterwards. Calls nest.
pub fn with<T: Shelf, R>(len: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    let mut buffer = T::shelf().with_borrow_mut(Vec::pop).unwrap_or_default();
    let spare = LINE / size_of::<T>();
    if buffer.len() < len + spare {
        buffer.resize(len + spare, T::ZERO);
    }
    let start = buffer.as_ptr().align_offset(LINE).min(spare);
    let result = work(&mut buffer[start..start + len]);
    T::shelf().with_borrow_mut(|shelf| shelf.push(buffer));
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn nested_loans_do_not_overlap() {
        super::with::<f32, _>(4, |a| {
            a.fill(1.0);
            super::with::<f32, _>(4, |b| b.fill(2.0));
            assert_eq!(a, [1.0; 4]);
        });
    }

    #[test]
    fn a_loan_starts_at_a_cache_line() {
        for len in [1, 100, 5000] {
            super::with::<u32, _>(len, |a| {
                assert_eq!(a.as_ptr().addr() % super::LINE, 0);
                assert_eq!(a.len(), len);
            });
        }
    }
}
