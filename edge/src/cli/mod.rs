//! The command line: parse, validate, call the library, map errors to exit codes.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

mod bench;
mod cameras;
mod choices;
mod config;
mod doctor;
mod logs;
mod model;
mod run;

/// Faces in, emotions out.
#[derive(Debug, Parser)]
#[command(
    name = "fer-edge",
    version,
    after_help = "Examples:\n  \
        fer-edge run                          the built-in demo, one JSON line a frame\n  \
        fer-edge run portrait.jpg             one picture\n  \
        fer-edge run --detector none faces/   a folder of cut-out faces\n  \
        ffmpeg -i clip.mp4 -f yuv4mpegpipe - | fer-edge run -\n  \
        fer-edge cameras                      the cameras of this machine\n  \
        fer-edge bench                        milliseconds per face on this machine\n  \
        fer-edge model --model models/zoo/vgg19-lite\n  \
        fer-edge doctor                       what is missing on this machine?\n  \
        fer-edge config show                  every setting and where it comes from\n\n\
        Exit codes: 0 done, 1 bad input or I/O, 2 wrong flags, 78 wrong configuration or model\n\
        folder.\n\
        Output goes to stdout, logs to stderr (RUST_LOG=debug shows more)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print an emotion for each face of each frame, as JSON lines
    Run(run::RunArgs),
    /// List the cameras of this machine and what they can do
    Cameras(cameras::CamerasArgs),
    /// Measure milliseconds per face on this machine
    Bench(bench::BenchArgs),
    /// Show what a model is, and check it
    Model(model::ModelArgs),
    /// Look for what is missing on this machine, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Show or check the configuration
    Config(config::ConfigArgs),
}

/// What went wrong, by exit code.
#[derive(Debug)]
enum Failure {
    /// Bad data or I/O: 1.
    Runtime(anyhow::Error),
    /// Wrong flags: 2.
    Usage(clap::Error),
    /// A wrong configuration or a broken model folder: 78 (`EX_CONFIG` of sysexits.h).
    Configuration(anyhow::Error),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Runtime(error.into())
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    logs::start();
    let result = match Cli::try_parse() {
        Ok(cli) => match cli.command {
            Command::Run(args) => run::run(&args),
            Command::Cameras(args) => cameras::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Model(args) => model::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Config(args) => config::run(&args),
        },
        Err(error) => Err(Failure::Usage(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `--help` and `--version` arrive as errors too. If stdout is gone, nobody reads the rest.
        Err(Failure::Usage(error)) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
        Err(Failure::Runtime(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Runtime(error)) => report(&error, 1),
        Err(Failure::Configuration(error)) => report(&error, 78),
    }
}

fn report(error: &anyhow::Error, code: u8) -> ExitCode {
    // Nothing is left to do when stderr is closed as well.
    let _ = writeln!(io::stderr().lock(), "error: {error:#}");
    ExitCode::from(code)
}

/// `fer-edge bench | head -1` is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn configuration(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Configuration(error.into())
}

fn conflict(message: &str) -> Failure {
    Failure::Usage(Cli::command().error(ErrorKind::ArgumentConflict, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
