//! Antialiased shapes on a small grey canvas, by distance to the shape's edge.

use super::super::fer2013::SIDE;

/// Where the face is: maps pixels to face units (the head is about 1 unit from centre to chin).
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    /// Centre of the face in pixels.
    pub(super) x: f32,
    /// Centre of the face in pixels.
    pub(super) y: f32,
    /// Pixels per face unit.
    pub(super) scale: f32,
    /// Tangent of half the tilt; positive tilts clockwise.
    pub(super) tilt: f32,
}

/// A shape in face units, x to the right and y down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Filled ellipse: centre, half axes.
    Ellipse(f32, f32, f32, f32),
    /// Thick line with round ends: from, to, half thickness.
    Line(f32, f32, f32, f32, f32),
    /// Thick parabola: centre of its chord, half width, sag (down is positive), slope, half
    /// thickness.
    Arc(f32, f32, f32, f32, f32, f32),
    /// What lies between two parabolas with the same ends: centre of the chord, half width, sag
    /// of the upper and of the lower edge.
    Lens(f32, f32, f32, f32, f32),
}

impl Shape {
    /// A box around the shape: least x and y, greatest x and y.
    fn bounds(&self) -> [f32; 4] {
        match *self {
            Self::Ellipse(x, y, rx, ry) => [x - rx, y - ry, x + rx, y + ry],
            Self::Line(ax, ay, bx, by, half) => [
                ax.min(bx) - half,
                ay.min(by) - half,
                ax.max(bx) + half,
                ay.max(by) + half,
            ],
            Self::Arc(x, y, width, sag, slope, half) => {
                let (up, down) = (sag.min(0.0) - slope.abs(), sag.max(0.0) + slope.abs());
                [
                    x - width - half,
                    y + up - half,
                    x + width + half,
                    y + down + half,
                ]
            }
            Self::Lens(x, y, width, upper, lower) => {
                let (up, down) = (upper.min(lower).min(0.0), upper.max(lower).max(0.0));
                [x - width, y + up, x + width, y + down]
            }
        }
    }

    /// Signed distance from a point, in face units, negative inside; exact enough near the edge,
    /// where it matters.
    fn distance(&self, x: f32, y: f32) -> f32 {
        match *self {
            Self::Ellipse(cx, cy, rx, ry) => {
                let (u, v) = ((x - cx) / rx, (y - cy) / ry);
                ((u * u + v * v).sqrt() - 1.0) * rx.min(ry)
            }
            Self::Line(ax, ay, bx, by, half) => segment(x, y, [ax, ay], [bx, by]) - half,
            Self::Arc(cx, cy, width, sag, slope, half) => {
                const STEPS: u8 = 6;
                let point = |step: u8| {
                    let t = 2.0 * f32::from(step) / f32::from(STEPS) - 1.0;
                    [cx + t * width, cy + sag * (1.0 - t * t) + slope * t]
                };
                let pieces = (0..STEPS).map(|step| segment(x, y, point(step), point(step + 1)));
                pieces.fold(f32::MAX, f32::min) - half
            }
            Self::Lens(cx, cy, width, upper, lower) => {
                let t = (x - cx) / width;
                let bulge = 1.0 - t * t;
                let (top, bottom) = (cy + upper * bulge, cy + lower * bulge);
                (top - y).max(y - bottom).max((t.max(-t) - 1.0) * width)
            }
        }
    }
}

/// Distance from a point to the line between `a` and `b`.
fn segment(x: f32, y: f32, a: [f32; 2], b: [f32; 2]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let (px, py) = (x - a[0], y - a[1]);
    let along = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-6)).clamp(0.0, 1.0);
    let (ex, ey) = (px - along * dx, py - along * dy);
    (ex * ex + ey * ey).sqrt()
}

/// A grey picture of 48×48 values, nominally 0 to 255, and the pose that shapes are drawn in.
pub(super) struct Canvas {
    values: Vec<f32>,
    points: Vec<(f32, f32)>,
    scale: f32,
}

impl Canvas {
    pub(super) fn new(pose: Pose) -> Self {
        // The rational form of sine and cosine: exact operations only.
        let norm = 1.0 + pose.tilt * pose.tilt;
        let (cos, sin) = ((1.0 - pose.tilt * pose.tilt) / norm, 2.0 * pose.tilt / norm);
        let to_face = |index: usize| {
            let dx = ((index % SIDE) as f32 + 0.5 - pose.x) / pose.scale;
            let dy = ((index / SIDE) as f32 + 0.5 - pose.y) / pose.scale;
            (cos * dx + sin * dy, cos * dy - sin * dx)
        };
        let points = (0..SIDE * SIDE).map(to_face).collect();
        Self {
            values: vec![0.0; SIDE * SIDE],
            points,
            scale: pose.scale,
        }
    }

    /// Blends a shape over the picture.
    pub(super) fn draw(&mut self, shape: Shape, tone: f32) {
        self.draw_within(shape, None, tone);
    }

    /// Blends the part of a shape that lies inside `mask`.
    pub(super) fn draw_within(&mut self, shape: Shape, mask: Option<Shape>, tone: f32) {
        // A pixel beyond the edge nothing is covered; most of the picture ends here.
        let margin = 1.0 / self.scale;
        let [left, top, right, bottom] = shape.bounds();
        let (across, down) = (left - margin..right + margin, top - margin..bottom + margin);
        for (value, &(x, y)) in self.values.iter_mut().zip(&self.points) {
            if !(across.contains(&x) && down.contains(&y)) {
                continue;
            }
            let mut distance = shape.distance(x, y);
            if let Some(mask) = mask {
                distance = distance.max(mask.distance(x, y));
            }
            let cover = (0.5 - distance * self.scale).clamp(0.0, 1.0);
            *value += (tone - *value) * cover;
        }
    }

    /// Replaces every value by `change(x, y, value)`, x and y from -1 to 1 over the picture.
    pub(super) fn map(&mut self, mut change: impl FnMut(f32, f32, f32) -> f32) {
        let centred = |at: usize| (at as f32 + 0.5) / (SIDE as f32 / 2.0) - 1.0;
        for (index, value) in self.values.iter_mut().enumerate() {
            *value = change(centred(index % SIDE), centred(index / SIDE), *value);
        }
    }

    /// The picture in bytes.
    pub(super) fn bytes(&self) -> [u8; SIDE * SIDE] {
        let mut bytes = [0; SIDE * SIDE];
        for (byte, value) in bytes.iter_mut().zip(&self.values) {
            *byte = (value + 0.5).clamp(0.0, 255.0) as u8;
        }
        bytes
    }
}
