//! Convolution of 8-bit integers.
//!
//! Unsigned pixels times signed weights, summed in 32 bits, exactly; then bias, scale and rounding as ONNX's
//! `QLinearConv` has them, so that a number is the same on every processor, and the same as ONNX Runtime's. As in
//! [`crate::float`], nothing is gathered.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
mod dot;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod rescale;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::aligned::Aligned;
use crate::isa::Isa;
use crate::map::{Layout, Window};
use crate::pixels::Places;
use dot::Plain;
use pack::{Format, Panel};
pub(crate) use rescale::Limits;

/// What a convolution of integers makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Output {
    /// 8-bit integers within limits.
    Bytes(Limits),
    /// Floats, with negative ones cut off or not.
    Floats { relu: bool },
}

/// The slice that a convolution of integers writes.
pub(crate) enum Target<'a> {
    Bytes(&'a mut [u8]),
    Floats(&'a mut [f32]),
}

/// A convolution's weights and bias, packed for one kind of instructions.
#[derive(Debug)]
pub(crate) struct Conv {
    pub(crate) window: Window,
    isa: Isa,
    format: Format,
    panels: Vec<Panel>,
    weights: Aligned<i8>,
    /// The file's bias, less what the zero points add to each sum.
    bias: Aligned<i32>,
    scale: Aligned<f32>,
    output: Output,
    /// Bytes in a row of the window.
    segment: usize,
    channels: usize,
}

/// How a layer of integers is described in the file.
#[derive(Debug, Clone, Copy)]
pub struct Integers<'a> {
    /// `[outputs, inputs, rows, columns]`; their zero point is 0.
    pub weights: &'a [i8],
    /// `[outputs]`, in units of input scale × weight scale.
    pub bias: &'a [i32],
    /// `[outputs]`: what a sum is multiplied with.
    pub scale: &'a [f32],
    /// The input's zero point.
    pub zero: u8,
}

impl Conv {
    pub(crate) fn new(
        isa: Isa,
        window: Window,
        inputs: usize,
        layer: Integers<'_>,
        output: Output,
    ) -> Self {
        let format = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 => Format::of::<x86::Avx2>(),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => Format::of::<x86::AvxVnni>(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Format::of::<x86::Avx512Vnni>(),
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => amx::FORMAT,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Format::of::<neon::Neon>(),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => Format::of::<neon::NeonDot>(),
            _ => Format::of::<Plain>(),
        };
        let outputs = layer.bias.len();
        let (panels, weights) = format.pack(&window, inputs, outputs, layer.weights);
        let padded = outputs.next_multiple_of(format.width());
        let (mut bias, mut scale) = (Aligned::zeroed(padded), Aligned::zeroed(padded));
        let taps = window.kernel[0] * window.kernel[1] * inputs;
        let zero = i32::from(layer.zero) - format.offset;
        for (channel, weights) in layer.weights.chunks_exact(taps).enumerate() {
            let sum: i32 = weights.iter().map(|&w| i32::from(w)).sum();
            bias[channel] = layer.bias[channel].wrapping_sub(zero * sum);
        }
        scale[..outputs].copy_from_slice(layer.scale);
        Self {
            window,
            isa,
            format,
            panels,
            weights,
            bias,
            scale,
            output,
            segment: window.kernel[1] * inputs,
            channels: outputs,
        }
    }

    /// Bytes that a run reads of it.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.len() + size_of_val(&*self.bias) + size_of_val(&*self.scale)
    }

    /// Numbers that kernels may read beyond the last window, without using them.
    pub(crate) fn slack(&self, inputs: usize) -> usize {
        self.format.depth + self.format.tile * self.window.stride[1] * inputs
    }

    /// Where the outputs lie for `pictures` pictures.
    pub(crate) fn places(&self, from: &Layout, to: &Layout, pictures: usize) -> Places {
        if self.format.tile > 1 {
            Places::tiles(&self.window, from, to, pictures)
        } else {
            Places::pixels(&self.window, from, to, pictures)
        }
    }

    /// Computes the outputs of `pictures` pictures.
    pub(crate) fn run(
        &self,
        (places, pictures): (&Places, usize),
        from: &Layout,
        input: &[u8],
        output: Target<'_>,
    ) {
        let row = from.pitch() * from.shape.channels;
        let step = self.window.stride[1] * from.shape.channels;
        // What the kernels read and write lies within these; checked here, once, since they don't.
        let reach = (self.window.kernel[0] - 1) * row
            + self.segment.next_multiple_of(self.format.depth)
            + (self.format.tile - 1) * step;
        let (len, to) = match (self.output, output) {
            (Output::Bytes(limits), Target::Bytes(to)) => {
                let (len, to) = (to.len(), to.as_mut_ptr());
                (len, To::Bytes { limits, to })
            }
            (Output::Floats { relu }, Target::Floats(to)) => {
                let (len, to) = (to.len(), to.as_mut_ptr());
                (len, To::Floats { relu, to })
            }
            _ => unreachable!("`Builder` gives a layer's map the element that the layer makes"),
        };
        assert!(
            places.fit(input.len(), reach, len, self.channels),
            "places of another map"
        );
        let end = places.end(pictures);
        let job = Job {
            conv: self,
            row,
            input: input.as_ptr(),
            to,
        };
        #[expect(
            unsafe_code,
            reason = "vector instructions; `fer-edge bench` shows what they are worth"
        )]
        // SAFETY: `Conv` is only made for instructions that `Isa::is_available` found (`Builder::new`),
        // and every window and output lies in the slices, as checked above.
        unsafe {
            match self.isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Amx => amx::run(&job, &places.tiles[..end], step),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 | Isa::Avx512 => x86::avx2(&job, &places.pixels[..end]),
                #[cfg(target_arch = "x86_64")]
                Isa::AvxVnni => x86::avx_vnni(&job, &places.pixels[..end]),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512Vnni => x86::avx512_vnni(&job, &places.pixels[..end]),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => neon::neon(&job, &places.pixels[..end]),
                #[cfg(target_arch = "aarch64")]
                Isa::NeonDot => neon::neon_dot(&job, &places.pixels[..end]),
                _ => tile::drive::<Plain>(&job, &places.pixels[..end]),
            }
        }
    }
}

/// One run of one convolution.
struct Job<'a> {
    conv: &'a Conv,
    /// Bytes from row to row of the input.
    row: usize,
    input: *const u8,
    to: To,
}

/// What a run makes of its sums, and the first number of the map that it writes.
enum To {
    Bytes { limits: Limits, to: *mut u8 },
    Floats { relu: bool, to: *mut f32 },
}
