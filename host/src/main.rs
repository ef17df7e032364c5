//! `fer-tools`: from a data set to a model file, one subcommand a stage.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
