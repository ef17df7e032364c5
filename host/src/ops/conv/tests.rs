use super::super::element::{Bf16, Element};
use super::super::winograd::Points;
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

/// What tiles in bfloat16 may be off by: they round transformed numbers too.
const TILES: f32 = 1.0 / 128.0;

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
        let tiled = winograd::fits(&geo) && Bf16::tiles_pay(&geo);
        check::<Bf16>(geo, if tiled { TILES } else { 1.0 / 256.0 });
    }
}

#[test]
fn chunks_end_inside_images_and_span_them() {
    for (size, batch) in [(44, 2), (22, 3), (5, 40), (2, 130), (1, 3)] {
        check_formats(ConvGeometry::three_by_three(batch, 3, [size, size], 4));
    }
}

#[test]
fn many_channels_are_cut_into_blocks() {
    for (inputs, outputs, groups) in [(200, 70, 1), (70, 200, 1), (300, 40, 2), (700, 3, 1)] {
        check_formats(ConvGeometry {
            groups,
            ..ConvGeometry::three_by_three(2, inputs, [3, 2], outputs)
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
            kernel: [kernel; 2],
            before: [kernel / 2; 2],
            after: [kernel / 2; 2],
            ..ConvGeometry::three_by_three(batch, inputs, size, outputs)
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
        let geo = ConvGeometry::three_by_three(batch, inputs, size, outputs);
        assert!(winograd::fits(&geo));
        check_formats(geo);
        // where a matrix unit is faster, and on maps that are too small for tiles to pay
        if Bf16::is_fast() {
            check_tiles::<Bf16>(&geo, TILES);
        }
    }
}

/// Winograd's tiles in both directions against the definition, wherever they pay.
fn check_tiles<E: Product>(geo: &ConvGeometry, rounding: f32) {
    let round = |v: Vec<f32>| read(&store::<E>(&v));
    let w = round(values(geo.weight_len(), 2));
    for direction in [Direction::Forward, Direction::Backward] {
        let [depth, columns] = direction.channels(geo);
        let pixels = geo.batch * geo.size[0] * geo.size[1];
        let source = round(values(pixels * depth, 1));
        let mut want = vec![0.0; pixels * columns];
        for_each_product(geo, |yi, xi, wi| match direction {
            Direction::Forward => want[yi] += source[xi] * w[wi],
            Direction::Backward => want[xi] += source[yi] * w[wi],
        });
        let (mut packed, mut got) = (Vec::new(), vec![E::ZERO; want.len()]);
        winograd::pack::<E>(geo, direction, &w, &mut packed);
        let source = store::<E>(&source);
        winograd::pass(geo, direction, &source, &packed, None, &mut got);
        close(&read(&got), &want, rounding, "tiles");
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
