//! What cameras there are, for people.

use std::io;
use std::path::{Path, PathBuf};

use linuxvideo::controls::Cid;
use linuxvideo::format::{FrameSizes, PixelFormat};

use super::find;
use super::linux::{DEV, captures, formats, guarded};
use super::pixels::{SUPPORTED, name};

/// A V4L2 node.
#[derive(Debug)]
pub struct Found {
    /// The node, such as `/dev/video0`.
    pub node: PathBuf,
    /// Its links in `/dev/v4l/by-id` and `by-path`: names that stay.
    pub links: Vec<PathBuf>,
    /// What it says about itself, or why it doesn't.
    pub details: io::Result<Details>,
}

impl Found {
    /// Whether this is a camera whose pictures can be read.
    #[must_use]
    pub fn usable(&self) -> bool {
        let details = self.details.as_ref();
        self.delivers() && details.is_ok_and(|details| find::is_camera(&details.driver))
    }

    /// Whether it offers pictures that can be read, be it a camera or a unit of the board's processor.
    #[must_use]
    pub fn delivers(&self) -> bool {
        let details = self.details.as_ref();
        details.is_ok_and(|details| {
            details.captures && details.formats.iter().any(|format| format.supported)
        })
    }
}

/// What a node says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The camera's name.
    pub card: String,
    /// The kernel's driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// Whether pictures come out of this node.
    pub captures: bool,
    /// State of the privacy shutter, where the camera has one and tells: true is closed.
    pub shutter: Option<bool>,
    /// The pixel formats on offer.
    pub formats: Vec<Offer>,
}

/// A pixel format on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its four characters.
    pub format: String,
    /// Whether it can be read.
    pub supported: bool,
    /// Sizes such as `640x480`, or a range.
    pub sizes: Vec<String>,
}

/// Every V4L2 node of this machine.
#[must_use]
pub fn list() -> Vec<Found> {
    let dev = Path::new(DEV);
    let mut found: Vec<_> = find::all(dev)
        .into_iter()
        .map(|best| {
            let node = best.canonicalize().unwrap_or(best);
            Found {
                links: find::links(dev, &node),
                details: details(&node),
                node,
            }
        })
        .collect();
    found.sort_by(|a, b| a.node.cmp(&b.node));
    found
}

fn details(node: &Path) -> io::Result<Details> {
    guarded(|| {
        let device = linuxvideo::Device::open(node)?;
        let caps = device.capabilities()?;
        let offers = formats(&device).into_iter().map(|format| Offer {
            format: name(format),
            supported: SUPPORTED.contains(&format),
            sizes: sizes(&device, PixelFormat::from_fourcc(format)),
        });
        Ok(Details {
            card: caps.card().to_owned(),
            driver: caps.driver().to_owned(),
            bus: caps.bus_info().to_owned(),
            captures: captures(&device),
            shutter: device
                .read_control_raw(Cid::PRIVACY)
                .ok()
                .map(|closed| closed != 0),
            formats: offers.collect(),
        })
    })
}

fn sizes(device: &linuxvideo::Device, format: PixelFormat) -> Vec<String> {
    match guarded(|| device.frame_sizes(format)) {
        Ok(FrameSizes::Discrete(sizes)) => sizes
            .iter()
            .map(|size| format!("{}x{}", size.width(), size.height()))
            .collect(),
        Ok(FrameSizes::Stepwise(range) | FrameSizes::Continuous(range)) => vec![format!(
            "{}x{} to {}x{}",
            range.min_width(),
            range.min_height(),
            range.max_width(),
            range.max_height()
        )],
        Err(_) => Vec::new(),
    }
}
