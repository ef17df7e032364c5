//! Images a second of one training step (forward, backward, update), and its share of the
//! matrix-product peak:
//!
//! ```text
//! cargo measure --workspace --bench train_step -- [--engine f32|bf16|candle] [--batch 128] [--width 1] [--steps 5]
//! ```
//!
//! `tools/bench/train_step.py` runs it side by side with PyTorch.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Instant;

use fer_tools::graph::build::{Architecture, build};
use fer_tools::graph::count::Counts;
use fer_tools::graph::exec::{CandleEngine, Engine, Params, Precision};
use fer_tools::graph::init;
use fer_tools::ops::matmul::{Mat, matmul};
use fer_tools::train::{Optimizer, OptimizerOptions};

/// The value after a flag.
fn flag(name: &str) -> Option<String> {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|a| a == name)?;
    args.get(at + 1).cloned()
}

fn number(name: &str, default: f64) -> f64 {
    flag(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} {text}: expected a number"))
    })
}

fn main() {
    let batch = number("--batch", 128.0) as usize;
    let steps = number("--steps", 5.0) as usize;
    let only = flag("--engine");
    let wanted = |engine: &str| only.as_deref().is_none_or(|only| only == engine);
    let arch = Architecture {
        width: number("--width", 1.0),
        ..Architecture::published("vgg19")
    };
    let graph = build(&arch, 7).expect("a published network");
    // forward once, backward twice
    let flops = 6.0 * Counts::of(&graph).multiply_adds as f64;
    let threads = rayon::current_num_threads();
    println!("{}", fer_models::machine::describe());
    println!("{} width {}, {threads} threads", arch.name, arch.width);
    let report = |engine: &str, batch: usize, speed: f64, peak: f64| {
        let work = speed * flops / 1e9;
        let share = 100.0 * work / peak;
        println!(
            "{engine:<7} {speed:8.1} images/s  batch {batch}  {work:.0} GFLOP/s  {share:.0} % of f32 peak"
        );
    };
    let peak = matmul_peak() * threads as f64;
    println!("f32 matrix product, one thread × {threads}: {peak:.0} GFLOP/s");
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        if !wanted(name) {
            continue;
        }
        if precision.or_f32() == precision {
            let speed = time(precision.engine(graph.clone()).as_mut(), batch, steps);
            report(name, batch, speed, peak);
        } else {
            println!("{name:<7} this processor has no fast bfloat16");
        }
    }
    if wanted("candle") {
        // a batch of 128 would take 4 GB and minutes
        let small = batch.min(16);
        let mut candle = CandleEngine::new(graph.clone(), candle_core::Device::Cpu);
        report("candle", small, time(&mut candle, small, 1), peak);
    }
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

/// Images a second, the median of `steps` after two steps to warm up.
fn time(engine: &mut dyn Engine, batch: usize, steps: usize) -> f64 {
    let mut params = Params::new(&init::fresh(engine.graph().clone(), 1));
    let len = batch * engine.graph().input_shape().iter().product::<usize>();
    let pixels: Vec<f32> = (0..len).map(|i| (i % 251) as f32 / 251.0).collect();
    let dlogits = vec![1e-3; batch * engine.graph().classes()];
    let mut sgd = Optimizer::new(OptimizerOptions::default(), &params);
    let mut times = Vec::new();
    for step in 0..steps.max(1) as u64 + 2 {
        let start = Instant::now();
        engine
            .forward(&mut params, &pixels, batch, step)
            .and_then(|_| engine.backward(&mut params, &dlogits))
            .expect("a training step");
        sgd.step(&mut params, 0.01);
        if step > 1 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    batch as f64 / times[times.len() / 2]
}
