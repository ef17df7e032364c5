//! Which nodes a device's name may mean.
//!
//! `/dev/videoN` numbers are given out anew on every plugging-in, and a camera has several nodes, so
//! links come first: `by-id` names the camera, `by-path` the socket.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::address::Device;

/// Drivers of a Raspberry Pi's own units: picture processors, codecs and receivers of the camera connector. Their nodes
/// have a camera's capabilities, but no picture comes out before other software has set them up.
const UNITS: [&str; 6] = [
    "bcm2835-codec",
    "bcm2835-isp",
    "pispbe",
    "rp1-cfe",
    "rpi-hevc-dec",
    "unicam",
];

/// Whether a node with this driver may be taken for a camera when none is named.
pub(super) fn is_camera(driver: &str) -> bool {
    !UNITS.contains(&driver)
}

/// The nodes to try for `device`, best first. `dev` is `/dev`.
pub(super) fn candidates(dev: &Path, device: &Device) -> Vec<PathBuf> {
    match device {
        Device::Path(path) => vec![path.clone()],
        Device::Auto => all(dev),
    }
}

/// Every node, each by its best name: in `by-id`, in `by-path`, or its own.
pub(super) fn all(dev: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = Vec::new();
    let mut nodes = Vec::new();
    let folders = ["v4l/by-id", "v4l/by-path"].map(|folder| sorted(&dev.join(folder)));
    let mut plain = sorted(dev);
    plain.retain(|path| number(path).is_some());
    plain.sort_by_key(|path| number(path));
    for name in folders.into_iter().flatten().chain(plain) {
        // A link to a device that has gone, or a further name for one that is known.
        let Ok(node) = fs::canonicalize(&name) else {
            continue;
        };
        if !nodes.contains(&node) {
            nodes.push(node);
            names.push(name);
        }
    }
    names
}

/// The links in `/dev/v4l/by-id` and `by-path` that lead to a node.
pub(super) fn links(dev: &Path, node: &Path) -> Vec<PathBuf> {
    ["v4l/by-id", "v4l/by-path"]
        .iter()
        .flat_map(|folder| sorted(&dev.join(folder)))
        .filter(|link| fs::canonicalize(link).is_ok_and(|target| target == node))
        .collect()
}

/// A folder's entries by name; none where it can't be read.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The N of `videoN`.
fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("video")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_come_first_and_each_node_once() {
        let dir = tempfile::tempdir().unwrap();
        let dev = fs::canonicalize(dir.path()).unwrap();
        for name in ["video10", "video2", "video0", "video1", "videodev", "null"] {
            fs::write(dev.join(name), "").unwrap();
        }
        for folder in ["by-id", "by-path"] {
            fs::create_dir_all(dev.join("v4l").join(folder)).unwrap();
        }
        let link =
            |name: &str, to: &str| symlink(dev.join(to), dev.join("v4l").join(name)).unwrap();
        link("by-id/usb-b-video-index0", "video2");
        link("by-id/usb-a-video-index0", "video9");
        // The same socket under two names, as on newer systemd.
        link("by-path/pci-usb-0:1:1.0-video-index0", "video2");
        link("by-path/pci-usbv2-0:1:1.0-video-index0", "video1");
        let expected = [
            "v4l/by-id/usb-b-video-index0",
            "v4l/by-path/pci-usbv2-0:1:1.0-video-index0",
            "video0",
            "video10",
        ];
        assert_eq!(
            candidates(&dev, &Device::Auto),
            expected.map(|name| dev.join(name))
        );
        assert_eq!(links(&dev, &dev.join("video2")).len(), 2);
        assert!(all(Path::new("/nowhere")).is_empty());
    }
}
