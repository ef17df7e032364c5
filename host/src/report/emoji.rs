//! Our own drawn faces of the expressions, as shapes.

use std::fmt::Write;

use fer_models::Labels;

use super::canvas::Canvas;

const SKIN: &str = "#f5c542";
const LINE: &str = "#4a3800";
const MOUTH: &str = "#7a2e1d";
const WHITE: &str = "#ffffff";

/// The parts of one expression, in a square of 100 units. Brows and lips are path data of the left half
/// where `mirrored` says so.
struct Parts {
    /// The left brow; the right one is its mirror image.
    brow: &'static [Step],
    /// Half height of the eyes; 0 for closed, smiling ones.
    eye: f32,
    /// The mouth.
    mouth: &'static [Step],
    /// Whether the mouth is open: filled rather than a line.
    open: bool,
}

/// One part of an outline in absolute coordinates.
#[derive(Clone, Copy)]
enum Step {
    Move(f32, f32),
    Line(f32, f32),
    /// Control point and end of a quadratic curve.
    Curve(f32, f32, f32, f32),
}

use Step::{Curve, Line, Move};

/// FER2013's word for a class of any data set, where it has one.
fn word(label: &str) -> String {
    let fer2013 = Labels::fer2013();
    let class = fer2013.index_of(label);
    class.map_or(label.into(), |class| fer2013.names()[class].clone())
}

/// The face of a class, by its English name in any data set's form; `None` for a class without one.
fn parts(label: &str) -> Option<Parts> {
    let parts = |brow, eye, mouth, open| Parts {
        brow,
        eye,
        mouth,
        open,
    };
    Some(match word(label).as_str() {
        "angry" => parts(
            &[Move(22.0, 30.0), Line(42.0, 39.0)],
            5.0,
            &[Move(33.0, 74.0), Curve(50.0, 62.0, 67.0, 74.0)],
            false,
        ),
        "contempt" => parts(
            &[Move(23.0, 34.0), Line(42.0, 34.0)],
            5.0,
            &[Move(34.0, 71.0), Curve(54.0, 73.0, 68.0, 61.0)],
            false,
        ),
        "disgust" => parts(
            &[Move(22.0, 33.0), Line(42.0, 38.0)],
            3.0,
            &[
                Move(31.0, 74.0),
                Curve(38.0, 64.0, 46.0, 71.0),
                Curve(54.0, 76.0, 60.0, 68.0),
                Curve(64.0, 63.0, 70.0, 72.0),
            ],
            false,
        ),
        "fear" => parts(
            &[Move(21.0, 33.0), Curve(30.0, 24.0, 41.0, 23.0)],
            9.0,
            &[
                Move(34.0, 74.0),
                Curve(50.0, 60.0, 66.0, 74.0),
                Curve(50.0, 80.0, 34.0, 74.0),
            ],
            true,
        ),
        "happy" => parts(
            &[Move(22.0, 30.0), Curve(32.0, 23.0, 42.0, 29.0)],
            0.0,
            &[
                Move(28.0, 60.0),
                Curve(50.0, 66.0, 72.0, 60.0),
                Curve(66.0, 84.0, 50.0, 84.0),
                Curve(34.0, 84.0, 28.0, 60.0),
            ],
            true,
        ),
        "sad" => parts(
            &[Move(21.0, 37.0), Curve(32.0, 33.0, 41.0, 27.0)],
            5.0,
            &[Move(34.0, 75.0), Curve(50.0, 61.0, 66.0, 75.0)],
            false,
        ),
        "surprise" => parts(
            &[Move(21.0, 27.0), Curve(31.0, 16.0, 42.0, 24.0)],
            9.0,
            &[
                Move(50.0, 60.0),
                Curve(62.0, 60.0, 62.0, 73.0),
                Curve(62.0, 86.0, 50.0, 86.0),
                Curve(38.0, 86.0, 38.0, 73.0),
                Curve(38.0, 60.0, 50.0, 60.0),
            ],
            true,
        ),
        "neutral" => parts(
            &[Move(22.0, 32.0), Line(42.0, 32.0)],
            5.0,
            &[Move(35.0, 70.0), Line(65.0, 70.0)],
            false,
        ),
        _ => return None,
    })
}

/// Draws the face of `label` with its upper left corner at `(x, y)`, `side` units a side. A class that we
/// have no face for gets none, and the answer is `false`.
pub(super) fn draw(canvas: &mut Canvas, label: &str, (x, y): (f32, f32), side: f32) -> bool {
    let Some(parts) = parts(label) else {
        return false;
    };
    let scale = side / 100.0;
    let at = |px: f32, py: f32| (x + px * scale, y + py * scale);
    let outline = |steps: &[Step], mirrored: bool| {
        let place = |px: f32, py: f32| at(if mirrored { 100.0 - px } else { px }, py);
        let mut data = String::new();
        for &step in steps {
            // a String takes any text
            let _ = match step {
                Move(px, py) => {
                    let (px, py) = place(px, py);
                    write!(data, "M{px:.1} {py:.1}")
                }
                Line(px, py) => {
                    let (px, py) = place(px, py);
                    write!(data, "L{px:.1} {py:.1}")
                }
                Curve(cx, cy, px, py) => {
                    let ((cx, cy), (px, py)) = (place(cx, cy), place(px, py));
                    write!(data, "Q{cx:.1} {cy:.1} {px:.1} {py:.1}")
                }
            };
        }
        data
    };
    let thick = 4.0 * scale;
    canvas.circle(at(50.0, 50.0), 46.0 * scale, SKIN, LINE);
    for mirrored in [false, true] {
        canvas.path(&outline(parts.brow, mirrored), "none", LINE, thick);
        let (ex, ey) = at(if mirrored { 68.0 } else { 32.0 }, 46.0);
        if parts.eye == 0.0 {
            let smile = [Move(24.0, 48.0), Curve(32.0, 38.0, 40.0, 48.0)];
            canvas.path(&outline(&smile, mirrored), "none", LINE, thick);
        } else if parts.eye > 5.0 {
            canvas.circle((ex, ey), parts.eye * scale, WHITE, LINE);
            canvas.circle((ex, ey), 3.5 * scale, LINE, LINE);
        } else {
            canvas.circle((ex, ey), parts.eye * scale, LINE, LINE);
        }
    }
    let fill = if parts.open { MOUTH } else { "none" };
    canvas.path(&outline(parts.mouth, false), fill, LINE, thick);
    if word(label) == "angry" {
        // frowning wrinkles between the brows
        let wrinkle = [Move(47.0, 33.0), Line(47.0, 39.0)];
        for mirrored in [false, true] {
            canvas.path(&outline(&wrinkle, mirrored), "none", LINE, thick / 2.0);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::testing::keep;
    use super::*;

    #[test]
    fn every_class_that_we_know_has_a_face_of_its_own() {
        let mut canvas = Canvas::new(8.0 * 110.0, 110.0);
        let mut all = std::collections::BTreeSet::new();
        for labels in [Labels::fer2013(), Labels::ckplus(), Labels::ferplus()] {
            for label in labels.names() {
                let mut one = Canvas::new(100.0, 100.0);
                assert!(draw(&mut one, label, (0.0, 0.0), 100.0), "{label}");
                if all.insert(one.finish().as_str().to_owned()) {
                    let x = 110.0 * (all.len() - 1) as f32 + 5.0;
                    draw(&mut canvas, label, (x, 5.0), 100.0);
                }
            }
        }
        assert_eq!(all.len(), 8);
        assert!(!draw(&mut canvas, "sleepy", (0.0, 0.0), 100.0));
        keep("emoji.png", &canvas.finish());
    }
}
