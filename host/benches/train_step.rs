//! Images a second of one training step (forward, backward, update), and its share of the
//! matrix-product peak: `cargo bench --bench train_step [-- --batch 128 --width 1 --steps 5]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Instant;

use fer_tools::graph::build::{Architecture, build};
use fer_tools::graph::count::Counts;
use fer_tools::graph::exec::{CandleEngine, Engine, NativeEngine, Params};
use fer_tools::graph::init;
use fer_tools::ops::matmul::{Mat, matmul};
use fer_tools::train::{Optimizer, Sgd};

fn main() {
    let flag = |name: &str, default: f64| {
        let args: Vec<String> = std::env::args().collect();
        args.iter()
            .position(|a| a == name)
            .and_then(|i| args.get(i + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let batch = flag("--batch", 128.0) as usize;
    let steps = flag("--steps", 3.0) as usize;
    let arch = Architecture {
        width: flag("--width", 1.0),
        ..Architecture::published("vgg19")
    };
    println!("{}", fer_models::machine::describe());
    let threads = rayon::current_num_threads();
    let peak = matmul_peak() * threads as f64;
    println!("f32 matrix product, one thread × {threads}: {peak:.0} GFLOP/s");

    let graph = build(&arch, 7).expect("a published network");
    let counts = Counts::of(&graph);
    // forward once, backward twice
    let flops = 6.0 * counts.multiply_adds as f64;
    println!("{} width {} batch {batch}:", arch.name, arch.width);
    let native = time(&mut NativeEngine::new(graph.clone()), batch, steps);
    println!(
        "  native  {native:8.1} images/s  {:.0} GFLOP/s  {:.0} % of the peak",
        native * flops / 1e9,
        native * flops / 1e7 / peak
    );
    let small = batch.min(16);
    let mut candle = CandleEngine::new(graph.clone(), candle_core::Device::Cpu);
    let candle = time(&mut candle, small, 1);
    println!(
        "  candle  {candle:8.1} images/s (batch {small})  native is {:.1}× candle",
        native / candle
    );
}

/// GFLOP/s of one thread on a product that fits the cache.
fn matmul_peak() -> f64 {
    let n = 768;
    let (a, b) = (vec![0.5f32; n * n], vec![0.25f32; n * n]);
    let mut c = vec![0.0f32; n * n];
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        matmul(
            &mut c,
            n,
            Mat::new(&a, n, n, n),
            Mat::new(&b, n, n, n),
            false,
        );
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (n as f64).powi(3) / best / 1e9
}

/// Images a second, the best of `steps` after one step to warm up.
fn time(engine: &mut dyn Engine, batch: usize, steps: usize) -> f64 {
    let mut params = Params::new(&init::fresh(engine.graph().clone(), 1));
    let len = batch * engine.graph().input_shape().iter().product::<usize>();
    let pixels: Vec<f32> = (0..len).map(|i| (i % 251) as f32 / 251.0).collect();
    let dlogits = vec![1e-3; batch * engine.graph().classes()];
    let mut sgd = Optimizer::new(Sgd::default(), &params);
    let mut best = f64::INFINITY;
    for step in 0..=steps as u64 {
        let start = Instant::now();
        engine
            .forward(&mut params, &pixels, batch, step)
            .and_then(|_| engine.backward(&mut params, &dlogits))
            .expect("a training step");
        sgd.step(&mut params, 0.01);
        if step > 0 {
            best = best.min(start.elapsed().as_secs_f64());
        }
    }
    batch as f64 / best
}
