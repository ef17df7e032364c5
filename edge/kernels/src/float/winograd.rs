//! Convolution of 3×3 windows by Winograd's tiles F(2×2, 3×3) (Lavin and Gray, 2016): four outputs cost 16 products
//! instead of 36, and some additions before and after.
//!
//! Tiles of 4×4 input pixels are transformed, so that each of their 16 places has a matrix `[tiles, inputs]`; each is multiplied
//! with its own `[inputs, outputs]`, which is a convolution of 1×1; the products are transformed back into 2×2 output pixels.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "calls what is compiled for vector instructions; `fer-edge bench` shows what they are worth"
    )
)]

use super::Conv;
use crate::isa::Isa;
use crate::map::{Layout, Shape, Window};
use crate::pixels::Pixel;

/// Places of a tile.
const PLACES: usize = 16;
/// Fewest pixels of the output: below, fetching the weights, which are 16/9 as many, takes longer than is saved.
const PIXELS: usize = 64;
/// Fewest channels on either side: below, the transforms cost what is saved (the example `vgg19`, full and half). With AVX2
/// on a Zen 4, that example changed to layers of one width had 35 to 41 G/s this way and 57 directly at 64 channels, 62 at 128.
const CHANNELS: usize = if cfg!(target_arch = "x86_64") {
    128
} else {
    32
};
/// Numbers of the transformed tiles and products that lie in the cache at once: 1 MiB.
const NUMBERS: usize = 1 << 18;
/// Fewest tiles that are multiplied at once, so that weights aren't fetched too often.
const TILES: usize = 36;

/// A convolution's weights, transformed and packed, and its bias.
#[derive(Debug)]
pub(crate) struct Winograd {
    pub(crate) window: Window,
    isa: Isa,
    products: Vec<Conv>,
    bias: Vec<f32>,
    relu: bool,
    /// A pixel of the input that is not there.
    zeros: Vec<f32>,
    /// Where the rows of the products' matrices lie.
    rows: Vec<Pixel>,
}

impl Winograd {
    /// Whether this way is open and pays.
    pub(crate) fn fits(window: &Window, inputs: usize, output: Shape) -> bool {
        window.kernel == [3, 3]
            && window.stride == [1, 1]
            && output.height * output.width >= PIXELS
            && inputs.min(output.channels) >= CHANNELS
    }

    /// Transforms and packs `weights` `[outputs, inputs, 3, 3]` and takes `bias` `[outputs]`.
    pub(crate) fn new(
        isa: Isa,
        window: Window,
        inputs: usize,
        weights: &[f32],
        bias: &[f32],
        relu: bool,
    ) -> Self {
        let outputs = bias.len();
        let mut transformed = vec![vec![0.0; outputs * inputs]; PLACES];
        for (at, kernel) in weights.as_chunks::<9>().0.iter().enumerate() {
            for (place, &weight) in transformed.iter_mut().zip(&transform_weights(kernel)) {
                place[at] = weight;
            }
        }
        let point = Window {
            kernel: [1, 1],
            stride: [1, 1],
            pads: [0; 4],
        };
        let none = vec![0.0; outputs];
        let tiles = (NUMBERS / (PLACES * (inputs + outputs))).max(TILES);
        Self {
            window,
            isa,
            products: transformed
                .iter()
                .map(|weights| Conv::new(isa, point, inputs, weights, &none, false))
                .collect(),
            bias: bias.to_vec(),
            relu,
            zeros: vec![0.0; inputs],
            rows: (0..tiles)
                .map(|tile| Pixel {
                    input: (tile * inputs) as u32,
                    output: (tile * outputs) as u32,
                })
                .collect(),
        }
    }

    /// Bytes that a run reads of it.
    pub(crate) fn bytes(&self) -> usize {
        let products: usize = self.products.iter().map(Conv::bytes).sum();
        products + size_of_val(&*self.bias)
    }

    /// Numbers that a run needs room for.
    pub(crate) fn scratch(&self) -> usize {
        PLACES * self.rows.len() * (self.zeros.len() + self.bias.len())
    }

