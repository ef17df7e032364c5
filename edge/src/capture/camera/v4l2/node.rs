//! The part of V4L2 that is used, as traits, so that the logic above runs without a kernel.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::address::Device;
use super::pixels::{FourCc, Shape};

/// The devices of a machine.
pub trait Devices: Send {
    /// The nodes that `device` may mean, best first.
    fn candidates(&mut self, device: &Device) -> Vec<PathBuf>;

    /// Opens a node.
    ///
    /// # Errors
    /// Returns what the system said.
    fn open(&mut self, path: &Path) -> io::Result<Box<dyn Node>>;
}

/// What tells one camera from another when its links are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The camera's name.
    pub card: String,
    /// Where it is plugged in.
    pub bus: String,
    /// The kernel's driver.
    pub driver: String,
}

/// What is wanted of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Pixel format.
    pub format: FourCc,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second.
    pub fps: u32,
}

/// An open node.
pub trait Node: Send {
    /// Which camera this is.
    ///
    /// # Errors
    /// Returns what the system said.
    fn identity(&self) -> io::Result<Identity>;

    /// Whether pictures come out of this node (`device_caps`): cameras have further nodes for metadata.
    fn captures(&self) -> bool;

    /// The pixel formats on offer.
    fn formats(&self) -> Vec<FourCc>;

    /// Asks for pictures and starts them.
    ///
    /// # Errors
    /// Returns what the system said.
    fn start(self: Box<Self>, wanted: Wanted) -> io::Result<Box<dyn Stream>>;
}

/// A node that delivers.
pub trait Stream: Send {
    /// What the driver delivers; it may have changed everything that was asked for.
    fn shape(&self) -> Shape;

    /// Waits for a picture; returns whether one is there.
    ///
    /// # Errors
    /// Returns what the system said, for example once the camera is unplugged.
    fn wait(&mut self, time: Duration) -> io::Result<bool>;

    /// Whether one more picture can be taken at once.
    ///
    /// # Errors
    /// Returns what the system said.
    fn ready(&mut self) -> io::Result<bool>;

    /// Takes the oldest picture and calls `take` with its bytes and whether the driver flagged it as
    /// damaged.
    ///
    /// # Errors
    /// Returns what the system said.
    fn dequeue(&mut self, take: &mut dyn FnMut(&[u8], bool)) -> io::Result<()>;
}
