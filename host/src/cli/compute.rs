//! The flags of everything that trains: where it computes and how often it saves.

use std::time::Duration;

use anyhow::{Context, Result};
use fer_tools::train::Device;

use super::exit::Usage;

/// Minutes between two saves, where nothing else is asked for.
const CHECKPOINT_MINUTES: f64 = 5.0;

/// Where and how a run is computed.
#[derive(Debug, clap::Args)]
pub(super) struct Compute {
    /// Where to compute: cpu, cuda or cuda:N (a build with the cuda feature)
    #[arg(long, default_value = "cpu", value_parser = parse_device)]
    device: Place,
    /// CPU threads; all cores if not given. The same number gives the same weights
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Save what is trained this often; what is killed loses that much at most
    #[arg(long, value_name = "MINUTES", default_value_t = CHECKPOINT_MINUTES, value_parser = parse_minutes)]
    checkpoint_minutes: f64,
    /// Count wrong rows and unreadable images instead of stopping at the first
    #[arg(long)]
    pub(super) skip_bad: bool,
}

impl Compute {
    /// Starts the threads that were asked for, and opens the device.
    pub(super) fn begin(&self) -> Result<Device> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads.into())
                .build_global()
                .context("cannot start the threads")?;
        }
        self.device.open()
    }

    /// The flags of this kind that the run was given, to be given again.
    pub(super) fn again(&self) -> String {
        let mut flags = String::new();
        if let Place::Cuda(n) = self.device {
            flags += &format!(" --device cuda:{n}");
        }
        if let Some(threads) = self.threads {
            flags += &format!(" --threads {threads}");
        }
        if self.checkpoint_minutes != CHECKPOINT_MINUTES {
            flags += &format!(" --checkpoint-minutes {}", self.checkpoint_minutes);
        }
        if self.skip_bad {
            flags += " --skip-bad";
        }
        flags
    }

    /// Whether a GPU is to compute.
    pub(super) fn is_gpu(&self) -> bool {
        matches!(self.device, Place::Cuda(_))
    }

    /// How often to save.
    pub(super) fn save_every(&self) -> Duration {
        Duration::from_secs_f64(self.checkpoint_minutes * 60.0)
    }
}

/// A device as it stands on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Cpu,
    Cuda(usize),
}

impl Place {
    fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !candle_core::utils::cuda_is_available() => Err(Usage(
                "this build has no CUDA: build with --features cuda, or use --device cpu".into(),
            )
            .into()),
            Self::Cuda(n) => candle_core::Device::new_cuda(n)
                .map(Device::Candle)
                .with_context(|| format!("cannot open cuda:{n}")),
        }
    }
}

fn parse_device(text: &str) -> Result<Place, String> {
    match text.split_once(':').unwrap_or((text, "0")) {
        ("cpu", "0") => Ok(Place::Cpu),
        ("cuda", n) => n
            .parse()
            .map(Place::Cuda)
            .map_err(|_| format!("expected a GPU number behind cuda:, found `{n}`")),
        _ => Err("expected cpu, cuda or cuda:N".into()),
    }
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().ok();
    minutes
        .filter(|m| (0.0..=1e5).contains(m))
        .ok_or_else(|| "expected minutes, such as 5 or 0.5".into())
}
