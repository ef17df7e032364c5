//! Any text, read as a configuration file and, after a NUL, as variables, must end without a panic; what is
//! accepted must be accepted again as `config show` prints it.

use std::ffi::OsString;
use std::path::PathBuf;

use fer_edge::config::{Config, Layers, Loaded, variables};

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (file, environment) = text.split_once('\0').unwrap_or((text, ""));
    let Some(loaded) = load(file, environment) else {
        return;
    };
    // secrets are not shown, so they would not come back
    let shown = loaded.show();
    if !shown.contains("[redacted]") {
        let again = load(&shown, "").expect("what is shown can be read");
        assert_eq!(again.config, loaded.config, "{shown}");
    }
}

fn load(file: &str, environment: &str) -> Option<Loaded> {
    let mut layers = Layers::default();
    layers.add_file(PathBuf::from("fuzz.toml"), file).ok()?;
    let pairs = environment.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    variables::add(&mut layers, pairs).ok()?;
    let config = Config::of(&layers).ok()?;
    Some(Loaded {
        config,
        layers,
        files: Vec::new(),
        warnings: Vec::new(),
    })
}
