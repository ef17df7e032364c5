//! Where frames come from: cameras, files, folders, pipes and the built-in demo behind one trait.
//!
//! Every source delivers 8-bit grey frames into a buffer that the caller reuses. What a source can't
//! decode is reported as [`Step::Bad`], so that the pipeline counts it and goes on; only what ends
//! the source for good (an I/O error, a header that makes no sense) is an error.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fer_models::{GrayView, ImageError, MAX_SIDE};

use crate::control::Control;
use crate::health::Health;

pub mod camera;
pub mod demo;
pub mod folder;
pub mod image;
mod jpeg;
pub mod mjpeg;
pub mod paced;
pub mod split;
pub mod y4m;

/// Largest frame that is accepted, in pixels: above any camera, below what would exhaust memory.
pub const MAX_PIXELS: u64 = 64_000_000;

/// One grey frame, reused from one capture to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height` rows of `width` luma bytes, no padding.
    pub pixels: Vec<u8>,
    /// Position in the source, from 0; bad frames take a number too, so gaps show.
    pub seq: u64,
    /// Milliseconds since the source's first frame. Files derive it from the frame's number and the
    /// frame rate.
    pub t_ms: u64,
    /// The picture's file name, empty where frames have none.
    pub file: String,
}

impl Frame {
    /// The frame as `fer-models` reads it.
    ///
    /// # Errors
    /// Returns an error when the sizes don't fit the pixels, for example for an empty frame.
    pub fn view(&self) -> Result<GrayView<'_>, ImageError> {
        GrayView::new(self.width, self.height, self.width, &self.pixels)
    }
}

/// What one call of [`Source::next`] brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The frame was filled.
    Frame,
    /// There was a frame, but it can't be used; the text says why.
    Bad(String),
    /// Nothing more will come.
    End,
}

/// How the frames of a source follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Unrelated pictures: nothing carries over from one to the next.
    Stills,
    /// A recording: every frame counts, the reader waits for the consumer.
    Recorded,
    /// Frames come when they come: the newest matters, old ones are dropped.
    Live,
}

/// A source of frames.
pub trait Source: Send {
    /// Short name for the output, such as `demo` or a path.
    fn name(&self) -> &str;

    /// How the frames follow each other.
    fn pace(&self) -> Pace;

    /// Fetches the next frame into `frame`, whose buffers are reused.
    ///
    /// # Errors
    /// Returns an error when the source can't go on.
    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError>;
}

