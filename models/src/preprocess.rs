//! From a face in a frame to the network's input: the one implementation.

use serde::{Deserialize, Serialize};

use crate::field::{FieldError, check};
use crate::image::{GrayView, Rect};
use crate::resize::resize_region;

/// Largest side of a tile in pixels.
pub const MAX_TILE: usize = 1024;

/// How a face becomes numbers: the `[input]` table of the manifest.
///
/// A face box becomes a square ([`face_square`](Self::face_square)), the square a grey tile of
/// `tile * tile` pixels ([`cut_tile`](Self::cut_tile)), the tile one or ten crops of `crop * crop`
/// normalised values in each channel ([`write_input`](Self::write_input)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Channels of the input, 1 or 3; three channels repeat the grey one.
    pub channels: usize,
    /// Side of the grey tile, 1 to [`MAX_TILE`] pixels; 48 in FER2013.
    pub tile: usize,
    /// Side of the crop that the network reads, 1 to `tile` pixels; 44 in the reference.
    pub crop: usize,
    /// Subtracted from a pixel in 0 to 1.
    pub mean: f32,
    /// Divides what is left after the mean.
    pub std: f32,
    /// Side of the square in mean sides of the detector's box, 0.25 to 4.
    pub face_scale: f32,
    /// Downward shift of the square's centre in mean sides of the detector's box, -1 to 1.
    pub face_shift_y: f32,
}

impl Preprocess {
    /// The reference's input: 48-pixel tiles, 44-pixel crops, pixels in 0 to 1, the box as detected.
    pub fn fer2013(channels: usize) -> Self {
        Self {
            channels,
            tile: 48,
            crop: 44,
            mean: 0.0,
            std: 1.0,
            face_scale: 1.0,
            face_shift_y: 0.0,
        }
    }

    /// The reference's input for a network that reads `crop` pixels a side: cut from 48-pixel tiles, or the whole of a
    /// larger tile, as the references feed their 224-pixel networks.
    pub fn of_side(channels: usize, crop: usize) -> Self {
        let reference = Self::fer2013(channels);
        Self {
            tile: reference.tile.max(crop),
            crop,
            ..reference
        }
    }

    /// Checks every field; the manifest calls it, and so should whoever fills in the struct.
    ///
    /// # Errors
    /// The first field out of range, named as in the `[input]` table.
    pub fn validate(&self) -> Result<(), FieldError> {
        let within = |value: f32, low: f32, high: f32| (low..=high).contains(&value);
        check(
            matches!(self.channels, 1 | 3),
            "input.channels",
            self.channels,
            "1 or 3",
        )?;
        check(
            (1..=MAX_TILE).contains(&self.tile),
            "input.tile",
            self.tile,
            format_args!("1 to {MAX_TILE}"),
        )?;
        check(
            (1..=self.tile).contains(&self.crop),
            "input.crop",
            self.crop,
            format_args!("1 to input.tile ({})", self.tile),
        )?;
        check(
            within(self.mean, -1e6, 1e6),
            "input.mean",
            self.mean,
            "-1e6 to 1e6",
        )?;
        check(
            within(self.std, 1e-6, 1e6),
            "input.std",
            self.std,
            "1e-6 to 1e6",
        )?;
        let (scale, shift) = (self.face_scale, self.face_shift_y);
        check(
            within(scale, 0.25, 4.0),
            "input.face_scale",
            scale,
            "0.25 to 4",
        )?;
        check(
            within(shift, -1.0, 1.0),
            "input.face_shift_y",
            shift,
            "-1 to 1",
        )
    }

    /// The crop rule: the square of the frame to cut for a detector's box. It may leave the frame.
    pub fn face_square(&self, face: Rect) -> Rect {
        let mean_side = (face.width + face.height) / 2.0;
        let side = self.face_scale * mean_side;
        let centre_x = face.x + face.width / 2.0;
        let centre_y = face.y + face.height / 2.0 + self.face_shift_y * mean_side;
        Rect {
            x: centre_x - side / 2.0,
            y: centre_y - side / 2.0,
            width: side,
            height: side,
        }
    }