    /// Computes the outputs of `pictures` pictures.
    pub(crate) fn run(
        &self,
        pictures: usize,
        from: (&Layout, &[f32]),
        to: (&Layout, &mut [f32]),
        scratch: &mut [f32],
    ) {
        let job = Job {
            conv: self,
            pictures,
            from,
            to,
            scratch,
        };
        match self.isa {
            // SAFETY: made only for instructions that `Isa::is_available` found (`Builder::new`).
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => unsafe { avx512(job) },
            _ => blocks::<4>(job),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(job: Job<'_>) {
    blocks::<8>(job);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
fn avx512(job: Job<'_>) {
    blocks::<16>(job);
}

/// One run.
struct Job<'a> {
    conv: &'a Winograd,
    pictures: usize,
    from: (&'a Layout, &'a [f32]),
    to: (&'a Layout, &'a mut [f32]),
    scratch: &'a mut [f32],
}

/// The first output pixel of a tile.
#[derive(Clone, Copy)]
struct Tile {
    picture: usize,
    y: usize,
    x: usize,
}

/// As many tiles as lie in the cache, then the next; `W` channels at a time in the transforms.
#[inline(always)]
fn blocks<const W: usize>(job: Job<'_>) {
    let Job {
        conv,
        pictures,
        from,
        to: (to, output),
        scratch,
    } = job;
    let (inputs, outputs, most) = (conv.zeros.len(), conv.bias.len(), conv.rows.len());
    let Shape { height, width, .. } = to.shape;
    let across = width.div_ceil(2);
    let of_picture = height.div_ceil(2) * across;
    let tile = |at: usize| Tile {
        picture: at / of_picture,
        y: at % of_picture / across * 2,
        x: at % across * 2,
    };
    let (tiles, products) = scratch.split_at_mut(PLACES * most * inputs);
    let count = pictures * of_picture;
    for first in (0..count).step_by(most) {
        let here = most.min(count - first);
        for at in 0..here {
            let tile = tile(first + at);
            let into = (&mut tiles[at * inputs..], most * inputs);
            read_tile::<W>(&conv.window, from, tile, &conv.zeros, into);
        }
        let places = tiles
            .chunks_exact(most * inputs)
            .zip(products.chunks_exact_mut(most * outputs));
        for (product, (tiles, products)) in conv.products.iter().zip(places) {
            product.multiply(&conv.rows[..here], tiles, products);
        }
        for at in 0..here {
            let tile = tile(first + at);
            let sums = (&products[at * outputs..], most * outputs);
            write_tile::<W>(conv, sums, tile, to, output);
        }
    }
}

/// `n` numbers that begin at `at`, the rest zeros.
#[inline(always)]
fn take<const W: usize>(from: &[f32], at: usize, n: usize) -> [f32; W] {
    let mut all = [0.0; W];
    if n >= W {
        all.copy_from_slice(&from[at..at + W]);
    } else {
        all[..n].copy_from_slice(&from[at..at + n]);
    }
    all
}

/// Puts the first `n` numbers at `at`.
#[inline(always)]
fn put<const W: usize>(to: &mut [f32], at: usize, n: usize, all: [f32; W]) {
    if n >= W {
        to[at..at + W].copy_from_slice(&all);
    } else {
        to[at..at + n].copy_from_slice(&all[..n]);
    }
}

#[inline(always)]
fn plus<const W: usize>(a: [f32; W], b: [f32; W]) -> [f32; W] {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline(always)]
fn minus<const W: usize>(a: [f32; W], b: [f32; W]) -> [f32; W] {
    std::array::from_fn(|i| a[i] - b[i])
}

/// `Bᵀ d B` of a tile's 4×4 pixels, whose places lie `stride` numbers apart in `into`.
#[inline(always)]
fn read_tile<const W: usize>(
    window: &Window,
    (from, input): (&Layout, &[f32]),
    tile: Tile,
    zeros: &[f32],
    (into, stride): (&mut [f32], usize),
) {
    let inputs = zeros.len();
    let [top, left, bottom, right] = window.pads;
    let [bottom, right] = [from.shape.height + bottom, from.shape.width + right];
    // what lies beyond the padding counts only for outputs that are not there
    let pixels: [[&[f32]; 4]; 4] = std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let y = (tile.y + row) as isize - top as isize;
            let x = (tile.x + column) as isize - left as isize;
            let inside = y < bottom as isize && x < right as isize;
            if inside {
                &input[from.at(tile.picture, y, x)..][..inputs]
            } else {
                zeros
            }
        })
    });
    for channel in (0..inputs).step_by(W) {
        let n = inputs - channel;
        let columns: [[[f32; W]; 4]; 4] = std::array::from_fn(|column| {
            let d: [[f32; W]; 4] = std::array::from_fn(|row| take(pixels[row][column], channel, n));
            transform_tile(d)
        });
        let rows: [[[f32; W]; 4]; 4] = std::array::from_fn(|row| {
            transform_tile(std::array::from_fn(|column| columns[column][row]))
        });
        for (place, v) in rows.into_iter().flatten().enumerate() {
            put(into, place * stride + channel, n, v);
        }
    }
}

