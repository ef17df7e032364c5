//! `fer-edge doctor`: looks at everything that the configuration needs, and says what to do where
//! something is missing.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

mod camera;
mod device;
mod finding;
mod links;
mod machine;
mod model;

pub use finding::{Finding, Level};

use crate::budget::SystemGauges;
use crate::config::Loaded;

/// Examines this machine for what the configuration asks for. Takes some seconds where a broker or a
/// camera in the network doesn't answer.
#[must_use]
pub fn examine(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let places = machine::Places::default();
    let mut findings = configuration(loaded);
    findings.push(camera::examine(&config.camera, on_path));
    let (finding, manifest) = model::examine(config);
    findings.push(finding);
    findings.extend(links::mqtt(config));
    let command_line = Path::new("/proc/cmdline");
    findings.extend(links::serial(
        &config.serial,
        manifest.as_ref(),
        command_line,
    ));
    findings.extend(links::http(&config.http));
    let of_the_service = Path::new(links::LEDS_OF_THE_SERVICE);
    findings.extend(links::led(&config.led, of_the_service));
    findings.push(machine::clock(SystemTime::now(), &places));
    let limit = config.service.max_celsius;
    findings.push(machine::temperature(&mut SystemGauges::default(), limit));
    findings.extend(machine::throttling(&places));
    findings
}

fn configuration(loaded: &Loaded) -> Vec<Finding> {
    const SUBJECT: &str = "config";
    let names: Vec<_> = loaded
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let seen = match names.as_slice() {
        [] => "no file; built-in settings".to_owned(),
        names => names.join(", "),
    };
    let mut findings = vec![Finding::good(SUBJECT, seen)];
    let warnings = loaded.warnings.iter();
    findings.extend(warnings.map(|text| Finding::note(SUBJECT, text, "")));
    findings
}

/// Where a program lies on `PATH`.
#[must_use]
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file())
}