    /// Cuts `region` out of the frame and resizes it to `tile * tile` pixels with an antialiased
    /// triangle filter (PIL's `BILINEAR`).
    ///
    /// Pixels outside the frame repeat its edge. A region of exactly the tile's size at whole pixels
    /// is copied. Any region is safe: one that is not a number, empty or negative counts as one pixel.
    /// Nothing is allocated.
    ///
    /// # Panics
    /// Unless `tile` holds `tile * tile` pixels.
    pub fn cut_tile(&self, frame: GrayView<'_>, region: Rect, tile: &mut [u8]) {
        resize_region(frame, region, self.tile, self.tile, tile);
    }

    /// A pixel value in 0 to 255, whole or not, as the network reads it:
    /// `(value / 255 - mean) / std`.
    pub fn normalise(&self, value: f32) -> f32 {
        (value / 255.0 - self.mean) / self.std
    }

    /// Values in one crop of the input: `channels * crop * crop`.
    pub fn input_len(&self) -> usize {
        self.channels * self.crop * self.crop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_input_is_valid() {
        for channels in [1, 3] {
            let input = Preprocess::fer2013(channels);
            input.validate().unwrap();
            assert_eq!(input.input_len(), channels * 44 * 44);
        }
    }

    #[test]
    fn larger_inputs_read_whole_tiles() {
        let sizes = |crop| {
            let input = Preprocess::of_side(3, crop);
            input.validate().unwrap();
            [input.tile, input.crop]
        };
        assert_eq!(Preprocess::of_side(1, 44), Preprocess::fer2013(1));
        assert_eq!(sizes(48), [48, 48]);
        assert_eq!(sizes(224), [224, 224]);
    }

    #[test]
    fn each_field_out_of_range_is_named() {
        let good = Preprocess::fer2013(1);
        let cases = [
            (
                "input.channels",
                Preprocess {
                    channels: 2,
                    ..good
                },
            ),
            ("input.tile", Preprocess { tile: 0, ..good }),
            ("input.tile", Preprocess { tile: 1025, ..good }),
            ("input.crop", Preprocess { crop: 49, ..good }),
            ("input.crop", Preprocess { crop: 0, ..good }),
            (
                "input.mean",
                Preprocess {
                    mean: f32::NAN,
                    ..good
                },
            ),
            ("input.std", Preprocess { std: 0.0, ..good }),
            ("input.std", Preprocess { std: -1.0, ..good }),
            (
                "input.std",
                Preprocess {
                    std: f32::INFINITY,
                    ..good
                },
            ),
            (
                "input.face_scale",
                Preprocess {
                    face_scale: 0.0,
                    ..good
                },
            ),
            (
                "input.face_scale",
                Preprocess {
                    face_scale: f32::NAN,
                    ..good
                },
            ),
            (
                "input.face_shift_y",
                Preprocess {
                    face_shift_y: 1.5,
                    ..good
                },
            ),
        ];
        for (field, input) in cases {
            assert_eq!(input.validate().unwrap_err().field, field);
        }
        let error = Preprocess { crop: 50, ..good }.validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`input.crop` is 50, expected 1 to input.tile (48)"
        );
    }

    #[test]
    fn the_square_is_centred_scaled_and_shifted() {
        let face = Rect {
            x: 10.0,
            y: 20.0,
            width: 30.0,
            height: 50.0,
        };
        let plain = Preprocess::fer2013(1).face_square(face);
        assert_eq!(
            plain,
            Rect {
                x: 5.0,
                y: 25.0,
                width: 40.0,
                height: 40.0
            }
        );
        let rule = Preprocess {
            face_scale: 1.5,
            face_shift_y: 0.25,
            ..Preprocess::fer2013(1)
        };
        let square = rule.face_square(face);
        assert_eq!(
            square,
            Rect {
                x: -5.0,
                y: 25.0,
                width: 60.0,
                height: 60.0
            }
        );
    }
}
