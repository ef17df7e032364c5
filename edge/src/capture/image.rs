//! A picture file, and the decoders that the other sources share.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use ::image::codecs::{jpeg::JpegDecoder, png::PngDecoder, pnm::PnmDecoder};
use ::image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, Limits};

use super::{CaptureError, Frame, Pace, Source, Step, check_size};

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
    let file = File::open(path).map_err(|e| CaptureError::io(&name, e))?;
    decode(BufReader::new(file), u64::MAX, frame).map_err(|e| CaptureError::format(&name, e))?;
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

/// Decodes a picture of at most `max_pixels` into the frame's pixels.
///
/// # Errors
/// Returns what is wrong with the picture.
pub(crate) fn decode(
    stream: impl BufRead + Seek,
    max_pixels: u64,
    frame: &mut Frame,
) -> Result<(), String> {
    let text = |e: ::image::ImageError| e.to_string();
    let mut decoder = open(stream)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(format!(
            "a picture of {width}x{height} is beyond the limit of {max_pixels} pixels"
        ));
    }
    let orientation = decoder.orientation().map_err(text)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(text)?;
    // Phones store portraits lying down and say so in EXIF; the detector wants them upright.
    picture.apply_orientation(orientation);
    fill(&picture, frame);
    Ok(())
}

/// The decoder for what the first bytes say, whatever the file's name is.
fn open<'a>(mut stream: impl BufRead + Seek + 'a) -> Result<Box<dyn ImageDecoder + 'a>, String> {
    let text = |e: ::image::ImageError| e.to_string();
    let start = stream.fill_buf().map_err(|e| e.to_string())?;
    match ::image::guess_format(start) {
        Ok(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(stream, Limits::default()).map_err(text)?;
            Ok(Box::new(decoder))
        }
        Ok(ImageFormat::Jpeg) => {
            let mut decoder = JpegDecoder::new(stream).map_err(text)?;
            decoder.set_limits(Limits::default()).map_err(text)?;
            Ok(Box::new(decoder))
        }
        Ok(ImageFormat::Pnm) => {
            let mut decoder = PnmDecoder::new(stream).map_err(text)?;
            decoder.set_limits(Limits::default()).map_err(text)?;
            Ok(Box::new(decoder))
        }
        Ok(other) => Err(format!(
            "is a picture of type {}, expected PNG, JPEG or PNM",
            other.extensions_str()[0]
        )),
        Err(_) => Err("is no picture; expected PNG, JPEG or PNM".into()),
    }
}

fn fill(picture: &DynamicImage, frame: &mut Frame) {
    frame.width = picture.width() as usize;
    frame.height = picture.height() as usize;
    frame.pixels.clear();
    match picture {
        DynamicImage::ImageLuma8(gray) => frame.pixels.extend_from_slice(gray.as_raw()),
        DynamicImage::ImageRgb8(rgb) => gray_into(rgb.as_raw(), &mut frame.pixels),
        other => gray_into(other.to_rgb8().as_raw(), &mut frame.pixels),
    }
}

fn gray_into(rgb: &[u8], gray: &mut Vec<u8>) {
    gray.resize(rgb.len() / 3, 0);
    fer_models::rgb_to_gray(rgb, gray);
}

/// Decodes one JPEG into the frame's pixels; `rgb` is scratch space that is reused.
///
/// # Errors
/// Returns what is wrong with the picture.
pub(super) fn decode_jpeg(
    bytes: &[u8],
    rgb: &mut Vec<u8>,
    frame: &mut Frame,
) -> Result<(), String> {
    let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    let pixels = check_size(width.into(), height.into())?;
    frame.width = width as usize;
    frame.height = height as usize;
    match decoder.color_type() {
        ColorType::L8 => {
            frame.pixels.resize(pixels, 0);
            decoder
                .read_image(&mut frame.pixels)
                .map_err(|e| e.to_string())
        }
        ColorType::Rgb8 => {
            rgb.resize(pixels * 3, 0);
            decoder.read_image(rgb).map_err(|e| e.to_string())?;
            gray_into(rgb, &mut frame.pixels);
            Ok(())
        }
        other => Err(format!("JPEG with {other:?} pixels is not supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{GrayImage, RgbImage};

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
        let error = decode(
            Cursor::new(b"GIF89a\x01\0\x01\0"),
            u64::MAX,
            &mut Frame::default(),
        );
        assert_eq!(
            error.unwrap_err(),
            "is a picture of type gif, expected PNG, JPEG or PNM"
        );
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
