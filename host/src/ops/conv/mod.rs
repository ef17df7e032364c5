//! 2-D convolution, forward and backward, as matrix products over gathered rows, channels last.
//!
//! Pixels are worked on in chunks and the kernel in blocks of taps, so that the gathered rows, a panel
//! of the weights and the sums of a chunk stay in the cache. Maps are `[batch, h, w, channels]`,
//! weights are `[out, in / groups, kh, kw]` as in PyTorch.

use std::ops::Range;

use rayon::prelude::*;

use super::depthwise;
use super::element::Element;
use super::gather::{Band, Gather};
use super::product::{Product, odd_lines};
use super::scratch;
use super::wide::wide;
use super::winograd;

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Images in the batch.
    pub batch: usize,
    /// Input channels.
    pub inputs: usize,
    /// Input height and width.
    pub size: [usize; 2],
    /// Output channels.
    pub outputs: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step between windows, the same on both axes.
    pub stride: usize,
    /// Zero pixels above and to the left.
    pub before: [usize; 2],
    /// Zero pixels below and to the right.
    pub after: [usize; 2],
    /// Distance between the pixels that neighbouring taps read.
    pub dilation: usize,
    /// Channel groups; inputs and outputs are divisible by it.
    pub groups: usize,
}

impl ConvGeometry {
    /// Output height and width; 0 where the kernel does not fit.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = self.dilation * self.kernel[axis].saturating_sub(1) + 1;
            (self.size[axis] + self.before[axis] + self.after[axis])
                .checked_sub(reach)
                .map_or(0, |span| span / self.stride + 1)
        })
    }

    pub(super) fn group_inputs(&self) -> usize {
        self.inputs / self.groups
    }

    pub(super) fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Numbers of one input image.
    pub fn image_len(&self) -> usize {
        self.inputs * self.size[0] * self.size[1]
    }

    /// Numbers of one output image.
    pub fn output_len(&self) -> usize {
        let [oh, ow] = self.output_size();
        self.outputs * oh * ow
    }

    /// Numbers of the weights.
    pub fn weight_len(&self) -> usize {
        self.outputs * self.group_inputs() * self.taps()
    }
}

/// Depth of one product: enough taps that sums are seldom stored, few enough that a panel of weights
/// stays in the first-level cache.
const DEPTH: usize = 640;
/// Numbers of the sums of one chunk: 1 MiB.
const SUMS: usize = 1 << 18;
/// Most pixels of a chunk in the forward and input-gradient passes.
const CHUNK: usize = 512;

/// The weights of one convolution in the order that products read them, for one direction.
#[derive(Debug, Default)]
pub struct Packed<P> {
    /// `[group][tap block]`.
    blocks: Vec<P>,
    /// What [`Product::TILED`] packs instead.
    tiled: Vec<f32>,
}

/// Runs of taps whose rows of `channels` numbers are multiplied together.
pub(super) fn tap_blocks(
    taps: usize,
    channels: usize,
    depth: usize,
) -> impl Iterator<Item = Range<usize>> {
    let each = (depth / channels.max(1)).clamp(1, taps.max(1));
    (0..taps)
        .step_by(each)
        .map(move |first| first..(first + each).min(taps))
}

/// Which way the rows flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Inputs to outputs.
    Forward,
    /// Output gradients to input gradients.
    Backward,
}

impl Direction {
    /// Channels of a group that are read and written.
    pub(super) fn channels(self, geo: &ConvGeometry) -> [usize; 2] {
        let [inputs, outputs] = [geo.group_inputs(), geo.group_outputs()];
        match self {
            Self::Forward => [inputs, outputs],
            Self::Backward => [outputs, inputs],
        }
    }

    /// The walk over what each target pixel reads.
    fn gather(self, geo: &ConvGeometry) -> Gather {
        match self {
            Self::Forward => Gather::forward(geo),
            Self::Backward => Gather::backward(geo),
        }
    }
}

