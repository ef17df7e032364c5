//! `fer-tools models`: the architectures and what they cost.

use std::io::Write;

use anyhow::Result;
use fer_tools::graph::build::{Architecture, NAMES, build};
use fer_tools::graph::count::Counts;

/// List the architectures with parameters, multiply-adds and input size, for seven classes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Multiply the channel counts of all of them
    #[arg(long, default_value_t = 1.0)]
    width: f64,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<14} {:>12} {:>16}  input",
        "name", "parameters", "multiply-adds"
    )?;
    for name in NAMES {
        let arch = Architecture {
            width: args.width,
            ..Architecture::published(name)
        };
        let graph = build(&arch, 7)?;
        let counts = Counts::of(&graph);
        let [c, h, w] = graph.input_shape();
        writeln!(
            out,
            "{name:<14} {:>12} {:>16}  {c}×{h}×{w}",
            counts.parameters, counts.multiply_adds
        )?;
    }
    Ok(())
}
