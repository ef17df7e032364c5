//! What may be configured about the serial line, table `[serial]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tty::{self, BAUD_RATES};
use crate::setting::{InvalidSetting, within};

/// Where and how to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The port, best by a name that stays: `/dev/serial/by-id/…` or `/dev/serial0`. Absent: nothing
    /// is sent.
    pub port: Option<PathBuf>,
    /// What drives it.
    pub driver: Driver,
    /// Bits per second, one of [`BAUD_RATES`].
    pub baud: u32,
    /// Seconds from one `Hello` to the next, 1 to 3600.
    pub hello_secs: u64,
    /// Reports that wait for a slow or absent line, 1 to 4096; the oldest go first. Few keep a slow
    /// line up to date, many bridge a break.
    pub buffer: usize,
    /// Longest pause in seconds before an absent port is tried again, 1 to 3600.
    pub reopen_secs: u64,
}

/// What drives the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// The kernel's terminal interface, for any port.
    Tty,
    /// rppal, for the UART of a Raspberry Pi; only in builds with the feature `rpi`.
    Rppal,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: None,
            driver: Driver::Tty,
            baud: 115_200,
            hello_secs: 5,
            buffer: 16,
            reopen_secs: 10,
        }
    }
}

impl Settings {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field that can't be used, and what it may be.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        within("hello_secs", self.hello_secs, 1..=3600)?;
        within("reopen_secs", self.reopen_secs, 1..=3600)?;
        within("buffer", self.buffer, 1..=4096)?;
        if tty::baud_rate(self.baud).is_none() {
            let rates: Vec<_> = BAUD_RATES
                .iter()
                .map(|(rate, _)| rate.to_string())
                .collect();
            let expected = format!("one of {}", rates.join(", "));
            return Err(InvalidSetting::new("baud", self.baud, expected));
        }
        if self.driver == Driver::Rppal && !cfg!(feature = "rpi") {
            let expected = "tty, or a build with the feature rpi";
            return Err(InvalidSetting::new("driver", "rppal", expected));
        }
        Ok(())
    }

    /// Time from one `Hello` to the next.
    pub(super) fn hello_every(&self) -> Duration {
        Duration::from_secs(self.hello_secs)
    }

    /// Longest pause before the port is tried again.
    pub(super) fn reopen_after(&self) -> Duration {
        Duration::from_secs(self.reopen_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_what_may_be() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let wrong = Settings {
            baud: 115_201,
            ..Settings::default()
        };
        let error = wrong.validate().unwrap_err();
        assert_eq!((error.field, error.found.as_str()), ("baud", "115201"));
        assert!(error.expected.starts_with("one of 1200, "), "{error}");
        let wrong = Settings {
            buffer: 0,
            ..Settings::default()
        };
        assert_eq!(
            wrong.validate().unwrap_err().to_string(),
            "buffer: expected 1 to 4096, found `0`"
        );
    }

    #[test]
    fn a_table_may_be_partial_but_not_misspelt() {
        let settings: Settings = toml::from_str("port = \"/dev/serial0\"\nbaud = 9600").unwrap();
        assert_eq!((settings.baud, settings.hello_secs), (9600, 5));
        assert!(toml::from_str::<Settings>("bauds = 9600").is_err());
    }

    #[cfg(not(feature = "rpi"))]
    #[test]
    fn rppal_needs_its_feature() {
        let settings: Settings = toml::from_str("driver = \"rppal\"").unwrap();
        assert_eq!(settings.validate().unwrap_err().field, "driver");
    }
}
