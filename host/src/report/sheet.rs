//! Sheets of faces: rows and columns of pictures with captions.

use super::canvas::{Anchor, Canvas, TextStyle, shorten, text_width};
use super::picture::Picture;
use super::svg::Svg;

const PAD: f32 = 24.0;
const GAP: f32 = 12.0;
const TITLE: f32 = 20.0;
const LABEL: f32 = 13.0;
const CAPTION: f32 = 11.0;
const LINE: f32 = 15.0;
/// Side of each picture.
const SIDE: f32 = 132.0;
/// Longest caption, in characters; as many as fit under a picture.
const LONGEST: usize = 22;
/// Longest row name, in characters.
const NAME: usize = 28;
const MUTED: &str = "#555555";

/// One picture of a sheet.
#[derive(Clone, Debug)]
pub struct Tile {
    /// What is shown.
    pub picture: Picture,
    /// Lines below it.
    pub captions: Vec<String>,
}

/// One row of a sheet.
#[derive(Clone, Debug)]
pub struct Row {
    /// Lines at its left; none in a sheet without names.
    pub name: Vec<String>,
    /// Its pictures from left to right.
    pub tiles: Vec<Tile>,
}

/// Pictures in rows and columns.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// Above everything.
    pub title: String,
    /// Smaller, below the title, line by line.
    pub notes: Vec<String>,
    /// Names above the columns; none where they have none.
    pub columns: Vec<String>,
    /// The rows from top to bottom.
    pub rows: Vec<Row>,
}

impl Sheet {
    /// A sheet without row names: the tiles one after the other, `across` in a row.
    pub fn grid(title: String, notes: Vec<String>, across: usize, tiles: &[Tile]) -> Self {
        let row = |tiles: &[Tile]| Row {
            name: Vec::new(),
            tiles: tiles.to_vec(),
        };
        Self {
            title,
            notes,
            columns: Vec::new(),
            rows: tiles.chunks(across.max(1)).map(row).collect(),
        }
    }

    /// Draws the sheet.
    pub fn draw(&self) -> Svg {
        let lines = |row: &Row| row.tiles.iter().map(|t| t.captions.len()).max();
        let height = |row: &Row| SIDE + LINE * lines(row).unwrap_or(0) as f32 + GAP + 4.0;
        let names = || self.rows.iter().flat_map(|r| &r.name);
        let name = names()
            .map(|n| text_width(&shorten(n, NAME), LABEL))
            .fold(0.0, f32::max);
        let left = PAD + if name > 0.0 { name + GAP } else { 0.0 };
        let head = PAD + TITLE + LINE * self.notes.len() as f32 + 20.0;
        let columns = if self.columns.is_empty() { 0.0 } else { 20.0 };
        let across = self.rows.iter().map(|r| r.tiles.len()).max().unwrap_or(0);
        let pictures = left + across as f32 * (SIDE + GAP) - GAP;
        let note = |n: &String| PAD + text_width(n, CAPTION);
        let width = self.notes.iter().map(note).fold(pictures, f32::max);
        let width = width.max(PAD + text_width(&self.title, TITLE)) + PAD;
        let total: f32 = self.rows.iter().map(height).sum();
        let mut canvas = Canvas::new(width, head + columns + total + PAD - GAP);

        let start = |size| TextStyle::new(size, Anchor::Start);
        let middle = |size| TextStyle::new(size, Anchor::Middle);
        canvas.text(PAD, PAD + TITLE - 4.0, start(TITLE), &self.title);
        for (i, note) in self.notes.iter().enumerate() {
            let y = PAD + TITLE + LINE * (i + 1) as f32;
            canvas.text(PAD, y, start(CAPTION).fill(MUTED), note);
        }
        let place = |column: usize| left + column as f32 * (SIDE + GAP);
        for (i, name) in self.columns.iter().enumerate() {
            let x = place(i) + SIDE / 2.0;
            canvas.text(x, head + 10.0, middle(LABEL), &shorten(name, LONGEST));
        }
        let mut y = head + columns;
        for row in &self.rows {
            for (i, line) in row.name.iter().enumerate() {
                let style = if i == 0 {
                    start(LABEL)
                } else {
                    start(CAPTION).fill(MUTED)
                };
                let at = y + SIDE / 2.0 + LINE * i as f32;
                canvas.text(PAD, at, style, &shorten(line, NAME));
            }
            for (i, tile) in row.tiles.iter().enumerate() {
                canvas.picture((place(i), y), [SIDE; 2], &tile.picture);
                for (k, caption) in tile.captions.iter().enumerate() {
                    let at = y + SIDE + LINE * (k + 1) as f32 - 2.0;
                    let text = shorten(caption, LONGEST);
                    canvas.text(place(i) + SIDE / 2.0, at, middle(CAPTION), &text);
                }
            }
            y += height(row);
        }
        canvas.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(grey: u8, captions: &[&str]) -> Tile {
        Tile {
            picture: Picture::face(2, &[grey; 4]),
            captions: captions.iter().map(|c| (*c).to_owned()).collect(),
        }
    }

    #[test]
    fn pictures_are_in_the_png_as_in_the_svg() {
        let tiles = [
            tile(10, &["one"]),
            tile(200, &["two", "lines"]),
            tile(90, &[]),
        ];
        let sheet = Sheet::grid("A <sheet>".into(), vec!["note".into()], 2, &tiles);
        let svg = sheet.draw();
        assert_eq!(svg.as_str().matches("<image ").count(), 3);
        assert!(svg.as_str().contains("A &lt;sheet&gt;"));
        let png = image::load_from_memory(&svg.png(1.0).unwrap())
            .unwrap()
            .to_rgb8();
        for grey in [10, 200, 90] {
            let inked = png.pixels().filter(|p| p.0 == [grey; 3]).count();
            assert!(inked > 10_000, "{grey}: {inked}");
        }
    }

    #[test]
    fn a_sheet_of_nothing_is_a_title() {
        let svg = Sheet::grid("empty".into(), Vec::new(), 3, &[]).draw();
        assert!(svg.png(1.0).is_ok());
    }
}
