//! Grey images by reference, and rectangles on them.

/// Largest width or height of an image in pixels: what JPEG can say. Bounds every loop over a frame.
pub const MAX_SIDE: usize = 65_535;

/// A borrowed 8-bit grey image: `height` rows of `width` pixels, `stride` bytes apart.
///
/// The luma plane of a camera frame is one without a copy. Never empty.
#[derive(Debug, Clone, Copy)]
pub struct GrayView<'a> {
    width: usize,
    height: usize,
    stride: usize,
    pixels: &'a [u8],
}

/// Why a size and a buffer are not an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Width or height is zero or beyond [`MAX_SIDE`].
    #[error("image is {width}x{height}, expected 1 to {MAX_SIDE} pixels a side")]
    Size {
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
    },
    /// Rows would overlap.
    #[error("image stride is {stride} bytes, expected at least the width, {width}")]
    Stride {
        /// Bytes from one row to the next.
        stride: usize,
        /// Width in pixels.
        width: usize,
    },
    /// The buffer ends before the last row does.
    #[error("image buffer holds {found} bytes, expected at least {expected}")]
    TooShort {
        /// Bytes in the buffer.
        found: usize,
        /// Bytes that the last row ends at.
        expected: usize,
    },
}

impl<'a> GrayView<'a> {
    /// Views `pixels` as an image. The last row may end without its padding.
    ///
    /// # Errors
    /// When a side is zero or over [`MAX_SIDE`], `stride < width`, or the buffer is too short.
    pub fn new(
        width: usize,
        height: usize,
        stride: usize,
        pixels: &'a [u8],
    ) -> Result<Self, ImageError> {
        let side = 1..=MAX_SIDE;
        if !side.contains(&width) || !side.contains(&height) {
            return Err(ImageError::Size { width, height });
        }
        if stride < width {
            return Err(ImageError::Stride { stride, width });
        }
        // Saturating: a stride near usize::MAX asks for more than any buffer holds.
        let expected = stride.saturating_mul(height - 1).saturating_add(width);
        if pixels.len() < expected {
            return Err(ImageError::TooShort {
                found: pixels.len(),
                expected,
            });
        }
        Ok(Self {
            width,
            height,
            stride,
            pixels,
        })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes from one row to the next, at least the width.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// All bytes, from the first pixel to at least the last.
    pub fn bytes(&self) -> &'a [u8] {
        self.pixels
    }

    /// Row `y` from the top, `width` pixels.
    ///
    /// # Panics
    /// When `y` is not below the height.
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height, "row {y} of an image {} high", self.height);
        &self.pixels[y * self.stride..][..self.width]
    }
}

/// A rectangle in pixels of a frame; `x`, `y` is the top left corner, pixel `i` covers `i..i + 1`.
/// It may lie partly or wholly outside the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge; y grows downwards.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

/// Interleaved 8-bit RGB to grey: `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601), rounded to nearest.
///
/// # Panics
/// Unless `rgb` holds exactly three bytes for each byte of `gray`.
pub fn rgb_to_gray(rgb: &[u8], gray: &mut [u8]) {
    assert_eq!(rgb.len(), gray.len() * 3, "rgb holds three bytes a pixel");
    for (out, pixel) in gray.iter_mut().zip(rgb.chunks_exact(3)) {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        // At most (1000 * 255 + 500) / 1000 = 255.
        *out = ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_steps_by_its_stride() {
        let pixels = [1, 2, 99, 3, 4];
        let view = GrayView::new(2, 2, 3, &pixels).unwrap();
        assert_eq!((view.width(), view.height()), (2, 2));
        assert_eq!(view.row(0), [1, 2]);
        assert_eq!(view.row(1), [3, 4]);
    }

    #[test]
    fn a_view_that_does_not_fit_its_buffer_is_refused() {
        let pixels = [0u8; 4];
        let new = |w, h, s| GrayView::new(w, h, s, &pixels).unwrap_err();
        assert_eq!(
            new(0, 1, 1),
            ImageError::Size {
                width: 0,
                height: 1
            }
        );
        assert_eq!(
            new(1, 0, 1),
            ImageError::Size {
                width: 1,
                height: 0
            }
        );
        assert_eq!(
            new(65_536, 1, 65_536),
            ImageError::Size {
                width: 65_536,
                height: 1
            }
        );
        assert_eq!(
            new(2, 2, 1),
            ImageError::Stride {
                stride: 1,
                width: 2
            }
        );
        assert_eq!(
            new(2, 2, 3),
            ImageError::TooShort {
                found: 4,
                expected: 5
            }
        );
        assert_eq!(
            new(1, 3, usize::MAX),
            ImageError::TooShort {
                found: 4,
                expected: usize::MAX
            }
        );
    }

    #[test]
    fn grey_weights_are_bt601_and_grey_stays_grey() {
        let mut gray = [0; 4];
        rgb_to_gray(&[255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255], &mut gray);
        assert_eq!(gray, [76, 150, 29, 255]);
        for value in 0..=255 {
            let mut gray = [0];
            rgb_to_gray(&[value; 3], &mut gray);
            assert_eq!(gray, [value]);
        }
    }
}
