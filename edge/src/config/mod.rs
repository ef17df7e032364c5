//! One configuration out of layers: built-in < file < drop-ins < environment < flags.
//!
//! Files are TOML and all their keys optional. Each layer is kept as plain TOML values until all are
//! merged; then the whole is read as one [`Config`], so that each setting has one type, one default and
//! one place. [`Loaded`] also knows which layer each value came from.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

mod files;
mod layers;
mod nearest;
mod outlets;
mod show;
mod tables;
mod validate;
mod value;
pub mod variables;

pub use files::{DEFAULT_FILE, DROP_INS};
pub use layers::{Layers, Origin};
pub use tables::{DetectorKind, Kind, Model, Reuse, Service, Smoothing, Vision};
pub use value::KeyError;

use crate::capture::camera;
use crate::http;
use crate::led;
use crate::publish::{mqtt, serial};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which camera, and how patient to be with it.
    pub camera: camera::Settings,
    /// How faces are found and followed.
    pub vision: Vision,
    /// Which faces keep the scores that they have.
    pub reuse: Reuse,
    /// How scores become decisions.
    pub smoothing: Smoothing,
    /// Which model to run.
    pub model: Model,
    /// The connection to an MQTT broker.
    pub mqtt: mqtt::Settings,
    /// The serial line.
    pub serial: serial::Settings,
    /// The kiosk page and its server.
    pub http: http::Settings,
    /// The light that shows that the camera is open.
    pub led: led::Settings,
    /// The program as a whole.
    pub service: Service,
}

/// A value that a flag set: key, value and the flag's name.
pub type FlagValue = (&'static str, toml::Value, &'static str);

/// Where to look for settings.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The file of `--config` or `FER_EDGE_CONFIG`; without it [`DEFAULT_FILE`], which may be missing.
    pub file: Option<PathBuf>,
    /// What flags set.
    pub flags: Vec<FlagValue>,
    /// Whether the outlets that [`DEFAULT_FILE`] and its drop-ins ask for are left to the service, and results go to
    /// stdout whatever they say. A `file` that was named, the environment and flags are followed all the same.
    pub leave_outlets: bool,
    /// Whether [`DEFAULT_FILE`] and its drop-ins are passed over, with a warning, where they may not be read. They hold
    /// the service's secrets, and somebody who looks at a picture doesn't need them; the service does.
    pub skip_unreadable: bool,
}

/// The configuration in force and where it comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The layers they were merged from.
    pub layers: Layers,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// What is not wrong, but should be known.
    pub warnings: Vec<String>,
}

/// Reads and merges all layers.
///
/// # Errors
/// Returns the first problem, with the file, variable or flag that it comes from.
pub fn load(
    places: &Places,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    let mut warnings = Vec::new();
    let files = files::add(&mut layers, places, &mut warnings)?;
    if places.leave_outlets && places.file.is_none() {
        outlets::leave(&mut layers);
    }
    variables::add(&mut layers, environment)?;
    for (key, value, flag) in &places.flags {
        layers.set(key, value.clone(), Origin::Flag(flag));
    }
    let config = Config::of(&layers)?;
    let loaded = Loaded {
        config,
        layers,
        files,
        warnings: Vec::new(),
    };
    warnings.extend(files::exposed_secrets(&loaded));
    Ok(Loaded { warnings, ..loaded })
}

impl Config {
    /// What merged layers say.
    ///
    /// # Errors
    /// Returns the first key that is unknown or whose value makes no sense, and who set it.
    pub fn of(layers: &Layers) -> Result<Self, ConfigError> {
        let read = value::typed(layers.table().clone().into());
        read.and_then(|config: Self| config.validate().map(|()| config))
            .map_err(|error| blamed(error, layers))
    }
}

