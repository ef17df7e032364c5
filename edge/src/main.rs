//! `fer-edge`: reads frames, prints emotions.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
