//! Where the luma lies in a raw picture of fixed size.

use super::super::super::Frame;

/// A raw picture as a child writes it: rows of luma, then what isn't looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from one row of luma to the next.
    pub stride: usize,
    /// Bytes of the whole picture.
    pub len: usize,
}

impl Layout {
    /// `yuv420` of `rpicam-vid`: three planes, rows padded to 64 bytes (chroma: 32).
    #[must_use]
    pub fn rpicam(width: usize, height: usize) -> Self {
        let stride = width.next_multiple_of(64);
        Self {
            width,
            height,
            stride,
            len: stride * height + stride * height.div_ceil(2),
        }
    }

    /// `GRAY8` of GStreamer: one plane, rows padded to 4 bytes.
    #[must_use]
    pub fn gray8(width: usize, height: usize) -> Self {
        let stride = width.next_multiple_of(4);
        Self {
            width,
            height,
            stride,
            len: stride * height,
        }
    }

    /// Copies the luma of a whole picture.
    pub(super) fn luma(&self, picture: &[u8], frame: &mut Frame) {
        frame.width = self.width;
        frame.height = self.height;
        frame.pixels.clear();
        for row in picture.chunks(self.stride).take(self.height) {
            frame.pixels.extend_from_slice(&row[..self.width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_left_out() {
        // The Raspberry Pi's documented case: 780 pixels in rows of 832 bytes.
        let pi = Layout::rpicam(780, 3);
        assert_eq!((pi.stride, pi.len), (832, 832 * 3 + 2 * 416 * 2));
        assert_eq!(Layout::rpicam(640, 480).len, 460_800);
        let layout = Layout::gray8(3, 2);
        let mut frame = Frame::default();
        layout.luma(&[1, 2, 3, 99, 4, 5, 6, 99], &mut frame);
        assert_eq!((frame.width, frame.height), (3, 2));
        assert_eq!(frame.pixels, [1, 2, 3, 4, 5, 6]);
    }
}
