//! Convolution of 32-bit floats.
//!
//! No rows are gathered: the kernel reads the pixels where they lie, because a window's row is one piece of
//! memory in a channels-last map with its border (see [`crate::map`]). A tile of output pixels × channels stays in registers
//! over the whole depth; weights lie in the order in which they are read.

mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use winograd::Winograd;

use crate::aligned::Aligned;
use crate::isa::Isa;
use crate::map::{Layout, Window};
use crate::pixels::{Pixel, Places};
use crate::prefetch::prefetch;
use lanes::{Lanes, Plain};

/// Vectors of output channels in a tile, at most.
const VECTORS: usize = 4;
/// Pixels in a tile, at most.
const ROWS: usize = 6;

/// A convolution's weights and bias, packed for one kind of instructions.
#[derive(Debug)]
pub(crate) struct Conv {
    pub(crate) window: Window,
    isa: Isa,
    panels: Vec<Panel>,
    weights: Aligned<f32>,
    bias: Aligned<f32>,
    relu: bool,
    /// Numbers in a row of the window.
    segment: usize,
    channels: usize,
}

/// Some of the output channels.
#[derive(Debug, Clone, Copy)]
struct Panel {
    /// The first channel.
    channel: usize,
    /// How many channels.
    count: usize,
    /// Vectors that hold them.
    vectors: usize,
    /// Where its weights start.
    weights: usize,
}

/// Numbers of a vector, and vectors of output channels in a tile.
fn tile_of(isa: Isa) -> (usize, usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => (x86::Avx2::LANES, x86::Avx2::VECTORS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => (x86::Avx512::LANES, x86::Avx512::VECTORS),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon | Isa::NeonDot => (neon::Neon::LANES, neon::Neon::VECTORS),
        _ => (Plain::LANES, Plain::VECTORS),
    }
}

impl Conv {
    /// Packs `weights` `[outputs, inputs, rows, columns]` and `bias` `[outputs]`.
    pub(crate) fn new(
        isa: Isa,
        window: Window,
        inputs: usize,
        weights: &[f32],
        bias: &[f32],
        relu: bool,
    ) -> Self {
        let (lanes, vectors) = tile_of(isa);
        let [rows, columns] = window.kernel;
        let depth = rows * columns * inputs;
        let outputs = bias.len();
        let mut panels = Vec::new();
        let (mut channel, mut start) = (0, 0);
        while channel < outputs {
            let count = (vectors * lanes).min(outputs - channel);
            let vectors = count.div_ceil(lanes);
            panels.push(Panel {
                channel,
                count,
                vectors,
                weights: start,
            });
            channel += count;
            start += depth * vectors * lanes;
        }
        let mut packed = Aligned::zeroed(start);
        for panel in &panels {
            let width = panel.vectors * lanes;
            let panel_weights = &mut packed[panel.weights..][..depth * width];
            for (k, row) in panel_weights.chunks_exact_mut(width).enumerate() {
                // depth runs over rows, columns and input channels, as the map lies in memory
                let (tap, input) = (k / inputs, k % inputs);
                for (i, to) in row[..panel.count].iter_mut().enumerate() {
                    *to = weights[((panel.channel + i) * inputs + input) * rows * columns + tap];
                }
            }
        }
        let mut padded = Aligned::zeroed(outputs.next_multiple_of(lanes));
        padded[..outputs].copy_from_slice(bias);
        Self {
            window,
            isa,
            panels,
            weights: packed,
            bias: padded,
            relu,
            segment: columns * inputs,
            channels: outputs,
        }
    }

    /// Bytes that a run reads of it.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.weights) + size_of_val(&*self.bias)
    }

    /// Computes the outputs of `pictures` pictures.
    pub(crate) fn run(
        &self,
        (places, pictures): (&Places, usize),
        from: &Layout,
        input: &[f32],
        output: &mut [f32],
    ) {
        let row = from.pitch() * from.shape.channels;
        // What the kernels read and write lies within these; checked here, once, since they don't.
        let reach = (self.window.kernel[0] - 1) * row + self.segment;
        assert!(
            places.fit(input.len(), reach, output.len(), self.channels),
            "places of another map"
        );
        self.start(&Job {
            conv: self,
            pixels: &places.pixels[..places.end(pictures)],
            row,
            input: input.as_ptr(),
            output: output.as_mut_ptr(),
        });
    }

    /// A convolution of 1×1 as a product of matrices, whose rows begin at `rows`.
    fn multiply(&self, rows: &[Pixel], input: &[f32], output: &mut [f32]) {
        assert!(
            self.window.kernel == [1, 1]
                && rows.iter().all(|row| {
                    row.input as usize + self.segment <= input.len()
                        && row.output as usize + self.channels <= output.len()
                }),
            "rows of other matrices"
        );
        self.start(&Job {
            conv: self,
            pixels: rows,
            row: 0,
            input: input.as_ptr(),
            output: output.as_mut_ptr(),
        });
    }

    /// The caller has checked that all windows and outputs lie in the job's maps.
    fn start(&self, job: &Job<'_>) {
        #[expect(
            unsafe_code,
            reason = "vector instructions; `fer-edge bench` shows what they are worth"
        )]
        // SAFETY: `Conv` is only made for instructions that `Isa::is_available` found (`Builder::new`),
        // and every pixel's window and output lie in the slices, as both callers have checked.
        unsafe {
            match self.isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 | Isa::AvxVnni => x86::avx2(job),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => x86::avx512(job),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon | Isa::NeonDot => neon::neon(job),
                _ => drive::<Plain>(job),
            }
        }
    }
}