fn pack<E: Product>(
    geo: &ConvGeometry,
    direction: Direction,
    weight: &[f32],
    packed: &mut Packed<E::Packed>,
) {
    assert_eq!(weight.len(), geo.weight_len(), "weight length");
    let taps = geo.taps();
    let [inputs, outputs] = [geo.group_inputs(), geo.group_outputs()];
    let [depth, columns] = direction.channels(geo);
    // the distances between neighbouring channels and columns in `weight`
    let [channel, column] = match direction {
        Direction::Forward => [taps, inputs * taps],
        Direction::Backward => [inputs * taps, taps],
    };
    let rows: Vec<Vec<usize>> = (0..geo.groups)
        .flat_map(|group| tap_blocks(taps, depth, DEPTH).map(move |block| (group, block)))
        .map(|(group, block)| {
            let begin = group * outputs * inputs * taps;
            block
                .flat_map(|tap| (0..depth).map(move |c| begin + c * channel + tap))
                .collect()
        })
        .collect();
    packed.blocks.resize_with(rows.len(), E::Packed::default);
    E::pack(weight, &rows, [columns, column], &mut packed.blocks);
}

/// `y = conv(x, weight) + bias`.
///
/// Shapes: `x [batch, h, w, inputs]`, `weight [outputs, inputs / groups, kh, kw]`, `bias [outputs]`,
/// `y [batch, oh, ow, outputs]`, which is overwritten. `packed` is work space kept between calls.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn forward<E: Product>(
    geo: &ConvGeometry,
    x: &[E],
    weight: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Packed<E::Packed>,
    y: &mut [E],
) {
    assert_eq!(x.len(), geo.batch * geo.image_len(), "input length");
    assert_eq!(y.len(), geo.batch * geo.output_len(), "output length");
    run(geo, Direction::Forward, x, weight, bias, packed, y);
}

/// The gradient with respect to the input, `dx [batch, h, w, inputs]`, which is overwritten, from
/// `dy [batch, oh, ow, outputs]`.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn input_gradient<E: Product>(
    geo: &ConvGeometry,
    dy: &[E],
    weight: &[f32],
    packed: &mut Packed<E::Packed>,
    dx: &mut [E],
) {
    assert_eq!(dx.len(), geo.batch * geo.image_len(), "input length");
    assert_eq!(dy.len(), geo.batch * geo.output_len(), "output length");
    run(geo, Direction::Backward, dy, weight, None, packed, dx);
}

/// One pass, by the way that suits the convolution.
fn run<E: Product>(
    geo: &ConvGeometry,
    direction: Direction,
    source: &[E],
    weight: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Packed<E::Packed>,
    target: &mut [E],
) {
    match E::TILED {
        _ if depthwise::fits(geo) => {
            depthwise::walk(&direction.gather(geo), source, weight, bias, target);
        }
        Some(tiled) if winograd::fits(geo) => {
            winograd::pack(geo, direction, weight, &mut packed.tiled);
            (tiled.pass)(geo, direction, source, &packed.tiled, bias, target);
        }
        _ => {
            pack::<E>(geo, direction, weight, packed);
            walk(geo, direction, source, packed, bias, target);
        }
    }
}

