//! The luma of the pixel formats that are used, with the sizes that the driver gave.

use super::super::super::{Frame, MAX_PIXELS, check_size, jpeg};

/// A pixel format by its four characters.
pub type FourCc = [u8; 4];

/// Formats that can be read, cheapest first: grey as it is, luma beside chroma, then compressed.
pub const SUPPORTED: [FourCc; 5] = [*b"GREY", *b"NV12", *b"YUYV", *b"MJPG", *b"JPEG"];

/// Above this many pixels, USB 2 carries raw pictures at a few a second only.
const RAW_PIXELS: u32 = 640 * 480;

/// What the driver delivers, which may differ from what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Pixel format.
    pub format: FourCc,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next; 0 where the driver doesn't say.
    pub stride: u32,
}

/// The best of the formats that a camera offers for pictures of this size.
#[must_use]
pub(super) fn choose(offered: &[FourCc], width: u32, height: u32) -> Option<FourCc> {
    let compressed = |format: &FourCc| matches!(format, b"MJPG" | b"JPEG");
    let large = width.saturating_mul(height) > RAW_PIXELS;
    let mut wanted = SUPPORTED;
    // Grey is half the size of the others and of cameras that offer nothing better.
    wanted.sort_by_key(|format| large && format != b"GREY" && !compressed(format));
    wanted.into_iter().find(|format| offered.contains(format))
}

impl Shape {
    /// Checks that pictures of this shape can be read.
    ///
    /// # Errors
    /// Returns what can't.
    pub fn check(&self) -> Result<(), String> {
        if !SUPPORTED.contains(&self.format) {
            return Err(format!(
                "pixel format {} is not supported ({} are)",
                name(self.format),
                SUPPORTED.map(name).join(", ")
            ));
        }
        check_size(self.width.into(), self.height.into()).map(|_| ())
    }

    /// Puts the luma of one picture into `frame`.
    ///
    /// # Errors
    /// Returns what is wrong with the picture.
    pub fn luma(&self, bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
        // Bytes from one pixel's luma to the next.
        let step = match &self.format {
            b"MJPG" | b"JPEG" => return jpeg::decode(bytes, MAX_PIXELS, frame).map(|_| ()),
            b"YUYV" => 2,
            _ => 1,
        };
        let (width, height) = (self.width as usize, self.height as usize);
        let row = width * step;
        let stride = match self.stride as usize {
            0 => row,
            stride if stride < row => {
                return Err(format!(
                    "rows of {stride} bytes are too short for {width} pixels"
                ));
            }
            stride => stride,
        };
        // The last row may come without its padding.
        let expected = stride * (height - 1) + row;
        if bytes.len() < expected {
            return Err(format!(
                "a picture of {} bytes, expected {expected} for {width}x{height}",
                bytes.len()
            ));
        }
        frame.width = width;
        frame.height = height;
        frame.pixels.clear();
        for line in bytes.chunks(stride).take(height) {
            match step {
                1 => frame.pixels.extend_from_slice(&line[..row]),
                _ => frame.pixels.extend(line[..row].iter().step_by(step)),
            }
        }
        Ok(())
    }
}

/// The format's four characters, fit for a message.
#[must_use]
pub(super) fn name(format: FourCc) -> String {
    format.escape_ascii().to_string().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(format: &FourCc, width: u32, height: u32, stride: u32) -> Shape {
        Shape {
            format: *format,
            width,
            height,
            stride,
        }
    }

    fn luma(shape: &Shape, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut frame = Frame::default();
        shape.luma(bytes, &mut frame)?;
        assert_eq!(frame.pixels.len(), frame.width * frame.height);
        Ok(frame.pixels)
    }

    #[test]
    fn each_raw_format_gives_its_luma_without_padding() {
        let grey = [1, 2, 9, 3, 4];
        assert_eq!(luma(&shape(b"GREY", 2, 2, 3), &grey), Ok(vec![1, 2, 3, 4]));
        let nv12 = [1, 2, 3, 4, 128, 128];
        assert_eq!(luma(&shape(b"NV12", 2, 2, 0), &nv12), Ok(vec![1, 2, 3, 4]));
        let yuyv = [1, 128, 2, 128, 0, 0, 3, 128, 4, 128, 0, 0];
        assert_eq!(luma(&shape(b"YUYV", 2, 2, 6), &yuyv), Ok(vec![1, 2, 3, 4]));
    }

    #[test]
    fn a_short_picture_says_how_short() {
        let error = luma(&shape(b"YUYV", 4, 2, 8), &[0; 15]).unwrap_err();
        assert!(error.contains("15 bytes, expected 16 for 4x2"), "{error}");
        let error = luma(&shape(b"GREY", 4, 2, 3), &[0; 15]).unwrap_err();
        assert!(error.contains("rows of 3 bytes"), "{error}");
        assert!(luma(&shape(b"MJPG", 4, 2, 0), &[0; 15]).is_err());
    }

    #[test]
    fn raw_is_preferred_for_small_pictures_and_jpeg_for_large() {
        let offered = [*b"MJPG", *b"YUYV", *b"H264"];
        assert_eq!(choose(&offered, 640, 480), Some(*b"YUYV"));
        assert_eq!(choose(&offered, 1280, 720), Some(*b"MJPG"));
        assert_eq!(choose(&[*b"YUYV"], 1280, 720), Some(*b"YUYV"));
        assert_eq!(choose(&[*b"GREY", *b"MJPG"], 1280, 720), Some(*b"GREY"));
        assert_eq!(choose(&[*b"RG10"], 640, 480), None);
        let error = shape(b"RG10", 640, 480, 0).check().unwrap_err();
        assert!(error.contains("RG10") && error.contains("YUYV"), "{error}");
        assert!(shape(b"GREY", 0, 480, 0).check().is_err());
    }

    proptest! {
        #[test]
        fn any_shape_and_any_bytes_are_survived(
            format in proptest::sample::select(SUPPORTED.to_vec()),
            width in 0u32..40, height in 0u32..40, stride in 0u32..100, bytes: Vec<u8>,
        ) {
            let shape = shape(&format, width, height, stride);
            if shape.check().is_ok() {
                let _ = luma(&shape, &bytes);
            }
        }
    }
}
