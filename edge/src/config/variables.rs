//! The environment variables that set something: all of them, in one list.

use std::ffi::OsString;

use toml::{Table, Value};

use super::ConfigError;
use super::layers::{Layers, Origin};
use super::nearest::nearest;

/// What a variable's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Itself.
    Text,
    /// A number, `true`, `false` or a list, written as in TOML.
    Literal,
}

/// The start of every name; an unknown one with this start is refused.
pub const PREFIX: &str = "FER_EDGE_";

/// Path of the configuration file, like `--config`; empty, it names none.
pub const CONFIG_FILE: &str = "FER_EDGE_CONFIG";

/// Name, key and kind of every variable, in the order in which `config show` prints the keys.
#[rustfmt::skip]
pub static VARIABLES: &[(&str, &str, Kind)] = &[
    ("FER_EDGE_CAMERA_DEVICE", "camera.device", Kind::Text),
    ("FER_EDGE_CAMERA_WIDTH", "camera.width", Kind::Literal),
    ("FER_EDGE_CAMERA_HEIGHT", "camera.height", Kind::Literal),
    ("FER_EDGE_CAMERA_FPS", "camera.fps", Kind::Literal),
    ("FER_EDGE_CAMERA_OPEN_MS", "camera.open_ms", Kind::Literal),
    ("FER_EDGE_CAMERA_STALL_MS", "camera.stall_ms", Kind::Literal),
    ("FER_EDGE_CAMERA_LOST_MS", "camera.lost_ms", Kind::Literal),
    ("FER_EDGE_CAMERA_RETRY_MS", "camera.retry_ms", Kind::Literal),
    ("FER_EDGE_CAMERA_RETRY_MAX_MS", "camera.retry_max_ms", Kind::Literal),
    ("FER_EDGE_CAMERA_FROZEN", "camera.frozen", Kind::Literal),
    ("FER_EDGE_VISION_DETECTOR", "vision.detector", Kind::Text),
    ("FER_EDGE_VISION_DETECTOR_MODEL", "vision.detector_model", Kind::Text),
    ("FER_EDGE_VISION_REGION", "vision.region", Kind::Literal),
    ("FER_EDGE_VISION_MIN_FACE", "vision.min_face", Kind::Literal),
    ("FER_EDGE_VISION_MIN_SCORE", "vision.min_score", Kind::Literal),
    ("FER_EDGE_VISION_EVERY_N_FRAMES", "vision.every_n_frames", Kind::Literal),
    ("FER_EDGE_REUSE_DIFFERENCE", "reuse.difference", Kind::Literal),
    ("FER_EDGE_REUSE_SCORE", "reuse.score", Kind::Literal),
    ("FER_EDGE_REUSE_FRAMES", "reuse.frames", Kind::Literal),
    ("FER_EDGE_SMOOTHING_RAW", "smoothing.raw", Kind::Literal),
    ("FER_EDGE_SMOOTHING_TIME_MS", "smoothing.time_ms", Kind::Literal),
    ("FER_EDGE_SMOOTHING_MARGIN", "smoothing.margin", Kind::Literal),
    ("FER_EDGE_SMOOTHING_DWELL_MS", "smoothing.dwell_ms", Kind::Literal),
    ("FER_EDGE_MODEL_PATH", "model.path", Kind::Text),
    ("FER_EDGE_MQTT_HOST", "mqtt.host", Kind::Text),
    ("FER_EDGE_MQTT_PORT", "mqtt.port", Kind::Literal),
    ("FER_EDGE_MQTT_CLIENT_ID", "mqtt.client_id", Kind::Text),
    ("FER_EDGE_MQTT_USERNAME", "mqtt.username", Kind::Text),
    ("FER_EDGE_MQTT_PASSWORD", "mqtt.password", Kind::Text),
    ("FER_EDGE_MQTT_PASSWORD_FILE", "mqtt.password_file", Kind::Text),
    ("FER_EDGE_MQTT_TLS", "mqtt.tls", Kind::Literal),
    ("FER_EDGE_MQTT_TLS_CA", "mqtt.tls_ca", Kind::Text),
    ("FER_EDGE_MQTT_TLS_CLIENT_CERT", "mqtt.tls_client_cert", Kind::Text),
    ("FER_EDGE_MQTT_TLS_CLIENT_KEY", "mqtt.tls_client_key", Kind::Text),
    ("FER_EDGE_MQTT_TOPIC_PREFIX", "mqtt.topic_prefix", Kind::Text),
    ("FER_EDGE_MQTT_DISCOVERY", "mqtt.discovery", Kind::Literal),
    ("FER_EDGE_MQTT_DISCOVERY_PREFIX", "mqtt.discovery_prefix", Kind::Text),
    ("FER_EDGE_MQTT_KEEP_ALIVE_S", "mqtt.keep_alive_s", Kind::Literal),
    ("FER_EDGE_MQTT_HEARTBEAT_S", "mqtt.heartbeat_s", Kind::Literal),
    ("FER_EDGE_MQTT_HEALTH_S", "mqtt.health_s", Kind::Literal),
    ("FER_EDGE_MQTT_HOLD_MS", "mqtt.hold_ms", Kind::Literal),
    ("FER_EDGE_MQTT_BUFFER", "mqtt.buffer", Kind::Literal),
    ("FER_EDGE_MQTT_RETRY_FIRST_MS", "mqtt.retry_first_ms", Kind::Literal),
    ("FER_EDGE_MQTT_RETRY_CAP_MS", "mqtt.retry_cap_ms", Kind::Literal),
    ("FER_EDGE_SERIAL_PORT", "serial.port", Kind::Text),
    ("FER_EDGE_SERIAL_DRIVER", "serial.driver", Kind::Text),
    ("FER_EDGE_SERIAL_BAUD", "serial.baud", Kind::Literal),
    ("FER_EDGE_SERIAL_HELLO_SECS", "serial.hello_secs", Kind::Literal),
    ("FER_EDGE_SERIAL_BUFFER", "serial.buffer", Kind::Literal),
    ("FER_EDGE_SERIAL_REOPEN_SECS", "serial.reopen_secs", Kind::Literal),
    ("FER_EDGE_HTTP_ENABLED", "http.enabled", Kind::Literal),
    ("FER_EDGE_HTTP_LISTEN", "http.listen", Kind::Text),
    ("FER_EDGE_HTTP_TOKEN", "http.token", Kind::Text),
    ("FER_EDGE_HTTP_TOKEN_FILE", "http.token_file", Kind::Text),
    ("FER_EDGE_HTTP_HOSTS", "http.hosts", Kind::Literal),
    ("FER_EDGE_HTTP_NOTICE", "http.notice", Kind::Text),
    ("FER_EDGE_HTTP_CONNECTIONS", "http.connections", Kind::Literal),
    ("FER_EDGE_HTTP_HEADER_BYTES", "http.header_bytes", Kind::Literal),
    ("FER_EDGE_HTTP_BODY_BYTES", "http.body_bytes", Kind::Literal),
    ("FER_EDGE_HTTP_HEADER_TIMEOUT_MS", "http.header_timeout_ms", Kind::Literal),
    ("FER_EDGE_HTTP_BODY_TIMEOUT_MS", "http.body_timeout_ms", Kind::Literal),
    ("FER_EDGE_HTTP_WRITE_TIMEOUT_MS", "http.write_timeout_ms", Kind::Literal),
    ("FER_EDGE_LED_SYSFS", "led.sysfs", Kind::Text),
    ("FER_EDGE_LED_GPIO", "led.gpio", Kind::Literal),
    ("FER_EDGE_SERVICE_ID", "service.id", Kind::Text),
    ("FER_EDGE_SERVICE_NAME", "service.name", Kind::Text),
    ("FER_EDGE_SERVICE_STDOUT", "service.stdout", Kind::Literal),
    ("FER_EDGE_SERVICE_THRESHOLD", "service.threshold", Kind::Literal),
    ("FER_EDGE_SERVICE_MAX_FPS", "service.max_fps", Kind::Literal),
    ("FER_EDGE_SERVICE_MAX_CPU_PERCENT", "service.max_cpu_percent", Kind::Literal),
    ("FER_EDGE_SERVICE_MAX_CELSIUS", "service.max_celsius", Kind::Literal),
];

