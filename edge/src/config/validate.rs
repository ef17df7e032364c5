//! Checks what types can't say, and names the key.

use super::{Config, KeyError};
use crate::http;
use crate::led::LedError;
use crate::publish::{mqtt, serial};

impl Config {
    /// Checks every table.
    ///
    /// # Errors
    /// Returns the first key with a value that makes no sense.
    pub(super) fn validate(&self) -> Result<(), KeyError> {
        self.camera.validate().map_err(|why| camera(&why))?;
        self.vision.validate().map_err(|e| e.within("vision"))?;
        self.reuse.validate().map_err(|e| e.within("reuse"))?;
        self.smoothing
            .validate()
            .map_err(|e| e.within("smoothing"))?;
        self.mqtt.validate().map_err(|e| KeyError::from(&e))?;
        self.serial.validate().map_err(|e| KeyError::from(&e))?;
        self.led.validate().map_err(|e| KeyError::from(&e))?;
        self.http.validate().map_err(|e| KeyError::from(&e))?;
        self.service.validate().map_err(|e| e.within("service"))
    }
}

/// The keys that others are checked against, by the key that is named when they don't go together. Defaults go with
/// each other, so where nobody set that key, one of these was set.
pub(super) fn related(key: &str) -> &'static [&'static str] {
    match key {
        "camera.lost_ms" => &["camera.stall_ms"],
        "camera.retry_max_ms" => &["camera.retry_ms"],
        "mqtt.retry_cap_ms" => &["mqtt.retry_first_ms"],
        "mqtt.username" => &["mqtt.password", "mqtt.password_file"],
        "mqtt.tls_client_key" => &["mqtt.tls_client_cert"],
        "mqtt.tls" => &["mqtt.tls_ca", "mqtt.tls_client_cert"],
        _ => &[],
    }
}

/// The camera's messages start with the key.
fn camera(why: &str) -> KeyError {
    let key = why.split([':', ' ']).next().unwrap_or_default();
    KeyError::new(format!("camera.{key}"), why)
}

impl From<&mqtt::SettingsError> for KeyError {
    fn from(error: &mqtt::SettingsError) -> Self {
        let mqtt::SettingsError {
            field,
            expected,
            found,
        } = error;
        Self::new(
            format!("mqtt.{field}"),
            format!("expected {expected}, found `{found}`"),
        )
    }
}

impl From<&serial::InvalidSetting> for KeyError {
    fn from(error: &serial::InvalidSetting) -> Self {
        let serial::InvalidSetting {
            field,
            expected,
            found,
        } = error;
        Self::new(
            format!("serial.{field}"),
            format!("expected {expected}, found `{found}`"),
        )
    }
}

impl From<&LedError> for KeyError {
    fn from(error: &LedError) -> Self {
        Self::new("led.gpio", error.to_string())
    }
}

impl From<&http::SettingsError> for KeyError {
    fn from(error: &http::SettingsError) -> Self {
        match error {
            http::SettingsError::Value { field, expected } => {
                Self::new(format!("http.{field}"), expected)
            }
            // Only read when the server starts.
            http::SettingsError::TokenFile { .. } => {
                Self::new("http.token_file", error.to_string())
            }
        }
    }
}
