//! Products of bfloat16 tiles on Intel's matrix unit (AMX): the one file of instructions.
//!
//! A tile is 16 rows of 64 bytes. `tdpbf16ps` adds to a 16×16 tile of `f32` the product of 16 rows of
//! 32 numbers with 16 pairs of rows of 16 numbers (Intel SDM, volume 1, chapter 18). [`Tiles::multiply`]
//! holds 32×32 sums in four tiles. `benches/train_step.rs` shows what that is worth.

/// Rows of the left side and columns of the right side that [`Tiles::multiply`] takes at once.
pub const BLOCK: usize = 32;
/// Depth of one tile: numbers in a row of the left side.
pub const DEPTH: usize = 32;
/// `u32`s of the right side's panel for one step in depth: 16 pairs of rows of 32 columns, two tiles side
/// by side.
pub const PANEL_STEP: usize = 16 * BLOCK;

/// Whether this processor has bfloat16 tiles and the system lets this process use them.
pub fn available() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        use std::sync::OnceLock;
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(imp::request)
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    false
}

/// The right to use tiles on this thread: sets their shape, and frees the unit when dropped.
pub struct Tiles {
    // tiles belong to the thread that configured them
    _here: std::marker::PhantomData<*const ()>,
}

impl Tiles {
    /// Configures this thread's tiles; `None` where there are none.
    pub fn new() -> Option<Self> {
        if !available() {
            return None;
        }
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        imp::configure();
        Some(Self {
            _here: std::marker::PhantomData,
        })
    }

    /// `c += a · panel` for [`BLOCK`] rows and columns; with `fresh`, `c = a · panel`.
    ///
    /// `a` is row-major with `a_stride` numbers from row to row; `panel` is `steps` ×
    /// [`PANEL_STEP`] in the unit's pair order; `c` is row-major with `c_stride` numbers a row. All
    /// 32 rows of `a` are read over `steps` × [`DEPTH`] numbers.
    ///
    /// # Panics
    /// When a slice is too short.
    #[inline]
    pub fn multiply(
        &self,
        (a, a_stride): (&[super::element::Bf16], usize),
        panel: &[u32],
        steps: usize,
        (c, c_stride): (&mut [f32], usize),
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
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        imp::multiply(a, a_stride, panel, steps, c, c_stride, fresh);
        #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
        {
            let _ = fresh;
            unreachable!("there are no tiles here");
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
impl Drop for Tiles {
    fn drop(&mut self) {
        imp::release();
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[expect(
    unsafe_code,
    reason = "tiles have no safe interface; `benches/train_step.rs` shows several times the speed of f32"
)]
mod imp {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid_count, __get_cpuid_max};

    use super::super::element::Bf16;

    /// Asks the processor for AMX-BF16 and AVX-512, and Linux for leave to use the tiles.
    pub(super) fn request() -> bool {
        // CPUID leaf 7: EDX bit 24 is AMX-TILE, bit 22 AMX-BF16
        if __get_cpuid_max(0).0 < 7 {
            return false;
        }
        let edx = __cpuid_count(7, 0).edx;
        let has = |bit: u32| edx >> bit & 1 == 1;
        if !(has(24) && has(22)) {
            return false;
        }
        const ARCH_PRCTL: i64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const XFEATURE_XTILEDATA: u64 = 18;
        let result: i64;
        // SAFETY: arch_prctl with this request touches no memory of ours; the kernel clobbers rcx
        // and r11 as declared.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") XFEATURE_XTILEDATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    /// Palette 1, eight tiles of 16 rows of 64 bytes.
    pub(super) fn configure() {
        let mut config = [0u8; 64];
        config[0] = 1;
        for tile in 0..8 {
            config[16 + 2 * tile] = 64;
            config[48 + tile] = 16;
        }
        // SAFETY: reads 64 bytes of `config`; `Tiles::new` has checked that there are tiles.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) config.as_ptr(), options(nostack, readonly));
        }
    }

    pub(super) fn release() {
        // SAFETY: a `Tiles` exists, so the instruction does; nobody reads tiles across calls.
        unsafe {
            asm!("tilerelease", options(nostack, nomem));
        }
    }

    #[inline]
    pub(super) fn multiply(
        a: &[Bf16],
        a_stride: usize,
        panel: &[u32],
        steps: usize,
        c: &mut [f32],
        c_stride: usize,
        fresh: bool,
    ) {
        let (a_bytes, c_bytes) = (2 * a_stride, 4 * c_stride);
        let (a, c) = (a.as_ptr().cast::<u8>(), c.as_mut_ptr().cast::<u8>());
        // SAFETY: `Tiles::multiply` has checked that 32 rows of `steps`·64 bytes lie in `a`,
        // `steps`·2 KiB in `panel` and 32 rows of 128 bytes in `c`; `Bf16` is a `u16` in memory. The
        // tiles are configured, and only this function uses them.
        unsafe {
            let (a_low, c_low) = (a.add(16 * a_bytes), c.add(16 * c_bytes));
            if fresh {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    options(nostack, nomem)
                );
            } else {
                asm!(
                    "tileloadd tmm0, [{c} + {s}]",
                    "tileloadd tmm1, [{c} + {s} + 64]",
                    "tileloadd tmm2, [{d} + {s}]",
                    "tileloadd tmm3, [{d} + {s} + 64]",
                    c = in(reg) c, d = in(reg) c_low, s = in(reg) c_bytes,
                    options(nostack, readonly)
                );
            }
            asm!(
                ".p2align 4",
                "2:",
                "tileloadd tmm6, [{b} + {bs}]",
                "tileloadd tmm4, [{a} + {s}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {bs} + 64]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{d} + {s}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 64",
                "add {d}, 64",
                "add {b}, 2048",
                "dec {n}",
                "jnz 2b",
                a = inout(reg) a => _,
                d = inout(reg) a_low => _,
                b = inout(reg) panel.as_ptr() => _,
                n = inout(reg) steps => _,
                s = in(reg) a_bytes,
                bs = in(reg) 128usize,
                options(nostack, readonly)
            );
            asm!(
                "tilestored [{c} + {s}], tmm0",
                "tilestored [{c} + {s} + 64], tmm1",
                "tilestored [{d} + {s}], tmm2",
                "tilestored [{d} + {s} + 64], tmm3",
                c = in(reg) c, d = in(reg) c_low, s = in(reg) c_bytes,
                options(nostack)
            );
        }
    }
}
