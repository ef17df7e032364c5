//! The brightness of JPEGs. It is stored apart from the colours, which therefore are neither transformed, nor enlarged to the
//! picture's size, nor mixed in, only to be taken out again.

use ::image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Frame, check_size};

/// Decodes a picture of at most `max_pixels` into the frame's pixels, and says how to turn it upright.
///
/// # Errors
/// Returns what is wrong with the picture.
pub(super) fn decode(
    bytes: &[u8],
    max_pixels: u64,
    frame: &mut Frame,
) -> Result<Orientation, String> {
    // `check_size` sets the limits; cameras end pictures early now and then, which is no reason to lose them.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("a JPEG without a size")?;
    let pixels = check_size(width as u64, height as u64)?;
    if pixels as u64 > max_pixels {
        return Err(super::image::too_large(width, height, max_pixels));
    }
    frame.width = width;
    frame.height = height;
    // A scan that ends early leaves rows as they are, and the buffer comes from another picture.
    frame.pixels.clear();
    frame.pixels.resize(pixels, 0);
    match decoder.input_colorspace() {
        Some(ColorSpace::YCbCr | ColorSpace::Luma) => {
            decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
            decoder
                .decode_into(&mut frame.pixels)
                .map_err(|e| e.to_string())?;
        }
        // Red, green and blue as they are, and what printers use: not from cameras.
        _ => {
            decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::RGB));
            let rgb = decoder.decode().map_err(|e| e.to_string())?;
            if rgb.len() != 3 * pixels {
                return Err("JPEG with unknown colours".to_owned());
            }
            fer_models::rgb_to_gray(&rgb, &mut frame.pixels);
        }
    }
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok(orientation.unwrap_or(Orientation::NoTransforms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{ImageFormat, RgbImage};
    use std::io::Cursor;

    fn encoded(picture: &RgbImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    fn luma(bytes: &[u8]) -> Result<Frame, String> {
        let mut frame = Frame::default();
        decode(bytes, 1 << 20, &mut frame).map(|_| frame)
    }

    #[test]
    fn brightness_is_what_the_colours_have() {
        let picture = RgbImage::from_fn(40, 24, |x, y| {
            [(x * 6) as u8, (y * 10) as u8, 120 - (x * 2 + y) as u8].into()
        });
        let bytes = encoded(&picture);
        let colours = ::image::load_from_memory(&bytes).unwrap().to_rgb8();
        let mut expected = vec![0; 40 * 24];
        fer_models::rgb_to_gray(colours.as_raw(), &mut expected);
        let frame = luma(&bytes).unwrap();
        assert_eq!((frame.width, frame.height), (40, 24));
        for (luma, expected) in frame.pixels.into_iter().zip(expected) {
            // colours are rounded, and cut off where they leave their range
            assert!(luma.abs_diff(expected) <= 3, "{luma} {expected}");
        }
    }

    #[test]
    fn red_green_and_blue_as_they_are_become_brightness() {
        let mut bytes = encoded(&RgbImage::from_pixel(16, 16, [200; 3].into()));
        // Adobe's marker for colours that weren't transformed, behind the start of the picture
        let marker = *b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0";
        bytes.splice(2..2, marker);
        let frame = luma(&bytes).unwrap();
        // red 200, green and blue 128
        assert_eq!(frame.pixels, [150; 256]);
    }

    #[test]
    fn any_sampling_factors_are_survived() {
        let bytes = encoded(&RgbImage::from_fn(33, 17, |x, y| {
            [x as u8, y as u8, 9].into()
        }));
        let header = bytes
            .windows(2)
            .position(|two| two == [0xff, 0xc0])
            .unwrap();
        let factors = [0x11, 0x12, 0x21, 0x22, 0x14, 0x41, 0x44, 0x00, 0x31];
        for luma_factor in factors {
            for chroma_factor in factors {
                let mut bytes = bytes.clone();
                bytes[header + 11] = luma_factor;
                bytes[header + 14] = chroma_factor;
                bytes[header + 17] = chroma_factor;
                if let Ok(frame) = luma(&bytes) {
                    assert_eq!(frame.pixels.len(), 33 * 17);
                }
            }
        }
    }

    #[test]
    fn too_many_pixels_are_refused_before_they_are_decoded() {
        let bytes = encoded(&RgbImage::new(20, 10));
        let error = decode(&bytes, 199, &mut Frame::default()).unwrap_err();
        assert!(error.contains("20x10") && error.contains("199"), "{error}");
        assert!(decode(&bytes, 200, &mut Frame::default()).is_ok());
        assert!(luma(&bytes[..9]).is_err());
    }
}
