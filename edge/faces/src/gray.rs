//! Grey pictures.

/// Longest side of a picture; keeps every place in it exact in `f32`.
const MAX_SIDE: usize = 65_535;

/// A grey picture that somebody else holds, a byte a pixel.
#[derive(Debug, Clone, Copy)]
pub struct Gray<'a> {
    width: usize,
    height: usize,
    stride: usize,
    pixels: &'a [u8],
}

impl<'a> Gray<'a> {
    /// A picture whose rows start every `stride` bytes of `pixels`.
    ///
    /// `None` where a side is 0 or beyond 65,535, rows overlap, or `pixels` ends too early.
    #[must_use]
    pub fn new(width: usize, height: usize, stride: usize, pixels: &'a [u8]) -> Option<Self> {
        let sides = 1..=MAX_SIDE;
        let fits = sides.contains(&width) && sides.contains(&height) && stride >= width;
        let end = (height.checked_sub(1)?)
            .checked_mul(stride)?
            .checked_add(width)?;
        (fits && end <= pixels.len()).then_some(Self {
            width,
            height,
            stride,
            pixels,
        })
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// A row's pixels.
    pub(crate) fn row(&self, y: usize) -> &'a [u8] {
        &self.pixels[y * self.stride..][..self.width]
    }

    /// The square of the picture whose top left pixel is `x`, `y`; it must lie inside.
    pub(crate) fn square(&self, x: usize, y: usize, side: usize) -> Self {
        Self {
            width: side,
            height: side,
            stride: self.stride,
            pixels: &self.pixels[y * self.stride + x..],
        }
    }
}

/// A picture of our own, whose memory serves one size after another.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// Takes on a size; what the pixels are then is not said.
    pub(crate) fn reshape(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.resize(width * height, 0);
    }

    pub(crate) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.pixels.chunks_exact_mut(self.width.max(1))
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// It must have pixels.
    pub(crate) fn view(&self) -> Gray<'_> {
        Gray {
            width: self.width,
            height: self.height,
            stride: self.width,
            pixels: &self.pixels,
        }
    }
}
