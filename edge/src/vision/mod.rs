//! From a frame to faces: where they are, and which is which over time.

use fer_models::{GrayView, Rect};

pub mod detect;
pub mod roi;
pub mod seeta;
pub mod track;
pub mod yunet;

pub use detect::{DetectError, Detection, Detector, Framing, Search};

/// Intersection over union of two rectangles, 0..=1.
#[must_use]
pub fn iou(a: &Rect, b: &Rect) -> f32 {
    let width = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
    let height = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let both = width * height;
    both / (a.width * a.height + b.width * b.height - both)
}

/// Whether the rectangle covers any part of the frame.
#[must_use]
pub fn overlaps(rect: &Rect, frame: &GrayView<'_>) -> bool {
    rect.x < frame.width() as f32
        && rect.y < frame.height() as f32
        && rect.x + rect.width > 0.0
        && rect.y + rect.height > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn iou_of_known_pairs() {
        let a = rect(0.0, 0.0, 10.0, 10.0);
        assert_eq!(iou(&a, &a), 1.0);
        assert_eq!(iou(&a, &rect(10.0, 0.0, 10.0, 10.0)), 0.0);
        assert!((iou(&a, &rect(5.0, 0.0, 10.0, 10.0)) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(
            iou(&rect(0.0, 0.0, 0.0, 0.0), &rect(0.0, 0.0, 0.0, 0.0)),
            0.0
        );
    }
}
