//! 2-D convolution, forward and backward, as matrix products over unrolled columns (im2col).
//!
//! Rows of the output are worked on in chunks of a few hundred pixels, so that the unrolled columns
//! stay in the cache; on small maps a chunk spans several images, so that the product stays large
//! (Chellapilla et al., 2006, blocked). Layout is `NCHW`, weights are `[out, in / groups, kh, kw]`.

use rayon::prelude::*;

use super::im2col::{CHUNK_PIXELS, Chunk, chunks, roll, unroll};
use super::matmul::{Mat, matmul};
use super::scratch;

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
    /// Zero pixels added on every side.
    pub padding: usize,
    /// Channel groups; inputs and outputs are divisible by it.
    pub groups: usize,
}

impl ConvGeometry {
    /// Output height and width; 0 where the kernel does not fit.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.size[axis] + 2 * self.padding)
                .checked_sub(self.kernel[axis])
                .map_or(0, |span| span / self.stride + 1)
        })
    }

    pub(super) fn group_inputs(&self) -> usize {
        self.inputs / self.groups
    }

    pub(super) fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    /// Rows of the unrolled column matrix of one group.
    pub(super) fn column_rows(&self) -> usize {
        self.group_inputs() * self.kernel[0] * self.kernel[1]
    }

    /// Floats of one input image.
    pub fn image_len(&self) -> usize {
        self.inputs * self.size[0] * self.size[1]
    }

    /// Floats of one output image.
    pub fn output_len(&self) -> usize {
        let [oh, ow] = self.output_size();
        self.outputs * oh * ow
    }

    /// Floats of the weights.
    pub fn weight_len(&self) -> usize {
        self.outputs * self.column_rows()
    }
}

/// Where the output rows of a chunk lie: inside one image they are one block for each channel;
/// across images they are gathered or scattered through a temporary.
struct OutputBlock {
    inside_image: bool,
    /// Offset of the chunk's first pixel in channel 0 of its (first) image.
    offset: usize,
    first_image: usize,
    images: usize,
    plane: usize,
}

impl OutputBlock {
    fn new(geo: &ConvGeometry, group: usize, chunk: Chunk) -> Self {
        let [oh, ow] = geo.output_size();
        let plane = oh * ow;
        let first_image = chunk.first_row / oh;
        Self {
            inside_image: chunk.rows <= oh,
            offset: first_image * geo.output_len()
                + group * geo.group_outputs() * plane
                + (chunk.first_row % oh) * ow,
            first_image,
            images: chunk.rows / oh,
            plane,
        }
    }

    /// Visits `(offset in the outputs, offset in the block)` of every plane of a block of images.
    fn for_each_plane(
        &self,
        geo: &ConvGeometry,
        group: usize,
        mut visit: impl FnMut(usize, usize),
    ) {
        let pixels = self.images * self.plane;
        for channel in 0..geo.group_outputs() {
            for image in 0..self.images {
                let outer = (self.first_image + image) * geo.output_len()
                    + (group * geo.group_outputs() + channel) * self.plane;
                visit(outer, channel * pixels + image * self.plane);
            }
        }
    }
}

/// `y = conv(x, weight) + bias`.
///
/// Shapes: `x [batch, inputs, h, w]`, `weight [outputs, inputs / groups, kh, kw]`, `bias [outputs]`,
/// `y [batch, outputs, oh, ow]`, which is overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn forward(geo: &ConvGeometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    assert_eq!(x.len(), geo.batch * geo.image_len(), "input length");
    assert_eq!(y.len(), geo.batch * geo.output_len(), "output length");
    assert_eq!(weight.len(), geo.weight_len(), "weight length");
    if x.is_empty() || y.is_empty() {
        return;
    }
    let [oh, ow] = geo.output_size();
    // enough images a task for a full chunk, few enough that idle threads find work
    let tasks = (geo.batch * oh * ow)
        .div_ceil(CHUNK_PIXELS)
        .clamp(1, geo.batch);
    let images = geo.batch.div_ceil(tasks).max(1);
    y.par_chunks_mut(images * geo.output_len())
        .zip(x.par_chunks(images * geo.image_len()))
        .for_each(|(y, x)| forward_task(geo, x, weight, bias, y));
}

