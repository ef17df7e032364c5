//! The confusion matrix as a picture.

use super::canvas::{Anchor, Canvas, TextStyle, shorten, text_width};
use super::metrics::{Evaluation, ratio};
use super::svg::Svg;
use super::table::share;

const PAD: f32 = 24.0;
const CELL: (f32, f32) = (76.0, 54.0);
const TITLE: f32 = 20.0;
const LABEL: f32 = 13.0;
const COUNT: f32 = 15.0;
const SHARE: f32 = 11.0;
/// Longest class name shown, in characters.
const NAME: usize = 20;
const MUTED: &str = "#555555";

/// Light to dark blue, three stops of ColorBrewer's sequential "Blues": one hue whose lightness
/// falls steadily, so that it reads the same to colour-blind eyes and in grey print.
const RAMP: [[f32; 3]; 3] = [
    [247.0, 251.0, 255.0],
    [107.0, 174.0, 214.0],
    [8.0, 48.0, 107.0],
];

/// Draws the confusion matrix of `evaluation`: rows are the true classes, columns the predicted
/// ones; each cell shows its count and its share of the row, by which it is coloured. The last
/// column and row hold the totals. The title is followed by the accuracy.
pub fn confusion_picture(evaluation: &Evaluation, title: &str) -> Svg {
    let names: Vec<String> = evaluation
        .labels()
        .names()
        .iter()
        .map(|name| shorten(name, NAME))
        .collect();
    let n = names.len() as f32;
    let widest = names
        .iter()
        .map(|name| text_width(name, LABEL))
        .fold(text_width("total", LABEL), f32::max);
    // Names wider than a column are turned by 40°, and lean out to the right of the last one.
    let turned = widest > CELL.0 - 6.0;
    let (head, lean) = if turned {
        (
            widest * 0.643 + LABEL,
            (widest * 0.766 - CELL.0 / 2.0).max(0.0),
        )
    } else {
        (LABEL, 0.0)
    };

    let heading = format!("{title}: accuracy {:.1} %", evaluation.accuracy() * 100.0);
    let summary = format!(
        "{} images, loss {:.4}, macro F1 {:.4}, ECE {:.4}",
        evaluation.count(),
        evaluation.loss(),
        evaluation.macro_f1(),
        evaluation.ece()
    );
    let legend = "cell: images, share of the true class";

    let left = PAD + LABEL + 14.0 + widest + 10.0;
    let top = PAD + TITLE + 24.0 + 40.0 + head + 8.0;
    let right = left + CELL.0 * (n + 1.0) + 8.0;
    let bottom = top + CELL.1 * n + 36.0;
    let width = [
        right + lean,
        PAD + text_width(&heading, TITLE),
        PAD + text_width(&summary, LABEL),
        left + text_width(legend, SHARE),
    ]
    .into_iter()
    .fold(0.0, f32::max);
    let mut canvas = Canvas::new(width + PAD, bottom + 26.0 + PAD);

    let start = |size| TextStyle::new(size, Anchor::Start);
    let middle = |size| TextStyle::new(size, Anchor::Middle);
    canvas.text(PAD, PAD + TITLE, start(TITLE), &heading);
    canvas.text(PAD, PAD + TITLE + 22.0, start(LABEL).fill(MUTED), &summary);
    canvas.text(left, bottom + 22.0, start(SHARE).fill(MUTED), legend);

    let (grid_x, grid_y) = (left + CELL.0 * n / 2.0, top + CELL.1 * n / 2.0);
    let axis = middle(LABEL).fill(MUTED);
    canvas.text(grid_x, top - head - 18.0, axis, "predicted");
    canvas.text(PAD + LABEL, grid_y, axis.turn(-90.0), "true");

    let column = |j: usize| left + CELL.0 * (j as f32 + 0.5);
    let row = |i: usize| top + CELL.1 * (i as f32 + 0.5);
    for (i, name) in names.iter().enumerate() {
        let y = row(i) + LABEL * 0.35;
        canvas.text(left - 10.0, y, TextStyle::new(LABEL, Anchor::End), name);
        if turned {
            canvas.text(column(i), top - 8.0, start(LABEL).turn(-40.0), name);
        } else {
            canvas.text(column(i), top - 8.0, middle(LABEL), name);
        }
    }

    for (i, counts) in evaluation.confusion().iter().enumerate() {
        let support = evaluation.classes()[i].support;
        for (j, &count) in counts.iter().enumerate() {
            draw_cell(&mut canvas, (column(j), row(i)), count, support);
        }
    }

    let total = |canvas: &mut Canvas, x: f32, y: f32, count: u64| {
        let text = count.to_string();
        canvas.text(x, y, middle(count_size(&text)).fill(MUTED), &text);
    };
    let last = right - CELL.0 / 2.0;
    canvas.text(last, top - 8.0, axis, "total");
    canvas.text(
        left - 10.0,
        bottom - 12.0,
        TextStyle::new(LABEL, Anchor::End).fill(MUTED),
        "total",
    );
    for (i, class) in evaluation.classes().iter().enumerate() {
        total(&mut canvas, last, row(i) + COUNT * 0.35, class.support);
        total(&mut canvas, column(i), bottom - 12.0, class.predicted);
    }
    total(&mut canvas, last, bottom - 12.0, evaluation.count());
    canvas.finish()
}

