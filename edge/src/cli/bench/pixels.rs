//! The classifier alone, on faces that another program cut out: what `tools/bench/infer.py` runs beside other
//! runtimes.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;
use fer_edge::infer::{Classifier, Isa, Runner, TractClassifier};
use fer_models::{ModelPackage, argmax};

use super::{Failure, WARM_UP, configuration};

/// `--operators`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Operators {
    /// Ours on the fastest instructions here
    Auto,
    /// tract's
    Tract,
    /// Ours in plain Rust
    Portable,
    /// Ours with AVX2
    Avx2,
    /// Ours with AVX2 and AVX-VNNI
    AvxVnni,
    /// Ours with AVX-512
    Avx512,
    /// Ours with AVX-512 and its VNNI
    Avx512Vnni,
    /// Ours with AMX
    Amx,
    /// Ours with NEON
    Neon,
    /// Ours with NEON and its dot product
    NeonDot,
}

impl Operators {
    fn runner(self) -> Runner {
        Runner::Kernels(match self {
            Operators::Auto => return Runner::default(),
            Operators::Tract => return Runner::Tract,
            Operators::Portable => Isa::Portable,
            Operators::Avx2 => Isa::Avx2,
            Operators::AvxVnni => Isa::AvxVnni,
            Operators::Avx512 => Isa::Avx512,
            Operators::Avx512Vnni => Isa::Avx512Vnni,
            Operators::Amx => Isa::Amx,
            Operators::Neon => Isa::Neon,
            Operators::NeonDot => Isa::NeonDot,
        })
    }
}

/// Faces that are run together at the end, at most: more than a frame shows.
const TOGETHER: usize = 32;

/// Prints one line of JSON: the milliseconds of loading and of each run, one face a run in turn, and each face's decision.
pub(super) fn run(
    model: Option<&Path>,
    file: &Path,
    operators: Operators,
    runs: u64,
) -> Result<(), Failure> {
    let shown = file.display();
    let bytes = std::fs::read(file)
        .with_context(|| shown.to_string())
        .map_err(Failure::Runtime)?;
    let started = Instant::now();
    let package = match model {
        Some(path) => ModelPackage::open(path).map_err(configuration)?,
        None => ModelPackage::embedded(),
    };
    let mut classifier =
        TractClassifier::load_on(&package, operators.runner()).map_err(configuration)?;
    let load = started.elapsed();

    let manifest = &package.manifest;
    let len = manifest.decision.crops.count() * manifest.input.input_len();
    let numbers = bytes.as_chunks::<4>().0;
    let pixels: Vec<f32> = numbers.iter().map(|&b| f32::from_le_bytes(b)).collect();
    if pixels.len() < len || !pixels.len().is_multiple_of(len) || !bytes.len().is_multiple_of(4) {
        return Err(Failure::Runtime(anyhow::anyhow!(
            "{shown}: {} bytes are no faces of {len} 32-bit floats each",
            bytes.len()
        )));
    }
    let faces: Vec<&[f32]> = pixels.chunks_exact(len).collect();
    let (mut scores, mut decisions) = (Vec::new(), Vec::new());
    for face in &faces {
        classifier.classify(face, &mut scores)?;
        decisions.push(argmax(&scores));
    }
    let mut times = Vec::new();
    for (run, face) in (0..WARM_UP + runs).zip(faces.iter().cycle()) {
        let started = Instant::now();
        classifier.classify(face, &mut scores)?;
        if run >= WARM_UP {
            times.push(started.elapsed());
        }
    }
    let few = faces.len().min(TOGETHER);
    let started = Instant::now();
    classifier.classify(&pixels[..few * len], &mut scores)?;
    let together = started.elapsed() / few as u32;
    let line = serde_json::json!({
        "runs_on": classifier.runs_on(),
        "load_ms": milliseconds(load),
        "runs_ms": times.into_iter().map(milliseconds).collect::<Vec<_>>(),
        "together_ms": milliseconds(together),
        "decisions": decisions,
    });
    Ok(writeln!(io::stdout().lock(), "{line}")?)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
