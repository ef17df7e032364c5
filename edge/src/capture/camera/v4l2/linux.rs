//! The kernel's V4L2, through the `linuxvideo` package.

use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, CapabilityFlags, Fract};

use super::super::address::Device;
use super::super::wait::readable;
use super::find;
use super::node::{Devices, Identity, Node, Stream, Wanted};
use super::pixels::{FourCc, Shape};

/// The devices in `/dev`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linux;

/// Where the nodes are.
pub(super) const DEV: &str = "/dev";

/// linuxvideo panics where a driver's answer makes no sense: a name that isn't UTF-8, more bytes used
/// than the buffer has. For us that is one more broken device.
pub(super) fn guarded<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(ask))
        .unwrap_or_else(|_| Err(io::Error::other("the driver's answer makes no sense")))
}

impl Devices for Linux {
    fn candidates(&mut self, device: &Device) -> Vec<PathBuf> {
        find::candidates(Path::new(DEV), device)
    }

    fn open(&mut self, path: &Path) -> io::Result<Box<dyn Node>> {
        let device = guarded(|| linuxvideo::Device::open(path))?;
        Ok(Box::new(LinuxNode(device)))
    }
}

struct LinuxNode(linuxvideo::Device);

/// Whether pictures can be streamed from this very node.
pub(super) fn captures(device: &linuxvideo::Device) -> bool {
    let needed = CapabilityFlags::VIDEO_CAPTURE | CapabilityFlags::STREAMING;
    guarded(|| device.capabilities()).is_ok_and(|caps| caps.device_capabilities().contains(needed))
}

/// The formats that a device offers.
pub(super) fn formats(device: &linuxvideo::Device) -> Vec<FourCc> {
    let offered = device.formats(BufType::VIDEO_CAPTURE).map_while(Result::ok);
    offered
        .map(|desc| desc.pixel_format().as_fourcc())
        .collect()
}

impl Node for LinuxNode {
    fn identity(&self) -> io::Result<Identity> {
        guarded(|| {
            let caps = self.0.capabilities()?;
            Ok(Identity {
                card: caps.card().to_owned(),
                bus: caps.bus_info().to_owned(),
                driver: caps.driver().to_owned(),
            })
        })
    }

    fn captures(&self) -> bool {
        captures(&self.0)
    }

    fn formats(&self) -> Vec<FourCc> {
        formats(&self.0)
    }

    fn start(self: Box<Self>, wanted: Wanted) -> io::Result<Box<dyn Stream>> {
        let Wanted {
            format,
            width,
            height,
            fps,
        } = wanted;
        guarded(|| {
            let format = PixFormat::new(width, height, PixelFormat::from_fourcc(format));
            let device = self.0.video_capture(format)?;
            // Many cameras have one rate only and say no; what they deliver is fine.
            if let Err(error) = device.set_frame_interval(Fract::new(1, fps)) {
                tracing::debug!(%error, fps, "the frame rate stays as it is");
            }
            let chosen = device.format();
            let shape = Shape {
                format: chosen.pixel_format().as_fourcc(),
                width: chosen.width(),
                height: chosen.height(),
                stride: chosen.bytes_per_line(),
            };
            let stream = device.into_stream()?;
            Ok(Box::new(LinuxStream { stream, shape }) as Box<dyn Stream>)
        })
    }
}

struct LinuxStream {
    stream: ReadStream,
    shape: Shape,
}

impl Stream for LinuxStream {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn wait(&mut self, time: Duration) -> io::Result<bool> {
        readable([self.stream.as_fd()], time).map(|[ready]| ready)
    }

    fn ready(&mut self) -> io::Result<bool> {
        self.stream.will_block().map(|blocks| !blocks)
    }

    fn dequeue(&mut self, take: &mut dyn FnMut(&[u8], bool)) -> io::Result<()> {
        guarded(|| {
            self.stream.dequeue(|view| {
                take(&view, view.is_error());
                Ok(())
            })
        })
    }
}