/// One cell around its centre, with a gap of a unit to its neighbours.
fn draw_cell(canvas: &mut Canvas, (x, y): (f32, f32), count: u64, support: u64) {
    let colour = ramp(ratio(count, support) as f32);
    let [r, g, b] = colour.map(|c| c.round() as u8);
    canvas.rect(
        x - CELL.0 / 2.0 + 0.5,
        y - CELL.1 / 2.0 + 0.5,
        CELL.0 - 1.0,
        CELL.1 - 1.0,
        &format!("#{r:02x}{g:02x}{b:02x}"),
    );
    let ink = ink(colour);
    let text = count.to_string();
    let style = |size| TextStyle::new(size, Anchor::Middle).fill(ink);
    canvas.text(x, y, style(count_size(&text)), &text);
    canvas.text(x, y + 17.0, style(SHARE), &share(count, support));
}

/// Text size at which a count fits its cell.
fn count_size(count: &str) -> f32 {
    COUNT.min((CELL.0 - 6.0) / text_width(count, 1.0))
}

/// Colour of a share in `0..=1`: red, green, blue in `0..=255`.
fn ramp(share: f32) -> [f32; 3] {
    let place = share.clamp(0.0, 1.0) * (RAMP.len() - 1) as f32;
    let low = (place as usize).min(RAMP.len() - 2);
    let part = place - low as f32;
    std::array::from_fn(|c| RAMP[low][c] + part * (RAMP[low + 1][c] - RAMP[low][c]))
}

/// Black or white, whichever contrasts more with `colour`.
fn ink(colour: [f32; 3]) -> &'static str {
    let light = luminance(colour);
    if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 {
        "#ffffff"
    } else {
        "#000000"
    }
}

/// Relative luminance of an sRGB colour in `0..=1` (WCAG 2.2).
fn luminance(colour: [f32; 3]) -> f32 {
    let [r, g, b] = colour.map(|c| {
        let c = c / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use fer_models::Labels;

    use super::super::testing::{keep, texts};
    use super::*;

    fn evaluation(labels: &Labels, images: usize) -> Evaluation {
        let k = labels.len();
        let targets: Vec<u8> = (0..images).map(|i| (i % k) as u8).collect();
        let mut logits = vec![0.0; images * k];
        for (i, row) in logits.chunks_exact_mut(k).enumerate() {
            let shift = if i * 7 % 10 < 6 { 0 } else { i * 13 % k };
            row[(i + shift) % k] = 2.0;
        }
        Evaluation::from_logits(labels, &logits, &targets).expect("valid")
    }

    #[test]
    fn pictures_of_few_and_many_classes_are_drawn() {
        keep(
            "confusion-7.png",
            &confusion_picture(&evaluation(&Labels::fer2013(), 3589), "FER2013 PublicTest"),
        );
        for k in [2, 3, 20] {
            let names = (0..k).map(|i| format!("class <{i}> & co")).collect();
            let labels = Labels::new(names).expect("labels");
            let svg = confusion_picture(&evaluation(&labels, 123_457), "A <title> & more");
            assert!(svg.as_str().contains("class &lt;1&gt; &amp; co"));
            keep(&format!("confusion-{k}.png"), &svg);
        }
    }

    #[test]
    fn every_number_is_in_the_picture() {
        let labels = Labels::new(vec!["a".into(), "b".into(), "c".into()]).expect("labels");
        let logits = [9.0, 0.0, 0.0, 0.0, 9.0, 0.0, 9.0, 0.0, 0.0];
        let e = Evaluation::from_logits(&labels, &logits, &[0, 0, 1]).expect("valid");
        let svg = confusion_picture(&e, "t");
        let shown = texts(&svg);
        assert!(shown.iter().any(|t| t == "t: accuracy 33.3 %"));
        let count = |text: &str| shown.iter().filter(|t| *t == text).count();
        assert_eq!(count("50.0%"), 2);
        assert_eq!(count("100.0%"), 1);
        assert_eq!(count("-"), 3, "a class without images has no shares");
        assert_eq!(count("3"), 1, "the grand total");
    }

    #[test]
    fn text_is_readable_on_every_shade() {
        let mut before = f32::INFINITY;
        for step in 0..=1000 {
            let colour = ramp(step as f32 / 1000.0);
            let light = luminance(colour);
            assert!(light < before, "the ramp must get darker all the way");
            before = light;
            let contrast = match ink(colour) {
                "#ffffff" => 1.05 / (light + 0.05),
                _ => (light + 0.05) / 0.05,
            };
            assert!(contrast >= 4.5, "{colour:?}: {contrast}");
        }
    }
}
