//! `fer-edge run`.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;
use fer_edge::capture::camera::{self, Address};
use fer_edge::capture::paced::Paced;
use fer_edge::capture::{self, Input, Source};
use fer_edge::config::{self, FlagValue, Loaded, Places};
use fer_edge::health::Dropped;
use fer_edge::pipeline::Shared;
use fer_edge::service::{self, Stages, stages};

use super::choices::{ConfigChoice, DetectorChoice, ModelChoice, load, parse_positive};
use super::{Failure, configuration, conflict};

/// Frame rate of recorded MJPEG where none is given.
const MJPEG_FPS: f64 = 25.0;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    fer-edge run demo                         the built-in demo\n  \
    fer-edge run v4l2:auto                    the first camera that delivers pictures\n  \
    fer-edge run --realtime demo              the demo at the speed of a camera\n  \
    fer-edge run --raw --detector none faces/ cut-out faces, each judged for itself\n  \
    fer-edge run --every-n-frames 5 clip.y4m  search faces in every fifth frame only\n  \
    fer-edge run --region 80,40,160,160 -     a fixed place in what stdin brings\n\n\
    Each line of the output is one frame; docs/json-lines.md describes it. What flags don't say is \
    taken from the configuration: `fer-edge config show`. An INPUT that is no camera goes to stdout: broker, \
    serial line, kiosk page and light of /etc/fer are left to the service, unless --config names a file or \
    FER_EDGE_* variables ask for them. Without INPUT, files in /etc/fer that may not be read are an error.")]
pub(super) struct RunArgs {
    /// A camera (v4l2:auto, /dev/video0, rpicam, jetson, http://...), a picture, a folder of pictures, a
    /// .y4m, .mjpeg or .mjpg file, - for stdin (Y4M or MJPEG), or demo; write ./demo for a file of that
    /// name [default: the camera of the configuration; demo where it has no [camera]]
    input: Option<OsString>,
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
    /// Frame rate of recorded MJPEG, which carries none; a camera's is camera.fps of the
    /// configuration [default: 25]
    #[arg(long, value_name = "RATE", value_parser = parse_positive)]
    fps: Option<f32>,
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
        if let Some(device) = self.camera() {
            values.push(("camera.device", device.into(), "INPUT"));
        }
        if let Some(n) = self.every_n_frames {
            values.push(("vision.every_n_frames", n.into(), "--every-n-frames"));
        }
        Ok(values)
    }

    fn open(&self, loaded: &Loaded, shared: &Shared) -> Result<Box<dyn Source>, Failure> {
        if self.wants_camera(loaded) {
            if self.realtime {
                return Err(conflict("--realtime goes with recordings only"));
            }
            if self.fps.is_some() {
                return Err(conflict(
                    "--fps goes with recordings only; for a camera, set camera.fps",
                ));
            }
            let health = Arc::clone(&shared.health);
            let control = Arc::clone(&shared.control);
            return camera::open(&loaded.config.camera, health, control).map_err(configuration);
        }
        let input = self.input.clone().unwrap_or_else(|| "demo".into());
        let fps = self.fps.map_or(MJPEG_FPS, f64::from);
        let source = capture::open(&Input::from(input), fps)?;
        Ok(if self.realtime {
            Box::new(Paced::new(source))
        } else {
            source
        })
    }

    /// The camera that the argument names.
    fn camera(&self) -> Option<&str> {
        let input = self.input.as_ref()?.to_str()?;
        Address::is_camera(input).then_some(input)
    }

    /// A camera is named here or, where nothing is, in the configuration, whose table need not name the device: it has a
    /// default.
    fn wants_camera(&self, loaded: &Loaded) -> bool {
        self.camera().is_some() || (self.input.is_none() && loaded.layers.has_table("camera"))
    }

    /// Where the settings lie. What is no camera is looked at beside the service, whose outlets are in use. Whoever names
    /// nothing is the service, and needs its files.
    fn places(&self) -> Result<Places, Failure> {
        Ok(Places {
            leave_outlets: self.input.is_some() && self.camera().is_none(),
            skip_unreadable: self.input.is_some(),
            ..self.config.places(self.values()?)
        })
    }
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let places = args.places()?;
    let loaded = load(&places)?;
    let config = &loaded.config;
    let (package, mut processor) = stages::processor(config).map_err(configuration)?;
    let manifest = &package.manifest;
    let shared = service::share(config, manifest.labels.len());
    let source = args.open(&loaded, &shared)?;
    tracing::info!(source = source.name(), model = manifest.name, "started");

    let places = for_reload(places);
    let reread = Box::new(move || config::load(&places, env::vars_os()));
    let stages = Stages {
        source,
        processor: &mut processor,
        labels: Arc::new(manifest.labels.clone()),
        model: &manifest.name,
        limit: args.frames,
    };
    let result = service::run(stages, loaded.config, reread, &shared);
    let health = &shared.health;
    // whoever read it may be gone; what the run came to matters more
    let _ = writeln!(
        io::stderr().lock(),
        "{} frames, {} faces, {} bad frames, {} dropped, {} faces reused",
        health.processed(),
        health.observed().sum::<u64>(),
        health.dropped(Dropped::Bad),
        health.dropped(Dropped::Late),
        health.reused(),
    );
    result.map_err(|error| {
        if error.is_configuration() {
            configuration(error)
        } else {
            error.into()
        }
    })
}

/// Where a reload looks. What can no longer be read is not to undo what it said.
fn for_reload(places: Places) -> Places {
    Places {
        skip_unreadable: false,
        ..places
    }
}

fn parse_fraction(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|n| (0.0..=1.0).contains(n))
        .ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;
    use fer_edge::config::{Config, Layers};

    fn parsed(args: &str) -> RunArgs {
        let line = format!("fer-edge run {args}");
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Run(args) = cli.command else {
            panic!("another command");
        };
        args
    }

    /// Without its files the service ran all the same, and a reload closed what they had opened.
    #[test]
    fn only_a_named_input_does_without_the_files_of_the_service_and_no_reload_does() {
        for (args, does) in [
            ("", false),
            ("--realtime", false),
            ("demo", true),
            ("rpicam", true),
        ] {
            let places = parsed(args).places().unwrap();
            assert_eq!(places.skip_unreadable, does, "{args}");
            assert!(!for_reload(places).skip_unreadable, "{args}");
        }
    }

    /// It was passed over in silence.
    #[test]
    fn a_frame_rate_for_a_camera_is_refused_with_the_setting_that_it_has() {
        let args = parsed("rpicam --fps 10");
        let loaded = Loaded {
            config: Config::default(),
            layers: Layers::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        };
        let shared = service::share(&loaded.config, 7);
        let Err(Failure::Usage(error)) = args.open(&loaded, &shared) else {
            panic!("taken, or not the user's slip");
        };
        let text = error.to_string();
        assert!(
            text.contains("--fps") && text.contains("camera.fps"),
            "{text}"
        );
    }
}
