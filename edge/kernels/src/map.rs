//! Where the numbers of a map lie in memory.

/// Size of a map of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Numbers of each pixel.
    pub channels: usize,
}

impl Shape {
    /// Numbers of the map.
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether it has no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A convolution's or pooling's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns.
    pub kernel: [usize; 2],
    /// Steps down and to the right.
    pub stride: [usize; 2],
    /// Rows and columns added around the map: top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Window {
    /// The window that sees a whole map at once.
    pub fn whole(shape: Shape) -> Self {
        Self {
            kernel: [shape.height, shape.width],
            stride: [1, 1],
            pads: [0; 4],
        }
    }

    /// Size of what it makes of a map, with `channels` numbers a pixel; `None` where it doesn't fit.
    pub fn output(&self, input: Shape, channels: usize) -> Option<Shape> {
        let side = |len: usize, axis: usize| {
            let padded = len + self.pads[axis] + self.pads[axis + 2];
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            if kernel == 0 || stride == 0 || kernel > padded {
                return None;
            }
            Some((padded - kernel) / stride + 1)
        };
        Some(Shape {
            height: side(input.height, 0)?,
            width: side(input.width, 1)?,
            channels,
        })
    }
}

/// Maps of several pictures in one piece of memory, channels last, with a border of padding.
///
/// Rows are `gap` pixels further apart than they are wide, and pictures `gap_rows` rows. The gap right of
/// one row is also the padding left of the next, and the rows below one picture the padding above the
/// next, so a convolution reads its padding from memory like any pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    pub(crate) gap: usize,
    pub(crate) gap_rows: usize,
}

impl Layout {
    /// Pixels from row to row.
    pub(crate) fn pitch(&self) -> usize {
        self.shape.width + self.gap
    }

    /// Index of the first number of a pixel; rows and columns may lie in the border.
    pub(crate) fn at(&self, picture: usize, y: isize, x: isize) -> usize {
        let rows = self.shape.height + self.gap_rows;
        let row = (self.gap_rows + picture * rows).wrapping_add_signed(y);
        let pixel = (self.gap + row * self.pitch()).wrapping_add_signed(x);
        pixel * self.shape.channels
    }

    /// Numbers of `pictures` maps with their borders.
    pub(crate) fn len(&self, pictures: usize) -> usize {
        let rows = self.gap_rows + pictures * (self.shape.height + self.gap_rows);
        (self.gap + rows * self.pitch()) * self.shape.channels
    }

    /// Index of the first number of each row of each picture.
    pub(crate) fn rows(&self, pictures: usize) -> impl Iterator<Item = usize> + use<> {
        let layout = *self;
        (0..pictures)
            .flat_map(move |p| (0..layout.shape.height).map(move |y| layout.at(p, y as isize, 0)))
    }
}