fn forward_task(
    geo: &ConvGeometry,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let [oh, ow] = geo.output_size();
    let (rows, outs) = (geo.column_rows(), geo.group_outputs());
    for chunk in chunks(x.len() / geo.image_len(), oh, ow) {
        let pixels = chunk.rows * ow;
        for group in 0..geo.groups {
            let kernel = Mat::new(&weight[group * outs * rows..], outs, rows, rows);
            let block = OutputBlock::new(geo, group, chunk);
            scratch::with(rows * pixels, |cols| {
                unroll(geo, group, chunk, x, cols);
                let cols = Mat::new(cols, rows, pixels, pixels);
                if block.inside_image {
                    matmul(&mut y[block.offset..], block.plane, kernel, cols, false);
                } else {
                    scratch::with(outs * pixels, |product| {
                        matmul(product, pixels, kernel, cols, false);
                        block.for_each_plane(geo, group, |outer, inner| {
                            y[outer..outer + block.plane]
                                .copy_from_slice(&product[inner..inner + block.plane]);
                        });
                    });
                }
            });
        }
    }
    if let Some(bias) = bias {
        for (plane, values) in y.chunks_exact_mut(oh * ow).enumerate() {
            let b = bias[plane % geo.outputs];
            values.iter_mut().for_each(|v| *v += b);
        }
    }
}

/// Where the gradients of one convolution go; all are overwritten.
pub struct ConvGradients<'a> {
    /// `[batch, inputs, h, w]`; `None` where nobody needs it, as at the first layer.
    pub input: Option<&'a mut [f32]>,
    /// `[outputs, inputs / groups, kh, kw]`.
    pub weight: &'a mut [f32],
    /// `[outputs]`, where there is a bias.
    pub bias: Option<&'a mut [f32]>,
}

/// Gradients with respect to the input, the weights and the bias, from `dy [batch, outputs, oh, ow]`.
///
/// The batch is split statically over the threads and the parts of the weight gradient are added in
/// order, so a given thread count always gives the same bits. `partials` is work space that is kept
/// between calls.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn backward(
    geo: &ConvGeometry,
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    grads: ConvGradients<'_>,
    partials: &mut Vec<Vec<f32>>,
) {
    assert_eq!(x.len(), geo.batch * geo.image_len(), "input length");
    assert_eq!(dy.len(), geo.batch * geo.output_len(), "output length");
    assert_eq!(weight.len(), geo.weight_len(), "weight length");
    assert_eq!(grads.weight.len(), geo.weight_len(), "weight gradient");
    if let Some(db) = grads.bias {
        bias_gradient(geo, dy, db);
    }
    let threads = rayon::current_num_threads();
    let images = geo.batch.div_ceil(threads).max(1);
    partials.resize_with(threads.max(partials.len()), Vec::new);
    for part in partials.iter_mut().take(threads) {
        if part.len() < geo.weight_len() {
            part.resize(geo.weight_len(), 0.0);
        }
        part[..geo.weight_len()].fill(0.0);
    }
    let work = x
        .par_chunks(images * geo.image_len())
        .zip(dy.par_chunks(images * geo.output_len()))
        .zip(partials.par_iter_mut());
    match grads.input {
        Some(dx) => {
            assert_eq!(dx.len(), x.len(), "input gradient");
            work.zip(dx.par_chunks_mut(images * geo.image_len()))
                .for_each(|(((x, dy), dw), dx)| {
                    dx.fill(0.0);
                    backward_task(geo, x, weight, dy, dw, Some(dx));
                });
        }
        None => {
            work.for_each(|((x, dy), dw)| backward_task(geo, x, weight, dy, dw, None));
        }
    }
    let parts = &partials[..threads];
    grads
        .weight
        .par_iter_mut()
        .with_min_len(4096)
        .enumerate()
        .for_each(|(i, w)| *w = parts.iter().map(|part| part[i]).sum());
}

fn bias_gradient(geo: &ConvGeometry, dy: &[f32], db: &mut [f32]) {
    let [oh, ow] = geo.output_size();
    let plane = oh * ow;
    db.par_iter_mut().enumerate().for_each(|(channel, db)| {
        *db = dy
            .chunks_exact(geo.output_len())
            .map(|image| super::lanes::sum(&image[channel * plane..(channel + 1) * plane], |v| v))
            .sum();
    });
}

