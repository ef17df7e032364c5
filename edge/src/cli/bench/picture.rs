//! The whole job on one picture, again and again: what `tools/bench/packages.py` runs beside other packages.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use fer_edge::capture::image::Still;
use fer_edge::capture::{Frame, Source};
use fer_edge::config::Config;
use fer_edge::service::stages;

use super::{Failure, WARM_UP, configuration};

/// Prints one line of JSON: the milliseconds of loading and of each run, from the file to the decision, and the faces.
pub(super) fn run(config: &Config, picture: &Path, runs: u64) -> Result<(), Failure> {
    let started = Instant::now();
    let (package, mut processor) = stages::processor(config).map_err(configuration)?;
    let load = started.elapsed();
    let mut frame = Frame::default();
    let mut observation = processor.observation("bench");
    let mut times = Vec::new();
    for run in 0..WARM_UP + runs {
        let started = Instant::now();
        let mut source = Still::open(picture)?;
        source.next(&mut frame)?;
        processor.process(&frame, source.pace(), &mut observation)?;
        if run >= WARM_UP {
            times.push(started.elapsed());
        }
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let label = |label: usize| &package.manifest.labels.names()[label];
    let line = serde_json::json!({
        "load_ms": milliseconds(load),
        "runs_ms": times.into_iter().map(milliseconds).collect::<Vec<_>>(),
        "faces": observation.faces.iter().map(|face| serde_json::json!({
            "label": label(face.label),
            "score": face.scores[face.label],
        })).collect::<Vec<_>>(),
    });
    Ok(writeln!(io::stdout().lock(), "{line}")?)
}
