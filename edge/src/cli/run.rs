//! `fer-edge run`.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Args;
use fer_edge::capture::paced::Paced;
use fer_edge::capture::{self, Input};
use fer_edge::pipeline::{self, Summary};
use fer_edge::processor::{Processor, Settings};
use fer_edge::publish::jsonl::JsonLines;
use fer_edge::smooth;

use super::{DetectorChoice, Failure, ModelChoice, parse_positive};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    fer-edge run                              the built-in demo\n  \
    fer-edge run --realtime demo              the demo at the speed of a camera\n  \
    fer-edge run --raw --detector none faces/ cut-out faces, each judged for itself\n  \
    fer-edge run --every-n-frames 5 clip.y4m  search faces in every fifth frame only\n  \
    fer-edge run --region 80,40,160,160 -     a fixed place in what stdin brings\n\n\
    Each line of the output is one frame; docs/json-lines.md describes it.")]
pub(super) struct RunArgs {
    /// demo, a picture, a folder of pictures, a .y4m, .mjpeg or .mjpg file, or - for stdin (Y4M or
    /// MJPEG); write ./demo for a file of that name
    #[arg(default_value = "demo")]
    input: OsString,
    #[command(flatten)]
    model: ModelChoice,
    #[command(flatten)]
    detector: DetectorChoice,
    /// Search faces in every n-th frame; they stay in place in between
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every_n_frames: u64,
    /// Stop after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Play a recording at its own speed and drop frames that come too fast, like a camera
    #[arg(long)]
    realtime: bool,
    /// Frame rate of MJPEG, which carries none
    #[arg(long, value_name = "RATE", default_value_t = 25.0, value_parser = parse_positive)]
    fps: f32,
    /// Judge each frame for itself
    #[arg(long, conflicts_with_all = ["smooth_ms", "margin", "dwell_ms"])]
    raw: bool,
    /// Average scores over about this time
    #[arg(long, value_name = "MS", default_value_t = 400)]
    smooth_ms: u32,
    /// How far another emotion must lead to take over, 0 to 1
    #[arg(long, value_name = "SCORE", default_value_t = 0.1, value_parser = parse_fraction)]
    margin: f32,
    /// How long an emotion stands at least
    #[arg(long, value_name = "MS", default_value_t = 500)]
    dwell_ms: u64,
}

impl RunArgs {
    fn settings(&self) -> Settings {
        let smoothing = if self.raw {
            smooth::Settings::RAW
        } else {
            smooth::Settings {
                time_constant_ms: self.smooth_ms as f32,
                margin: self.margin,
                dwell_ms: self.dwell_ms,
            }
        };
        Settings {
            detect_every: self.every_n_frames,
            smoothing,
            ..Settings::default()
        }
    }
}

pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    let settings = args.settings();
    let detector = args.detector.build()?;
    let (package, classifier) = args.model.load()?;
    let mut source = capture::open(&Input::from(args.input), f64::from(args.fps))?;
    if args.realtime {
        source = Box::new(Paced::new(source));
    }
    tracing::info!(
        source = source.name(),
        model = package.manifest.name,
        "started"
    );

    let mut processor = Processor::new(&package.manifest, detector, Box::new(classifier), settings);
    let mut sink = JsonLines::new(io::stdout().lock());
    let mut summary = Summary::default();
    let result = pipeline::run(source, &mut processor, &mut sink, args.frames, &mut summary);
    let Summary {
        frames,
        faces,
        bad,
        dropped,
    } = summary;
    writeln!(
        io::stderr().lock(),
        "{frames} frames, {faces} faces, {bad} bad frames, {dropped} dropped"
    )?;
    Ok(result?)
}

fn parse_fraction(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|n| (0.0..=1.0).contains(n))
        .ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