/// Gathers, multiplies and stores, chunk by chunk of target pixels.
fn walk<E: Product>(
    geo: &ConvGeometry,
    direction: Direction,
    source: &[E],
    packed: &Packed<E::Packed>,
    bias: Option<&[f32]>,
    target: &mut [E],
) {
    if target.is_empty() {
        return;
    }
    let gather = direction.gather(geo);
    let [depth, columns] = direction.channels(geo);
    let target_channels = columns * geo.groups;
    let pixels = gather.pixels(geo.batch);
    let sums_stride = odd_lines::<f32>(E::padded(columns));
    let share = pixels.div_ceil(rayon::current_num_threads());
    let chunk = (SUMS / sums_stride)
        .clamp(64, CHUNK)
        .min(share.next_multiple_of(32));
    // a chunk of whole images, if it holds any, is worked on in bands
    let image = gather.pixels(1);
    let (run, bands) = if image <= chunk {
        (image, gather.bands())
    } else {
        (chunk, vec![Band::whole(chunk, geo.taps())])
    };
    let chunk = chunk / run * run;
    let blocks: Vec<Range<usize>> = tap_blocks(geo.taps(), depth, DEPTH).collect();
    target
        .par_chunks_mut(chunk * target_channels)
        .enumerate()
        .for_each(|(index, target)| {
            let first = index * chunk;
            let len = target.len() / target_channels;
            let sums_len = E::padded(len) * sums_stride + E::BLOCK;
            scratch::with::<f32, _>(sums_len, |sums| {
                for (group, band) in (0..geo.groups).flat_map(|g| bands.iter().map(move |b| (g, b)))
                {
                    let pieces = || band.pieces(run, len);
                    let rows = pieces().map(|piece| piece.len()).sum();
                    let mut fresh = true;
                    for (at, block) in blocks.iter().enumerate() {
                        let Some(taps) = seen::<E>(&band.taps, block, depth) else {
                            continue;
                        };
                        let used = taps.len() * depth;
                        let stride = E::row_stride(used);
                        scratch::with::<E, _>(E::padded(rows) * stride, |a| {
                            let mut row = 0;
                            for piece in pieces() {
                                gather.fill(
                                    source,
                                    first + piece.start..first + piece.end,
                                    taps.clone(),
                                    [group * depth, depth],
                                    &mut a[row * stride..],
                                    [E::padded(used), stride],
                                );
                                row += piece.len();
                            }
                            let packed = &packed.blocks[group * blocks.len() + at];
                            let begin = (taps.start - block.start) * depth;
                            let packed = (packed, begin..begin + used);
                            E::multiply((a, stride), rows, packed, (sums, sums_stride), fresh);
                            fresh = false;
                        });
                    }
                    let bias = bias.map(|b| &b[group * columns..(group + 1) * columns]);
                    let mut row = 0;
                    for piece in pieces() {
                        let place = group * columns..(group + 1) * columns;
                        let sums = &sums[row * sums_stride..];
                        row += piece.len();
                        let target =
                            &mut target[piece.start * target_channels..piece.end * target_channels];
                        store(sums, sums_stride, bias, place, target_channels, target);
                    }
                }
            });
        });
}

/// The taps of a block that a band sees, if any: some more where a product can't begin at the first.
fn seen<E: Product>(
    seen: &Range<usize>,
    block: &Range<usize>,
    depth: usize,
) -> Option<Range<usize>> {
    let (start, end) = (seen.start.max(block.start), seen.end.min(block.end));
    let begins = ((start - block.start) * depth).is_multiple_of(E::BLOCK);
    (start < end).then_some(if begins { start } else { block.start }..end)
}

wide! {
    /// Rounds the sums of a group, rows `stride` apart, into its channels of the target.
    fn store<'a, E: Element>(
        sums: &'a [f32],
        stride: usize,
        bias: Option<&'a [f32]>,
        place: Range<usize>,
        channels: usize,
        target: &'a mut [E],
    ) {
        for (target, sums) in target.chunks_exact_mut(channels).zip(sums.chunks(stride)) {
            let target = &mut target[place.start..place.end];
            match bias {
                Some(bias) => {
                    for ((t, s), b) in target.iter_mut().zip(sums).zip(bias) {
                        *t = E::from_f32(s + b);
                    }
                }
                None => {
                    for (t, &s) in target.iter_mut().zip(sums) {
                        *t = E::from_f32(s);
                    }
                }
            }
        }
    }

    fn add_rows<'a, E: Element>(rows: &'a [E], sums: &'a mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, v) in sums.iter_mut().zip(row) {
                *sum += v.to_f32();
            }
        }
    }
}