/// Why a source can't be opened or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Reading failed.
    #[error("{name}: {error}")]
    Io {
        /// The file, folder or `stdin`.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The content isn't what it should be.
    #[error("{name}: {reason}")]
    Format {
        /// The file, folder or `stdin`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl CaptureError {
    pub(crate) fn io(name: &str, error: io::Error) -> Self {
        Self::Io {
            name: name.to_owned(),
            error,
        }
    }

    pub(crate) fn format(name: &str, reason: impl Into<String>) -> Self {
        Self::Format {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }
}

/// What the user asked to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The built-in demo.
    Demo,
    /// Standard input, Y4M or MJPEG.
    Stdin,
    /// A live camera, as [`camera::Address`] reads it.
    Camera(String),
    /// A file or a folder.
    Path(PathBuf),
}

impl From<OsString> for Input {
    fn from(text: OsString) -> Self {
        match text.to_str() {
            Some("demo") => Self::Demo,
            Some("-") => Self::Stdin,
            Some(text) if camera::Address::is_camera(text) => Self::Camera(text.to_owned()),
            _ => Self::Path(text.into()),
        }
    }
}

/// Opens an input.
///
/// Files are told apart by their extension: `.y4m`, `.mjpeg` or `.mjpg`; any other file is a picture,
/// whose format is told by its content. `fps` is the frame rate of MJPEG, which carries none. A camera
/// is opened with the default settings and its state is told to nobody; [`camera::open`] does more.
///
/// # Errors
/// Returns an error when the input is missing, empty or of an unknown kind.
pub fn open(input: &Input, fps: f64) -> Result<Box<dyn Source>, CaptureError> {
    match input {
        Input::Demo => Ok(Box::new(demo::Demo::new()?)),
        Input::Stdin => sniff("stdin", Box::new(io::stdin()), fps),
        Input::Camera(device) => {
            let settings = camera::Settings {
                device: device.clone(),
                ..camera::Settings::default()
            };
            camera::open(
                &settings,
                Arc::new(Health::new(0)),
                Arc::new(Control::default()),
            )
        }
        Input::Path(path) => open_path(path, fps),
    }
}

fn open_path(path: &Path, fps: f64) -> Result<Box<dyn Source>, CaptureError> {
    let name = path.display().to_string();
    if path.is_dir() {
        return Ok(Box::new(folder::Folder::open(path)?));
    }
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let file = || File::open(path).map_err(|e| CaptureError::io(&name, e));
    match extension.as_str() {
        "y4m" => Ok(Box::new(y4m::Y4m::new(&name, file()?)?)),
        "mjpeg" | "mjpg" => Ok(Box::new(mjpeg::Mjpeg::new(&name, file()?, fps))),
        _ => Ok(Box::new(image::Still::open(path)?)),
    }
}

/// Tells Y4M from MJPEG by the first bytes of a stream that can't be rewound.
fn sniff(
    name: &str,
    mut stream: Box<dyn Read + Send>,
    fps: f64,
) -> Result<Box<dyn Source>, CaptureError> {
    let mut first = Vec::new();
    stream
        .by_ref()
        .take(y4m::MAGIC.len() as u64)
        .read_to_end(&mut first)
        .map_err(|e| CaptureError::io(name, e))?;
    let is_y4m = first == y4m::MAGIC;
    let is_jpeg = first.starts_with(&[0xff, 0xd8]);
    let empty = first.is_empty();
    let stream = Cursor::new(first).chain(stream);
    if is_y4m {
        Ok(Box::new(y4m::Y4m::new(name, stream)?))
    } else if is_jpeg {
        Ok(Box::new(mjpeg::Mjpeg::new(name, stream, fps)))
    } else if empty {
        Err(CaptureError::format(
            name,
            "is empty, expected Y4M or MJPEG",
        ))
    } else {
        Err(CaptureError::format(
            name,
            "starts neither like Y4M nor like a JPEG",
        ))
    }
}

/// Refuses sizes that are zero or beyond [`MAX_PIXELS`]; returns the number of pixels.
fn check_size(width: u64, height: u64) -> Result<usize, String> {
    let side = MAX_SIDE as u64;
    match width.checked_mul(height) {
        Some(_) if width > side || height > side => Err(format!(
            "a frame of {width}x{height} is beyond the limit of {side} pixels a side"
        )),
        Some(0) => Err(format!("a frame of {width}x{height} has no pixels")),
        Some(pixels) if pixels <= MAX_PIXELS => Ok(pixels as usize),
        _ => Err(format!(
            "a frame of {width}x{height} is beyond the limit of 64 million pixels"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(check_size(320, 240), Ok(76_800));
        assert!(check_size(0, 240).is_err());
        assert!(check_size(8001, 8000).is_err());
        assert!(check_size(65_536, 1).is_err());
        assert!(check_size(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn sniffing_needs_a_known_start() {
        let open = |bytes: &'static [u8]| sniff("stdin", Box::new(bytes), 25.0).map(|_| ());
        assert!(open(b"YUV4MPEG2 W4 H2 F25:1\n").is_ok());
        assert!(open(&[0xff, 0xd8, 0xff]).is_ok());
        assert!(open(b"").unwrap_err().to_string().contains("empty"));
        assert!(
            open(b"GIF89a...")
                .unwrap_err()
                .to_string()
                .contains("neither")
        );
    }

    #[test]
    fn cameras_are_told_from_files() {
        let input = |text: &str| Input::from(OsString::from(text));
        for text in [
            "v4l2:auto",
            "/dev/video0",
            "rpicam",
            "jetson:1",
            "http://cam/stream",
        ] {
            assert_eq!(input(text), Input::Camera(text.to_owned()));
            assert_eq!(open(&input(text), 25.0).unwrap().pace(), Pace::Live);
        }
        assert_eq!(input("./rpicam"), Input::Path("./rpicam".into()));
        let error = open(&input("https://cam/"), 25.0).map(|_| ()).unwrap_err();
        assert!(
            error.to_string().contains("https is not supported"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = open(&Input::from(OsString::from("/nowhere/face.png")), 25.0)
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("/nowhere/face.png"), "{error}");
    }
}
