//! One image file of any format, as a grey tile.

use std::io::Cursor;
use std::path::Path;

use fer_models::{GrayView, resize, rgb_to_gray};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::error::DataError;
use super::images::Cut;

/// Largest image that is decoded, in pixels.
const MAX_PIXELS: u64 = 64 << 20;
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// What a decoder may allocate, in bytes: 64 megapixels of four 16-bit channels.
const MAX_MEMORY: u64 = MAX_PIXELS * 8;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Decodes an image (grey or colour, any size) and resizes it to `side`×`side` grey bytes. The
/// format is seen from the content.
///
/// # Errors
/// [`DataError`] names the file that cannot be read or is no whole image of a sensible size.
pub fn read_tile(path: &Path, side: usize) -> Result<Vec<u8>, DataError> {
    read_cut(path, side, Cut::Whole)
}

/// [`read_tile`] of a part of the image.
pub(super) fn read_cut(path: &Path, side: usize, cut: Cut) -> Result<Vec<u8>, DataError> {
    let size = std::fs::metadata(path)
        .map_err(|source| DataError::io(path, source))?
        .len();
    let image_error = |source| DataError::Image {
        path: path.to_owned(),
        source,
    };
    if size > MAX_FILE {
        return Err(image_error(
            format!("the file has {size} bytes, more than {MAX_FILE}").into(),
        ));
    }
    let bytes = std::fs::read(path).map_err(|source| DataError::io(path, source))?;
    decode_tile(&bytes, side, cut).map_err(image_error)
}

fn decode_tile(bytes: &[u8], side: usize, cut: Cut) -> Result<Vec<u8>, BoxError> {
    let image = match cut {
        Cut::Whole => decode(bytes)?,
        Cut::CentreSquare => centre_square(&decode(bytes)?),
    };
    let (width, height) = (image.width() as usize, image.height() as usize);
    let gray = match image {
        DynamicImage::ImageLuma8(gray) => gray.into_raw(),
        colour => {
            let rgb = colour.into_rgb8();
            let mut gray = vec![0; width * height];
            rgb_to_gray(&rgb, &mut gray);
            gray
        }
    };
    if (width, height) == (side, side) {
        return Ok(gray);
    }
    let mut tile = vec![0; side * side];
    resize(
        GrayView::new(width, height, width, &gray)?,
        side,
        side,
        &mut tile,
    );
    Ok(tile)
}

/// The largest square in the middle.
fn centre_square(image: &DynamicImage) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    let side = width.min(height);
    image.crop_imm((width - side) / 2, (height - side) / 2, side, side)
}

/// Decodes within the limits and turns the picture upright (EXIF).
fn decode(bytes: &[u8]) -> Result<DynamicImage, BoxError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format();
    if format == Some(ImageFormat::Jpeg) && !jpeg_is_whole(bytes) {
        return Err("the JPEG data ends early".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("expected 1 to {MAX_PIXELS} pixels, found {width}x{height}").into());
    }
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// The decoder fills up a JPEG that was cut short with grey, so look for the end marker behind a scan. Segments are
/// stepped over (a thumbnail in one has a scan and an end of its own), and what stands behind the end is not looked at:
/// phones append a film there.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let (mut at, mut scanned) = (2, false);
    while let Some((marker, behind)) = next_marker(bytes, at) {
        match marker {
            0xd9 => return scanned,
            // another picture begins in the middle of this one
            0xd8 => return false,
            _ => scanned |= marker == 0xda,
        }
        let Some(&[high, low]) = bytes.get(behind..behind + 2) else {
            return false;
        };
        at = behind + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

/// The next marker from `at` on that a segment or an end stands behind, and where. In a scan, 0 makes a plain byte of
/// 0xff, and restarts have no segment.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut pairs = bytes.get(at..)?.windows(2);
    let found = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd7 | 0xff);
    let marker = at + pairs.position(found)?;
    Some((bytes[marker + 1], marker + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(format: ImageFormat, image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn ramp() -> DynamicImage {
        image::GrayImage::from_fn(48, 48, |x, y| image::Luma([(x * 5 + y) as u8])).into()
    }

    #[test]
    fn a_grey_tile_of_the_right_size_is_copied_exactly() {
        for format in [
            ImageFormat::Png,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
            ImageFormat::Gif,
        ] {
            let source = if format == ImageFormat::Gif {
                ramp().to_rgb8().into()
            } else {
                ramp()
            };
            let tile = decode_tile(&encode(format, &source), 48, Cut::Whole).unwrap();
            assert_eq!(tile, ramp().to_luma8().into_raw(), "{format:?}");
        }
    }

    #[test]
    fn colour_and_size_are_converted() {
        let red = image::RgbImage::from_pixel(97, 31, image::Rgb([200, 0, 0]));
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::WebP,
            ImageFormat::Pnm,
        ] {
            let tile = decode_tile(&encode(format, &red.clone().into()), 48, Cut::Whole).unwrap();
            assert!(
                tile.iter().all(|&pixel| pixel.abs_diff(60) <= 2),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let noisy = image::RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([((x * 37) ^ (y * 91)) as u8, (x * y) as u8, (x * 13) as u8])
        });
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp] {
            let bytes = encode(format, &noisy.clone().into());
            for cut in [0, 1, 10, bytes.len() / 2, bytes.len() * 9 / 10] {
                assert!(
                    decode_tile(&bytes[..cut], 48, Cut::Whole).is_err(),
                    "{format:?} cut at {cut}"
                );
            }
        }
    }

    /// Start and end of a scan were looked for in the whole file, and so in the films that phones append.
    #[test]
    fn a_jpeg_ends_at_its_end_whatever_stands_before_and_behind() {
        let plain = encode(ImageFormat::Jpeg, &ramp());
        let film = b"ftypmp42 \xff\xda \xff\xd8 \xff\xda";
        let with_film = [&plain[..], film].concat();
        let tile = |bytes: &[u8]| decode_tile(bytes, 48, Cut::Whole);
        assert_eq!(tile(&with_film).unwrap(), tile(&plain).unwrap());
        // a segment with a whole picture in it
        let length = u16::try_from(plain.len() + 2).unwrap().to_be_bytes();
        let segment = [&[0xff_u8, 0xe4][..], &length, &plain].concat();
        let with_thumbnail = [&plain[..2], &segment, &plain[2..]].concat();
        assert_eq!(tile(&with_thumbnail).unwrap(), tile(&plain).unwrap());
        for whole in [&plain, &with_thumbnail] {
            let cut = &whole[..whole.len() - 2];
            assert!(tile(cut).is_err());
            let with_film = [cut, film].concat();
            assert!(tile(&with_film).is_err());
        }
    }

    #[test]
    fn a_huge_image_is_refused_before_it_is_decoded() {
        // A PNG header that claims 60000x60000 pixels, with a right checksum and no data.
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 0, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..]);
        png.extend(crc.sum().to_be_bytes());
        png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        let error = decode_tile(&png, 48, Cut::Whole).unwrap_err().to_string();
        assert!(
            error.contains("60000x60000") || error.to_lowercase().contains("limit"),
            "{error}"
        );
    }
}
