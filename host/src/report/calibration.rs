//! The reliability diagram: whether a network is as often right as it is sure.

use super::axes::{GRID, MUTED};
use super::canvas::{Anchor, Canvas, TextStyle, text_width};
use super::metrics::{ECE_BINS, Evaluation};
use super::svg::Svg;

const PAD: f32 = 24.0;
const TITLE: f32 = 20.0;
const LABEL: f32 = 12.0;
/// Side of the square diagram.
const SIDE: f32 = 360.0;
/// Height of the histogram below it.
const COUNTS: f32 = 90.0;
const RIGHT: &str = "#0072b2";
const GAP: &str = "#d55e00";

/// Draws, for each of [`ECE_BINS`] bins of confidence, the share of right answers as a blue bar and the
/// mean confidence as an orange line across it: on the dashed diagonal both would meet. Below stands how
/// many images each bin holds. The title is followed by the expected calibration error.
pub fn calibration_picture(evaluation: &Evaluation, title: &str) -> Svg {
    let heading = format!("{title}: ECE {:.4}", evaluation.ece());
    let (left, top) = (PAD + 56.0, PAD + TITLE + 44.0);
    let (right, bottom) = (left + SIDE, top + SIDE);
    let (counts_top, counts_bottom) = (bottom + 34.0, bottom + 34.0 + COUNTS);
    let width = (right + PAD).max(PAD * 2.0 + text_width(&heading, TITLE));
    let mut canvas = Canvas::new(width, counts_bottom + 46.0 + PAD);
    let style = |anchor| TextStyle::new(LABEL, anchor);
    canvas.text(
        PAD,
        PAD + TITLE - 4.0,
        TextStyle::new(TITLE, Anchor::Start),
        &heading,
    );

    for tenth in [0, 2, 4, 6, 8, 10] {
        let part = tenth as f32 / 10.0;
        let (x, y) = (left + SIDE * part, bottom - SIDE * part);
        canvas.polyline(&[(left, y), (right, y)], GRID, 1.0, "");
        let text = format!("{part:.1}");
        canvas.text(left - 8.0, y + 4.0, style(Anchor::End).fill(MUTED), &text);
        let below = style(Anchor::Middle).fill(MUTED);
        canvas.text(x, counts_bottom + 18.0, below, &text);
    }
    let most = evaluation.bins().iter().map(|b| b.count).max().unwrap_or(0);
    let wide = SIDE / ECE_BINS as f32;
    for (i, bin) in evaluation.bins().iter().enumerate() {
        let x = left + wide * i as f32;
        if let (Some(accuracy), Some(confidence)) = (bin.accuracy(), bin.confidence()) {
            let height = SIDE * accuracy as f32;
            canvas.rect(x + 1.0, bottom - height, wide - 2.0, height, RIGHT);
            let y = bottom - SIDE * confidence as f32;
            canvas.polyline(&[(x + 1.0, y), (x + wide - 1.0, y)], GAP, 3.0, "");
            let height = COUNTS * bin.count as f32 / most as f32;
            canvas.rect(x + 1.0, counts_bottom - height, wide - 2.0, height, MUTED);
        }
    }
    canvas.polyline(&[(left, bottom), (right, top)], MUTED, 1.5, "5 4");
    for y in [bottom, counts_bottom] {
        canvas.polyline(&[(left, y), (right, y)], MUTED, 1.0, "");
    }
    canvas.rect(left, top - 22.0, 12.0, 12.0, RIGHT);
    canvas.text(left + 17.0, top - 11.5, style(Anchor::Start), "right");
    let line = left + 66.0;
    canvas.polyline(
        &[(line, top - 16.0), (line + 16.0, top - 16.0)],
        GAP,
        3.0,
        "",
    );
    canvas.text(
        line + 21.0,
        top - 11.5,
        style(Anchor::Start),
        "mean confidence",
    );
    let muted = style(Anchor::Start).fill(MUTED);
    let text = format!("images, at most {most} in a bin");
    canvas.text(left, counts_top - 10.0, muted, &text);
    let middle = style(Anchor::Middle).fill(MUTED);
    canvas.text(
        (left + right) / 2.0,
        counts_bottom + 38.0,
        middle,
        "confidence",
    );
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{keep, texts};
    use super::*;
    use fer_models::Labels;

    #[test]
    fn bars_are_as_high_as_the_answers_were_right() {
        let labels = Labels::new(vec!["a".into(), "b".into()]).unwrap();
        // four answers at 88 %, three of them right, and one at 50 %
        let (sure, even) = ([2.0, 0.0], [0.0, 0.0]);
        let logits = [sure, sure, sure, sure, even].concat();
        let evaluation = Evaluation::from_logits(&labels, &logits, &[0, 0, 0, 1, 0]).unwrap();
        let bins = evaluation.bins();
        assert_eq!((bins[13].count, bins[13].right), (4, 3));
        assert_eq!((bins[7].count, bins[7].accuracy()), (1, Some(1.0)));
        assert_eq!(bins[0].accuracy().or(bins[0].confidence()), None);
        assert!((bins[13].confidence().unwrap() - 0.8808).abs() < 1e-4);
        let svg = calibration_picture(&evaluation, "t");
        for height in [SIDE * 0.75, SIDE, COUNTS, COUNTS / 4.0] {
            let bar = format!(r#"width="22.0" height="{height:.1}""#);
            assert_eq!(svg.as_str().matches(&bar).count(), 1, "{bar}");
        }
        let ece = format!("t: ECE {:.4}", evaluation.ece());
        assert!(texts(&svg).contains(&ece));
        keep("calibration.png", &svg);
    }
}
