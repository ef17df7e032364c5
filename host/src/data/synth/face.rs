//! One drawn face: which geometry an expression has, and how it is put on the canvas.

use super::super::fer2013::SIDE;
use super::Dice;
use super::draw::{Canvas, Pose, Shape};

/// The geometry of an expression, in face units (y down).
#[derive(Debug, Clone, Copy)]
struct Expression {
    /// Height of the brows' middle.
    brow: f32,
    /// How much lower the inner end of a brow is than the outer one.
    slant: f32,
    /// Half opening of the eyes.
    eye: f32,
    /// Sag of the mouth line: positive smiles.
    curve: f32,
    /// Half opening of the mouth.
    open: f32,
    /// Half width of the mouth.
    width: f32,
    /// Strength of the wrinkles beside the nose, 0 to 1.
    wrinkle: f32,
}

const NEUTRAL: Expression = Expression {
    brow: -0.46,
    slant: 0.0,
    eye: 0.10,
    curve: 0.0,
    open: 0.0,
    width: 0.28,
    wrinkle: 0.0,
};

/// In the order of the FER2013 labels: angry, disgust, fear, happy, sad, surprise, neutral.
const EXPRESSIONS: [Expression; 7] = [
    Expression {
        brow: -0.36,
        slant: 0.16,
        eye: 0.07,
        curve: -0.06,
        width: 0.24,
        ..NEUTRAL
    },
    Expression {
        brow: -0.38,
        eye: 0.055,
        curve: -0.13,
        open: 0.06,
        wrinkle: 1.0,
        ..NEUTRAL
    },
    Expression {
        brow: -0.56,
        slant: -0.15,
        eye: 0.15,
        open: 0.09,
        width: 0.36,
        ..NEUTRAL
    },
    Expression {
        eye: 0.08,
        curve: 0.20,
        open: 0.03,
        width: 0.38,
        ..NEUTRAL
    },
    Expression {
        brow: -0.46,
        slant: -0.17,
        eye: 0.065,
        curve: -0.15,
        width: 0.25,
        ..NEUTRAL
    },
    Expression {
        brow: -0.64,
        eye: 0.17,
        open: 0.20,
        width: 0.17,
        ..NEUTRAL
    },
    NEUTRAL,
];

impl Expression {
    /// The expression at a random strength, every part a little off.
    fn roll(dice: &mut Dice, label: usize) -> Self {
        let full = EXPRESSIONS.get(label).copied().unwrap_or(NEUTRAL);
        let strength = dice.between(0.6, 1.15);
        let mut part = |rest: f32, full: f32, jitter: f32| {
            rest + (full - rest) * strength + dice.between(-jitter, jitter)
        };
        Self {
            brow: part(NEUTRAL.brow, full.brow, 0.03),
            slant: part(NEUTRAL.slant, full.slant, 0.03),
            eye: part(NEUTRAL.eye, full.eye, 0.012).max(0.03),
            curve: part(NEUTRAL.curve, full.curve, 0.03),
            open: part(NEUTRAL.open, full.open, 0.008).max(0.0),
            width: part(NEUTRAL.width, full.width, 0.03).max(0.1),
            wrinkle: part(NEUTRAL.wrinkle, full.wrinkle, 0.05).clamp(0.0, 1.0),
        }
    }
}

/// Tones of one person, 0 to 255.
struct Tones {
    skin: f32,
    hair: f32,
    lip: f32,
}

/// Draws a face with the expression of a FER2013 label.
pub(super) fn draw(dice: &mut Dice, label: usize) -> [u8; SIDE * SIDE] {
    let pose = Pose {
        x: dice.between(21.5, 26.5),
        y: dice.between(22.5, 27.5),
        scale: dice.between(17.5, 22.5),
        tilt: dice.between(-0.07, 0.07),
    };
    let skin = dice.between(95.0, 225.0);
    let tones = Tones {
        skin,
        hair: skin * dice.between(0.15, 0.55),
        lip: skin * dice.between(0.45, 0.7),
    };
    let expression = Expression::roll(dice, label);
    let mut canvas = Canvas::new(pose);
    background(&mut canvas, dice);
    head(&mut canvas, dice, &tones);
    for side in [-1.0, 1.0] {
        eye(&mut canvas, dice, &tones, &expression, side);
    }
    nose(&mut canvas, dice, &tones, &expression);
    mouth(&mut canvas, &tones, &expression);
    light(&mut canvas, dice);
    canvas.bytes()
}

