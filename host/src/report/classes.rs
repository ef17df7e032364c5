//! Scores by class as bars.

use super::axes::{GRID, MUTED};
use super::canvas::{Anchor, Canvas, TextStyle, shorten, text_width};
use super::metrics::{ClassScore, Evaluation};
use super::svg::Svg;

const PAD: f32 = 24.0;
const TITLE: f32 = 20.0;
const LABEL: f32 = 13.0;
const VALUE: f32 = 11.0;
/// Longest class name shown, in characters.
const NAME: usize = 20;
const BAR: f32 = 13.0;
const GAP: f32 = 14.0;
/// Length of a score of 1.
const FULL: f32 = 420.0;
/// The measures, with colours of Okabe and Ito whose lightness differs too.
const MEASURES: [Measure; 3] = [
    ("precision", "#0072b2", |c| c.precision),
    ("recall", "#e69f00", |c| c.recall),
    ("F1", "#999999", |c| c.f1),
];

type Measure = (&'static str, &'static str, fn(&ClassScore) -> f64);

/// Draws precision, recall and F1 of each class as three bars, with their numbers; beside each name the
/// class's images. The title is followed by the macro F1.
pub fn classes_picture(evaluation: &Evaluation, title: &str) -> Svg {
    let classes = evaluation.classes();
    let name = |c: &ClassScore| shorten(&c.label, NAME);
    let images = |c: &ClassScore| format!("{} images", c.support);
    let widest = classes
        .iter()
        .map(|c| text_width(&name(c), LABEL).max(text_width(&images(c), VALUE)))
        .fold(0.0, f32::max);
    let heading = format!("{title}: macro F1 {:.4}", evaluation.macro_f1());
    let left = PAD + widest + 10.0;
    let (top, step) = (PAD + TITLE + 56.0, 3.0 * BAR + GAP);
    let bottom = top + step * classes.len() as f32;
    let width = (left + FULL + 60.0).max(PAD * 2.0 + text_width(&heading, TITLE));
    let mut canvas = Canvas::new(width, bottom + 20.0 + PAD);
    let start = |size| TextStyle::new(size, Anchor::Start);
    canvas.text(PAD, PAD + TITLE - 4.0, start(TITLE), &heading);
    let mut x = left;
    for (name, colour, _) in MEASURES {
        canvas.rect(x, PAD + TITLE + 15.0, 12.0, 12.0, colour);
        canvas.text(x + 17.0, PAD + TITLE + 25.5, start(LABEL), name);
        x += text_width(name, LABEL) + 44.0;
    }
    for tenth in [0, 2, 4, 6, 8, 10] {
        let x = left + FULL * tenth as f32 / 10.0;
        canvas.polyline(&[(x, top - 6.0), (x, bottom)], GRID, 1.0, "");
        let style = TextStyle::new(VALUE, Anchor::Middle).fill(MUTED);
        let text = format!("{:.1}", f64::from(tenth) / 10.0);
        canvas.text(x, bottom + 16.0, style, &text);
    }
    for (i, class) in classes.iter().enumerate() {
        let y = top + step * i as f32;
        let end = |size| TextStyle::new(size, Anchor::End);
        canvas.text(left - 10.0, y + BAR + 3.0, end(LABEL), &name(class));
        let style = end(VALUE).fill(MUTED);
        canvas.text(left - 10.0, y + BAR + 19.0, style, &images(class));
        for (k, (_, colour, measure)) in MEASURES.into_iter().enumerate() {
            let score = measure(class);
            let (y, length) = (y + BAR * k as f32, FULL * score as f32);
            canvas.rect(left, y, length, BAR - 1.0, colour);
            let text = format!("{score:.2}");
            canvas.text(left + length + 5.0, y + BAR - 3.0, start(VALUE), &text);
        }
    }
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{keep, texts};
    use super::*;
    use fer_models::Labels;

    #[test]
    fn every_score_has_its_bar_and_number() {
        let labels = Labels::new(vec!["a<b".into(), "c".into()]).unwrap();
        // a: precision 1/2, recall 1, F1 2/3; c: precision 1, recall 1/2
        let logits = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let evaluation = Evaluation::from_logits(&labels, &logits, &[0, 1, 1]).unwrap();
        let svg = classes_picture(&evaluation, "t");
        let shown = texts(&svg);
        for text in ["a&lt;b", "1 images", "2 images", "t: macro F1 0.6667"] {
            assert!(shown.iter().any(|t| t == text), "{text}: {shown:?}");
        }
        let count = |text: &str| shown.iter().filter(|t| *t == text).count();
        assert_eq!([count("0.50"), count("1.00"), count("0.67")], [2, 2, 2]);
        for (width, bars) in [(FULL, 2), (FULL / 2.0, 2), (FULL * 2.0 / 3.0, 2)] {
            let bar = format!(r#"width="{width:.1}" height="{:.1}""#, BAR - 1.0);
            assert_eq!(svg.as_str().matches(&bar).count(), bars, "{bar}");
        }
        keep("classes.png", &svg);
    }
}
