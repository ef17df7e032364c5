//! What a user writes to name a camera.

use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use crate::setting::InvalidSetting;

/// What is expected where the kind of camera can't be told.
const KNOWN: &str =
    "v4l2:auto, v4l2:/dev/..., /dev/video0, rpicam[:N], jetson[:N] or http://host/path";

/// Which camera, and by which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A V4L2 device.
    V4l2(Device),
    /// A Raspberry Pi CSI camera through `rpicam-vid`; the number as `--camera` takes it.
    Rpicam(u8),
    /// A Jetson CSI camera through GStreamer; the sensor's number.
    Jetson(u8),
    /// Motion JPEG over HTTP.
    Http(Url),
}

/// Which V4L2 device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The first that delivers pictures.
    Auto,
    /// A node, or a link to one such as those in `/dev/v4l/by-id`.
    Path(PathBuf),
}

/// An `http` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host name or address, without the brackets of IPv6.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, at least `/`.
    pub path: String,
}

impl Address {
    /// Whether `text` names a camera rather than a file: also an address that is no camera's here, as an error about a
    /// missing file would show the password in it.
    #[must_use]
    pub fn is_camera(text: &str) -> bool {
        let numbered = |name| {
            text.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        text.contains("://")
            || text.starts_with("v4l2:")
            || text.starts_with("/dev/video")
            || text.starts_with("/dev/v4l/")
            || numbered("rpicam")
            || numbered("jetson")
    }

    /// The error is what was expected.
    fn read(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "http" => return Url::parse(rest).map(Self::Http),
            "https" => {
                return Err(
                    "http in a network you trust, or a local proxy such as stunnel: https is not \
                     supported, as cameras hardly ever have a certificate that can be checked",
                );
            }
            "rtsp" | "rtsps" => {
                return Err(
                    "Motion JPEG over http, or `ffmpeg ... -f yuv4mpegpipe - | fer-edge run -`: \
                     rtsp is not supported",
                );
            }
            _ => {}
        }
        if text == "v4l2:auto" {
            return Ok(Self::V4l2(Device::Auto));
        }
        if let Some(path) = text
            .strip_prefix("v4l2:")
            .or(text.starts_with("/dev/").then_some(text))
        {
            if !path.starts_with('/') {
                return Err("v4l2:auto or v4l2:/dev/...");
            }
            return Ok(Self::V4l2(Device::Path(path.into())));
        }
        let number = |rest: &str| match rest.strip_prefix(':') {
            Some(digits) => digits
                .parse()
                .map_err(|_| "a number from 0 to 255 after `:`"),
            None if rest.is_empty() => Ok(0),
            None => Err(KNOWN),
        };
        if let Some(rest) = text.strip_prefix("rpicam") {
            return number(rest).map(Self::Rpicam);
        }
        if let Some(rest) = text.strip_prefix("jetson") {
            return number(rest).map(Self::Jetson);
        }
        Err(KNOWN)
    }
}

impl FromStr for Address {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        Self::read(text).map_err(|expected| InvalidSetting::new("device", public(text), expected))
    }
}

impl Url {
    /// The error is what was expected.
    fn parse(rest: &str) -> Result<Self, &'static str> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        // Anything else would end the request line early.
        if !rest.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("printable ASCII without spaces (percent-encode the rest)");
        }
        // `user:12/34@host` reads as a host, its port and a path, but is more likely a password with a slash.
        if authority.contains('@') || authority.contains(':') && rest.contains('@') {
            return Err(
                "an address without user and password, which would go over the network readable \
                 to all; an `@` behind a port is written as %40",
            );
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').ok_or("`]` after `[`")?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        if host.is_empty() {
            return Err("a host after `http://`");
        }
        let port = match port.strip_prefix(':') {
            Some(digits) => digits
                .parse::<NonZeroU16>()
                .map_err(|_| "a port from 1 to 65535 after `:`")?
                .get(),
            None if port.is_empty() => 80,
            None => return Err("a port or a path after the host"),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
        })
    }

    /// Host and port as the `Host` header has them.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        let v6 = host.contains(':');
        match (v6, port) {
            (true, 80) => format!("[{host}]"),
            (true, port) => format!("[{host}]:{port}"),
            (false, 80) => host.clone(),
            (false, port) => format!("{host}:{port}"),
        }
    }
}

/// `text` without what may be a key to the camera: a user with a password, and the query.
///
/// A password may hold the signs that end a host or begin a query: where an `@` may be that of a user with a password,
/// all before it is left out.
pub(super) fn public(text: &str) -> String {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let Some((scheme, rest)) = address.split_once("//") else {
        return address.to_owned();
    };
    match rest.rsplit_once('@') {
        // A password with a `?`, or a key with an `@`: what stands before it and behind it may be part of either.
        _ if rest.contains(':') && query.contains('@') => format!("{scheme}//…"),
        Some((user, host)) if user.contains(':') || !user.contains('/') => {
            format!("{scheme}//…@{host}")
        }
        _ => address.to_owned(),
    }
}

