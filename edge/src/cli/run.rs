//! `fer-edge run`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;
use fer_edge::capture::paced::Paced;
use fer_edge::capture::{self, Input, Source};
use fer_edge::config::{self, Config, FlagValue};
use fer_edge::control::Control;
use fer_edge::health::{Dropped, Health};
use fer_edge::pipeline::Shared;
use fer_edge::processor::Processor;
use fer_edge::publish::fanout::{Fanout, Slot};
use fer_edge::publish::jsonl::JsonLines;
use fer_edge::service::{self, Stages};
use fer_edge::watch::Watch;

use super::Failure;
use super::choices::{
    ConfigChoice, DetectorChoice, ModelChoice, build_detector, environment, load_model,
    parse_positive,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    fer-edge run                              the built-in demo\n  \
    fer-edge run --realtime demo              the demo at the speed of a camera\n  \
    fer-edge run --raw --detector none faces/ cut-out faces, each judged for itself\n  \
    fer-edge run --every-n-frames 5 clip.y4m  search faces in every fifth frame only\n  \
    fer-edge run --region 80,40,160,160 -     a fixed place in what stdin brings\n\n\
    Each line of the output is one frame; docs/json-lines.md describes it. What flags don't say is \
    taken from the configuration: `fer-edge config show`.")]
pub(super) struct RunArgs {
    /// demo, a picture, a folder of pictures, a .y4m, .mjpeg or .mjpg file, or - for stdin (Y4M or
    /// MJPEG); write ./demo for a file of that name
    #[arg(default_value = "demo")]
    input: OsString,
    #[command(flatten)]
    config: ConfigChoice,
    #[command(flatten)]
    model: ModelChoice,
    #[command(flatten)]
    detector: DetectorChoice,
    #[command(flatten)]
    smoothing: SmoothingChoice,
    /// Search faces in every n-th frame; they stay in place in between [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    every_n_frames: Option<i64>,
    /// Stop after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Play a recording at its own speed and drop frames that come too fast, like a camera
    #[arg(long)]
    realtime: bool,
    /// Frame rate of MJPEG, which carries none
    #[arg(long, value_name = "RATE", default_value_t = 25.0, value_parser = parse_positive)]
    fps: f32,
}

#[derive(Debug, Args)]
struct SmoothingChoice {
    /// Judge each frame for itself
    #[arg(long, conflicts_with_all = ["smooth_ms", "margin", "dwell_ms"])]
    raw: bool,
    /// Average scores over about this time [default: 400]
    #[arg(long, value_name = "MS")]
    smooth_ms: Option<u32>,
    /// How far another emotion must lead to take over, 0 to 1 [default: 0.1]
    #[arg(long, value_name = "SCORE", value_parser = parse_fraction)]
    margin: Option<f32>,
    /// How long an emotion stands at least [default: 500]
    #[arg(long, value_name = "MS")]
    dwell_ms: Option<u32>,
}

impl SmoothingChoice {
    fn values(&self) -> impl Iterator<Item = FlagValue> + use<> {
        let raw = self.raw.then_some(("smoothing.raw", true.into(), "--raw"));
        let time = self
            .smooth_ms
            .map(|ms| ("smoothing.time_ms", ms.into(), "--smooth-ms"));
        let margin = self
            .margin
            .map(|score| ("smoothing.margin", score.into(), "--margin"));
        let dwell = self
            .dwell_ms
            .map(|ms| ("smoothing.dwell_ms", ms.into(), "--dwell-ms"));
        // Whoever asks for smoothing on the command line doesn't want a file's `raw`.
        let smooth = [&time, &margin, &dwell].iter().any(|value| value.is_some());
        let raw = raw.or(smooth.then_some(("smoothing.raw", false.into(), "--smooth-ms")));
        [raw, time, margin, dwell].into_iter().flatten()
    }
}

impl RunArgs {
    fn values(&self) -> Result<Vec<FlagValue>, Failure> {
        let mut values = self.detector.values()?;
        values.extend(self.model.values());
        values.extend(self.smoothing.values());
        if let Some(n) = self.every_n_frames {
            values.push(("vision.every_n_frames", n.into(), "--every-n-frames"));
        }
        Ok(values)
    }

    fn open(&self) -> Result<Box<dyn Source>, Failure> {
        let source = capture::open(&Input::from(self.input.clone()), f64::from(self.fps))?;
        Ok(if self.realtime {
            Box::new(Paced::new(source))
        } else {
            source
        })
    }
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let flags = args.values()?;
    let config = args.config.load(flags.clone())?.config;
    let detector = build_detector(&config.vision)?;
    let (package, classifier) = load_model(config.model.path.as_deref())?;
    let manifest = &package.manifest;
    let shared = share(&config, manifest.labels.len());
    let source = args.open()?;
    tracing::info!(source = source.name(), model = manifest.name, "started");

    let settings = shared.tuning.get().processing;
    let mut processor = Processor::new(manifest, detector, Box::new(classifier), settings);
    let places = args.config.places(flags);
    let reread = Box::new(move || config::load(&places, environment()));
    let stages = Stages {
        source,
        processor: &mut processor,
        sink: &mut sinks(&config),
        limit: args.frames,
    };
    let result = service::run(stages, config, reread, &shared);
    let health = &shared.health;
    writeln!(
        io::stderr().lock(),
        "{} frames, {} faces, {} bad frames, {} dropped",
        health.processed(),
        health.observed().sum::<u64>(),
        health.dropped(Dropped::Bad),
        health.dropped(Dropped::Late),
    )?;
    Ok(result?)
}

/// What the pipeline shares with the threads around it, as the configuration says.
fn share(config: &Config, labels: usize) -> Shared {
    let control = Control::default();
    // Checked with the configuration.
    control.set_threshold(config.service.threshold);
    Shared {
        health: Arc::new(Health::new(labels)),
        control: Arc::new(control),
        tuning: Arc::new(Watch::new(service::tuning(config))),
    }
}

fn sinks(config: &Config) -> Fanout {
    let mut fanout = Fanout::default();
    if config.service.stdout {
        let stdout = Slot::default();
        stdout.put(Some(Box::new(JsonLines::new(io::stdout()))));
        fanout.add(stdout);
    }
    fanout
}

fn parse_fraction(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|n| (0.0..=1.0).contains(n))
        .ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
