//! Products of bfloat16 blocks, by the instructions that this processor has.
//!
//! Intel's matrix unit (`amx`) where there is one, else AVX-512's dot products of pairs (`avx512`: AMD from
//! Zen 4 on, Intel from Cooper Lake on). Both read the same order, so the callers know nothing of it.
//! `benches/train_step.rs` shows what that is worth.
#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        dead_code,
        unreachable_code,
        unused_variables,
        reason = "no other processor has a kind of unit, so none can be made"
    )
)]

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[expect(
    unsafe_code,
    reason = "tiles have no safe interface; `benches/train_step.rs` shows several times the speed of f32"
)]
mod amx;
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "no safe library has these instructions; `benches/train_step.rs` shows two thirds more than the speed of f32"
)]
mod avx512;

use super::element::Bf16;

/// Rows of the left side and columns of the right side that [`Unit::multiply`] takes at once.
pub const BLOCK: usize = 32;
/// Depth of one step: numbers in a row of the left side.
pub const DEPTH: usize = 32;
/// `u32`s of the right side's panel for one step in depth: 16 pairs of rows of 32 columns.
pub const PANEL_STEP: usize = 16 * BLOCK;

/// Whether this processor multiplies bfloat16 and the system lets this process do it.
pub fn available() -> bool {
    kind().is_some()
}

/// Whether products run in a matrix unit, several times as fast as in vectors.
pub fn has_matrix_unit() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    let has = matches!(kind(), Some(Kind::Amx));
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    let has = false;
    has
}

#[derive(Clone, Copy)]
enum Kind {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

#[cfg(target_arch = "x86_64")]
fn kind() -> Option<Kind> {
    use std::sync::OnceLock;
    static KIND: OnceLock<Option<Kind>> = OnceLock::new();
    *KIND.get_or_init(|| {
        #[cfg(target_os = "linux")]
        if amx::request() {
            return Some(Kind::Amx);
        }
        avx512::available().then_some(Kind::Avx512)
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn kind() -> Option<Kind> {
    None
}

/// One product of a block: `c (+)= a · panel`, with sizes that [`Unit::multiply`] has checked.
struct Block<'a> {
    a: &'a [Bf16],
    a_stride: usize,
    panel: &'a [u32],
    steps: usize,
    c: &'a mut [f32],
    c_stride: usize,
    wanted: [usize; 2],
    fresh: bool,
}

/// The right to multiply on this thread: configures AMX's tiles, and frees them when dropped.
pub struct Unit {
    kind: Kind,
    // tiles belong to the thread that configured them
    _here: std::marker::PhantomData<*const ()>,
}

impl Unit {
    /// This thread's unit; `None` where there is none.
    pub fn new() -> Option<Self> {
        let kind = kind()?;
        match kind {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Amx => amx::configure(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {}
        }
        Some(Self {
            kind,
            _here: std::marker::PhantomData,
        })
    }

    /// `c += a · panel` for [`BLOCK`] rows and columns; with `fresh`, `c = a · panel`.
    ///
    /// `a` is row-major with `a_stride` numbers from row to row; `panel` is `steps` × [`PANEL_STEP`], a pair of
    /// rows in each `u32`; `c` is row-major with `c_stride` numbers a row. All 32 rows of `a` are read over
    /// `steps` × [`DEPTH`] numbers. Only the first `wanted` rows and columns of the sums have to be right: narrow
    /// layers leave much of a block empty, and what lies beyond is computed where that costs nothing.
    ///
    /// # Panics
    /// When a slice is too short.
    #[inline]
    pub fn multiply(
        &self,
        (a, a_stride): (&[Bf16], usize),
        panel: &[u32],
        steps: usize,
        (c, c_stride): (&mut [f32], usize),
        wanted: [usize; 2],
        fresh: bool,
    ) {
        assert!(
            a.len() >= (BLOCK - 1) * a_stride + steps * DEPTH,
            "left side too short"
        );
        assert!(panel.len() >= steps * PANEL_STEP, "panel too short");
        assert!(
            c.len() >= (BLOCK - 1) * c_stride + BLOCK && c_stride >= BLOCK && steps > 0,
            "sums too short"
        );
        let block = Block {
            a,
            a_stride,
            panel,
            steps,
            c,
            c_stride,
            wanted,
            fresh,
        };
        match self.kind {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Amx => amx::multiply(block),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512::multiply(block),
        }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        match self.kind {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Kind::Amx => amx::release(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {}
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::element::Element;
    use super::*;

    const WANTED: [[usize; 2]; 5] = [[32, 32], [17, 16], [8, 17], [1, 1], [99, 99]];

    /// Small whole numbers, whose sums are exact in any order.
    fn number(i: usize) -> f32 {
        (i * 7 % 13) as f32 - 6.0
    }

    fn check(multiply: fn(Block), steps: usize, wanted: [usize; 2]) {
        let depth = steps * DEPTH;
        let (a_stride, c_stride) = (depth + 32, BLOCK + 16);
        let a: Vec<Bf16> = (0..BLOCK * a_stride)
            .map(|i| Bf16::from_f32(number(i)))
            .collect();
        let b = |k: usize, column: usize| Bf16::from_f32(number(3 * k + 5 * column));
        let mut panel = vec![0; steps * PANEL_STEP];
        for (at, out) in panel.iter_mut().enumerate() {
            let (pair, column) = (at / BLOCK, at % BLOCK);
            let [first, second] = [0, 1].map(|k| u32::from(b(2 * pair + k, column).to_bits()));
            *out = first | second << 16;
        }
        let mut c = vec![1.0; BLOCK * c_stride];
        for (fresh, before) in [(false, 1.0), (true, 0.0)] {
            multiply(Block {
                a: &a,
                a_stride,
                panel: &panel,
                steps,
                c: &mut c,
                c_stride,
                wanted,
                fresh,
            });
            for (row, c) in c.chunks(c_stride).enumerate().take(wanted[0]) {
                for (column, &got) in c[..wanted[1].min(BLOCK)].iter().enumerate() {
                    let products =
                        (0..depth).map(|k| a[row * a_stride + k].to_f32() * b(k, column).to_f32());
                    assert_eq!(
                        got,
                        before + products.sum::<f32>(),
                        "{row} {column} {fresh}"
                    );
                }
                assert!(c[BLOCK..].iter().all(|&c| c == 1.0), "beside the block");
            }
        }
    }

    #[test]
    fn dot_products_of_pairs_equal_the_definition() {
        if avx512::available() {
            for wanted in WANTED {
                check(avx512::multiply, 1, wanted);
                check(avx512::multiply, 25, wanted);
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn tiles_equal_the_definition() {
        if amx::request() {
            amx::configure();
            for wanted in WANTED {
                check(amx::multiply, 1, wanted);
                check(amx::multiply, 25, wanted);
            }
            amx::release();
        }
    }
}