/// The gradient of the bias, `db [outputs]`, which is overwritten: `dy` summed over all pixels.
pub fn bias_gradient<E: Product>(dy: &[E], db: &mut [f32]) {
    let channels = db.len();
    if channels == 0 {
        return;
    }
    let sums: Vec<Vec<f32>> = dy
        .par_chunks(channels * CHUNK)
        .map(|chunk| {
            let mut sums = vec![0.0f32; channels];
            add_rows(chunk, &mut sums);
            sums
        })
        .collect();
    for (channel, db) in db.iter_mut().enumerate() {
        *db = sums.iter().map(|s| f64::from(s[channel])).sum::<f64>() as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::element::{Bf16, Element};
    use super::super::{shifted, weight};
    use super::*;
    use proptest::prelude::*;

    fn values(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state as f32 / u32::MAX as f32) * 2.0 - 1.0
            })
            .collect()
    }

    /// The definition, loop by loop; `visit(y, x, w)` gets the flat indices of each product.
    fn for_each_product(geo: &ConvGeometry, mut visit: impl FnMut(usize, usize, usize)) {
        let [oh, ow] = geo.output_size();
        let [kh, kw] = geo.kernel;
        let (gi, go) = (geo.inputs / geo.groups, geo.outputs / geo.groups);
        for n in 0..geo.batch {
            for o in 0..geo.outputs {
                for (oy, ox) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
                    for i in 0..gi {
                        for (ky, kx) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                            let iy = oy * geo.stride + ky * geo.dilation;
                            let ix = ox * geo.stride + kx * geo.dilation;
                            let (Some(iy), Some(ix)) =
                                (iy.checked_sub(geo.before[0]), ix.checked_sub(geo.before[1]))
                            else {
                                continue;
                            };
                            if iy >= geo.size[0] || ix >= geo.size[1] {
                                continue;
                            }
                            let channel = (o / go) * gi + i;
                            visit(
                                ((n * oh + oy) * ow + ox) * geo.outputs + o,
                                ((n * geo.size[0] + iy) * geo.size[1] + ix) * geo.inputs + channel,
                                ((o * gi + i) * kh + ky) * kw + kx,
                            );
                        }
                    }
                }
            }
        }
    }

    fn close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
        assert_eq!(a.len(), b.len(), "{what}: lengths");
        let scale = b.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * scale,
                "{what}[{i}]: {a} against {b}"
            );
        }
    }

    fn store<E: Element>(values: &[f32]) -> Vec<E> {
        values.iter().map(|&v| E::from_f32(v)).collect()
    }

    fn read<E: Element>(values: &[E]) -> Vec<f32> {
        values.iter().map(|v| v.to_f32()).collect()
    }

    /// Every pass against the definition; what is stored in `E` may differ by its rounding.
    fn check<E: Product>(geo: ConvGeometry, rounding: f32) {
        let round = |v: Vec<f32>| read(&store::<E>(&v));
        let x = round(values(geo.batch * geo.image_len(), 1));
        let w = round(values(geo.weight_len(), 2));
        let b = values(geo.outputs, 3);
        let dy = round(values(geo.batch * geo.output_len(), 4));

        let mut packed = Packed::default();
        let mut y = store::<E>(&vec![f32::NAN; dy.len()]);
        forward(&geo, &store::<E>(&x), &w, Some(&b), &mut packed, &mut y);
        let mut want: Vec<f32> = (0..dy.len()).map(|i| b[i % geo.outputs]).collect();
        for_each_product(&geo, |yi, xi, wi| want[yi] += x[xi] * w[wi]);
        close(&read(&y), &want, rounding, "forward");

        let mut got_dx = store::<E>(&vec![f32::NAN; x.len()]);
        let (mut got_dw, mut got_db) = (vec![f32::NAN; w.len()], vec![f32::NAN; b.len()]);
        let dy_stored = store::<E>(&dy);
        input_gradient(&geo, &dy_stored, &w, &mut packed, &mut got_dx);
        weight::gradient(
            &geo,
            &store::<E>(&x),
            &dy_stored,
            &mut got_dw,
            &mut Vec::new(),
        );
        bias_gradient(&dy_stored, &mut got_db);
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
        for_each_product(&geo, |yi, xi, wi| {
            dx[xi] += dy[yi] * w[wi];
            dw[wi] += dy[yi] * x[xi];
        });
        close(&read(&got_dx), &dx, rounding, "input gradient");
        close(&got_dw, &dw, 1e-4, "weight gradient");
        let mut db = vec![0.0; b.len()];
        for (i, d) in dy.iter().enumerate() {
            db[i % geo.outputs] += d;
        }
        close(&got_db, &db, 1e-4, "bias gradient");
    }

    fn check_formats(geo: ConvGeometry) {
        check::<f32>(geo, 1e-4);
        if Bf16::is_fast() {
            check::<Bf16>(geo, 1.0 / 256.0);
        }
    }

    #[test]
    fn chunks_end_inside_images_and_span_them() {
        for (size, batch) in [(44, 2), (22, 3), (5, 40), (2, 130), (1, 3)] {
            check_formats(ConvGeometry {
                batch,
                inputs: 3,
                size: [size, size],
                outputs: 4,
                kernel: [3, 3],
                stride: 1,
                before: [1; 2],
                after: [1; 2],
                dilation: 1,
                groups: 1,
            });
        }
    }

    #[test]
    fn many_channels_are_cut_into_blocks() {
        for (inputs, outputs, groups) in [(200, 70, 1), (70, 200, 1), (300, 40, 2), (700, 3, 1)] {
            check_formats(ConvGeometry {
                batch: 2,
                inputs,
                size: [3, 2],
                outputs,
                kernel: [3, 3],
                stride: 1,
                before: [1; 2],
                after: [1; 2],
                dilation: 1,
                groups,
            });
        }
    }

    #[test]
    fn depthwise_convolutions_of_many_channels() {
        for (channels, kernel, stride, dilation) in
            [(40, [3, 3], 1, 1), (33, [5, 5], 2, 1), (7, [3, 1], 1, 2)]
        {
            let geo = ConvGeometry {
                batch: 3,
                inputs: channels,
                size: [9, 8],
                outputs: channels,
                kernel,
                stride,
                before: [1, 0],
                after: [2, 1],
                dilation,
                groups: channels,
            };
            assert!(depthwise::fits(&geo));
            check_formats(geo);
        }
    }

    #[test]
    fn weight_gradients_of_maps_that_keep_their_size() {
        for (inputs, outputs, size, kernel, batch) in [
            (16, 5, [9, 13], 3, 2),
            (64, 33, [22, 22], 3, 3),
            (70, 64, [5, 6], 3, 30),
            (32, 8, [11, 12], 5, 1),
            (17, 32, [40, 3], 1, 20),
            (17, 40, [2, 2], 3, 200),
            (33, 5, [1, 9], 5, 3),
        ] {
            let geo = ConvGeometry {
                batch,
                inputs,
                size,
                outputs,
                kernel: [kernel; 2],
                stride: 1,
                before: [kernel / 2; 2],
                after: [kernel / 2; 2],
                dilation: 1,
                groups: 1,
            };
            assert!(shifted::fits(&geo));
            check_formats(geo);
        }
    }

    #[test]
    fn tiles_cover_odd_and_even_maps() {
        for (inputs, outputs, size, batch) in [
            (64, 64, [44, 44], 2),
            (33, 47, [11, 11], 3),
            (32, 96, [5, 6], 40),
            (65, 32, [2, 3], 130),
            (40, 40, [1, 1], 3),
        ] {
            let geo = ConvGeometry {
                batch,
                inputs,
                size,
                outputs,
                kernel: [3, 3],
                stride: 1,
                before: [1; 2],
                after: [1; 2],
                dilation: 1,
                groups: 1,
            };
            assert!(winograd::fits(&geo));
            check_formats(geo);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn agrees_with_the_definition(
            batch in 1usize..5, gi in 1usize..4, go in 1usize..4, groups in 1usize..4,
            h in 1usize..12, w in 1usize..12, kh in 1usize..5, kw in 1usize..5,
            stride in 1usize..4, before in [0usize..3, 0usize..3], after in [0usize..3, 0usize..3],
            dilation in 1usize..4,
        ) {
            let geo = ConvGeometry {
                batch, inputs: gi * groups, size: [h, w], outputs: go * groups,
                kernel: [kh, kw], stride, before, after, dilation, groups,
            };
            prop_assume!(geo.output_size().iter().all(|&s| s > 0));
            check_formats(geo);
        }
    }
}