/// One run of one convolution.
struct Job<'a> {
    conv: &'a Conv,
    pixels: &'a [Pixel],
    /// Numbers from row to row of the input.
    row: usize,
    input: *const f32,
    output: *mut f32,
}

/// All panels, and in each all pixels: a panel's weights stay in the cache meanwhile.
///
/// # Safety
/// The instructions of `L` are available; all windows and outputs of the job's pixels lie in its maps.
#[inline(always)]
#[expect(unsafe_code, reason = "see `Conv::run`")]
unsafe fn drive<L: Lanes>(job: &Job<'_>) {
    for panel in &job.conv.panels {
        // SAFETY: as demanded of the caller; `Conv::new` makes no wider panels than `L::VECTORS`.
        unsafe {
            match panel.vectors {
                1 => panel_of::<L, 1>(job, panel),
                2 => panel_of::<L, 2>(job, panel),
                3 => panel_of::<L, 3>(job, panel),
                _ => panel_of::<L, VECTORS>(job, panel),
            }
        }
    }
}

#[inline(always)]
#[expect(unsafe_code, reason = "see `Conv::run`")]
unsafe fn panel_of<L: Lanes, const C: usize>(job: &Job<'_>, panel: &Panel) {
    if C > L::VECTORS {
        return; // never packed; without this line it would be compiled
    }
    let pixels = job.pixels.len();
    let blocks = pixels.div_ceil(ROWS);
    for block in 0..blocks {
        // of nearly equal size
        let (start, end) = (block * pixels / blocks, (block + 1) * pixels / blocks);
        // SAFETY: as demanded of `drive`'s caller.
        unsafe {
            match end - start {
                1 => tile::<L, 1, C>(job, panel, start),
                2 => tile::<L, 2, C>(job, panel, start),
                3 => tile::<L, 3, C>(job, panel, start),
                4 => tile::<L, 4, C>(job, panel, start),
                5 => tile::<L, 5, C>(job, panel, start),
                _ => tile::<L, ROWS, C>(job, panel, start),
            }
        }
    }
}

/// `R` pixels × `C` vectors of channels.
#[inline(always)]
#[expect(unsafe_code, reason = "see `Conv::run`")]
unsafe fn tile<L: Lanes, const R: usize, const C: usize>(
    job: &Job<'_>,
    panel: &Panel,
    start: usize,
) {
    let conv = job.conv;
    // SAFETY: `start + R` pixels exist; their windows lie in the input, as demanded of `drive`'s caller. A panel has
    // `C * LANES` weights for each number of a window and, rounded up to whole vectors, as many biases.
    unsafe {
        let mut w = conv.weights.as_ptr().add(panel.weights);
        let bias: [L::V; C] =
            std::array::from_fn(|c| L::load(conv.bias.as_ptr().add(panel.channel + c * L::LANES)));
        let mut sums = [bias; R];
        for ky in 0..conv.window.kernel[0] {
            let x: [*const f32; R] = std::array::from_fn(|r| {
                let at = job.pixels.get_unchecked(start + r).input as usize;
                job.input.add(at + ky * job.row)
            });
            // A copy that nothing reads in a loop: with link-time optimisation, as in the program to deliver, the loop that
            // stores `sums` at the end is unrolled too late, and would keep them in memory all along.
            let mut row = sums;
            for k in 0..conv.segment {
                let weights: [L::V; C] = std::array::from_fn(|c| L::load(w.add(c * L::LANES)));
                prefetch(w, C * L::LANES * size_of::<f32>());
                w = w.add(C * L::LANES);
                for r in 0..R {
                    let pixel = L::splat(*x[r].add(k));
                    for c in 0..C {
                        row[r][c] = L::mul_add(row[r][c], pixel, weights[c]);
                    }
                }
            }
            sums = row;
        }
        for (r, sums) in sums.iter().enumerate() {
            let at = job.pixels.get_unchecked(start + r).output as usize;
            let to = job.output.add(at + panel.channel);
            for (c, &sum) in sums.iter().enumerate() {
                let value = if conv.relu {
                    // in this order a sum that is no number stays one
                    L::max(L::splat(0.0), sum)
                } else {
                    sum
                };
                let left = panel.count - (c * L::LANES).min(panel.count);
                if left >= L::LANES {
                    L::store(to.add(c * L::LANES), value);
                } else {
                    L::store_first(to.add(c * L::LANES), value, left);
                }
            }
        }
    }
}
