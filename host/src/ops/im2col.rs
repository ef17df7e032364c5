//! Unrolling a convolution's input into columns, chunk by chunk, and the transpose of that.

use super::conv::ConvGeometry;

/// Output pixels a chunk aims at: 576 rows of columns (64 channels, 3×3) then take about 1 MiB.
pub(super) const CHUNK_PIXELS: usize = 480;

/// A run of consecutive output rows, numbered through all images of a task.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    /// First row, counted through all images.
    pub(super) first_row: usize,
    /// Rows.
    pub(super) rows: usize,
}

/// Splits `images` images of `oh` output rows into chunks of about [`CHUNK_PIXELS`] pixels that
/// either lie inside one image or hold whole images.
pub(super) fn chunks(images: usize, oh: usize, ow: usize) -> impl Iterator<Item = Chunk> {
    let plane = oh * ow;
    let rows = if plane <= CHUNK_PIXELS {
        (CHUNK_PIXELS / plane.max(1)).max(1) * oh
    } else {
        // even parts of an image: 44 rows of 44 become four chunks of 11
        let parts = plane.div_ceil(CHUNK_PIXELS);
        oh.div_ceil(parts)
    };
    let inside_image = rows < oh;
    let total = images * oh;
    let mut next = 0;
    std::iter::from_fn(move || {
        (next < total).then(|| {
            let limit = if inside_image {
                (next / oh + 1) * oh
            } else {
                total
            };
            let chunk = Chunk {
                first_row: next,
                rows: rows.min(limit - next),
            };
            next += chunk.rows;
            chunk
        })
    })
}

/// Calls `visit(kernel_row, chunk_row, input_offset_or_none)` for every row segment of the columns
/// of one chunk: the input row that kernel tap reads, or `None` where it lies in the padding.
fn for_each_segment(
    geo: &ConvGeometry,
    group: usize,
    chunk: Chunk,
    mut visit: impl FnMut(usize, usize, usize, Option<usize>),
) {
    let [h, w] = geo.size;
    let [kh, kw] = geo.kernel;
    let [oh, _] = geo.output_size();
    let image = geo.image_len();
    for channel in 0..geo.group_inputs() {
        let plane = (group * geo.group_inputs() + channel) * h * w;
        for ky in 0..kh {
            for row in 0..chunk.rows {
                let at = chunk.first_row + row;
                let iy = ((at % oh) * geo.stride + ky).checked_sub(geo.padding);
                let offset = iy
                    .filter(|&iy| iy < h)
                    .map(|iy| (at / oh) * image + plane + iy * w);
                for kx in 0..kw {
                    visit((channel * kh + ky) * kw + kx, row, kx, offset);
                }
            }
        }
    }
}

/// The output columns `[from, to)` whose kernel tap `kx` reads inside the input row, and the input
/// column that `from` reads.
fn valid_columns(geo: &ConvGeometry, ow: usize, kx: usize) -> (usize, usize, usize) {
    let from = geo.padding.saturating_sub(kx).div_ceil(geo.stride).min(ow);
    let to = (geo.size[1] + geo.padding)
        .checked_sub(kx + 1)
        .map_or(0, |last| last / geo.stride + 1)
        .clamp(from, ow);
    (
        from,
        to,
        (from * geo.stride + kx).saturating_sub(geo.padding),
    )
}

/// Unrolls one chunk: `cols[kernel_row][pixel]`.
pub(super) fn unroll(geo: &ConvGeometry, group: usize, chunk: Chunk, x: &[f32], cols: &mut [f32]) {
    let [_, ow] = geo.output_size();
    let pixels = chunk.rows * ow;
    for_each_segment(geo, group, chunk, |kernel_row, row, kx, offset| {
        let start = kernel_row * pixels + row * ow;
        let target = &mut cols[start..start + ow];
        let Some(offset) = offset else {
            target.fill(0.0);
            return;
        };
        let (from, to, first) = valid_columns(geo, ow, kx);
        target[..from].fill(0.0);
        target[to..].fill(0.0);
        let source = &x[offset + first.min(geo.size[1])..];
        if geo.stride == 1 {
            target[from..to].copy_from_slice(&source[..to - from]);
        } else {
            for (i, value) in target[from..to].iter_mut().enumerate() {
                *value = source[i * geo.stride];
            }
        }
    });
}

/// Adds the columns of one chunk back onto the input gradient: the transpose of [`unroll`].
pub(super) fn roll(geo: &ConvGeometry, group: usize, chunk: Chunk, cols: &[f32], dx: &mut [f32]) {
    let [_, ow] = geo.output_size();
    let pixels = chunk.rows * ow;
    for_each_segment(geo, group, chunk, |kernel_row, row, kx, offset| {
        let Some(offset) = offset else { return };
        let (from, to, first) = valid_columns(geo, ow, kx);
        let start = kernel_row * pixels + row * ow;
        let source = &cols[start + from..start + to];
        let target = &mut dx[offset + first.min(geo.size[1])..];
        if geo.stride == 1 {
            for (t, s) in target[..source.len()].iter_mut().zip(source) {
                *t += s;
            }
        } else {
            for (i, s) in source.iter().enumerate() {
                target[i * geo.stride] += s;
            }
        }
    });
}
