//! Whether the camera of the configuration is there and may be used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::device;
use super::finding::Finding;
use crate::capture::camera::Settings;
use crate::capture::camera::address::{Address, Device, Url};
use crate::capture::camera::child::{GSTREAMER, RPICAM};
use crate::capture::camera::http::HttpCamera;
use crate::capture::camera::v4l2::{self, Found};

const SUBJECT: &str = "camera";

/// How long a camera in the network may take to answer, however many addresses it has.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn examine(settings: &Settings, on_path: impl Fn(&str) -> Option<PathBuf>) -> Finding {
    match settings.device.parse::<Address>() {
        Err(error) => Finding::problem(SUBJECT, error.to_string(), "correct camera.device"),
        Ok(Address::V4l2(Device::Auto)) => first(&v4l2::list()),
        Ok(Address::V4l2(Device::Path(path))) => node(&path, &v4l2::list()),
        Ok(Address::Rpicam(_)) => program(
            &RPICAM,
            "install rpicam-apps: `sudo apt install rpicam-apps-lite`",
            on_path,
        ),
        Ok(Address::Jetson(_)) => program(
            &GSTREAMER,
            "install GStreamer: `sudo apt install gstreamer1.0-tools`",
            on_path,
        ),
        Ok(Address::Http(url)) => network(&url),
    }
}

fn first(found: &[Found]) -> Finding {
    if let Some(device) = found.iter().find(|device| device.usable()) {
        return Finding::good(SUBJECT, device.node.display().to_string());
    }
    let refused = found.iter().find_map(|device| match &device.details {
        Err(error) => Some(device::refused(SUBJECT, &device.node, error)),
        Ok(_) => None,
    });
    refused.unwrap_or_else(|| {
        Finding::problem(
            SUBJECT,
            "there is none that delivers pictures by V4L2",
            "plug one in; for the connector of a Raspberry Pi set camera.device = \"rpicam\"",
        )
    })
}

fn node(path: &Path, found: &[Found]) -> Finding {
    if let Err(error) = device::open(path) {
        return device::refused(SUBJECT, path, &error);
    }
    // links of /dev/v4l lead to the node that is listed
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut listed = found.iter().filter(|device| device.node == real);
    let name = path.display();
    match listed.find(|device| device.delivers()) {
        Some(device) if device.usable() => Finding::good(SUBJECT, name.to_string()),
        Some(_) => Finding::note(
            SUBJECT,
            format!("{name} is a unit of the board's processor, not a camera"),
            "if no pictures come, name another node, which `fer-edge cameras` lists; for the connector of a \
             Raspberry Pi set camera.device = \"rpicam\"",
        ),
        None => Finding::problem(
            SUBJECT,
            format!("no pictures that can be read come out of {name}"),
            "name another node: `fer-edge cameras` lists them",
        ),
    }
}

fn program(names: &[&str], advice: &str, on_path: impl Fn(&str) -> Option<PathBuf>) -> Finding {
    match names.iter().find_map(|name| on_path(name)) {
        Some(path) => Finding::good(SUBJECT, format!("through {}", path.display())),
        None => Finding::problem(
            SUBJECT,
            format!("no {} on PATH", names.join(" or ")),
            advice,
        ),
    }
}

fn network(url: &Url) -> Finding {
    let name = format!("{}:{}", url.host, url.port);
    let camera = HttpCamera {
        url: url.clone(),
        patience: PATIENCE,
    };
    match camera.connect() {
        Ok(_) => Finding::good(SUBJECT, format!("{name} answers")),
        Err(error) => Finding::problem(
            SUBJECT,
            format!("{name}: {error}"),
            "switch the camera on, and try the address in a browser on this network",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use crate::capture::camera::v4l2::{Details, Offer};
    use std::net::{TcpListener, ToSocketAddrs};

    fn examined(device: &str) -> Finding {
        let settings = Settings {
            device: device.to_owned(),
            ..Settings::default()
        };
        let rpicam = |name: &str| (name == RPICAM[0]).then(|| PathBuf::from("/usr/bin").join(name));
        examine(&settings, rpicam)
    }

    #[test]
    fn each_kind_of_camera_is_looked_for_in_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let network = format!("http://{}/", listener.local_addr().unwrap());
        for (device, level, says) in [
            ("/dev/no-such-camera", Level::Problem, "plug it in"),
            ("v4l2:/dev/null", Level::Problem, "fer-edge cameras"),
            ("rpicam", Level::Good, RPICAM[0]),
            ("jetson", Level::Problem, "gstreamer1.0-tools"),
            ("webcam", Level::Problem, "camera.device"),
            (network.as_str(), Level::Good, "answers"),
        ] {
            let finding = examined(device);
            assert_eq!(finding.level, level, "{finding}");
            assert!(finding.to_string().contains(says), "{finding}");
        }
        drop(listener);
        assert_eq!(examined(&network).level, Level::Problem);
    }

    #[test]
    fn a_camera_at_any_address_of_its_host_is_found() {
        for address in ("localhost", 0u16).to_socket_addrs().unwrap() {
            // a machine may know an address that it can't use
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let finding = examined(&format!("http://localhost:{port}/"));
            assert_eq!(finding.level, Level::Good, "{address}: {finding}");
        }
    }

    #[test]
    fn a_unit_of_the_processor_is_no_camera_unless_it_is_named() {
        let look = |driver: &str| {
            let offer = Offer {
                format: "YUYV".to_owned(),
                supported: true,
                sizes: Vec::new(),
            };
            let details = Details {
                driver: driver.to_owned(),
                captures: true,
                formats: vec![offer],
                ..Details::default()
            };
            let found = [Found {
                node: "/dev/null".into(),
                links: Vec::new(),
                details: Ok(details),
            }];
            (
                first(&found).level,
                node(Path::new("/dev/null"), &found).level,
            )
        };
        assert_eq!(look("uvcvideo"), (Level::Good, Level::Good));
        assert_eq!(look("bcm2835-isp"), (Level::Problem, Level::Note));
    }
}
