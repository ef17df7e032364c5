//! Live cameras: USB, the CSI cameras of Raspberry Pi and Jetson, and Motion JPEG over HTTP.
//!
//! ```text
//! Settings ─► Address ─► Driver (v4l2, child, http) ─► Feed ─► Live: a Source that never gives up
//! ```
//!
//! A [`Driver`] opens a camera from scratch and a [`Feed`] delivers its pictures; [`Live`] is the one
//! state machine above all of them.

use std::sync::Arc;
use std::time::Duration;

use super::{CaptureError, Source};
use crate::control::Control;
use crate::health::Health;

pub mod address;
mod backoff;
pub mod child;
pub mod clock;
pub mod driver;
mod fingerprint;
pub mod http;
mod live;
mod settings;
pub mod v4l2;
mod wait;

pub use address::Address;
pub use clock::{Clock, SystemClock};
pub use driver::{Driver, Fault, Feed, Got};
pub use live::Live;
pub use settings::Settings;

use child::ChildCamera;
use http::HttpCamera;
use v4l2::{Linux, V4l2Camera};

/// Longest time for connecting to a network camera, and again for its answer: an end or a restart that is asked for
/// waits for both. Before them the system resolves the camera's name, in its own time.
const MAX_PATIENCE: Duration = Duration::from_secs(4);

/// A camera as a source. It is opened on the first frame and again whenever it is lost; its state is
/// in `health`, and `control` restarts, switches off and ends it.
///
/// # Errors
/// Returns an error for wrong settings only: a camera that isn't there yet is waited for.
pub fn open(
    settings: &Settings,
    health: Arc<Health>,
    control: Arc<Control>,
) -> Result<Box<dyn Source>, CaptureError> {
    let address = settings
        .validate()
        .map_err(|error| CaptureError::format("camera", error.to_string()))?;
    let driver: Box<dyn Driver> = match address {
        Address::V4l2(device) => Box::new(V4l2Camera::new(Box::new(Linux), device, settings)),
        Address::Rpicam(camera) => Box::new(ChildCamera::rpicam(camera, settings)),
        Address::Jetson(sensor) => Box::new(ChildCamera::jetson(sensor, settings)),
        Address::Http(url) => Box::new(HttpCamera {
            url,
            patience: Duration::from_millis(settings.open_ms).min(MAX_PATIENCE),
        }),
    };
    let clock = Box::new(SystemClock::default());
    Ok(Box::new(Live::new(
        settings, driver, clock, health, control,
    )))
}
