//! Checks what types can't say, and names the key.

use super::{Config, KeyError};
use crate::setting::InvalidSetting;

impl Config {
    /// Checks every table.
    ///
    /// # Errors
    /// Returns the first key with a value that makes no sense.
    pub(super) fn validate(&self) -> Result<(), KeyError> {
        for (table, checked) in [
            ("camera", self.camera.validate().map(|_address| ())),
            ("vision", self.vision.validate()),
            ("reuse", self.reuse.validate()),
            ("smoothing", self.smoothing.validate()),
            ("mqtt", self.mqtt.validate()),
            ("serial", self.serial.validate()),
            ("led", self.led.validate()),
            ("http", self.http.validate()),
            ("service", self.service.validate()),
        ] {
            checked.map_err(|error| KeyError::from(error).within(table))?;
        }
        Ok(())
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

impl From<InvalidSetting> for KeyError {
    fn from(error: InvalidSetting) -> Self {
        let InvalidSetting {
            field,
            found,
            expected,
        } = error;
        Self::new(field, format!("expected {expected}, found `{found}`"))
    }
}
