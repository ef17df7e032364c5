//! How many images of each class a data set has, as a picture.

use super::canvas::{Anchor, Canvas, TextStyle, shorten, text_width};
use super::svg::Svg;
use super::table::share;
use crate::data::summary::Summary;

const PAD: f32 = 24.0;
const TITLE: f32 = 20.0;
const HEADING: f32 = 15.0;
const LABEL: f32 = 13.0;
/// Height of a class's row and of its bar.
const ROW: (f32, f32) = (24.0, 16.0);
/// Length of the longest bar.
const LONGEST: f32 = 240.0;
/// Longest class name and title shown, in characters.
const NAME: usize = 20;
const LONGEST_TITLE: usize = 80;
const MUTED: &str = "#555555";
/// Okabe and Ito's blue.
const BAR: &str = "#0072b2";

/// Draws one panel of bars for each split that has images, side by side. Bars are scaled to the most
/// frequent class of their split; each has its count and its share of the split beside it.
pub fn histogram_picture(summary: &Summary, title: &str) -> Svg {
    let names: Vec<String> = summary.labels.iter().map(|n| shorten(n, NAME)).collect();
    let widest = names
        .iter()
        .map(|name| text_width(name, LABEL))
        .fold(0.0, f32::max);
    let counted = text_width("100000, 100.0%", LABEL);
    let panel = widest + 10.0 + LONGEST + 8.0 + counted + PAD;
    let title = shorten(title, LONGEST_TITLE);
    let width =
        (PAD + panel * summary.splits.len() as f32).max(2.0 * PAD + text_width(&title, TITLE));
    let top = PAD + TITLE + 44.0;
    let height = top + ROW.0 * names.len() as f32 + PAD;
    let mut canvas = Canvas::new(width, height);
    let start = |size| TextStyle::new(size, Anchor::Start);
    canvas.text(PAD, PAD + TITLE, start(TITLE), &title);
    for (number, split) in summary.splits.iter().enumerate() {
        let left = PAD + panel * number as f32;
        let heading = format!("{}: {} images", split.split, split.images);
        canvas.text(left, top - 12.0, start(HEADING), &heading);
        let bars = left + widest + 10.0;
        let most = split.counts.iter().copied().max().unwrap_or(0).max(1);
        for (row, (name, &count)) in names.iter().zip(&split.counts).enumerate() {
            let y = top + ROW.0 * row as f32;
            let base = y + ROW.0 / 2.0 + LABEL * 0.35;
            canvas.text(bars - 10.0, base, TextStyle::new(LABEL, Anchor::End), name);
            let length = LONGEST * count as f32 / most as f32;
            canvas.rect(bars, y + (ROW.0 - ROW.1) / 2.0, length, ROW.1, BAR);
            let text = format!("{count}, {}", share(count as u64, split.images as u64));
            canvas.text(bars + length + 8.0, base, start(LABEL).fill(MUTED), &text);
        }
    }
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LoadOptions, open};

    #[test]
    fn every_split_and_class_has_its_count() {
        let loaded = open("synth:1:140", &LoadOptions::default()).unwrap();
        let svg = histogram_picture(&Summary::new(&loaded), "drawn <faces>");
        let text = svg.as_str();
        for part in [
            "Training: 112 images",
            "PublicTest: 14 images",
            "16, 14.3%",
            "surprise",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(svg.png(1.0).is_ok());
    }
}
