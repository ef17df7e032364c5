//! Memory that starts on a cache line, and lies in large pages where it is large.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

const CACHE_LINE: usize = 64;
const LARGE_PAGE: usize = 2 << 20;

/// Numbers of which every pattern of bits is one, and zero bits are zero.
pub(crate) trait Plain: Copy + 'static {}
impl Plain for f32 {}
impl Plain for i32 {}
impl Plain for u8 {}
impl Plain for i8 {}

/// A slice on the heap whose first element lies on a cache line. Its length never changes.
pub(crate) struct Aligned<T: Plain> {
    start: NonNull<T>,
    len: usize,
    owns: PhantomData<T>,
}

impl<T: Plain> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self::default();
        }
        let layout = Self::layout(len);
        #[expect(unsafe_code, reason = "Vec has no alignment of its own")]
        // SAFETY: the layout isn't empty; what is allocated is checked, and then filled before anybody
        // reads it.
        let start = unsafe {
            let Some(start) = NonNull::new(alloc(layout)) else {
                handle_alloc_error(layout)
            };
            large_pages(start.as_ptr(), layout.size());
            start.as_ptr().write_bytes(0, layout.size());
            start.cast()
        };
        Self {
            start,
            len,
            owns: PhantomData,
        }
    }

    fn layout(len: usize) -> Layout {
        let bytes = len.saturating_mul(size_of::<T>());
        let align = if bytes >= LARGE_PAGE {
            LARGE_PAGE
        } else {
            CACHE_LINE
        };
        Layout::from_size_align(bytes, align).unwrap_or_else(|_| {
            // no machine has that much
            handle_alloc_error(Layout::new::<T>())
        })
    }
}

/// Asks Linux for large pages: a network's weights are read from end to end for each face, and the processor
/// stops reading ahead at the end of each page.
fn large_pages(start: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= LARGE_PAGE {
        #[expect(unsafe_code, reason = "std has no madvise")]
        unsafe extern "C" {
            fn madvise(addr: *mut u8, length: usize, advice: i32) -> i32;
        }
        const MADV_HUGEPAGE: i32 = 14;
        #[expect(unsafe_code, reason = "std has no madvise")]
        // SAFETY: advice about whole pages of memory that was just allocated; it changes no content, and
        // it doesn't matter whether it is followed.
        unsafe {
            madvise(start, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

impl<T: Plain> Default for Aligned<T> {
    fn default() -> Self {
        Self {
            start: NonNull::dangling(),
            len: 0,
            owns: PhantomData,
        }
    }
}

impl<T: Plain> Drop for Aligned<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            #[expect(unsafe_code, reason = "frees what `zeroed` allocated")]
            // SAFETY: allocated by `zeroed` with the same layout.
            unsafe {
                dealloc(self.start.as_ptr().cast(), Self::layout(self.len));
            }
        }
    }
}

impl<T: Plain> Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        #[expect(unsafe_code, reason = "a slice of what this owns")]
        // SAFETY: `len` initialised elements at `start`, or none.
        unsafe {
            std::slice::from_raw_parts(self.start.as_ptr(), self.len)
        }
    }
}

impl<T: Plain> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        #[expect(unsafe_code, reason = "a slice of what this owns")]
        // SAFETY: as in `deref`, and `&mut self` makes it the only access.
        unsafe {
            std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len)
        }
    }
}

#[expect(unsafe_code, reason = "owns its memory as Vec does")]
// SAFETY: it owns plain numbers and shares nothing.
unsafe impl<T: Plain> Send for Aligned<T> {}
#[expect(unsafe_code, reason = "owns its memory as Vec does")]
// SAFETY: `&Aligned` only gives `&[T]`.
unsafe impl<T: Plain> Sync for Aligned<T> {}

impl<T: Plain> std::fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} numbers]", self.len)
    }
}
