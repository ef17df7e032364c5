//! A map of numbers over the input crop: what all explanations come to.

/// How much each place of the crop counts; rows from top to bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    grid: Grid,
}

/// Where the centres of a map's cells lie on the crop, in shares of its sides: that of row (or column)
/// `i` at `start + i · step`. A layer's map rarely covers the crop evenly: pooling drops borders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Centre of the first row and of the first column.
    pub start: [f32; 2],
    /// From one centre to the next, down and across.
    pub step: [f32; 2],
}

impl Grid {
    /// Cells that cover the crop evenly.
    pub fn even(rows: usize, columns: usize) -> Self {
        let step = [rows, columns].map(|n| 1.0 / n as f32);
        Self {
            start: step.map(|s| s / 2.0),
            step,
        }
    }
}

/// A rectangle in shares of the crop's sides, 0 to 1 from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

impl Region {
    fn holds(&self, x: f32, y: f32) -> bool {
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }
}

impl Heat {
    /// Takes `rows * columns` values, row by row, that cover the crop evenly.
    ///
    /// # Panics
    /// When there are none, or not as many.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Self {
        assert!(!values.is_empty(), "a map of nothing");
        assert_eq!(values.len(), rows * columns, "{rows}×{columns} values");
        Self {
            rows,
            columns,
            values,
            grid: Grid::even(rows, columns),
        }
    }

    /// The same values at other places.
    #[must_use]
    pub fn on(self, grid: Grid) -> Self {
        Self { grid, ..self }
    }

    /// The mean of maps of one layer, each scaled so that its strongest value is 1 or −1, so that every
    /// face counts the same; maps without heat count as zeros. `None` of nothing.
    ///
    /// # Panics
    /// When the sizes differ.
    pub fn mean(maps: &[Self]) -> Option<Self> {
        let mut mean = maps.first()?.clone();
        mean.values.fill(0.0);
        for map in maps {
            assert_eq!(map.size(), mean.size(), "maps of one layer");
            let strongest = map.strongest();
            if strongest > 0.0 {
                let scale = 1.0 / (strongest * maps.len() as f32);
                for (mean, value) in mean.values.iter_mut().zip(&map.values) {
                    *mean += scale * value;
                }
            }
        }
        Some(mean)
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The largest absolute value; 0 for a map without any heat.
    pub fn strongest(&self) -> f32 {
        self.values.iter().fold(0.0, |m, v| f32::max(m, v.abs()))
    }

    /// Scaled so that the least value becomes 0 and the greatest 1; a flat map becomes 0.
    #[must_use]
    pub fn stretched(&self) -> Self {
        let least = self.values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = self.values.iter().copied().fold(f32::MIN, f32::max);
        let scale = if most > least {
            (most - least).recip()
        } else {
            0.0
        };
        let values = self.values.iter().map(|v| (v - least) * scale).collect();
        Self { values, ..*self }
    }

    /// The map over the whole crop at another size, bilinear between the centres of its cells, the
    /// border cells repeated outwards.
    ///
    /// # Panics
    /// When a side is 0.
    #[must_use]
    pub fn resized(&self, rows: usize, columns: usize) -> Self {
        let Grid {
            start: [top, left],
            step: [lower, right],
        } = self.grid;
        let down = taps(self.rows, (top, lower), rows);
        let across = taps(self.columns, (left, right), columns);
        let mut values = Vec::with_capacity(rows * columns);
        for &(y0, y1, fy) in &down {
            for &(x0, x1, fx) in &across {
                let at = |y: usize, x: usize| self.values[y * self.columns + x];
                let top = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0));
                let bottom = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0));
                values.push(top + fy * (bottom - top));
            }
        }
        Self::new(rows, columns, values)
    }

    /// Share of the positive heat that lies in any of `regions`, 0 to 1, of the map as drawn at `side`
    /// pixels; `None` where there is no positive heat.
    pub fn share(&self, regions: &[Region], side: usize) -> Option<f32> {
        let map = self.resized(side, side);
        let total: f32 = map.values.iter().map(|v| v.max(0.0)).sum();
        let within: f32 = places(side)
            .zip(&map.values)
            .filter(|((x, y), _)| regions.iter().any(|r| r.holds(*x, *y)))
            .map(|(_, v)| v.max(0.0))
            .sum();
        (total > 0.0).then(|| within / total)
    }
}

/// The share of evenly spread heat that would lie in any of `regions`: their share of `side`×`side`
/// pixels.
pub fn uniform_share(regions: &[Region], side: usize) -> f32 {
    let within = places(side).filter(|(x, y)| regions.iter().any(|r| r.holds(*x, *y)));
    within.count() as f32 / (side * side).max(1) as f32
}

/// The centres of `side`×`side` pixels in shares of the side.
fn places(side: usize) -> impl Iterator<Item = (f32, f32)> {
    let centre = move |i: usize| (i as f32 + 0.5) / side as f32;
    (0..side * side).map(move |i| (centre(i % side), centre(i / side)))
}

/// Between which two of `from` cells, with the first centre and the step given, each of `to` pixels
/// lies, and how far from the first.
fn taps(from: usize, (start, step): (f32, f32), to: usize) -> Vec<(usize, usize, f32)> {
    assert!(to > 0, "a side of 0");
    (0..to)
        .map(|i| {
            let place = (i as f32 + 0.5) / to as f32;
            let at = ((place - start) / step).clamp(0.0, (from - 1) as f32);
            let low = at as usize;
            (low, (low + 1).min(from - 1), at - low as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_goes_from_centre_to_centre() {
        let heat = Heat::new(1, 2, vec![0.0, 4.0]).resized(1, 8);
        assert_eq!(heat.values(), [0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0]);
        let heat = Heat::new(2, 2, vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!(heat.resized(2, 2), heat);
        let quarter = Grid {
            start: [0.5, 0.125],
            step: [1.0, 0.25],
        };
        let heat = Heat::new(1, 2, vec![0.0, 4.0]).on(quarter).resized(1, 4);
        assert_eq!(
            heat.values(),
            [0.0, 4.0, 4.0, 4.0],
            "cells of the left half"
        );
    }

    #[test]
    fn every_face_counts_the_same_in_a_mean() {
        let maps = [[8.0, 0.0], [0.0, -0.5], [0.0, 0.0]];
        let maps = maps.map(|values| Heat::new(1, 2, values.to_vec()));
        let mean = Heat::mean(&maps).unwrap();
        for (found, expected) in mean.values().iter().zip([1.0 / 3.0, -1.0 / 3.0]) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert!(Heat::mean(&[]).is_none());
    }

    #[test]
    fn shares_count_positive_heat_only() {
        let heat = Heat::new(2, 2, vec![3.0, -5.0, 1.0, 0.0]);
        let left = Region {
            left: 0.0,
            top: 0.0,
            right: 0.5,
            bottom: 0.5,
        };
        assert_eq!(heat.share(&[left], 2), Some(0.75));
        assert_eq!(uniform_share(&[left], 2), 0.25);
        assert_eq!(uniform_share(&[left, left], 2), 0.25, "counted once");
        assert_eq!(Heat::new(1, 1, vec![-1.0]).share(&[left], 2), None);
    }

    #[test]
    fn stretching_covers_the_range_and_leaves_flat_maps_at_zero() {
        let heat = Heat::new(1, 3, vec![-2.0, 0.0, 2.0]);
        assert_eq!(heat.stretched().values(), [0.0, 0.5, 1.0]);
        assert_eq!(Heat::new(1, 2, vec![7.0; 2]).stretched().values(), [0.0; 2]);
        assert_eq!(heat.strongest(), 2.0);
    }
}
