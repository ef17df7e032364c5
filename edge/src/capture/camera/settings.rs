//! The `[camera]` table of the configuration.

use std::time::Duration;

use fer_models::MAX_SIDE;
use serde::{Deserialize, Serialize, Serializer};

use super::super::MAX_PIXELS;
use super::address::{Address, public};
use crate::secret::REDACTED;
use crate::setting::{InvalidSetting, within};

/// Which camera, which pictures, and how patient to be with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The camera: `v4l2:auto`, `v4l2:/dev/v4l/by-id/...`, `/dev/video0`, `rpicam[:N]`, `jetson[:N]` or
    /// `http://host/path`.
    #[serde(serialize_with = "masked")]
    pub device: String,
    /// Wanted pixels in a row; V4L2 and HTTP cameras may deliver others.
    pub width: u32,
    /// Wanted rows.
    pub height: u32,
    /// Wanted pictures a second.
    pub fps: u32,
    /// How long opening may take until the first picture, in milliseconds.
    pub open_ms: u64,
    /// Stalled after this long without a new picture, in milliseconds.
    pub stall_ms: u64,
    /// Closed and opened again after this long without a new picture, in milliseconds.
    pub lost_ms: u64,
    /// Pause before the first attempt to open it again, in milliseconds.
    pub retry_ms: u64,
    /// Longest pause between attempts, in milliseconds.
    pub retry_max_ms: u64,
    /// Whether the same picture again and again counts as a stall. A camera's noise makes every picture
    /// differ; switch it off for a source that really repeats itself.
    pub frozen: bool,
}

/// What is written is only shown: a query may be a key to the camera, and is hidden as other secrets are.
fn masked<S: Serializer>(device: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = public(device);
    if shown == device {
        serializer.serialize_str(device)
    } else {
        serializer.collect_str(&format_args!("{shown}?{REDACTED}"))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: "v4l2:auto".to_owned(),
            width: 640,
            height: 480,
            fps: 30,
            open_ms: 10_000,
            stall_ms: 2_000,
            lost_ms: 10_000,
            retry_ms: 500,
            retry_max_ms: 30_000,
            frozen: true,
        }
    }
}

impl Settings {
    /// Checks every value; returns the camera.
    ///
    /// # Errors
    /// Names the field, its value and what was expected.
    pub fn validate(&self) -> Result<Address, InvalidSetting> {
        const HOUR: u64 = 3_600_000;
        let address: Address = self.device.parse()?;
        let (width, side) = (u64::from(self.width), MAX_SIDE as u64);
        within("width", width, 1..=side)?;
        let rows = side.min(MAX_PIXELS / width);
        within("height", self.height.into(), 1..=rows)?;
        within("fps", self.fps, 1..=1000)?;
        within("open_ms", self.open_ms, 100..=HOUR)?;
        // longer, and the watchdog of the systemd unit takes the silence for a fault of the service
        within("stall_ms", self.stall_ms, 50..=10_000)?;
        within("lost_ms", self.lost_ms, self.stall_ms..=HOUR)?;
        within("retry_ms", self.retry_ms, 10..=HOUR)?;
        within("retry_max_ms", self.retry_max_ms, self.retry_ms..=HOUR)?;
        Ok(address)
    }

    /// The time between two pictures.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_an_empty_table_means_them() {
        assert!(Settings::default().validate().is_ok());
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        assert!(toml::from_str::<Settings>("colour = true").is_err());
    }

    #[test]
    fn wrong_values_are_named() {
        for (text, field, expected) in [
            ("device = 'webcam'", "device", "v4l2:auto, "),
            ("width = 0", "width", "1 to 65535"),
            ("height = 0", "height", "1 to 65535"),
            ("width = 9000\nheight = 9000", "height", "1 to 7111"),
            ("fps = 0", "fps", "1 to 1000"),
            ("lost_ms = 1000", "lost_ms", "2000 to "),
            ("retry_ms = 0", "retry_ms", "10 to "),
            ("retry_max_ms = 100", "retry_max_ms", "500 to "),
        ] {
            let settings: Settings = toml::from_str(text).unwrap();
            let error = settings.validate().unwrap_err();
            assert_eq!(error.field, field, "{text}: {error}");
            assert!(error.expected.starts_with(expected), "{text}: {error}");
        }
    }
}
