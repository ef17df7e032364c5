//! A VGG19 for faces with random weights: time of a face, and the two floors below it.
//!
//! ```sh
//! cargo run -p fer-kernels --example vgg19 -- [half] [int8] [ISA] [runs=N] [faces=N]
//! ```
//!
//! The floors: reading all weights once from where they lie after the run before (the last cache, or memory), and all
//! multiplications at the rate that the same kernel has on maps and weights in the nearest cache.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fer_kernels::{Builder, Bytes, Element, Error, Integers, Isa, Map, Network, Shape, Window};

const INPUT: Shape = Shape {
    height: 44,
    width: 44,
    channels: 3,
};

fn main() -> Result<(), Error> {
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| flags.iter().any(|flag| flag.as_str() == name);
    let number = |name: &str, default: usize| {
        let value = flags
            .iter()
            .find_map(|flag| flag.strip_prefix(name)?.strip_prefix('='));
        value
            .and_then(|value| value.parse::<usize>().ok())
            .filter(|&n| n > 0)
            .unwrap_or(default)
    };
    let (runs, faces) = (number("runs", 60), number("faces", 1));
    let isas = Isa::available();
    let named = isas
        .iter()
        .copied()
        .filter(|isa| flag(&format!("{isa:?}").to_lowercase()));
    let named: Vec<Isa> = named.collect();
    let int8 = flag("int8");
    let divisor = if flag("half") { 2 } else { 1 };
    let widths = "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M";
    for isa in if named.is_empty() {
        vec![Isa::best()]
    } else {
        named
    } {
        let network = network(isa, INPUT, widths, divisor, int8, 7)?;
        let time = best(&network, runs, faces)? / faces as u32;
        // few weights, so that only multiplications count
        let small = Shape {
            height: 15,
            width: 15,
            channels: 64,
        };
        let kernel = self::network(isa, small, "64 64 64 64 64 64", 1, int8, 64)?;
        let layer = best(&kernel, 300, 1)?;
        let rate = kernel.multiply_adds() as f64 / layer.as_secs_f64();
        let compute = network.multiply_adds() as f64 / rate;
        let bandwidth = read_rate(network.weight_bytes());
        let memory = network.weight_bytes() as f64 / bandwidth / faces as f64;
        let ms = |seconds: f64| seconds * 1e3;
        let name = if int8 {
            isa.int8_name()
        } else {
            isa.float_name()
        };
        println!(
            "{} {name}: {:.2} ms a face; floors: {:.2} ms for {:.1} MB of weights at {:.1} GB/s, {:.2} ms for {:.0} M \
             multiply-adds at {:.0} G/s",
            if int8 { "int8" } else { "f32" },
            ms(time.as_secs_f64()),
            ms(memory),
            network.weight_bytes() as f64 / 1e6,
            bandwidth / 1e9,
            ms(compute),
            network.multiply_adds() as f64 / 1e6,
            rate / 1e9,
        );
    }
    Ok(())
}

/// The fastest of `runs` runs.
fn best(network: &Network, runs: usize, faces: usize) -> Result<Duration, Error> {
    let pictures: Vec<f32> = (0..faces * network.input().len())
        .map(|i| (i % 251) as f32 / 251.0)
        .collect();
    let mut scores = vec![0.0; faces * network.output().len()];
    let mut workspace = network.workspace();
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        network.run(&mut workspace, &pictures, &mut scores)?;
        best = best.min(start.elapsed());
    }
    black_box(&scores);
    Ok(best)
}

/// Bytes a second of reading `len` bytes again and again.
fn read_rate(len: usize) -> f64 {
    let numbers: Vec<u64> = (0..(len / 8).max(1) as u64).collect();
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        // 32 sums, so that none waits for the last addition
        let mut sums = [0u64; 32];
        for chunk in numbers.as_chunks::<32>().0 {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum ^= x;
            }
        }
        black_box(sums);
        best = best.min(start.elapsed());
    }
    (numbers.len() * 8) as f64 / best.as_secs_f64()
}

fn network(
    isa: Isa,
    input: Shape,
    widths: &str,
    divisor: usize,
    int8: bool,
    classes: usize,
) -> Result<Network, Error> {
    let mut builder = Builder::new(isa, input)?;
    let mut state = 1u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let bytes = Bytes {
        scale: 1.0 / 255.0,
        zero: 0,
    };
    let mut map = builder.input();
    if int8 {
        map = builder.quantize(map, bytes)?;
    }
    let mut conv = |builder: &mut Builder, map: Map, window: Window, outputs: usize, last: bool| {
        let depth = builder.shape(map).channels * window.kernel.iter().product::<usize>();
        if !int8 {
            let weights: Vec<f32> = (0..outputs * depth)
                .map(|_| random() * (6.0 / depth as f32).sqrt())
                .collect();
            return builder.conv(map, window, &weights, &vec![0.01; outputs], !last);
        }
        let weights: Vec<i8> = (0..outputs * depth)
            .map(|_| (random() * 127.0) as i8)
            .collect();
        let layer = Integers {
            weights: &weights,
            bias: &vec![100; outputs],
            scale: &vec![(6.0 / depth as f32).sqrt() / 127.0; outputs],
            zero: 0,
        };
        let to = if last {
            Element::Float
        } else {
            Element::Byte(bytes)
        };
        builder.conv_integers(map, window, layer, to, !last)
    };
    let layers = widths.split(' ').count();
    for (i, width) in widths.split(' ').enumerate() {
        let last = i + 1 == layers;
        map = match width.parse::<usize>() {
            Ok(width) => {
                let window = Window {
                    kernel: [3, 3],
                    stride: [1, 1],
                    pads: [1; 4],
                };
                // without pooling there is no linear layer at the end
                conv(
                    &mut builder,
                    map,
                    window,
                    width / divisor,
                    last && !widths.contains('M'),
                )?
            }
            Err(_) => builder.max_pool(
                map,
                Window {
                    kernel: [2, 2],
                    stride: [2, 2],
                    pads: [0; 4],
                },
            )?,
        };
    }
    if widths.contains('M') {
        let whole = Window::whole(builder.shape(map));
        map = conv(&mut builder, map, whole, classes, true)?;
    }
    builder.finish(map)
}
