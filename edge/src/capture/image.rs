//! A picture file.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use ::image::codecs::{png::PngDecoder, pnm::PnmDecoder};
use ::image::metadata::Orientation;
use ::image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, Limits};

use super::{CaptureError, Frame, Pace, Source, Step, check_size, jpeg};

/// One picture: PNG, JPEG or PNM.
#[derive(Debug)]
pub struct Still {
    name: String,
    frame: Option<Frame>,
}

impl Still {
    /// Reads the picture.
    ///
    /// # Errors
    /// Returns an error when the file is missing or is no picture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let mut frame = Frame::default();
        load(path, &mut frame)?;
        Ok(Self {
            name,
            frame: Some(frame),
        })
    }
}

impl Source for Still {
    fn name(&self) -> &str {
        &self.name
    }

    fn pace(&self) -> Pace {
        Pace::Stills
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        match self.frame.take() {
            Some(still) => {
                *frame = still;
                Ok(Step::Frame)
            }
            None => Ok(Step::End),
        }
    }
}

/// Reads a picture file into `frame` and sets its `file`; `seq` and `t_ms` stay.
///
/// # Errors
/// Returns an error when the file is missing or is no picture.
pub(super) fn load(path: &Path, frame: &mut Frame) -> Result<(), CaptureError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| CaptureError::io(&name, e))?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("is larger than {MAX_BYTES} bytes");
        return Err(CaptureError::format(&name, problem));
    }
    decode(&bytes, u64::MAX, frame).map_err(|e| CaptureError::format(&name, e))?;
    frame.file.clear();
    frame
        .file
        .push_str(&path.file_name().unwrap_or_default().to_string_lossy());
    Ok(())
}

/// Whether a file's name says that [`decode`] reads it.
pub(super) fn is_picture(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| FORMATS.contains(&format))
}

/// What cameras, phones and browsers give, and what a script can write. Each further decoder would be code that strangers' bytes reach
/// and that every board carries; `fer-tools` reads the rarer formats.
const FORMATS: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Pnm];

/// Largest file that is read, in bytes: above what the largest frame takes.
const MAX_BYTES: u64 = 256 << 20;

/// Decodes a picture of at most `max_pixels` into the frame's pixels.
///
/// # Errors
/// Returns what is wrong with the picture.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64, frame: &mut Frame) -> Result<(), String> {
    let text = |e: ::image::ImageError| e.to_string();
    let stream = Cursor::new(bytes);
    let (picture, orientation) = match ::image::guess_format(bytes) {
        // Phones store portraits lying down and say so in EXIF; the detector wants them upright.
        Ok(ImageFormat::Jpeg) => match jpeg::decode(bytes, max_pixels, frame)? {
            Orientation::NoTransforms => return Ok(()),
            orientation => (taken(frame), orientation),
        },
        Ok(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(stream, Limits::default()).map_err(text)?;
            decoded(decoder, max_pixels)?
        }
        Ok(ImageFormat::Pnm) => decoded(PnmDecoder::new(stream).map_err(text)?, max_pixels)?,
        Ok(other) => {
            return Err(format!(
                "is a picture of type {}, expected PNG, JPEG or PNM",
                other.extensions_str()[0]
            ));
        }
        Err(_) => return Err("is no picture; expected PNG, JPEG or PNM".into()),
    };
    fill(picture, orientation, frame);
    Ok(())
}

/// A picture and how to turn it upright.
fn decoded(
    mut decoder: impl ImageDecoder,
    max_pixels: u64,
) -> Result<(DynamicImage, Orientation), String> {
    let text = |e: ::image::ImageError| e.to_string();
    decoder.set_limits(Limits::default()).map_err(text)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(too_large(width as usize, height as usize, max_pixels));
    }
    let orientation = decoder.orientation().map_err(text)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(text)?;
    Ok((picture, orientation))
}

/// What is wrong with a picture of more than `max_pixels`.
pub(super) fn too_large(width: usize, height: usize, max_pixels: u64) -> String {
    format!("a picture of {width}x{height} is beyond the limit of {max_pixels} pixels")
}

/// The frame's pixels, whose place is left empty.
fn taken(frame: &mut Frame) -> DynamicImage {
    let pixels = std::mem::take(&mut frame.pixels);
    GrayImage::from_raw(frame.width as u32, frame.height as u32, pixels)
        .unwrap_or_default()
        .into()
}

/// Turns `picture` upright and puts its luma into `frame`.
fn fill(mut picture: DynamicImage, orientation: Orientation, frame: &mut Frame) {
    picture.apply_orientation(orientation);
    frame.width = picture.width() as usize;
    frame.height = picture.height() as usize;
    match picture {
        DynamicImage::ImageLuma8(gray) => frame.pixels = gray.into_raw(),
        other => {
            frame.pixels.resize(frame.width * frame.height, 0);
            fer_models::rgb_to_gray(other.to_rgb8().as_raw(), &mut frame.pixels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::RgbImage;

    #[test]
    fn grey_and_colour_pictures_become_luma() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        GrayImage::from_fn(7, 5, |x, y| [(x * 30 + y) as u8].into())
            .save(&path)
            .unwrap();
        let mut frame = Frame::default();
        load(&path, &mut frame).unwrap();
        assert_eq!((frame.width, frame.height, frame.pixels[8]), (7, 5, 31));
        assert_eq!(frame.file, "a.png");

        let path = dir.path().join("b.png");
        RgbImage::from_pixel(4, 4, [200, 200, 200].into())
            .save(&path)
            .unwrap();
        load(&path, &mut frame).unwrap();
        assert_eq!((frame.width, frame.height), (4, 4));
        assert_eq!(frame.pixels, [200; 16]);
    }

    #[test]
    fn a_format_that_is_not_read_is_named() {
        let error = decode(b"GIF89a\x01\0\x01\0", u64::MAX, &mut Frame::default());
        assert_eq!(
            error.unwrap_err(),
            "is a picture of type gif, expected PNG, JPEG or PNM"
        );
    }

    #[test]
    fn portraits_that_lie_down_are_turned_upright() {
        let lying = GrayImage::from_fn(32, 16, |x, _| [if x < 16 { 40 } else { 200 }].into());
        let mut bytes = Cursor::new(Vec::new());
        lying.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let mut bytes = bytes.into_inner();
        // EXIF with one entry: orientation, a turn to the right
        let marker = *b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        bytes.splice(2..2, marker);
        let mut frame = Frame::default();
        decode(&bytes, u64::MAX, &mut frame).unwrap();
        assert_eq!((frame.width, frame.height), (16, 32));
        assert!(frame.pixels[0] < 50 && frame.pixels[16 * 31] > 190);
    }

    #[test]
    fn text_is_no_picture() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        std::fs::write(&path, "not a picture").unwrap();
        assert!(
            Still::open(&path)
                .unwrap_err()
                .to_string()
                .contains("a.png")
        );
    }
}
