//! What can be set about the server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::secret::{self, Secret};
use crate::setting::{InvalidSetting, within};

/// Shortest token that is taken: 16 characters of hexadecimal are 64 bits.
const MIN_TOKEN: usize = 16;

/// The `[http]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether there is a server at all.
    pub enabled: bool,
    /// Address and port; other than this host only with a token. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// What clients have to know, as `Bearer` token or as the password of a browser's dialogue.
    pub token: Option<Secret>,
    /// A file that holds the token; instead of `token`.
    pub token_file: Option<PathBuf>,
    /// Names by which browsers reach the page, such as `kiosk.local`. Addresses and `localhost` need not
    /// be listed.
    pub hosts: Vec<String>,
    /// What the page tells the people in front of the camera.
    pub notice: String,
    /// Connections at a time, some of which the events can't have; more are turned away.
    pub connections: usize,
    /// Longest head of a request, in bytes.
    pub header_bytes: usize,
    /// Largest picture to classify, in bytes.
    pub body_bytes: usize,
    /// A head has to arrive within this time.
    pub header_timeout_ms: u64,
    /// A picture has to arrive within this time.
    pub body_timeout_ms: u64,
    /// A client that takes nothing for this time is dropped.
    pub write_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            token: None,
            token_file: None,
            hosts: Vec::new(),
            notice:
                "A camera here estimates facial expressions. Pictures are not stored and do not \
                     leave this device, and nobody is recognised. You can step out of its view."
                    .to_owned(),
            connections: 32,
            header_bytes: 8 << 10,
            body_bytes: 4 << 20,
            header_timeout_ms: 5000,
            body_timeout_ms: 10_000,
            write_timeout_ms: 5000,
        }
    }
}

/// A setting that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value is out of range or contradicts another.
    #[error("http.{0}")]
    Value(InvalidSetting),
    /// The token's file can't be read.
    #[error("http.token_file: {path}: {error}", path = path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Settings {
    /// Checks every value; the token's file is not read.
    ///
    /// # Errors
    /// Names the first field that can't be used, and what was expected.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        within("connections", self.connections, 1..=1024)?;
        within("header_bytes", self.header_bytes, 512..=64 << 10)?;
        within("body_bytes", self.body_bytes, 1024..=64 << 20)?;
        within("header_timeout_ms", self.header_timeout_ms, 10..=600_000)?;
        within("body_timeout_ms", self.body_timeout_ms, 10..=600_000)?;
        within("write_timeout_ms", self.write_timeout_ms, 10..=600_000)?;
        for host in &self.hosts {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            if host.is_empty() || !host.chars().all(plain) {
                let expected = "names like `kiosk.local`, without port";
                return Err(InvalidSetting::new("hosts", host, expected));
            }
        }
        if self.notice.trim().is_empty() {
            let expected = "a text, as people have to be told";
            return Err(InvalidSetting::new("notice", "nothing", expected));
        }
        if self.token.is_some() && self.token_file.is_some() {
            let expected = "only one of token and token_file";
            return Err(InvalidSetting::new("token_file", "both", expected));
        }
        if let Some(token) = &self.token {
            check_token("token", token)?;
        }
        if !self.listen.ip().is_loopback() && self.token.is_none() && self.token_file.is_none() {
            let expected =
                "token or token_file beside an address that other hosts reach, or another address";
            return Err(InvalidSetting::new("listen", self.listen, expected));
        }
        Ok(())
    }

    /// Connections that may read the events at a time: a quarter, at least one, is kept from them, so
    /// that probes and metrics get through. Of a single connection nothing can be kept.
    pub(super) fn pages(&self) -> usize {
        let kept = (self.connections / 4).max(1);
        self.connections.saturating_sub(kept).max(1)
    }

    /// The token, from wherever it lies; white space around a file's content is no part of it.
    ///
    /// # Errors
    /// Returns an error when the file can't be read or holds no usable token.
    pub fn secret(&self) -> Result<Option<Secret>, SettingsError> {
        self.token_file
            .as_deref()
            .map_or_else(|| Ok(self.token.clone()), |path| read_token(path).map(Some))
    }
}

fn read_token(path: &Path) -> Result<Secret, SettingsError> {
    let path = secret::located(path);
    let text = fs::read_to_string(&path).map_err(|error| SettingsError::TokenFile {
        path: path.into_owned(),
        error,
    })?;
    let token = Secret::new(text.trim());
    check_token("token_file", &token).map_err(SettingsError::Value)?;
    Ok(token)
}

/// Never shows the token it refuses.
fn check_token(field: &'static str, token: &Secret) -> Result<(), InvalidSetting> {
    let text = token.reveal();
    let found = if text.len() < MIN_TOKEN {
        "fewer"
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        "others"
    } else {
        return Ok(());
    };
    let expected = format!("at least {MIN_TOKEN} ASCII characters without white space");
    Err(InvalidSetting::new(field, found, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_usable_and_on_this_host_only() {
        let settings = Settings::default();
        settings.validate().unwrap();
        assert!(settings.listen.ip().is_loopback());
        assert_eq!(settings.secret().unwrap(), None);
    }

    #[test]
    fn other_hosts_need_a_token() {
        let everywhere = "0.0.0.0:8787".parse().unwrap();
        let error = refused(|s| s.listen = everywhere);
        assert!(error.starts_with("listen: ") && error.contains("token"));
        let settings = Settings {
            listen: everywhere,
            token: Some(Secret::new("0123456789abcdef")),
            ..Settings::default()
        };
        settings.validate().unwrap();
    }

    #[test]
    fn a_place_is_kept_from_the_events_even_of_two_or_three() {
        for (connections, pages) in [(1, 1), (2, 1), (3, 2), (4, 3), (32, 24)] {
            let settings = Settings {
                connections,
                ..Settings::default()
            };
            assert_eq!(settings.pages(), pages, "of {connections}");
        }
    }

    #[test]
    fn errors_name_the_field_and_never_the_token() {
        assert!(refused(|s| s.connections = 0).starts_with("connections: expected"));
        assert!(refused(|s| s.hosts = vec!["a/b".into()]).contains("`a/b`"));
        assert!(refused(|s| s.notice = " ".into()).starts_with("notice: "));
        let error = refused(|s| s.token = Some(Secret::new("hunter2")));
        assert!(error.starts_with("token: ") && !error.contains("hunter2"));
    }

    #[test]
    fn a_token_comes_from_a_file_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let settings = Settings {
            token_file: Some(path.clone()),
            ..Settings::default()
        };
        let error = settings.secret().unwrap_err().to_string();
        assert!(
            error.contains("token_file") && error.contains("token:"),
            "{error}"
        );
        fs::write(&path, "0123456789abcdef\n").unwrap();
        let token = settings.secret().unwrap().unwrap();
        assert_eq!(token.reveal(), "0123456789abcdef");
    }

    #[test]
    fn a_table_with_an_unknown_key_is_refused() {
        let parse = toml::from_str::<Settings>;
        let settings = parse("listen = \"[::1]:80\"\nhosts = [\"kiosk.local\"]").unwrap();
        assert_eq!(settings.listen.port(), 80);
        assert!(
            parse("lisen = 1")
                .unwrap_err()
                .to_string()
                .contains("lisen")
        );
    }
}
