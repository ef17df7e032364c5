//! `fer-edge bench`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fer_edge::capture::demo::Demo;
use fer_edge::capture::{Frame, Source, Step};
use fer_edge::processor::Processor;
use fer_edge::service::stages;
use fer_models::machine;

use super::choices::{ConfigChoice, DetectorChoice, ModelChoice};
use super::{Failure, configuration};
use pixels::Operators;

mod mjpeg;
mod picture;
mod pixels;

#[derive(Debug, Args)]
#[command(
    after_help = "Runs the demo's 320x240 frames through every stage on one thread, without \
    output, and the model on every face; then the same as a webcam's 640x480 Motion JPEG, from the picture in memory to the line \
    of JSON.\n\nExample:\n  fer-edge bench --frames 200 --model models/zoo/vgg19-lite\n  fer-edge bench \
    --pixels faces.f32 --operators tract\n  fer-edge bench --picture face.jpg --runs 30"
)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    config: ConfigChoice,
    #[command(flatten)]
    model: ModelChoice,
    #[command(flatten)]
    detector: DetectorChoice,
    /// Frames of the demo to measure, after five to warm up
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=205),
        conflicts_with = "one"
    )]
    frames: u64,
    /// Measure the classifier alone, on faces of 32-bit floats, as the model's input wants them; prints JSON
    #[arg(
        long,
        value_name = "FILE",
        group = "one",
        conflicts_with_all = ["ConfigChoice", "DetectorChoice"]
    )]
    pixels: Option<PathBuf>,
    /// Measure the whole job on a picture, from its file to the decision; prints JSON
    #[arg(long, value_name = "FILE", group = "one")]
    picture: Option<PathBuf>,
    /// Whose operators run the model
    #[arg(long, value_enum, default_value = "auto", requires = "pixels")]
    operators: Operators,
    /// Runs to measure, with --pixels or --picture
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=100_000),
        requires = "one"
    )]
    runs: u64,
}

/// Frames or runs before the measurement: caches and buffers fill, the processor's clock rises.
const WARM_UP: u64 = 5;

#[derive(Default)]
struct Samples {
    detect: Vec<Duration>,
    cut: Vec<Duration>,
    infer: Vec<Duration>,
    whole: Vec<Duration>,
    faces: usize,
}

pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    if let Some(pixels) = &args.pixels {
        return pixels::run(args.model.path(), pixels, args.operators, args.runs);
    }
    let mut flags = args.detector.values()?;
    flags.extend(args.model.values());
    let config = args.config.load(flags)?.config;
    if let Some(picture) = &args.picture {
        return picture::run(&config, picture, args.runs);
    }
    let mut anew = config.clone();
    anew.reuse.frames = 0;
    let (package, mut processor) = stages::processor(&anew).map_err(configuration)?;
    let manifest = &package.manifest;
    let samples = measure(&mut processor, args.frames)?;
    let mut webcam = config.clone();
    webcam.vision.every_n_frames = mjpeg::DETECT_EVERY;
    let (_, mut processor) = stages::processor(&webcam).map_err(configuration)?;
    let times = mjpeg::measure(&mut processor, args.frames)?;

    let mut out = String::new();
    writeln!(out, "machine  {}, one core used", machine::describe())?;
    writeln!(
        out,
        "model    {}, {} crops",
        manifest.name,
        manifest.decision.crops.count()
    )?;
    writeln!(
        out,
        "frames   {} of 320x240, {} faces\n",
        args.frames, samples.faces
    )?;
    writeln!(out, "{:<20}{:>12}{:>12}", "milliseconds", "median", "p99")?;
    for (name, times) in [
        ("detect, per frame", samples.detect),
        ("cut, per face", samples.cut),
        ("infer, per face", samples.infer),
        ("whole, per face", samples.whole),
    ] {
        row(&mut out, name, times)?;
    }
    writeln!(
        out,
        "\nwebcam   {} MJPEG pictures of {}x{}, {} kB each, in memory to JSON; {} faces, searched in every \
         {}th, {} kept their scores",
        args.frames,
        mjpeg::WIDTH,
        mjpeg::HEIGHT,
        times.bytes / 1000,
        times.faces,
        mjpeg::DETECT_EVERY,
        times.reused
    )?;
    writeln!(out, "         {:.0} frames a second\n", times.rate())?;
    row(&mut out, "decode, per frame", times.decode)?;
    row(&mut out, "whole, per frame", times.whole)?;
    Ok(io::stdout().lock().write_all(out.as_bytes())?)
}

fn row(out: &mut String, name: &str, mut times: Vec<Duration>) -> std::fmt::Result {
    times.sort_unstable();
    let (median, p99) = (percentile(&times, 50), percentile(&times, 99));
    writeln!(out, "{name:<20}{median:>12.3}{p99:>12.3}")
}

fn measure(processor: &mut Processor, frames: u64) -> Result<Samples, Failure> {
    let mut source = Demo::new()?;
    let mut frame = Frame::default();
    let mut observation = processor.observation(source.name());
    let mut samples = Samples::default();
    while source.next(&mut frame)? == Step::Frame && frame.seq < WARM_UP + frames {
        processor.process(&frame, source.pace(), &mut observation)?;
        let faces = observation.faces.len();
        if frame.seq < WARM_UP {
            continue;
        }
        let timings = processor.timings();
        samples.detect.extend(timings.detect);
        if faces > 0 {
            samples.cut.push(timings.cut / faces as u32);
            let infer = timings.infer.map(|time| time / faces as u32);
            samples.infer.extend(infer);
            samples.whole.push(timings.whole / faces as u32);
            samples.faces += faces;
        }
    }
    Ok(samples)
}

/// Nearest-rank percentile in milliseconds; 0 without samples.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted
        .get(rank)
        .map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::Parser;

    #[test]
    fn no_runs_and_more_than_can_be_counted_are_refused() {
        let parse = |runs: &str| {
            let args = ["fer-edge", "bench", "--picture", "f.jpg", "--runs", runs];
            Cli::try_parse_from(args)
        };
        assert!(parse("1").is_ok());
        for runs in ["0", "18446744073709551615"] {
            let error = parse(runs).unwrap_err();
            assert!(error.to_string().contains("--runs"), "{error}");
        }
    }

    /// They were passed over in silence.
    #[test]
    fn frames_of_the_demo_are_refused_beside_a_file_to_measure() {
        for of in ["--pixels", "--picture"] {
            let parse = |more: &[&str]| {
                let args = ["fer-edge", "bench", of, "file"];
                Cli::try_parse_from(args.iter().chain(more))
            };
            assert!(parse(&["--runs", "2"]).is_ok());
            let error = parse(&["--frames", "2"]).unwrap_err().to_string();
            assert!(error.contains("--frames") && error.contains(of), "{error}");
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(
            (percentile(&times, 50), percentile(&times, 99)),
            (50.0, 99.0)
        );
        assert_eq!(
            (percentile(&times[..1], 99), percentile(&[], 50)),
            (1.0, 0.0)
        );
    }
}
