//! USB cameras, and whatever else the kernel shows as a V4L2 capture device.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::Frame;
use super::address::Device;
use super::driver::{Driver, Fault, Feed, Got};
use super::settings::Settings;

mod find;
mod linux;
mod list;
mod node;
mod pixels;

pub use linux::Linux;
pub use list::{Details, Found, Offer, list};
pub use node::{Devices, Identity, Node, Stream, Wanted};
pub use pixels::{FourCc, SUPPORTED, Shape};

/// Most pictures taken in one go to get at the newest: no driver holds more than its buffers.
const DRAIN: usize = 8;

/// A V4L2 camera.
pub struct V4l2Camera {
    devices: Box<dyn Devices>,
    device: Device,
    width: u32,
    height: u32,
    fps: u32,
    /// The camera as it was last seen, to know it again by.
    known: Option<Identity>,
}

impl V4l2Camera {
    /// A camera among `devices`.
    #[must_use]
    pub fn new(devices: Box<dyn Devices>, device: Device, settings: &Settings) -> Self {
        Self {
            devices,
            device,
            width: settings.width,
            height: settings.height,
            fps: settings.fps,
            known: None,
        }
    }

    fn start(&mut self, path: &Path, only: Option<&Identity>) -> Result<Box<dyn Stream>, Fault> {
        let at = path.display();
        let fault = |e: io::Error| Fault::io(at.to_string(), explained(e));
        let node = self.devices.open(path).map_err(fault)?;
        if !node.captures() {
            return Err(Fault::Unfit(format!(
                "{at}: no pictures come out of this node"
            )));
        }
        let identity = node.identity().map_err(fault)?;
        if self.device == Device::Auto && !find::is_camera(&identity.driver) {
            return Err(Fault::Unfit(format!(
                "{at}: {} is a unit of the board's processor, not a camera",
                identity.driver
            )));
        }
        if only.is_some_and(|only| *only != identity) {
            return Err(Fault::Unfit(format!("{at}: another camera")));
        }
        let offered = node.formats();
        let Self {
            width, height, fps, ..
        } = *self;
        let Some(format) = pixels::choose(&offered, width, height) else {
            let offered: Vec<_> = offered.into_iter().map(pixels::name).collect();
            return Err(Fault::Unfit(format!(
                "{at}: offers the pixel formats {}, expected one of {}",
                offered.join(", "),
                SUPPORTED.map(pixels::name).join(", ")
            )));
        };
        let wanted = Wanted {
            format,
            width,
            height,
            fps,
        };
        let stream = node.start(wanted).map_err(fault)?;
        let shape = stream.shape();
        shape
            .check()
            .map_err(|why| Fault::Unfit(format!("{at}: {why}")))?;
        tracing::debug!(
            camera = identity.card,
            node = %at,
            format = pixels::name(shape.format),
            width = shape.width,
            height = shape.height,
            "opened"
        );
        self.known = Some(identity);
        Ok(stream)
    }

    /// Tries nodes in turn; the first fault is the one that tells most.
    fn first(
        &mut self,
        paths: Vec<PathBuf>,
        only: Option<&Identity>,
    ) -> Result<Box<dyn Stream>, Fault> {
        let mut first = None;
        for path in paths {
            match self.start(&path, only) {
                Ok(stream) => return Ok(stream),
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        Err(first.unwrap_or_else(|| Fault::Unfit("no camera is plugged in".to_owned())))
    }
}

/// Adds what to do to the two answers that people meet most.
fn explained(error: io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "add the user to the group `video`",
        io::ErrorKind::ResourceBusy => "another program uses it",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{error}; {hint}"))
}

impl Driver for V4l2Camera {
    fn open(&mut self) -> Result<Box<dyn Feed>, Fault> {
        let paths = self.devices.candidates(&self.device);
        let opened = self.first(paths, None);
        // After a quick replug udev may fail to make the by-id link again: the camera is there, but
        // under another name. So is one whose number changed.
        let stream = match (opened, self.known.clone()) {
            (Err(Fault::Io { what, error }), Some(known))
                if error.kind() == io::ErrorKind::NotFound && self.device != Device::Auto =>
            {
                let all = self.devices.candidates(&Device::Auto);
                self.first(all, Some(&known))
                    .map_err(|_| Fault::Io { what, error })?
            }
            (opened, _) => opened?,
        };
        let shape = stream.shape();
        Ok(Box::new(V4l2Feed {
            stream,
            shape,
            raw: Vec::new(),
        }))
    }
}

struct V4l2Feed {
    stream: Box<dyn Stream>,
    shape: Shape,
    /// The picture as it came, so that the driver has its buffer back before we decode.
    raw: Vec<u8>,
}

impl V4l2Feed {
    /// Takes the newest picture that is there; returns whether the driver flagged it.
    fn newest(&mut self) -> io::Result<bool> {
        let Self { stream, raw, .. } = self;
        let mut damaged = false;
        for _ in 0..DRAIN {
            stream.dequeue(&mut |bytes, flagged| {
                raw.clear();
                raw.extend_from_slice(bytes);
                damaged = flagged;
            })?;
            if !stream.ready()? {
                break;
            }
        }
        Ok(damaged)
    }
}

impl Feed for V4l2Feed {
    fn next(&mut self, frame: &mut Frame, wait: Duration) -> Result<Got, Fault> {
        let fault = |e: io::Error| Fault::io("reading from the camera", e);
        if !self.stream.wait(wait).map_err(fault)? {
            return Ok(Got::Nothing);
        }
        if self.newest().map_err(fault)? {
            return Ok(Got::Bad(
                "the driver says that the picture is damaged".to_owned(),
            ));
        }
        let luma = self.shape.luma(&self.raw, frame);
        Ok(luma.map_or_else(Got::Bad, |()| Got::Picture))
    }
}
