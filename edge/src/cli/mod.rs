//! The command line: parse, validate, call the library, map errors to exit codes.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use fer_edge::infer::TractClassifier;
use fer_edge::vision::roi::{Region, WholeFrame};
use fer_edge::vision::rustface::{self, RustfaceDetector};
use fer_edge::vision::yunet::{self, YunetDetector};
use fer_edge::vision::{DetectError, Detector};
use fer_models::{ModelPackage, Rect};
use tracing_subscriber::EnvFilter;

mod bench;
mod cameras;
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
        fer-edge model --model models/zoo/vgg19-lite\n\n\
        Exit codes: 0 done, 1 bad input or I/O, 2 wrong flags, 78 broken model folder.\n\
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
}

/// Which model to run.
#[derive(Debug, Args)]
struct ModelChoice {
    /// Model folder, or the model.toml in it [default: the embedded model]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// How faces are found.
#[derive(Debug, Args)]
struct DetectorChoice {
    /// How faces are found [default: rustface, or roi with --region]
    #[arg(long, value_enum)]
    detector: Option<DetectorKind>,
    /// Where the face is, in pixels of the frame
    #[arg(long, value_name = "X,Y,W,H", value_parser = parse_region)]
    region: Option<Rect>,
    /// Smallest face to find [default: an eighth of the frame's shorter side, at least 48]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u16).range(20..))]
    min_face: Option<u16>,
    /// Drop faces that the detector is less sure of; useful are 0.9 to 4.5 [default: 2], with yunet
    /// 0.5 to 0.9 [default: 0.7]
    #[arg(long, value_name = "SCORE", value_parser = parse_positive)]
    min_score: Option<f32>,
    /// ONNX file of a YuNet, for --detector yunet
    #[arg(long, value_name = "FILE")]
    detector_model: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DetectorKind {
    /// SeetaFace, embedded: upright frontal faces
    Rustface,
    /// A YuNet from an ONNX file, given by --detector-model
    Yunet,
    /// The whole frame is a face
    None,
    /// A fixed region, given by --region
    Roi,
}

/// What went wrong, by exit code.
#[derive(Debug)]
enum Failure {
    /// Bad data or I/O: 1.
    Runtime(anyhow::Error),
    /// Wrong flags: 2.
    Usage(clap::Error),
    /// A broken model folder: 78 (`EX_CONFIG` of sysexits.h).
    Configuration(anyhow::Error),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Runtime(error.into())
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,fer_edge=info"));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colour)
        .init();
    let result = match Cli::try_parse() {
        Ok(cli) => match cli.command {
            Command::Run(args) => run::run(args),
            Command::Cameras(args) => cameras::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Model(args) => model::run(&args),
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

impl ModelChoice {
    /// Opens the model and plans it; whatever is wrong with it is a configuration error.
    fn load(&self) -> Result<(ModelPackage, TractClassifier), Failure> {
        let package = match &self.model {
            Some(path) => ModelPackage::open(path).map_err(configuration)?,
            None => ModelPackage::embedded(),
        };
        let classifier = TractClassifier::load(&package).map_err(|e| {
            let folder = self
                .model
                .as_deref()
                .unwrap_or(Path::new("the embedded model"));
            Failure::Configuration(anyhow::Error::new(e).context(folder.display().to_string()))
        })?;
        Ok((package, classifier))
    }
}

fn configuration(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Configuration(error.into())
}

impl DetectorChoice {
    fn build(&self) -> Result<Box<dyn Detector>, Failure> {
        let kind = self
            .detector
            .unwrap_or(match (&self.region, &self.detector_model) {
                (Some(_), _) => DetectorKind::Roi,
                (None, Some(_)) => DetectorKind::Yunet,
                (None, None) => DetectorKind::Rustface,
            });
        if self.region.is_some() && kind != DetectorKind::Roi {
            return Err(conflict("--region goes with --detector roi only"));
        }
        let searches = matches!(kind, DetectorKind::Rustface | DetectorKind::Yunet);
        if (self.min_face.is_some() || self.min_score.is_some()) && !searches {
            return Err(conflict(
                "--min-face and --min-score go with --detector rustface or yunet only",
            ));
        }
        if self.detector_model.is_some() && kind != DetectorKind::Yunet {
            return Err(conflict("--detector-model goes with --detector yunet only"));
        }
        match kind {
            DetectorKind::Rustface => self.rustface().map_err(Failure::from),
            DetectorKind::Yunet => self.yunet(),
            DetectorKind::None => Ok(Box::new(WholeFrame)),
            DetectorKind::Roi => match self.region {
                Some(region) => Ok(Box::new(Region(region))),
                None => Err(conflict("--detector roi needs --region X,Y,W,H")),
            },
        }
    }

    /// A wrong file is a wrong configuration.
    fn yunet(&self) -> Result<Box<dyn Detector>, Failure> {
        let Some(path) = &self.detector_model else {
            return Err(conflict("--detector yunet needs --detector-model FILE"));
        };
        let default = yunet::Settings::default();
        let settings = yunet::Settings {
            min_face: self.min_face.map(f32::from),
            min_score: self.min_score.unwrap_or(default.min_score),
        };
        let detector = YunetDetector::load(path, settings).map_err(configuration)?;
        Ok(Box::new(detector))
    }

    fn rustface(&self) -> Result<Box<dyn Detector>, DetectError> {
        let default = rustface::Settings::default();
        let settings = rustface::Settings {
            min_face: self.min_face.map(f32::from),
            min_score: self.min_score.unwrap_or(default.min_score),
        };
        Ok(Box::new(RustfaceDetector::new(settings)?))
    }
}

fn conflict(message: &str) -> Failure {
    Failure::Usage(Cli::command().error(ErrorKind::ArgumentConflict, message))
}

fn parse_region(text: &str) -> Result<Rect, String> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|part| part.trim().parse().ok().filter(|n: &f32| n.is_finite()))
        .collect::<Option<_>>()
        .ok_or("expected four numbers X,Y,W,H")?;
    match numbers[..] {
        [x, y, width, height] if width >= 1.0 && height >= 1.0 => Ok(Rect {
            x,
            y,
            width,
            height,
        }),
        [_, _, _, _] => Err("width and height must be at least 1".to_owned()),
        _ => Err("expected four numbers X,Y,W,H".to_owned()),
    }
}

fn parse_positive(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|n: &f32| n.is_finite() && *n > 0.0)
        .ok_or_else(too_small)
}

fn too_small() -> String {
    "expected a number above 0".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn regions_are_four_numbers() {
        let region = parse_region("10, 20.5,100,90").unwrap();
        assert_eq!(
            region,
            Rect {
                x: 10.0,
                y: 20.5,
                width: 100.0,
                height: 90.0
            }
        );
        for bad in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,2,3,4",
            "1,2,0,4",
            "1,2,inf,4",
            "NaN,0,1,1",
        ] {
            assert!(parse_region(bad).is_err(), "{bad}");
        }
    }
}
