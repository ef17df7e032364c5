//! Speeded-up robust features (SURF) of a window: in which directions, and how steeply, its brightness changes.
//!
//! Each feature is a patch of two by two cells. A cell's eight numbers are sums over its pixels: the slope to the right and
//! its size, apart for pixels that get brighter and darker downwards, and the slope downwards likewise.

use crate::window::{Patch, SIDE};

/// Numbers of a cell.
const CHANNELS: usize = 8;
/// Numbers of a feature.
pub(crate) const LEN: usize = 4 * CHANNELS;
/// Places of patches are so far apart.
const PLACES: usize = 16;
/// Smallest side of a patch.
const SMALLEST: usize = 16;

/// Where a feature's patch lies in the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    x: usize,
    y: usize,
    cell_width: usize,
    cell_height: usize,
}

impl Place {
    /// All features that a model can name, in its order.
    pub(crate) fn all() -> Vec<Self> {
        let mut places = Vec::new();
        for (across, down) in [(1, 1), (1, 2), (2, 1), (2, 3), (3, 2)] {
            for height in (SMALLEST..=SIDE).filter(|height| height % 2 == 0 && height % down == 0) {
                let width = height / down * across;
                if width % 2 != 0 || !(SMALLEST..=SIDE).contains(&width) {
                    continue;
                }
                for y in (0..=SIDE - height).step_by(PLACES) {
                    places.extend((0..=SIDE - width).step_by(PLACES).map(|x| Self {
                        x,
                        y,
                        cell_width: width / 2,
                        cell_height: height / 2,
                    }));
                }
            }
        }
        places
    }

    fn columns(&self) -> [usize; 3] {
        [0, 1, 2].map(|cell| self.x + cell * self.cell_width)
    }

    fn rows(&self) -> [usize; 3] {
        [0, 1, 2].map(|cell| self.y + cell * self.cell_height)
    }
}

/// The features that one network reads.
#[derive(Debug)]
pub(crate) struct Features {
    places: Vec<Place>,
    /// Whether cells begin or end above this row: the only ones whose sums are worth having.
    edges: [bool; SIDE + 1],
}

impl Features {
    pub(crate) fn new(places: Vec<Place>) -> Self {
        let mut edges = [false; SIDE + 1];
        for row in places.iter().flat_map(Place::rows) {
            edges[row] = true;
        }
        Self { places, edges }
    }

    /// Numbers of all features.
    pub(crate) fn len(&self) -> usize {
        self.places.len() * LEN
    }
}

/// One pixel's, column's or rectangle's numbers.
type Sums = [i32; CHANNELS];
/// The window with one more pixel around it.
const AROUND: usize = SIDE + 2;

/// Sums over the rectangles from a window's top left corner; keeps its memory.
#[derive(Debug)]
pub(crate) struct Slopes {
    pixels: Box<[[i16; AROUND]; AROUND]>,
    corners: Box<[[Sums; SIDE + 1]; SIDE + 1]>,
}

impl Default for Slopes {
    fn default() -> Self {
        Self {
            pixels: Box::new([[0; AROUND]; AROUND]),
            corners: Box::new([[[0; CHANNELS]; SIDE + 1]; SIDE + 1]),
        }
    }
}

impl Slopes {
    /// Writes the features of `patch`, each scaled to length 1.
    pub(crate) fn describe(&mut self, patch: &Patch, features: &Features, out: &mut [f32]) {
        self.surround(patch);
        self.sum(&features.edges);
        for (place, out) in features.places.iter().zip(out.chunks_exact_mut(LEN)) {
            self.feature(place, out);
        }
    }

    /// Continues the window evenly by a pixel, so that slopes at its border need no rule of their own.
    fn surround(&mut self, patch: &Patch) {
        let even = |edge: i16, inner: i16| 2 * edge - inner;
        for (row, pixels) in self.pixels[1..=SIDE].iter_mut().zip(patch) {
            for (to, &pixel) in row[1..=SIDE].iter_mut().zip(pixels) {
                *to = i16::from(pixel);
            }
            row[0] = even(row[1], row[2]);
            row[SIDE + 1] = even(row[SIDE], row[SIDE - 1]);
        }
        for x in 1..=SIDE {
            self.pixels[0][x] = even(self.pixels[1][x], self.pixels[2][x]);
            self.pixels[SIDE + 1][x] = even(self.pixels[SIDE][x], self.pixels[SIDE - 1][x]);
        }
    }

    /// Sums up columns row by row, and columns from left to right where a cell begins or ends.
    fn sum(&mut self, edges: &[bool; SIDE + 1]) {
        // A slope is at most 510, so that a column's sum fits.
        let mut columns = [[0i16; SIDE]; CHANNELS];
        for (y, &edge) in edges.iter().enumerate() {
            if edge {
                let mut sums = [0; CHANNELS];
                // Left of the first column there is nothing, and nothing has been written there.
                for (x, corner) in self.corners[y][1..].iter_mut().enumerate() {
                    for (sum, column) in sums.iter_mut().zip(&columns) {
                        *sum += i32::from(column[x]);
                    }
                    *corner = sums;
                }
            }
            if y < SIDE {
                add_row(
                    [&self.pixels[y], &self.pixels[y + 1], &self.pixels[y + 2]],
                    &mut columns,
                );
            }
        }
    }

    fn feature(&self, place: &Place, out: &mut [f32]) {
        let (columns, rows) = (place.columns(), place.rows());
        let mut numbers = [[0i32; CHANNELS]; 4];
        for (cell, numbers) in numbers.iter_mut().enumerate() {
            let [left, right] = [columns[cell % 2], columns[cell % 2 + 1]];
            let [top, bottom] = [rows[cell / 2], rows[cell / 2 + 1]].map(|y| &self.corners[y]);
            let corners = [&bottom[right], &top[left], &top[right], &bottom[left]];
            for (channel, number) in numbers.iter_mut().enumerate() {
                let [a, b, c, d] = corners.map(|corner| corner[channel]);
                *number = a + b - c - d;
            }
        }
        let numbers = numbers.as_flattened();
        // Squares beyond 32 bits wrap in the detector that the thresholds are from; they are rare.
        let squares = numbers.iter().map(|&n| i64::from(n.wrapping_mul(n)));
        let squares: i64 = squares.sum();
        if squares == 0 {
            out.fill(0.0);
            return;
        }
        let length = (squares as f64).sqrt() as f32;
        for (out, &number) in out.iter_mut().zip(numbers) {
            *out = number as f32 / length;
        }
    }
}

/// Adds the slopes of the middle row to each column's sums.
fn add_row([above, row, below]: [&[i16; AROUND]; 3], columns: &mut [[i16; SIDE]; CHANNELS]) {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = columns;
    for x in 0..SIDE {
        let across = row[x + 2] - row[x];
        let down = below[x + 1] - above[x + 1];
        // All bits set where it gets darker.
        let (darker_down, darker_across) = (down >> 15, across >> 15);
        let (steep_across, steep_down) = (across.abs(), down.abs());
        c0[x] += across & !darker_down;
        c1[x] += steep_across & !darker_down;
        c2[x] += across & darker_down;
        c3[x] += steep_across & darker_down;
        c4[x] += down & !darker_across;
        c5[x] += steep_down & !darker_across;
        c6[x] += down & darker_across;
        c7[x] += steep_down & darker_across;
    }
}
