//! `fer-edge cameras`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use fer_edge::capture::camera::child::{GSTREAMER, RPICAM};
use fer_edge::capture::camera::v4l2::{self, Details, Found};
use fer_edge::service::doctor::on_path;

use super::Failure;

#[derive(Debug, Args)]
#[command(
    after_help = "The name behind `use` goes into `fer-edge run NAME` or `device` in the [camera] table of the \
    configuration. Names in /dev/v4l/by-id stay when cameras are plugged in again; /dev/videoN may not.\n\n\
    Example:\n  fer-edge cameras"
)]
pub(super) struct CamerasArgs {}

pub(super) fn run(_: &CamerasArgs) -> Result<(), Failure> {
    let text = report(&v4l2::list(), on_path);
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

fn report(found: &[Found], on_path: impl Fn(&str) -> Option<PathBuf>) -> String {
    let mut text = String::new();
    for device in found {
        text.push_str(&describe(device));
    }
    let mut children = 0;
    for (name, programs) in [("rpicam", &RPICAM[..]), ("jetson", &GSTREAMER[..])] {
        if let Some(program) = programs.iter().find_map(|program| on_path(program)) {
            children += 1;
            let _ = writeln!(text, "{}\n  use      {name}", program.display());
        }
    }
    if !found.iter().any(Found::usable) && children == 0 {
        text.push_str(&advice(found));
    }
    text
}

fn describe(device: &Found) -> String {
    let mut rows = vec![];
    match &device.details {
        Err(error) => rows.push(("error", error.to_string())),
        Ok(details) => {
            rows.push(("name", details.card.clone()));
            rows.push(("driver", format!("{} at {}", details.driver, details.bus)));
            rows.extend(capture_rows(details));
        }
    }
    let by_id = |link: &&PathBuf| link.parent().is_some_and(|p| p.ends_with("by-id"));
    let best = device.links.iter().find(by_id).or(device.links.first());
    rows.extend(
        device
            .links
            .iter()
            .map(|link| ("link", link.display().to_string())),
    );
    if device.usable() {
        let best: &Path = best.unwrap_or(&device.node);
        rows.push(("use", best.display().to_string()));
    } else if device.delivers() {
        let note = "a unit of the board's processor, not a camera";
        rows.push(("note", note.to_owned()));
    }
    let rows = rows
        .iter()
        .map(|(name, value)| format!("  {name:<9}{value}\n"));
    format!("{}\n{}", device.node.display(), rows.collect::<String>())
}

fn capture_rows(details: &Details) -> Vec<(&'static str, String)> {
    if !details.captures {
        return vec![("pictures", "none: a node for metadata or output".to_owned())];
    }
    let mut rows = Vec::new();
    if let Some(closed) = details.shutter {
        let state = if closed {
            "closed: pictures are black"
        } else {
            "open"
        };
        rows.push(("shutter", state.to_owned()));
    }
    rows.extend(details.formats.iter().map(|format| {
        let note = if format.supported {
            ""
        } else {
            " (not supported)"
        };
        let sizes = format.sizes.join(" ");
        (
            "format",
            format!("{}{note} {sizes}", format.format)
                .trim_end()
                .to_owned(),
        )
    }));
    rows
}

/// What to do when there is no camera to use.
fn advice(found: &[Found]) -> String {
    let denied = |device: &Found| {
        let error = device.details.as_ref().err();
        error.is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
    };
    let what = if found.iter().any(denied) {
        "A device is there, but you may not open it: add yourself to the group `video`\n  \
         sudo usermod -aG video $USER\nand log in again.\n"
    } else if found.is_empty() {
        "No camera found.\n  \
         USB: plug it in and look at `dmesg`; the kernel module is uvcvideo (`sudo modprobe uvcvideo`)\n  \
         Raspberry Pi CSI: install rpicam-apps-lite, then use `rpicam`\n  \
         Jetson CSI: install GStreamer's tools (gst-launch-1.0), then use `jetson`\n  \
         container: pass the device on, for example --device /dev/video0\n  \
         network: use its address, http://host/path of a Motion JPEG stream\n"
    } else {
        "None of these is a camera with pictures in a format that is supported. CSI cameras need their vendor's \
         software: use `rpicam` or `jetson`.\n"
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fer_edge::capture::camera::v4l2::Offer;

    fn webcam() -> Found {
        let offer = |format: &str, supported| Offer {
            format: format.to_owned(),
            supported,
            sizes: vec!["640x480".to_owned(), "1280x720".to_owned()],
        };
        Found {
            node: "/dev/video0".into(),
            links: vec![
                "/dev/v4l/by-id/usb-cam-video-index0".into(),
                "/dev/v4l/by-path/pci-video-index0".into(),
            ],
            details: Ok(Details {
                card: "HD Webcam".to_owned(),
                driver: "uvcvideo".to_owned(),
                bus: "usb-1".to_owned(),
                captures: true,
                shutter: Some(true),
                formats: vec![offer("YUYV", true), offer("H264", false)],
            }),
        }
    }

    #[test]
    fn a_camera_is_described_with_the_name_to_use() {
        let text = report(&[webcam()], |_| None);
        for row in [
            "/dev/video0\n",
            "name     HD Webcam",
            "driver   uvcvideo at usb-1",
            "shutter  closed",
            "format   YUYV 640x480 1280x720",
            "format   H264 (not supported) 640x480",
            "use      /dev/v4l/by-id/usb-cam-video-index0\n",
        ] {
            assert!(text.contains(row), "{row}: {text}");
        }
        assert!(!text.contains("usermod"), "{text}");
    }

    #[test]
    fn a_unit_of_the_processor_is_no_camera_to_use() {
        let mut isp = webcam();
        isp.details.as_mut().unwrap().driver = "bcm2835-isp".to_owned();
        let text = report(&[isp], |_| None);
        assert!(!text.contains("\n  use "), "{text}");
        assert!(
            text.contains("not a camera") && text.contains("None of these"),
            "{text}"
        );
    }

    #[test]
    fn without_a_camera_there_is_advice() {
        let none = |_: &str| None;
        assert!(report(&[], none).contains("modprobe uvcvideo"));
        let denied = Found {
            details: Err(io::ErrorKind::PermissionDenied.into()),
            ..webcam()
        };
        assert!(report(&[denied], none).contains("usermod -aG video"));
        let metadata = Found {
            details: Ok(Details::default()),
            ..webcam()
        };
        let text = report(&[metadata], none);
        assert!(
            text.contains("pictures none") && text.contains("None of these"),
            "{text}"
        );
        let rpicam = |name: &str| (name == "libcamera-vid").then(|| "/bin/libcamera-vid".into());
        let text = report(&[], rpicam);
        assert_eq!(text, "/bin/libcamera-vid\n  use      rpicam\n");
    }
}
