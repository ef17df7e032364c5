//! Convolutions of random sizes, windows, strides, paddings and zero points against plain loops, with each kind of
//! instructions that this machine has.

mod common;

use common::{Case, Random};
use fer_kernels::{Builder, Bytes, Element, Integers, Isa};

/// FER_KERNEL_CASES runs more.
fn cases() -> u64 {
    let cases = std::env::var("FER_KERNEL_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(60)
}

#[test]
fn integers_equal_the_plain_loops_exactly() {
    for seed in 0..cases() {
        let mut random = Random(seed);
        let case = Case::random(&mut random);
        let (from, to) = (random.byte(), random.byte());
        let relu = random.bits().is_multiple_of(2);
        let count =
            case.outputs * case.input.channels * case.window.kernel.iter().product::<usize>();
        let weights: Vec<i8> = (0..count).map(|_| random.weight()).collect();
        let bias: Vec<i32> = (0..case.outputs)
            .map(|_| random.bits() as i32 % 20_000 - 10_000)
            .collect();
        let scale: Vec<f32> = (0..case.outputs)
            .map(|_| (random.float() + 1.01) / 500.0)
            .collect();
        let len = case.pictures * case.input.len();
        let bytes: Vec<u8> = (0..len).map(|_| random.byte()).collect();
        // as floats whose bytes they are
        let pictures: Vec<f32> = bytes
            .iter()
            .map(|&x| f32::from(x) - f32::from(from))
            .collect();

        let sums =
            case.sums(|x, w| (i32::from(bytes[x]) - i32::from(from)) * i32::from(weights[w]));
        let scaled = |(i, sum): (usize, &i32)| {
            let channel = i % case.outputs;
            (sum + bias[channel]) as f32 * scale[channel]
        };
        let expected_floats: Vec<f32> = sums
            .iter()
            .enumerate()
            .map(scaled)
            .map(|x| if relu { x.max(0.0) } else { x })
            .collect();
        let zero = i32::from(to);
        let low = if relu { 0 } else { -zero };
        let expected_bytes: Vec<f32> = sums
            .iter()
            .enumerate()
            .map(scaled)
            .map(|x| (x.round_ties_even() as i32).clamp(low, 255 - zero) as f32)
            .collect();

        let layer = Integers {
            weights: &weights,
            bias: &bias,
            scale: &scale,
            zero: from,
        };
        let unit = |zero| Bytes { scale: 1.0, zero };
        for isa in Isa::available() {
            for (to, expected) in [
                (Element::Byte(unit(to)), &expected_bytes),
                (Element::Float, &expected_floats),
            ] {
                let mut builder = Builder::new(isa, case.input).unwrap();
                let map = builder.quantize(builder.input(), unit(from)).unwrap();
                let mut map = builder
                    .conv_integers(map, case.window, layer, to, relu)
                    .unwrap();
                if to != Element::Float {
                    map = builder.dequantize(map).unwrap();
                }
                let network = builder.finish(map).unwrap();
                let mut found = vec![f32::NAN; expected.len()];
                let mut workspace = network.workspace();
                network.run(&mut workspace, &pictures, &mut found).unwrap();
                assert_eq!(&found, expected, "seed {seed}, {isa}: {case:?}");
                // fewer faces than before, on what these have left
                for fewer in 0..case.pictures {
                    let mut found = vec![f32::NAN; fewer * network.output().len()];
                    let pictures = &pictures[..fewer * case.input.len()];
                    network.run(&mut workspace, pictures, &mut found).unwrap();
                    assert_eq!(
                        found,
                        expected[..found.len()],
                        "seed {seed}, {isa}: {case:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn floats_equal_the_plain_loops_nearly() {
    for seed in 0..cases() {
        let mut random = Random(seed);
        let case = if seed % 2 == 0 {
            Case::random(&mut random)
        } else {
            Case::tiled(&mut random)
        };
        let relu = random.bits().is_multiple_of(2);
        let depth = case.input.channels * case.window.kernel.iter().product::<usize>();
        let weights: Vec<f32> = (0..case.outputs * depth).map(|_| random.float()).collect();
        let bias: Vec<f32> = (0..case.outputs).map(|_| random.float()).collect();
        let pictures: Vec<f32> = (0..case.pictures * case.input.len())
            .map(|_| random.float())
            .collect();
        let sums = case.sums(|x, w| f64::from(pictures[x]) * f64::from(weights[w]));
        for isa in Isa::available() {
            let mut builder = Builder::new(isa, case.input).unwrap();
            let map = builder
                .conv(builder.input(), case.window, &weights, &bias, relu)
                .unwrap();
            let network = builder.finish(map).unwrap();
            let mut found = vec![f32::NAN; sums.len()];
            let mut workspace = network.workspace();
            network.run(&mut workspace, &pictures, &mut found).unwrap();
            // fewer faces than before, on what these have left
            for fewer in 0..case.pictures {
                let mut again = vec![f32::NAN; fewer * network.output().len()];
                let pictures = &pictures[..fewer * case.input.len()];
                network.run(&mut workspace, pictures, &mut again).unwrap();
                assert_eq!(again, found[..again.len()], "seed {seed}, {isa}: {case:?}");
            }
            for (i, (&found, sum)) in found.iter().zip(&sums).enumerate() {
                let exact = sum + f64::from(bias[i % case.outputs]);
                let exact = if relu { exact.max(0.0) } else { exact };
                let error = (f64::from(found) - exact).abs();
                // products below 1, each rounded to 24 bits
                assert!(
                    error < depth as f64 * 1e-6,
                    "seed {seed}, {isa}, output {i}: {found} instead of {exact}, {case:?}"
                );
            }
        }
    }
}
