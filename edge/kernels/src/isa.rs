//! Which instructions the kernels use.

use std::fmt;

/// A family of instructions. Each has kernels of its own in `float/` and `quant/`.
///
/// Ordered within an architecture: a later one is the faster one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, on any processor.
    Portable,
    /// x86-64: AVX2 and FMA (Haswell, Zen).
    Avx2,
    /// x86-64: AVX2 with the 8-bit dot product of AVX-VNNI (Alder Lake, N100).
    AvxVnni,
    /// x86-64: AVX-512 (Skylake-X); 8-bit products run as with AVX2.
    Avx512,
    /// x86-64: AVX-512 with its 8-bit dot product (Ice Lake, Zen 4).
    Avx512Vnni,
    /// x86-64: as before, and the matrix unit's 8-bit tiles (Sapphire Rapids).
    Amx,
    /// ARM: Advanced SIMD (Cortex-A53, A72).
    Neon,
    /// ARM: Advanced SIMD with the 8-bit dot product of ARMv8.2 (Cortex-A76).
    NeonDot,
}

impl Isa {
    /// What this processor and operating system offer, slowest first; [`Isa::Portable`] always.
    pub fn available() -> Vec<Isa> {
        use Isa::*;
        let all = [
            Portable, Avx2, AvxVnni, Avx512, Avx512Vnni, Amx, Neon, NeonDot,
        ];
        all.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The fastest one here.
    pub fn best() -> Isa {
        Self::available().pop().unwrap_or(Isa::Portable)
    }

    /// Whether this processor and operating system offer it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl");
            let vnni = avx512 && is_x86_feature_detected!("avx512vnni");
            match self {
                Isa::Portable => true,
                Isa::Avx2 => avx2,
                Isa::AvxVnni => avx2 && is_x86_feature_detected!("avxvnni"),
                Isa::Avx512 => avx512,
                Isa::Avx512Vnni => vnni,
                Isa::Amx => vnni && crate::quant::amx::available(),
                Isa::Neon | Isa::NeonDot => false,
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            match self {
                Isa::Portable => true,
                Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
                Isa::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
                _ => false,
            }
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            self == Isa::Portable
        }
    }

    /// What the 32-bit kernels run on.
    pub fn float_name(self) -> &'static str {
        match self {
            Isa::Portable => "plain Rust",
            Isa::Avx2 | Isa::AvxVnni => "AVX2",
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => "AVX-512",
            Isa::Neon | Isa::NeonDot => "NEON",
        }
    }

    /// What the 8-bit kernels run on.
    pub fn int8_name(self) -> &'static str {
        match self {
            Isa::Portable => "plain Rust",
            Isa::Avx2 | Isa::Avx512 => "AVX2",
            Isa::AvxVnni => "AVX-VNNI",
            Isa::Avx512Vnni => "AVX-512 VNNI",
            Isa::Amx => "AMX",
            Isa::Neon => "NEON",
            Isa::NeonDot => "NEON dot product",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Isa::Avx512 => f.write_str("AVX-512"),
            other => f.write_str(other.int8_name()),
        }
    }
}