/// Names who set the key. Where nobody did, its default is right, and another key that was set doesn't go with it.
fn blamed(error: KeyError, layers: &Layers) -> ConfigError {
    let origin = layers.origin(&error.key);
    if origin != Origin::BuiltIn {
        return ConfigError::Key { origin, error };
    }
    let set = validate::related(&error.key)
        .iter()
        .map(|key| (*key, layers.origin(key)))
        .find(|(_, origin)| *origin != Origin::BuiltIn);
    match set {
        Some((key, origin)) => ConfigError::Key {
            origin,
            error: KeyError::new(key, format!("does not go with {error}")),
        },
        None => ConfigError::Key { origin, error },
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file can't be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is no TOML.
    #[error("{}: line {line}: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1. Not its text: it may hold a password.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A key is unknown or its value makes no sense.
    #[error("{origin}: {error}")]
    Key {
        /// Who set it.
        origin: Origin,
        /// The key and what is wrong.
        error: KeyError,
    },
    /// A variable has our prefix and sets nothing.
    #[error("{name}: unknown environment variable{}", hint(*nearest))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The name that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A variable's value is no text. It isn't shown: it may be a secret.
    #[error("{name}: expected a text in UTF-8")]
    NotText {
        /// The variable.
        name: &'static str,
    },
    /// A variable's text is no TOML value.
    #[error("{name}: expected a number, true, false or a list, found `{text}`")]
    Literal {
        /// The variable.
        name: &'static str,
        /// Its text.
        text: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn load_from(folder: &TempDir, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let places = Places {
            file: Some(folder.path().join("fer-edge.toml")),
            flags: vec![("smoothing.dwell_ms", 9.into(), "--dwell-ms")],
            ..Places::default()
        };
        let owned = environment
            .iter()
            .map(|(name, text)| (OsString::from(*name), OsString::from(*text)));
        load(&places, owned)
    }

    #[test]
    fn each_layer_overrides_the_one_before() {
        let folder = folder(&[
            (
                "fer-edge.toml",
                "[smoothing]\ntime_ms = 1\nmargin = 0.5\ndwell_ms = 1\n[service]\nthreshold = 0.5",
            ),
            ("conf.d/20-late.toml", "[smoothing]\nmargin = 0.2"),
            (
                "conf.d/10-early.toml",
                "[smoothing]\nmargin = 0.1\ntime_ms = 2",
            ),
            ("conf.d/30-not.toml.bak", "[smoothing]\nmargin = 0.9"),
        ]);
        let variables = [("FER_EDGE_SERVICE_THRESHOLD", "0.25")];
        let loaded = load_from(&folder, &variables).unwrap();
        let Config {
            smoothing, service, ..
        } = loaded.config;
        assert_eq!((smoothing.time_ms, smoothing.margin), (2, 0.2));
        assert_eq!((smoothing.dwell_ms, service.threshold), (9, 0.25));
        assert_eq!(loaded.files.len(), 3);
        let origin = |key| loaded.layers.origin(key).to_string();
        assert!(origin("smoothing.margin").ends_with("20-late.toml"));
        assert!(origin("smoothing.time_ms").ends_with("10-early.toml"));
        assert_eq!(origin("smoothing.dwell_ms"), "--dwell-ms");
        assert_eq!(origin("service.threshold"), "FER_EDGE_SERVICE_THRESHOLD");
        assert_eq!(origin("vision.region"), "built-in");
    }

    #[test]
    fn errors_name_file_and_key() {
        for (text, key, says) in [
            ("[smothing]", "smothing", "did you mean `smoothing`?"),
            (
                "[vision]\nmin_fase = 3",
                "vision.min_fase",
                "did you mean `min_face`?",
            ),
            (
                "[vision]\nmin_face = 3",
                "vision.min_face",
                "expected at least 20",
            ),
            (
                "[smoothing]\nmargin = 2",
                "smoothing.margin",
                "expected 0 to 1, found `2`",
            ),
            (
                "[vision]\ndetector = 'roi'",
                "vision.detector",
                "region = [x, y, width, height]",
            ),
            ("[service]\nid = 'a/b'", "service.id", "letters"),
            ("[service", "line 1", ""),
        ] {
            let folder = folder(&[("fer-edge.toml", "[service]"), ("conf.d/1.toml", text)]);
            let error = load_from(&folder, &[]).unwrap_err().to_string();
            for expected in ["conf.d/1.toml", key, says] {
                assert!(error.contains(expected), "{expected} in {error}");
            }
        }
    }

    #[test]
    fn every_table_names_the_key_once_and_what_was_found() {
        for (text, says) in [
            (
                "[camera]\nfps = 0",
                "camera.fps: expected 1 to 1000, found `0`",
            ),
            (
                "[camera]\ndevice = 'rpicam:x'",
                "camera.device: expected a number from 0 to 255 after `:`, found `rpicam:x`",
            ),
            (
                "[vision]\nmin_face = 3",
                "vision.min_face: expected at least 20, found `3`",
            ),
            (
                "[reuse]\nscore = 2",
                "reuse.score: expected 0 to 1, found `2`",
            ),
            (
                "[smoothing]\nmargin = nan",
                "smoothing.margin: expected 0 to 1, found `NaN`",
            ),
            (
                "[mqtt]\nport = 0",
                "mqtt.port: expected 1 to 65535, found `0`",
            ),
            (
                "[serial]\nbuffer = 0",
                "serial.buffer: expected 1 to 4096, found `0`",
            ),
            (
                "[led]\ngpio = 200",
                "led.gpio: expected 0 to 57, found `200`",
            ),
            (
                "[http]\nconnections = 0",
                "http.connections: expected 1 to 1024, found `0`",
            ),
            (
                "[service]\nmax_fps = 0.25",
                "service.max_fps: expected 0.5 to 1000, found `0.25`",
            ),
        ] {
            let folder = folder(&[("fer-edge.toml", text)]);
            let error = load_from(&folder, &[]).unwrap_err().to_string();
            let place = format!("fer-edge.toml: {says}");
            assert!(error.ends_with(&place), "{place} in {error}");
        }
    }

    #[test]
    fn a_key_that_does_not_go_with_a_default_is_blamed_and_not_the_default() {
        for (text, key, with) in [
            ("[camera]\nheight = 0", "camera.height", ""),
            ("[camera]\nwidth = 0", "camera.width", ""),
            (
                "[camera]\nretry_ms = 60000",
                "camera.retry_ms",
                "camera.retry_max_ms",
            ),
            ("[mqtt]\npassword = 'x'", "mqtt.password", "mqtt.username"),
            (
                "[mqtt]\npassword_file = '/x'",
                "mqtt.password_file",
                "mqtt.username",
            ),
            ("[mqtt]\ntls_ca = '/x'", "mqtt.tls_ca", "mqtt.tls"),
            (
                "[mqtt]\ntls = true\ntls_client_cert = '/x'",
                "mqtt.tls_client_cert",
                "mqtt.tls_client_key",
            ),
            (
                "[mqtt]\nretry_first_ms = 50000",
                "mqtt.retry_first_ms",
                "mqtt.retry_cap_ms",
            ),
        ] {
            let folder = folder(&[("fer-edge.toml", "[mqtt]"), ("conf.d/a.toml", text)]);
            let error = load_from(&folder, &[]).unwrap_err().to_string();
            let place = format!("conf.d/a.toml: {key}: ");
            assert!(error.contains(&place), "{place} in {error}");
            assert!(error.contains(with), "{with} in {error}");
        }
        // Whoever set the key itself is named first.
        let text = "[mqtt]\nretry_first_ms = 50000\nretry_cap_ms = 100";
        let folder = folder(&[("fer-edge.toml", text)]);
        let error = load_from(&folder, &[]).unwrap_err().to_string();
        assert!(error.contains(": mqtt.retry_cap_ms: expected"), "{error}");
    }

    #[test]
    fn no_error_shows_a_secret() {
        for text in [
            "[mqtt]\npassword = \"hunter2-9\nhost = 'broker'",
            "[mqtt]\npassword = 23456789",
            "[http]\ntoken = [23456789]",
            "[camera]\ndevice = 'http://me:23456789@cam/'",
            "[camera]\ndevice = 'http://me:2345/6789@cam/'",
            "[camera]\ndevice = 'http://me:hunter2/9@cam/'",
            "[camera]\ndevice = 'http://me:hunter2?9@cam/'",
            "[camera]\ndevice = 'rtsp://me:hunter2@cam/'",
        ] {
            let folder = folder(&[("fer-edge.toml", text)]);
            let error = load_from(&folder, &[]).unwrap_err().to_string();
            assert!(error.contains("fer-edge.toml"), "{error}");
            assert!(
                !error.contains("hunter2") && !error.contains("2345"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let error = load_from(&folder, &[]).unwrap_err().to_string();
        assert!(error.contains("fer-edge.toml"), "{error}");
    }

    #[test]
    fn every_key_has_its_variable_and_no_variable_is_without_a_key() {
        let shown = toml::Table::try_from(Config::default()).unwrap();
        for (table, keys) in &shown {
            for key in keys.as_table().unwrap().keys() {
                let key = format!("{table}.{key}");
                let known = variables::VARIABLES
                    .iter()
                    .any(|(_, known, _)| *known == key);
                assert!(known, "{key} has no variable");
            }
        }
        for (name, key, _) in variables::VARIABLES {
            let mut layers = Layers::default();
            // No setting is a date: a known key is refused for its type, an unknown one for its name.
            let date: toml::value::Datetime = "1979-05-27".parse().unwrap();
            layers.set(key, toml::Value::Datetime(date), Origin::Variable(name));
            let error = Config::of(&layers).map_err(|e| e.to_string());
            assert!(!error.is_err_and(|e| e.contains("unknown")), "{key}");
        }
    }
}
