//! From a YuNet's outputs to boxes.
//!
//! At each stride `s` the network answers for a grid of cells, row by row. For the cell in column `c`
//! and row `r` it gives two scores and four offsets: the centre is `(c + dx, r + dy) · s`, the size
//! `(exp w, exp h) · s`.

use fer_models::Rect;

use super::super::{Detection, iou};

/// Pixels between two cells, at each level.
pub(super) const STRIDES: [usize; 3] = [8, 16, 32];

/// What is computed at each level, with the values a cell has.
const KINDS: [(&str, usize); 3] = [("cls", 1), ("obj", 1), ("bbox", 4)];

/// Boxes that overlap by more than this are the same face.
const SAME_FACE: f32 = 0.3;

/// Most boxes that are compared with each other: bounds the time for a network that says yes to all.
const MAX_BOXES: usize = 500;

/// The names of the outputs that are used, kind by kind.
pub(super) fn output_names() -> Vec<String> {
    let levels = |kind| STRIDES.map(move |stride| format!("{kind}_{stride}"));
    KINDS.iter().flat_map(|(kind, _)| levels(kind)).collect()
}

/// The number of values in the output of this index in [`output_names`].
pub(super) fn output_len(index: usize, width: usize, height: usize) -> usize {
    let stride = STRIDES[index % STRIDES.len()];
    (width / stride) * (height / stride) * KINDS[index / STRIDES.len()].1
}

/// The outputs of one level.
pub(super) struct Boxes<'a> {
    pub(super) stride: usize,
    pub(super) columns: usize,
    /// How much each cell looks like a face.
    pub(super) class: &'a [f32],
    /// How well its box fits.
    pub(super) object: &'a [f32],
    /// Four offsets a cell.
    pub(super) offsets: &'a [f32],
}

impl Boxes<'_> {
    /// Adds the boxes with at least `min_score` to `found`, in pixels of the network's input.
    pub(super) fn decode(&self, min_score: f32, found: &mut Vec<Detection>) {
        let stride = self.stride as f32;
        let (offsets, _) = self.offsets.as_chunks::<4>();
        let cells = self.class.iter().zip(self.object).zip(offsets).enumerate();
        for (cell, ((class, object), &[dx, dy, w, h])) in cells {
            let score = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
            if score.is_nan() || score < min_score {
                continue;
            }
            let column = (cell % self.columns.max(1)) as f32;
            let row = (cell / self.columns.max(1)) as f32;
            let (width, height) = (w.exp() * stride, h.exp() * stride);
            let rect = Rect {
                x: (column + dx) * stride - width / 2.0,
                y: (row + dy) * stride - height / 2.0,
                width,
                height,
            };
            let sides = [rect.x, rect.y, rect.width, rect.height];
            if sides.iter().all(|side| side.is_finite()) {
                found.push(Detection { rect, score });
            }
        }
    }
}

/// Keeps the best box of each face (greedy non-maximum suppression), best first.
pub(super) fn suppress(found: &mut Vec<Detection>, kept: &mut Vec<Detection>) {
    found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MAX_BOXES);
    for face in found.iter() {
        if kept
            .iter()
            .all(|other| iou(&face.rect, &other.rect) <= SAME_FACE)
        {
            kept.push(*face);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(boxes: &Boxes<'_>, min_score: f32) -> Vec<Detection> {
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        boxes.decode(min_score, &mut found);
        suppress(&mut found, &mut kept);
        kept
    }

    #[test]
    fn a_cell_becomes_the_box_it_stands_for() {
        let mut offsets = [0.0; 6 * 4];
        // Column 1, row 1 of three columns.
        offsets[16..20].copy_from_slice(&[0.5, -0.25, 2f32.ln(), 4f32.ln()]);
        let boxes = Boxes {
            stride: 16,
            columns: 3,
            class: &[0.0, 0.0, 0.0, 0.0, 0.81, 0.0],
            object: &[1.0, 1.0, 1.0, 1.0, 1.7, 1.0],
            offsets: &offsets,
        };
        let faces = decode(&boxes, 0.5);
        assert_eq!(faces.len(), 1);
        let Detection { rect, score } = faces[0];
        assert!(
            (score - 0.9).abs() < 1e-6,
            "the square root of 0.81 · 1: {score}"
        );
        let expected = [24.0 - 16.0, 12.0 - 32.0, 32.0, 64.0];
        for (found, expected) in [rect.x, rect.y, rect.width, rect.height]
            .iter()
            .zip(expected)
        {
            assert!((found - expected).abs() < 1e-4, "{rect:?}");
        }
    }

    #[test]
    fn one_face_is_reported_once_and_two_apart_twice() {
        // Large boxes around three cells are one face, small ones are three.
        let boxes = Boxes {
            stride: 8,
            columns: 10,
            class: &[0.9, 0.95, 0.0, 0.0, 0.0, 0.0, 0.0, 0.8, 0.0, 0.0],
            object: &[1.0; 10],
            offsets: &[1.0, 0.0, 3.0, 3.0].repeat(10),
        };
        let faces = decode(&boxes, 0.5);
        assert_eq!(faces.len(), 1, "at most 56 pixels apart, 161 wide");
        let apart = Boxes {
            offsets: &[1.0, 0.0, 0.0, 0.0].repeat(10),
            ..boxes
        };
        let faces = decode(&apart, 0.5);
        assert_eq!(faces.len(), 3);
        assert!(faces.is_sorted_by(|a, b| a.score >= b.score));
    }

    #[test]
    fn lengths_follow_the_grid() {
        assert_eq!(output_names()[..4], ["cls_8", "cls_16", "cls_32", "obj_8"]);
        assert_eq!(output_len(0, 640, 640), 6400);
        assert_eq!(output_len(8, 640, 320), 20 * 10 * 4);
    }

    proptest! {
        #[test]
        fn whatever_the_network_says_boxes_are_numbers(
            values in proptest::collection::vec(any::<f32>(), 0..120), columns in 0usize..9,
        ) {
            let boxes = Boxes {
                stride: 32, columns, class: &values, object: &values, offsets: &values,
            };
            for face in decode(&boxes, 0.0) {
                prop_assert!(face.rect.width.is_finite() && face.score >= 0.0);
            }
        }
    }
}