/// Takes in what the environment sets.
///
/// # Errors
/// Returns an error for an unknown name with our prefix, for a value that is no text, and for a literal that TOML
/// can't read.
pub fn add(
    layers: &mut Layers,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    for (name, value) in environment {
        // The path of a file need not be text.
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || name == CONFIG_FILE {
            continue;
        }
        let name = name.to_string_lossy().into_owned();
        let Some((name, key, kind)) = VARIABLES.iter().find(|(known, ..)| *known == name) else {
            let known = VARIABLES.iter().map(|(known, ..)| *known);
            return Err(ConfigError::UnknownVariable {
                nearest: nearest(&name, known.chain([CONFIG_FILE])),
                name,
            });
        };
        let text = value
            .into_string()
            .map_err(|_| ConfigError::NotText { name })?;
        let value = match kind {
            Kind::Text => Value::String(text),
            Kind::Literal => literal(&text).ok_or(ConfigError::Literal { name, text })?,
        };
        layers.set(key, value, Origin::Variable(name));
    }
    Ok(())
}

fn literal(text: &str) -> Option<Value> {
    let document: Table = format!("value = {text}").parse().ok()?;
    // A text with a line break could bring further keys.
    (document.len() == 1).then(|| document.get("value").cloned())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn set(name: &str, value: impl Into<OsString>) -> Result<Layers, ConfigError> {
        let mut layers = Layers::default();
        let variable = (OsString::from(name), value.into());
        add(&mut layers, [variable].into_iter())?;
        Ok(layers)
    }

    #[test]
    fn names_follow_their_keys() {
        for (name, key, _) in VARIABLES {
            let expected = key.to_ascii_uppercase().replace('.', "_");
            assert_eq!(name.strip_prefix(PREFIX), Some(&*expected));
        }
    }

    #[test]
    fn texts_stay_texts_and_literals_are_read() {
        let layers = set("FER_EDGE_SERVICE_NAME", "7").unwrap();
        assert_eq!(layers.table()["service"]["name"].as_str(), Some("7"));
        let layers = set("FER_EDGE_VISION_REGION", "[1, 2, 3, 4]").unwrap();
        assert!(layers.table()["vision"]["region"].is_array());
        assert_eq!(
            layers.origin("vision.region"),
            Origin::Variable("FER_EDGE_VISION_REGION")
        );
    }

    #[test]
    fn a_wrong_name_and_a_wrong_literal_are_refused() {
        let error = set("FER_EDGE_SERVICE_NAMES", "x").unwrap_err().to_string();
        assert!(error.contains("FER_EDGE_SERVICE_NAME?"), "{error}");
        for text in ["", "yes", "1\nother = 2"] {
            let error = set("FER_EDGE_SMOOTHING_RAW", text).unwrap_err().to_string();
            assert!(error.contains("FER_EDGE_SMOOTHING_RAW"), "{error}");
        }
        assert!(set("FER_EDGE_CONFIG", "/x").is_ok());
        assert!(set("OTHER", "x").is_ok());
    }

    #[test]
    fn a_value_that_is_no_text_is_refused_and_not_passed_over() {
        // "Köln" in Latin-1.
        let latin = || OsString::from_vec(b"K\xf6ln".to_vec());
        let error = set("FER_EDGE_SERVICE_NAME", latin()).unwrap_err();
        assert!(error.to_string().starts_with("FER_EDGE_SERVICE_NAME: "));
        let error = set("FER_EDGE_SERVICE_NAMES", latin()).unwrap_err();
        assert!(error.to_string().contains("unknown"), "{error}");
        assert!(set("FER_EDGE_CONFIG", latin()).is_ok());
        assert!(set("OTHER", latin()).is_ok());
    }
}
