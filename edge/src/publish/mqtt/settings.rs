//! What `[mqtt]` in the configuration says.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::session::WINDOW;
use crate::secret::Secret;
use crate::setting::{InvalidSetting, within};

/// Settings of the connection and of what is published. Without a host there is no MQTT.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name or address of the broker; empty: no MQTT.
    pub host: String,
    /// The broker's port; 1883, with TLS 8883, when not given.
    pub port: Option<u16>,
    /// Name under which the broker knows this client, one for each device; `fer-edge-` and the
    /// device's id when empty.
    pub client_id: String,
    /// User name; together with a password or not at all.
    pub username: Option<String>,
    /// Password; better kept in a file or given by the environment.
    pub password: Option<Secret>,
    /// File whose first line is the password; a plain file name is looked for among systemd's
    /// credentials first.
    pub password_file: Option<PathBuf>,
    /// Whether to encrypt.
    pub tls: bool,
    /// PEM file of the authorities to trust; those of the system when not given.
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the certificate that shows who we are.
    pub tls_client_cert: Option<PathBuf>,
    /// PEM file of its private key.
    pub tls_client_key: Option<PathBuf>,
    /// First level of every topic.
    pub topic_prefix: String,
    /// Whether Home Assistant is told about this device.
    pub discovery: bool,
    /// Home Assistant's discovery prefix.
    pub discovery_prefix: String,
    /// Seconds between signs of life on an idle connection.
    pub keep_alive_s: u16,
    /// An unchanged emotion is published again after this many seconds.
    pub heartbeat_s: u32,
    /// Seconds between health reports.
    pub health_s: u32,
    /// A face counts as gone when it was not seen for this many milliseconds, or when a new one takes its
    /// place.
    pub hold_ms: u32,
    /// Most reports that wait for the broker; the oldest are dropped beyond that.
    pub buffer: usize,
    /// Milliseconds before the first try to connect again; doubled with each further try.
    pub retry_first_ms: u32,
    /// Most milliseconds between two tries.
    pub retry_cap_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: None,
            client_id: String::new(),
            username: None,
            password: None,
            password_file: None,
            tls: false,
            tls_ca: None,
            tls_client_cert: None,
            tls_client_key: None,
            topic_prefix: "fer".to_owned(),
            discovery: true,
            discovery_prefix: "homeassistant".to_owned(),
            keep_alive_s: 15,
            heartbeat_s: 30,
            health_s: 60,
            hold_ms: 2000,
            buffer: 4096,
            retry_first_ms: 500,
            retry_cap_ms: 30_000,
        }
    }
}

impl Settings {
    /// Whether a broker is named.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.host.is_empty()
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 8883 } else { 1883 })
    }

    /// Checks every setting for itself and against the others; files are not opened.
    ///
    /// # Errors
    /// Returns the first setting that can't be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        for (field, prefix) in [
            ("topic_prefix", &self.topic_prefix),
            ("discovery_prefix", &self.discovery_prefix),
        ] {
            if !is_topic(prefix) {
                return Err(InvalidSetting::new(
                    field,
                    prefix,
                    "a topic without `+`, `#` and empty levels",
                ));
            }
        }
        if self.host.contains(['/', '@']) {
            // not shown, as a password may be in it
            let expected =
                "a host name or an IP address alone: port, user and TLS have keys of their own";
            return Err(InvalidSetting::new("host", "more", expected));
        }
        within("port", self.port(), 1..=u16::MAX)?;
        within("keep_alive_s", self.keep_alive_s, 5..=3600)?;
        within("heartbeat_s", self.heartbeat_s, 1..=86_400)?;
        within("health_s", self.health_s, 1..=86_400)?;
        within("hold_ms", self.hold_ms, 0..=3_600_000)?;
        within("buffer", self.buffer, 4 * WINDOW..=1_000_000)?;
        within("retry_first_ms", self.retry_first_ms, 10..=60_000)?;
        let cap = self.retry_first_ms..=600_000;
        within("retry_cap_ms", self.retry_cap_ms, cap)?;
        self.validate_identity()
    }

    fn validate_identity(&self) -> Result<(), InvalidSetting> {
        let given = |present: bool| if present { "given" } else { "not given" };
        if self.password.is_some() && self.password_file.is_some() {
            return Err(InvalidSetting::new(
                "password_file",
                "both",
                "only one of password and password_file",
            ));
        }
        let password = self.password.is_some() || self.password_file.is_some();
        if self.username.is_some() != password {
            return Err(InvalidSetting::new(
                "username",
                given(self.username.is_some()),
                "a user name and a password, or neither",
            ));
        }
        if self.tls_client_cert.is_some() != self.tls_client_key.is_some() {
            return Err(InvalidSetting::new(
                "tls_client_key",
                given(self.tls_client_key.is_some()),
                "a client certificate and its key, or neither",
            ));
        }
        let files = [&self.tls_ca, &self.tls_client_cert];
        if !self.tls && files.into_iter().any(Option::is_some) {
            let expected = "true where certificates are given";
            return Err(InvalidSetting::new("tls", false, expected));
        }
        Ok(())
    }

    /// The name under which the broker knows the device.
    pub(super) fn client_id(&self, device_id: &str) -> String {
        if self.client_id.is_empty() {
            format!("fer-edge-{device_id}")
        } else {
            self.client_id.clone()
        }
    }

    pub(super) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_s.into())
    }

    pub(super) fn hold(&self) -> Duration {
        Duration::from_millis(self.hold_ms.into())
    }
}

