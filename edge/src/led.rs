//! A light that says that somebody may be watched: lit whenever the camera may be open.
//!
//! The light is any output pin of embedded-hal: on a Raspberry Pi one of rppal's (feature `rpi`), on
//! other boards one of the kernel's LEDs, [`SysfsLed`].

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use embedded_hal::digital::{ErrorKind, ErrorType, OutputPin};
use serde::{Deserialize, Serialize};

use crate::health::{Camera, Health};
use crate::setting::{InvalidSetting, within};

/// How often the camera's state is looked at: quicker than an eye, and than a camera starts.
const LOOK: Duration = Duration::from_millis(20);

/// The highest number that a pin has on any Raspberry Pi (BCM2711).
const LAST_PIN: u8 = 57;

/// Which light, table `[led]`. At most one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A LED of the kernel: its folder, such as `/sys/class/leds/ACT`.
    pub sysfs: Option<PathBuf>,
    /// A pin of a Raspberry Pi by its BCM number; only in builds with the feature `rpi`.
    pub gpio: Option<u8>,
}

/// Why there is no light.
#[derive(Debug, thiserror::Error)]
pub enum LedError {
    /// A setting can't be used.
    #[error("led.{0}")]
    Setting(InvalidSetting),
    /// The light could not be reached.
    #[error("led: {name}: {error}")]
    Open {
        /// The file or pin.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The thread could not be started.
    #[error("led: starting the thread: {0}")]
    Thread(io::Error),
}

impl LedError {
    /// Whether the configuration is to blame, and not the moment: a permission that udev has yet to give comes with time.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Setting(_) => true,
            Self::Open { error, .. } => error.kind() == io::ErrorKind::NotFound,
            Self::Thread(_) => false,
        }
    }
}

impl Settings {
    /// Checks that at most one light is asked for, and one that this build can drive.
    ///
    /// # Errors
    /// Names the field that can't be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let Some(pin) = self.gpio else {
            return Ok(());
        };
        if self.sysfs.is_some() {
            let expected = "only one of sysfs and gpio";
            return Err(InvalidSetting::new("gpio", "both", expected));
        }
        within("gpio", pin, 0..=LAST_PIN)?;
        if cfg!(not(feature = "rpi")) {
            let expected = "sysfs, or a build with the feature rpi";
            return Err(InvalidSetting::new("gpio", pin, expected));
        }
        Ok(())
    }
}

/// Lights the LED of the settings, if there is one, for as long as the guard lives.
///
/// # Errors
/// When it can't be reached.
pub fn start(settings: &Settings, health: &Arc<Health>) -> Result<Option<Follower>, LedError> {
    settings.validate().map_err(LedError::Setting)?;
    if let Some(folder) = &settings.sysfs {
        return light(SysfsLed::open(folder)?, health);
    }
    #[cfg(feature = "rpi")]
    if let Some(number) = settings.gpio {
        return light(pin(number)?.into_output_low(), health);
    }
    Ok(None)
}

/// A pin of this board.
#[cfg(feature = "rpi")]
fn pin(number: u8) -> Result<rppal::gpio::Pin, LedError> {
    use rppal::gpio::{Error, Gpio};

    let pin = Gpio::new().and_then(|gpio| gpio.get(number));
    pin.map_err(|error| {
        let kind = match error {
            // not even later
            Error::PinNotAvailable(_) => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        LedError::Open {
            name: format!("gpio {number}"),
            error: io::Error::new(kind, error),
        }
    })
}

fn light<P: OutputPin + Send + 'static>(
    pin: P,
    health: &Arc<Health>,
) -> Result<Option<Follower>, LedError> {
    let follower = StatusLed::new(pin).follow(Arc::clone(health));
    follower.map(Some).map_err(LedError::Thread)
}

/// A light on any pin.
#[derive(Debug)]
pub struct StatusLed<P> {
    pin: P,
    lit: Option<bool>,
}

impl<P: OutputPin> StatusLed<P> {
    /// A light on a pin that is high when lit.
    pub fn new(pin: P) -> Self {
        Self { pin, lit: None }
    }

    /// Shows the camera's state. While a camera is being opened it may already see: lit. The pin is
    /// only written when the light changes.
    ///
    /// # Errors
    /// The pin's; the next call tries again.
    pub fn show(&mut self, camera: Camera) -> Result<(), P::Error> {
        self.set(!matches!(camera, Camera::Offline))
    }

    fn set(&mut self, lit: bool) -> Result<(), P::Error> {
        if self.lit != Some(lit) {
            self.lit = None;
            self.pin.set_state(lit.into())?;
            self.lit = Some(lit);
        }
        Ok(())
    }
}

impl<P: OutputPin + Send + 'static> StatusLed<P> {
    /// Follows the camera on a thread of its own until the guard is dropped; then the light goes out.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn follow(mut self, health: Arc<Health>) -> io::Result<Follower> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name("led".to_owned())
            .spawn(move || {
                let mut told = false;
                let mut tell = |result: Result<(), P::Error>| {
                    if let Err(e) = &result
                        && !told
                    {
                        tracing::warn!("the status LED can't be set: {e:?}");
                    }
                    told = result.is_err();
                };
                loop {
                    tell(self.show(health.camera()));
                    if stopped.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                }
                tell(self.set(false));
            })?;
        Ok(Follower {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// Keeps a light following the camera.
#[derive(Debug)]
pub struct Follower {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the LED thread panicked");
        }
    }
}

/// A LED of the Linux kernel as an output pin.
#[derive(Debug)]
pub struct SysfsLed {
    brightness: File,
    brightest: String,
}

/// What the system said about a pin.
#[derive(Debug)]
pub struct PinError(pub io::Error);

impl embedded_hal::digital::Error for PinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl SysfsLed {
    /// Takes the LED from the kernel's own uses, such as showing disk activity.
    ///
    /// # Errors
    /// When the folder is none of a LED, or may not be written.
    pub fn open(folder: &Path) -> Result<Self, LedError> {
        let trouble = |(file, error): (PathBuf, io::Error)| LedError::Open {
            name: file.display().to_string(),
            error,
        };
        let (led, mut trigger) = Self::reach(folder).map_err(trouble)?;
        trigger
            .write_all(b"none")
            .map_err(|error| trouble((folder.join("trigger"), error)))?;
        Ok(led)
    }

    /// Opens all that a LED needs, its trigger beside it, and changes nothing. An error comes with the
    /// file that it is about.
    pub(crate) fn reach(folder: &Path) -> Result<(Self, File), (PathBuf, io::Error)> {
        let writable = |name: &str| {
            let file = folder.join(name);
            let opened = File::options().write(true).open(&file);
            opened.map_err(|error| (file, error))
        };
        let file = folder.join("max_brightness");
        let brightest = fs::read_to_string(&file).map_err(|error| (file, error))?;
        let led = Self {
            brightness: writable("brightness")?,
            brightest: brightest.trim().to_owned(),
        };
        Ok((led, writable("trigger")?))
    }
}

impl ErrorType for SysfsLed {
    type Error = PinError;
}

impl OutputPin for SysfsLed {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.brightness.write_all(b"0\n").map_err(PinError)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        let line = format!("{}\n", self.brightest);
        self.brightness.write_all(line.as_bytes()).map_err(PinError)
    }
}

#[cfg(test)]
mod tests;
