//! Locally assembled binary features: what a place looks like, in eight bits.
//!
//! Nine squares of 3 by 3 pixels lie around a place; each bit says whether the middle one is at least as bright as one of
//! the others (Yan, Shan, Chen and Gao 2008, "Locally assembled binary (LAB) feature").

use crate::gray::Gray;

/// Side of a square.
const SQUARE: usize = 3;
/// Side of all nine.
pub(crate) const SIDE: usize = 3 * SQUARE;

/// The features of every place of a picture; keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    width: usize,
    codes: Vec<u8>,
    /// Of three rows, column by column.
    columns: Vec<i16>,
    /// Brightness of the square that starts at each pixel. At most 9 * 255, and vectors compare `i16` soonest.
    squares: Vec<i16>,
}

impl Codes {
    /// Works them out for a picture with sides of at least [`SIDE`]. After the last row, `spare` places can be read.
    pub(crate) fn compute(&mut self, picture: Gray<'_>, spare: usize) {
        let (width, height) = (picture.width(), picture.height());
        let (across, down) = (width + 1 - SQUARE, height + 1 - SQUARE);
        self.columns.resize(width, 0);
        self.squares.resize(across * down, 0);
        for (y, squares) in self.squares.chunks_exact_mut(across).enumerate() {
            let [a, b, c] = [0, 1, 2].map(|row| picture.row(y + row));
            for (((sum, &a), &b), &c) in self.columns.iter_mut().zip(a).zip(b).zip(c) {
                *sum = i16::from(a) + i16::from(b) + i16::from(c);
            }
            let columns = &self.columns;
            for (((sum, a), b), c) in squares
                .iter_mut()
                .zip(columns)
                .zip(&columns[1..])
                .zip(&columns[2..])
            {
                *sum = a + b + c;
            }
        }
        self.width = width + 1 - SIDE;
        let len = self.width * (height + 1 - SIDE);
        self.codes.resize(len + spare, 0);
        let rows = self.codes[..len].chunks_exact_mut(self.width);
        for (y, codes) in rows.enumerate() {
            let [top, middle, bottom] =
                [0, SQUARE, 2 * SQUARE].map(|row| &self.squares[(y + row) * across..][..across]);
            compare([top, middle, bottom], codes);
        }
    }

    /// The features from a row on, row by row.
    pub(crate) fn starting_at(&self, y: usize) -> &[u8] {
        &self.codes[y * self.width..]
    }

    /// Features of a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }
}

/// One row of features from the squares of three rows. The bits' order is the model's.
fn compare([top, middle, bottom]: [&[i16]; 3], codes: &mut [u8]) {
    let len = codes.len();
    // All of one length, so that the loop has no checks and becomes vectors.
    let [t0, t1, t2] = columns(top, len);
    let [m0, m1, m2] = columns(middle, len);
    let [b0, b1, b2] = columns(bottom, len);
    for x in 0..len {
        let centre = m1[x];
        let bit = |other: i16, bit: u8| if centre >= other { bit } else { 0 };
        codes[x] = bit(t0[x], 0x80)
            | bit(t1[x], 0x40)
            | bit(t2[x], 0x20)
            | bit(m2[x], 0x08)
            | bit(b2[x], 0x01)
            | bit(b1[x], 0x02)
            | bit(b0[x], 0x04)
            | bit(m0[x], 0x10);
    }
}

fn columns(row: &[i16], len: usize) -> [&[i16]; 3] {
    [0, SQUARE, 2 * SQUARE].map(|x| &row[x..x + len])
}