/// `Bᵀ d` of one column.
#[inline(always)]
fn transform_tile<const W: usize>(d: [[f32; W]; 4]) -> [[f32; W]; 4] {
    [
        minus(d[0], d[2]),
        plus(d[1], d[2]),
        minus(d[2], d[1]),
        minus(d[1], d[3]),
    ]
}

/// `Aᵀ m A` of a tile's 16 products, which lie `stride` numbers apart, bias and ReLU, into the 2×2 pixels that there are.
#[inline(always)]
fn write_tile<const W: usize>(
    conv: &Winograd,
    (sums, stride): (&[f32], usize),
    tile: Tile,
    to: &Layout,
    output: &mut [f32],
) {
    let outputs = conv.bias.len();
    let rows = 2.min(to.shape.height - tile.y);
    let columns = 2.min(to.shape.width - tile.x);
    for channel in (0..outputs).step_by(W) {
        let n = outputs - channel;
        let bias = take::<W>(&conv.bias, channel, n);
        let across: [[[f32; W]; 2]; 4] = std::array::from_fn(|row| {
            transform_sums(std::array::from_fn(|column| {
                take::<W>(sums, (4 * row + column) * stride + channel, n)
            }))
        });
        let both: [[[f32; W]; 2]; 2] = std::array::from_fn(|column| {
            transform_sums(std::array::from_fn(|row| across[row][column]))
        });
        for (column, down) in both.into_iter().enumerate().take(columns) {
            for (row, sum) in down.into_iter().enumerate().take(rows) {
                let mut sum = plus(sum, bias);
                if conv.relu {
                    // in this order a sum that is no number stays one
                    sum = sum.map(|x| if x < 0.0 { 0.0 } else { x });
                }
                let (y, x) = (tile.y + row, tile.x + column);
                let at = to.at(tile.picture, y as isize, x as isize);
                put(output, at + channel, n, sum);
            }
        }
    }
}

/// `Aᵀ m` of one row or column.
#[inline(always)]
fn transform_sums<const W: usize>(m: [[f32; W]; 4]) -> [[f32; W]; 2] {
    [plus(plus(m[0], m[1]), m[2]), minus(minus(m[1], m[2]), m[3])]
}

/// `G g Gᵀ` of a 3×3 kernel.
fn transform_weights(kernel: &[f32; 9]) -> [f32; PLACES] {
    let side = |g: [f32; 3]| {
        let (even, odd) = (g[0] + g[2], g[1]);
        [g[0], (even + odd) / 2.0, (even - odd) / 2.0, g[2]]
    };
    let columns: [[f32; 4]; 3] =
        std::array::from_fn(|x| side([kernel[x], kernel[3 + x], kernel[6 + x]]));
    let mut places = [0.0; PLACES];
    for (y, row) in places.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *row = side([columns[0][y], columns[1][y], columns[2][y]]);
    }
    places
}
