//! `fer-tools models`: the architectures and what they cost.

use std::io::Write;

use anyhow::Result;
use fer_tools::graph::build::{Architecture, NAMES, build};
use fer_tools::graph::count::Counts;
use serde::Serialize;

const EXAMPLES: &str = "\
Examples:
  What fits a small board?
    fer-tools models
  All of them at a quarter of the width, on 96-pixel images where the layers accept that:
    fer-tools models --width 0.25 --size 96";

/// List the architectures with parameters, multiply-adds and input size, for seven classes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Multiply the channel counts of all of them
    #[arg(long, default_value_t = 1.0)]
    width: f64,
    /// Side of the image in pixels for all of them; those that do not accept it are left out
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    size: Option<u16>,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

/// One row.
#[derive(Serialize)]
struct Model {
    name: &'static str,
    parameters: u64,
    multiply_adds: u64,
    input: [usize; 3],
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut models = Vec::new();
    for name in NAMES {
        let arch = Architecture {
            width: args.width,
            ..Architecture::published(name)
        };
        let mut graph = build(&arch, 7)?;
        if let Some(size) = args.size.map(usize::from) {
            let size = Some(size);
            match build(&Architecture { size, ..arch }, 7) {
                Ok(sized) => graph = sized,
                Err(error) => {
                    tracing::warn!("{error}");
                    continue;
                }
            }
        }
        let counts = Counts::of(&graph);
        models.push(Model {
            name,
            parameters: counts.parameters,
            multiply_adds: counts.multiply_adds,
            input: graph.input_shape(),
        });
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &models)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(
        out,
        "{:<20} {:>12} {:>16}  input",
        "name", "parameters", "multiply-adds"
    )?;
    for model in &models {
        let [c, h, w] = model.input;
        writeln!(
            out,
            "{:<20} {:>12} {:>16}  {c}×{h}×{w}",
            model.name, model.parameters, model.multiply_adds
        )?;
    }
    Ok(())
}
