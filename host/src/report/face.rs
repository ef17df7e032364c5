//! One face on one page: the picture, the probabilities, and the expression as a drawn face.

use fer_models::{Labels, argmax};

use super::axes::{GRID, MUTED};
use super::canvas::{Anchor, Canvas, TextStyle, shorten, text_width};
use super::emoji;
use super::picture::Picture;
use super::svg::Svg;

const PAD: f32 = 24.0;
const TITLE: f32 = 20.0;
const LABEL: f32 = 13.0;
/// Side of the face and of the drawn one.
const SIDE: f32 = 220.0;
/// Length of a bar of certainty.
const FULL: f32 = 230.0;
/// Longest class name shown, in characters.
const NAME: usize = 14;
/// The decision, and the rest.
const COLOURS: [&str; 2] = ["#d55e00", "#7fa8c9"];

/// Draws a face beside the probability of each class and our drawn face of the decision (none for a
/// class that is no expression we know).
///
/// # Panics
/// When there are not as many `scores` as labels.
pub fn face_picture(title: &str, face: &Picture, labels: &Labels, scores: &[f32]) -> Svg {
    assert_eq!(labels.len(), scores.len(), "a score for each label");
    let decided = argmax(scores);
    let names = labels.names();
    let widest = names
        .iter()
        .map(|n| text_width(&shorten(n, NAME), LABEL))
        .fold(0.0, f32::max);
    let top = PAD + TITLE + 20.0;
    let bars = PAD + SIDE + 32.0 + widest + 10.0;
    let emoji = bars + FULL + 78.0;
    let width = (emoji + SIDE + PAD).max(PAD * 2.0 + text_width(title, TITLE));
    let step = (SIDE / names.len() as f32).max(20.0);
    let height = SIDE.max(step * names.len() as f32);
    let mut canvas = Canvas::new(width, top + height + 40.0 + PAD);
    let start = |size| TextStyle::new(size, Anchor::Start);
    canvas.text(PAD, PAD + TITLE - 4.0, start(TITLE), title);
    canvas.picture((PAD, top), [SIDE; 2], face);
    for (i, (name, &score)) in names.iter().zip(scores).enumerate() {
        let y = top + step * i as f32;
        let end = TextStyle::new(LABEL, Anchor::End);
        let baseline = y + step / 2.0 + LABEL * 0.35;
        canvas.text(bars - 10.0, baseline, end, &shorten(name, NAME));
        canvas.rect(bars, y + 3.0, FULL, step - 6.0, GRID);
        let colour = COLOURS[usize::from(i != decided)];
        canvas.rect(bars, y + 3.0, FULL * score, step - 6.0, colour);
        let text = format!("{:.1} %", 100.0 * score);
        canvas.text(bars + FULL + 6.0, baseline, start(LABEL).fill(MUTED), &text);
    }
    emoji::draw(&mut canvas, &names[decided], (emoji, top), SIDE);
    let said = format!("{}, {:.1} %", names[decided], 100.0 * scores[decided]);
    let middle = TextStyle::new(16.0, Anchor::Middle);
    canvas.text(emoji + SIDE / 2.0, top + SIDE + 26.0, middle, &said);
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{keep, texts};
    use super::*;

    #[test]
    fn the_decision_is_named_drawn_and_coloured() {
        let labels = Labels::fer2013();
        let scores = [0.05, 0.0, 0.05, 0.7, 0.1, 0.0, 0.1];
        let face = Picture::face(8, &[128; 64]);
        let svg = face_picture("a <face>", &face, &labels, &scores);
        let shown = texts(&svg);
        assert!(shown.iter().any(|t| t == "happy, 70.0 %"));
        let bar = format!(r#"width="{:.1}""#, FULL * 0.7);
        let bars: Vec<&str> = svg.as_str().lines().filter(|l| l.contains(&bar)).collect();
        assert_eq!(bars.len(), 1);
        assert!(bars[0].contains(COLOURS[0]));
        assert!(svg.as_str().contains("<path"));
        keep("face.png", &svg);
        let labels = Labels::new(vec!["x".into(), "y".into()]).unwrap();
        let plain = face_picture("t", &face, &labels, &[0.2, 0.8]);
        assert!(
            !plain.as_str().contains("<path"),
            "no face for such classes"
        );
    }
}