fn background(canvas: &mut Canvas, dice: &mut Dice) {
    let (base, dx, dy) = (
        dice.between(20.0, 235.0),
        dice.between(-50.0, 50.0),
        dice.between(-50.0, 50.0),
    );
    canvas.map(|x, y, _| base + dx * x + dy * y);
}

fn head(canvas: &mut Canvas, dice: &mut Dice, tones: &Tones) {
    let (width, height) = (dice.between(0.74, 0.84), dice.between(0.95, 1.05));
    let hair = dice.between(0.05, 0.16);
    canvas.draw(Shape::Line(0.0, 0.8, 0.0, 1.6, 0.35), tones.skin * 0.8);
    canvas.draw(
        Shape::Ellipse(0.0, -0.12, width + hair, height + hair * 0.5),
        tones.hair,
    );
    canvas.draw(Shape::Ellipse(0.0, 0.05, width, height * 0.95), tones.skin);
    if dice.chance(0.6) {
        let fringe = dice.between(-1.0, -0.82);
        let mask = Shape::Ellipse(0.0, 0.05, width, height * 0.95);
        canvas.draw_within(
            Shape::Ellipse(0.0, fringe, width, 0.25),
            Some(mask),
            tones.hair,
        );
    }
}

fn eye(canvas: &mut Canvas, dice: &mut Dice, tones: &Tones, expression: &Expression, side: f32) {
    let (x, y) = (side * 0.34, -0.18);
    let white = Shape::Ellipse(x, y, 0.17, expression.eye);
    canvas.draw(white, tones.skin + (245.0 - tones.skin) * 0.75);
    let gaze = dice.between(-0.03, 0.03);
    canvas.draw_within(Shape::Ellipse(x + gaze, y, 0.085, 0.085), Some(white), 25.0);
    // The upper lid.
    canvas.draw(
        Shape::Arc(x, y, 0.18, -expression.eye, 0.0, 0.02),
        tones.skin * 0.4,
    );
    // `side` is +1 for the eye on the right, whose inner end is to its left.
    let slope = -side * expression.slant;
    let tone = tones.hair.min(tones.skin * 0.45);
    canvas.draw(
        Shape::Arc(x, expression.brow, 0.2, -0.04, slope, 0.035),
        tone,
    );
}

fn nose(canvas: &mut Canvas, dice: &mut Dice, tones: &Tones, expression: &Expression) {
    let shade = tones.skin * 0.72;
    let lean = dice.between(-0.05, 0.05);
    canvas.draw(
        Shape::Line(lean * 0.3, -0.08, lean, 0.2, 0.02),
        tones.skin * 0.85,
    );
    canvas.draw(Shape::Arc(0.0, 0.22, 0.1, 0.04, 0.0, 0.02), shade);
    let wrinkle = tones.skin * (1.0 - 0.5 * expression.wrinkle);
    if expression.wrinkle > 0.2 {
        for side in [-1.0, 1.0] {
            canvas.draw(
                Shape::Line(side * 0.06, -0.14, side * 0.12, -0.02, 0.018),
                wrinkle,
            );
            canvas.draw(
                Shape::Line(side * 0.16, 0.14, side * 0.36, 0.4, 0.02),
                wrinkle,
            );
        }
    }
}

fn mouth(canvas: &mut Canvas, tones: &Tones, expression: &Expression) {
    let Expression {
        curve, open, width, ..
    } = *expression;
    // The ends of a smile go up as its middle goes down.
    let y = 0.54 - curve * 0.5;
    let (upper, lower) = (curve - open, curve + open);
    if open > 0.02 {
        let gap = Shape::Lens(0.0, y, width, upper, lower);
        canvas.draw(gap, tones.skin * 0.2);
        if expression.width > 0.3 {
            let teeth = Shape::Lens(0.0, y - open * 0.4, width * 0.85, upper, lower);
            canvas.draw_within(teeth, Some(gap), 215.0);
        }
    }
    canvas.draw(Shape::Arc(0.0, y, width, upper, 0.0, 0.03), tones.lip);
    canvas.draw(Shape::Arc(0.0, y, width, lower, 0.0, 0.035), tones.lip);
}

/// Uneven light, exposure and sensor noise.
fn light(canvas: &mut Canvas, dice: &mut Dice) {
    let (dx, dy) = (dice.between(-0.25, 0.25), dice.between(-0.25, 0.25));
    let (gain, offset) = (dice.between(0.75, 1.15), dice.between(-15.0, 15.0));
    let noise = dice.between(2.0, 11.0);
    canvas.map(|x, y, value| value * gain * (1.0 + dx * x + dy * y) + offset + noise * dice.bell());
}
