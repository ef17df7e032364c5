//! A picture file, and the decoders that the other sources share.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use ::image::codecs::jpeg::JpegDecoder;
use ::image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};

use super::{CaptureError, Frame, Pace, Source, Step, check_size};

/// One picture in any format that the `image` crate reads.
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
    decode(BufReader::new(file), frame).map_err(|e| CaptureError::format(&name, e))?;
    frame.file.clear();
    frame
        .file
        .push_str(&path.file_name().unwrap_or_default().to_string_lossy());
    Ok(())
}

/// Decodes a picture of any format into the frame's pixels.
///
/// # Errors
/// Returns what is wrong with the picture.
pub(crate) fn decode(stream: impl BufRead + Seek, frame: &mut Frame) -> Result<(), String> {
    let text = |e: ::image::ImageError| e.to_string();
    let mut reader = ImageReader::new(stream)
        .with_guessed_format()
        .map_err(|e| e.to_string())?;
    reader.limits(Limits::default());
    let mut decoder = reader.into_decoder().map_err(text)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    let orientation = decoder.orientation().map_err(text)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(text)?;
    // Phones store portraits lying down and say so in EXIF; the detector wants them upright.
    picture.apply_orientation(orientation);
    fill(&picture, frame);
    Ok(())
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