fn is_topic(text: &str) -> bool {
    text.split('/').all(|level| !level.is_empty()) && !text.contains(['+', '#', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_off() {
        let settings = Settings::default();
        settings.validate().unwrap();
        assert!(!settings.is_on());
        assert_eq!(settings.port(), 1883);
        assert_eq!(
            Settings {
                tls: true,
                ..settings
            }
            .port(),
            8883
        );
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_it_may_be() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.validate().unwrap_err()
        };
        let error = refused(|s| s.topic_prefix = "a/#".to_owned());
        assert_eq!(error.field, "topic_prefix");
        assert_eq!(
            refused(|s| s.discovery_prefix = String::new()).field,
            "discovery_prefix"
        );
        assert_eq!(refused(|s| s.port = Some(0)).field, "port");
        assert_eq!(refused(|s| s.keep_alive_s = 1).field, "keep_alive_s");
        assert_eq!(refused(|s| s.retry_cap_ms = 1).field, "retry_cap_ms");
        assert_eq!(refused(|s| s.tls_ca = Some("ca.pem".into())).field, "tls");
        let error = refused(|s| s.buffer = 1);
        assert_eq!(
            error.to_string(),
            "buffer: expected 64 to 1000000, found `1`"
        );
    }

    /// It was accepted, and looked up as a name for ever.
    #[test]
    fn a_host_that_is_an_address_is_refused_and_not_shown() {
        for host in [
            "mqtt://me:secret@broker",
            "mqtts://secret:8883",
            "secret/",
            "me:secret@broker",
        ] {
            let settings = Settings {
                host: host.to_owned(),
                ..Settings::default()
            };
            let error = settings.validate().unwrap_err();
            assert_eq!(error.field, "host", "{host}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for host in ["broker.local", "10.0.0.2", "::1"] {
            let settings = Settings {
                host: host.to_owned(),
                ..Settings::default()
            };
            settings.validate().unwrap();
        }
    }

    #[test]
    fn a_user_needs_a_password_and_a_certificate_its_key() {
        let user = Settings {
            username: Some("kiosk".to_owned()),
            ..Settings::default()
        };
        assert_eq!(user.validate().unwrap_err().field, "username");
        let password = Settings {
            password: Some(Secret::new("x")),
            ..Settings::default()
        };
        assert_eq!(password.validate().unwrap_err().field, "username");
        let both = Settings {
            username: Some("kiosk".to_owned()),
            password_file: Some("secret".into()),
            ..password
        };
        assert_eq!(both.validate().unwrap_err().field, "password_file");
        let key = Settings {
            tls: true,
            tls_client_key: Some("key.pem".into()),
            ..Settings::default()
        };
        assert_eq!(key.validate().unwrap_err().field, "tls_client_key");
    }
}