/// Without the query, which may be a key to the camera.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("http://{}{}", self.authority(), self.path);
        f.write_str(&public(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        match text.parse() {
            Ok(Address::Http(url)) => url,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_documented_form_is_understood() {
        let device = |path: &str| Address::V4l2(Device::Path(path.into()));
        for (text, address) in [
            ("v4l2:auto", Address::V4l2(Device::Auto)),
            (
                "v4l2:/dev/v4l/by-id/usb-x-video-index0",
                device("/dev/v4l/by-id/usb-x-video-index0"),
            ),
            ("/dev/video0", device("/dev/video0")),
            ("/dev/v4l/by-path/x", device("/dev/v4l/by-path/x")),
            ("rpicam", Address::Rpicam(0)),
            ("rpicam:1", Address::Rpicam(1)),
            ("jetson", Address::Jetson(0)),
            ("jetson:2", Address::Jetson(2)),
        ] {
            assert!(Address::is_camera(text), "{text}");
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        assert_eq!(url("http://cam/stream?x=1#top").path, "/stream?x=1");
        assert_eq!(url("http://cam?x=1").path, "/?x=1");
        assert_eq!(url("http://cam").to_string(), "http://cam/");
        assert_eq!(url("HTTP://cam/x").to_string(), "http://cam/x");
        assert_eq!(url("http://cam/s?key=1").to_string(), "http://cam/s");
        assert_eq!(url("http://[::1]:81/a").to_string(), "http://[::1]:81/a");
        assert_eq!(url("http://10.0.0.2:8080").authority(), "10.0.0.2:8080");
    }

    #[test]
    fn wrong_addresses_say_what_was_expected() {
        for (text, why) in [
            ("v4l2:webcam", "v4l2:auto or"),
            ("rpicam:x", "0 to 255"),
            ("jetson:256", "0 to 255"),
            ("https://cam/", "https is not supported"),
            ("HTTPS://cam/", "https is not supported"),
            ("rtsp://cam/", "ffmpeg ... -f yuv4mpegpipe - |"),
            ("RTSPS://cam/", "rtsp is not supported"),
            ("ftp://cam/", "v4l2:auto, "),
            ("http://", "a host after"),
            ("http://cam:x/", "1 to 65535"),
            ("http://cam:0/", "1 to 65535"),
            ("http://cam:65536/", "1 to 65535"),
            ("http://cam/a b", "percent-encode"),
            ("http://[::1/", "`]` after `[`"),
            ("http://[::1]x/", "after the host"),
        ] {
            assert!(Address::is_camera(text), "{text}");
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains(text),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn what_opens_a_camera_is_not_said() {
        for text in [
            "http://me:secret@cam/",
            "http://me:secret@cam/a?key=secret",
            "https://me:secret@cam/",
            "https://me:secret?secret@cam/",
            "http://cam:x/?key=secret",
            "HTTP://me:secret@cam/",
            "rtsp://me:secret@cam/stream",
            "Rtsp://me:secret@cam/stream?key=secret",
            "ftp://me:secret@cam/stream",
        ] {
            // taken for a file, it was named as it is
            assert!(Address::is_camera(text), "{text}");
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(
                !error.contains("secret") && error.contains("cam"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_password_with_the_signs_of_an_address_is_refused_as_a_password() {
        for text in [
            "http://me:secret/secret@cam/",
            "http://me:secret?secret@cam/",
            "http://me:secret#secret@cam/",
            "http://me:12/secret@cam/",
            "http://me:12?secret@cam/",
            "http://me:12#secret@cam/",
            "http://me:80/secret?secret@cam/",
            "http://me:80/secret?#secret@cam/",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("without user and password"), "{error}");
            assert!(
                !error.contains("secret") && !error.contains("12"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_at_sign_of_a_path_or_query_is_no_login() {
        for (text, path, shown) in [
            (
                "http://cam/user@host/stream",
                "/user@host/stream",
                "http://cam/user@host/stream",
            ),
            ("http://cam/s?pwd=p@ss", "/s?pwd=p@ss", "http://cam/s"),
            ("http://cam:81/p%40th", "/p%40th", "http://cam:81/p%40th"),
        ] {
            assert_eq!(url(text).path, path);
            assert_eq!(url(text).to_string(), shown);
            assert_eq!(public(text), shown);
        }
    }

    #[test]
    fn files_are_no_cameras() {
        for text in [
            "demo",
            "-",
            "rpicam.y4m",
            "jetsons",
            "./rpicam",
            "clip.mjpeg",
            "/dev/null",
        ] {
            assert!(!Address::is_camera(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "(http://|v4l2:|rpicam|)\\PC{0,30}") {
            if let Ok(Address::Http(url)) = text.parse() {
                prop_assert!(url.path.starts_with('/'));
                prop_assert!(!url.to_string().contains(['\r', '\n', ' ']));
            }
        }

        #[test]
        fn no_password_is_said(before in "[!-~]{0,4}", after in "[!-~]{0,4}") {
            let text = format!("http://me:{before}secret{after}@cam/");
            let error = text.parse::<Address>().unwrap_err().to_string();
            prop_assert!(!error.contains("secret"), "{}", error);
        }
    }
}
