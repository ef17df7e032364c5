//! `fer-edge doctor`.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::Args;
use fer_edge::service::doctor::{self, Level};

use super::Failure;
use super::choices::ConfigChoice;

#[derive(Debug, Args)]
#[command(
    after_help = "Looks at the configuration, the camera, the model, the broker, the serial line, the \
    kiosk's port, the clock and the temperature, as far as the configuration asks for them, and says what \
    to do. Exit code 1 where there is a problem.\n\nExample:\n  sudo -u fer-edge fer-edge doctor"
)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigChoice,
}

pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let loaded = args.config.load(Vec::new())?;
    let findings = doctor::examine(&loaded);
    let mut text = String::new();
    for finding in &findings {
        writeln!(text, "{finding}")?;
    }
    io::stdout().lock().write_all(text.as_bytes())?;
    let problems = findings
        .iter()
        .filter(|f| f.level == Level::Problem)
        .count();
    match problems {
        0 => Ok(()),
        1 => Err(Failure::Runtime(anyhow::anyhow!("1 problem"))),
        n => Err(Failure::Runtime(anyhow::anyhow!("{n} problems"))),
    }
}