fn backward_task(
    geo: &ConvGeometry,
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    mut dx: Option<&mut [f32]>,
) {
    let [oh, ow] = geo.output_size();
    let (rows, outs) = (geo.column_rows(), geo.group_outputs());
    for chunk in chunks(x.len() / geo.image_len(), oh, ow) {
        let pixels = chunk.rows * ow;
        for group in 0..geo.groups {
            let kernel = Mat::new(&weight[group * outs * rows..], outs, rows, rows);
            let block = OutputBlock::new(geo, group, chunk);
            let gathered_len = if block.inside_image { 0 } else { outs * pixels };
            scratch::with(gathered_len, |gathered| {
                let dy = if block.inside_image {
                    Mat::new(&dy[block.offset..], outs, pixels, block.plane)
                } else {
                    block.for_each_plane(geo, group, |outer, inner| {
                        gathered[inner..inner + block.plane]
                            .copy_from_slice(&dy[outer..outer + block.plane]);
                    });
                    Mat::new(gathered, outs, pixels, pixels)
                };
                scratch::with(rows * pixels, |cols| {
                    unroll(geo, group, chunk, x, cols);
                    let columns = Mat::new(cols, rows, pixels, pixels);
                    let dw = &mut dw[group * outs * rows..];
                    matmul(dw, rows, dy, columns.t(), true);
                    if let Some(dx) = dx.as_deref_mut() {
                        matmul(cols, pixels, kernel.t(), dy, false);
                        roll(geo, group, chunk, cols, dx);
                    }
                });
            });
        }
    }
}

#[cfg(test)]
mod tests {
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
                            let iy = oy * geo.stride + ky;
                            let ix = ox * geo.stride + kx;
                            let (Some(iy), Some(ix)) =
                                (iy.checked_sub(geo.padding), ix.checked_sub(geo.padding))
                            else {
                                continue;
                            };
                            if iy >= geo.size[0] || ix >= geo.size[1] {
                                continue;
                            }
                            let channel = (o / go) * gi + i;
                            visit(
                                ((n * geo.outputs + o) * oh + oy) * ow + ox,
                                ((n * geo.inputs + channel) * geo.size[0] + iy) * geo.size[1] + ix,
                                ((o * gi + i) * kh + ky) * kw + kx,
                            );
                        }
                    }
                }
            }
        }
    }

    fn close(a: &[f32], b: &[f32], what: &str) {
        assert_eq!(a.len(), b.len(), "{what}: lengths");
        let scale = b.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!(
                (a - b).abs() <= 1e-4 * scale,
                "{what}[{i}]: {a} against {b}"
            );
        }
    }

    fn check(geo: ConvGeometry) {
        let x = values(geo.batch * geo.image_len(), 1);
        let w = values(geo.weight_len(), 2);
        let b = values(geo.outputs, 3);
        let dy = values(geo.batch * geo.output_len(), 4);
        let plane = geo.output_size()[0] * geo.output_size()[1];

        let mut y = vec![f32::NAN; dy.len()];
        forward(&geo, &x, &w, Some(&b), &mut y);
        let mut want: Vec<f32> = (0..dy.len())
            .map(|i| b[(i / plane) % geo.outputs])
            .collect();
        for_each_product(&geo, |yi, xi, wi| want[yi] += x[xi] * w[wi]);
        close(&y, &want, "forward");

        let (mut got_dx, mut got_dw) = (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
        let mut got_db = vec![f32::NAN; b.len()];
        let grads = ConvGradients {
            input: Some(&mut got_dx),
            weight: &mut got_dw,
            bias: Some(&mut got_db),
        };
        backward(&geo, &x, &w, &dy, grads, &mut Vec::new());
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
        for_each_product(&geo, |yi, xi, wi| {
            dx[xi] += dy[yi] * w[wi];
            dw[wi] += dy[yi] * x[xi];
        });
        close(&got_dx, &dx, "input gradient");
        close(&got_dw, &dw, "weight gradient");
        let mut db = vec![0.0; b.len()];
        for (i, plane) in dy.chunks(plane).enumerate() {
            db[i % geo.outputs] += plane.iter().sum::<f32>();
        }
        close(&got_db, &db, "bias gradient");
    }

    #[test]
    fn large_maps_are_cut_inside_an_image_and_small_maps_across_images() {
        for (size, batch) in [(44, 2), (22, 3), (5, 40), (2, 130), (1, 3)] {
            check(ConvGeometry {
                batch,
                inputs: 3,
                size: [size, size],
                outputs: 4,
                kernel: [3, 3],
                stride: 1,
                padding: 1,
                groups: 1,
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn agrees_with_the_definition(
            batch in 1usize..5, gi in 1usize..4, go in 1usize..4, groups in 1usize..4,
            h in 1usize..12, w in 1usize..12, kh in 1usize..5, kw in 1usize..5,
            stride in 1usize..4, padding in 0usize..3,
        ) {
            let geo = ConvGeometry {
                batch, inputs: gi * groups, size: [h, w], outputs: go * groups,
                kernel: [kh, kw], stride, padding, groups,
            };
            prop_assume!(geo.output_size().iter().all(|&s| s > 0));
            check(geo);
        }
    }
}
