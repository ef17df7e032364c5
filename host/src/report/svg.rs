//! Vector pictures, and their rendering to PNG with the one font in `host/assets`.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use fer_models::write_atomic;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg;
use thiserror::Error;

/// DejaVu Sans, Latin subset (`host/assets/README.md`).
static FONT: &[u8] = include_bytes!("../../assets/DejaVuSans-latin.ttf");

/// Largest width and height of a PNG, in pixels: a 16384² pixmap is 1 GiB.
const MAX_SIDE: f32 = 16384.0;

/// Why a picture could not be rendered or written.
#[derive(Debug, Error)]
pub enum SvgError {
    /// The SVG text is not valid SVG.
    #[error("SVG: {0}")]
    Parse(#[from] usvg::Error),
    /// The PNG would be empty, or too large to hold in memory.
    #[error("PNG: scale {scale} makes {width} x {height} pixels, expected 1 to {MAX_SIDE} a side")]
    Scale {
        /// The scale asked for.
        scale: f32,
        /// Width it would give, in pixels.
        width: f32,
        /// Height it would give, in pixels.
        height: f32,
    },
    /// The PNG could not be encoded.
    #[error("PNG: {0}")]
    Encode(String),
    /// The file could not be written; the error names it.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// A finished picture, as SVG text.
#[derive(Debug, Clone, PartialEq)]
pub struct Svg(String);

impl Svg {
    /// The SVG document.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The picture as PNG bytes, `scale` pixels a unit; white behind, only the built-in font, so
    /// that every machine draws the same.
    ///
    /// # Errors
    /// A scale that is not a positive number or gives more than 16384 pixels a side.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, SvgError> {
        let tree = usvg::Tree::from_str(&self.0, &render_options())?;
        let side = |units: f32| (units * scale).round();
        let (width, height) = (side(tree.size().width()), side(tree.size().height()));
        let sides = 1.0..=MAX_SIDE;
        let pixmap = (sides.contains(&width) && sides.contains(&height))
            .then(|| Pixmap::new(width as u32, height as u32))
            .flatten();
        let mut pixmap = pixmap.ok_or(SvgError::Scale {
            scale,
            width,
            height,
        })?;
        pixmap.fill(Color::WHITE);
        resvg::render(
            &tree,
            Transform::from_scale(scale, scale),
            &mut pixmap.as_mut(),
        );
        pixmap
            .encode_png()
            .map_err(|e| SvgError::Encode(e.to_string()))
    }

    /// Writes the SVG document; the file appears whole or not at all.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn save_svg(&self, path: &Path) -> Result<(), SvgError> {
        Ok(write_atomic(path, |out| out.write_all(self.0.as_bytes()))?)
    }

    /// Writes [`png`](Self::png); the file appears whole or not at all.
    ///
    /// # Errors
    /// As [`png`](Self::png), or the file could not be written.
    pub fn save_png(&self, path: &Path, scale: f32) -> Result<(), SvgError> {
        let png = self.png(scale)?;
        Ok(write_atomic(path, |out| out.write_all(&png))?)
    }
}

/// Options whose font database holds the built-in font and no other.
fn render_options() -> usvg::Options<'static> {
    let mut options = usvg::Options {
        font_family: "DejaVu Sans".into(),
        ..usvg::Options::default()
    };
    options
        .fontdb_mut()
        .load_font_source(usvg::fontdb::Source::Binary(Arc::new(FONT)));
    options
}

/// Which part of a text stands at its position.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// Size in units, fill colour, anchor and clockwise turn (degrees) of a text.
#[derive(Clone, Copy)]
pub(super) struct TextStyle {
    pub(super) size: f32,
    pub(super) fill: &'static str,
    pub(super) anchor: Anchor,
    pub(super) turn: f32,
}

impl TextStyle {
    pub(super) fn new(size: f32, anchor: Anchor) -> Self {
        Self {
            size,
            fill: "#1a1a1a",
            anchor,
            turn: 0.0,
        }
    }

    pub(super) fn fill(self, fill: &'static str) -> Self {
        Self { fill, ..self }
    }

    pub(super) fn turn(self, turn: f32) -> Self {
        Self { turn, ..self }
    }
}

/// A picture being drawn. Units are CSS pixels, y grows downwards.
pub(super) struct Canvas {
    width: f32,
    height: f32,
    body: String,
}

impl Canvas {
    pub(super) fn new(width: f32, height: f32) -> Self {
        let mut canvas = Self {
            width: width.ceil(),
            height: height.ceil(),
            body: String::new(),
        };
        canvas.rect(0.0, 0.0, canvas.width, canvas.height, "#ffffff");
        canvas
    }

    pub(super) fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, fill: &str) {
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"/>"#
        ));
    }

    /// Text whose baseline starts, centres or ends at `(x, y)`.
    pub(super) fn text(&mut self, x: f32, y: f32, style: TextStyle, text: &str) {
        let TextStyle {
            size,
            fill,
            anchor,
            turn,
        } = style;
        let turn = if turn == 0.0 {
            String::new()
        } else {
            format!(r#" transform="rotate({turn:.0} {x:.1} {y:.1})""#)
        };
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size:.1}" fill="{fill}" text-anchor="{}"{turn}>{}</text>"#,
            anchor.name(),
            escape(text)
        ));
    }

    /// A line through `points`, dashed as `dash` says (`""` for a full line).
    pub(super) fn polyline(&mut self, points: &[(f32, f32)], stroke: &str, width: f32, dash: &str) {
        let mut list = String::new();
        for (x, y) in points {
            // Writing to a String can't fail.
            let _ = write!(list, "{x:.1},{y:.1} ");
        }
        let dash = if dash.is_empty() {
            String::new()
        } else {
            format!(r#" stroke-dasharray="{dash}""#)
        };
        self.push(format_args!(
            r#"<polyline points="{}" fill="none" stroke="{stroke}" stroke-width="{width}" stroke-linejoin="round"{dash}/>"#,
            list.trim_end()
        ));
    }

    pub(super) fn circle(&mut self, (x, y): (f32, f32), radius: f32, fill: &str, stroke: &str) {
        self.push(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>"#
        ));
    }

    pub(super) fn finish(self) -> Svg {
        let Self {
            width,
            height,
            body,
        } = self;
        Svg(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="'DejaVu Sans', Verdana, sans-serif">
{body}</svg>
"#
        ))
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// `text` as XML character data or attribute value; U+FFFD stands for what XML 1.0 can't hold.
fn escape(text: &str) -> String {
    let held = |c: char| !c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.replace(|c| !held(c), "\u{FFFD}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

/// About how wide `text` is at `size`, in units: advance widths of DejaVu Sans by group, rounded
/// up, so that what is laid out with it does not overlap.
pub(super) fn text_width(text: &str, size: f32) -> f32 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '\'' | '|' | ' ' | '.' | ',' | ':' | ';' | '/' => 0.36,
        '(' | ')' | '[' | ']' | '!' | '-' | 'I' | 'J' | 'f' | 't' | 'r' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '—' | '→' => 1.0,
        'A'..='Z' | '+' | '=' | '<' | '>' | '~' => 0.8,
        '\0'..='\u{2FF}' => 0.64,
        _ => 1.0,
    };
    text.chars().map(em).sum::<f32>() * size
}

/// `text`, cut to `max` characters with an ellipsis where it is longer.
pub(super) fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.into();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_text(text: &str) -> Svg {
        let mut canvas = Canvas::new(200.0, 40.0);
        canvas.text(4.0, 30.0, TextStyle::new(20.0, Anchor::Start), text);
        canvas.finish()
    }

    /// Pixels of `svg` that are not white.
    fn inked(svg: &Svg) -> usize {
        let pixmap = Pixmap::decode_png(&svg.png(1.0).expect("rendered")).expect("PNG");
        assert_eq!((pixmap.width(), pixmap.height()), (200, 40));
        let white = |p: &&resvg::tiny_skia::PremultipliedColorU8| {
            (p.red(), p.green(), p.blue(), p.alpha()) != (255, 255, 255, 255)
        };
        pixmap.pixels().iter().filter(white).count()
    }

    #[test]
    fn text_is_drawn_with_the_built_in_font_only() {
        let options = render_options();
        let families: Vec<_> = options
            .fontdb
            .faces()
            .map(|f| f.families[0].0.clone())
            .collect();
        assert_eq!(families, ["DejaVu Sans"]);
        assert!(inked(&one_text("happy")) > 100);
        assert_eq!(inked(&one_text("")), 0);
    }

    #[test]
    fn names_cannot_break_the_document() {
        for name in [
            "</text>",
            "a & b",
            "\"'<![CDATA[",
            "\0\u{1b}\u{FFFF}",
            "日本語",
            "😀",
        ] {
            one_text(name).png(1.0).expect(name);
        }
        assert_eq!(escape("<a&\"b'>\0"), "&lt;a&amp;&quot;b&apos;&gt;\u{FFFD}");
    }

    #[test]
    fn scale_sets_the_pixels_and_a_bad_one_is_refused() {
        let svg = one_text("a");
        let pixmap = Pixmap::decode_png(&svg.png(2.5).expect("rendered")).expect("PNG");
        assert_eq!((pixmap.width(), pixmap.height()), (500, 100));
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
            assert!(
                matches!(svg.png(scale), Err(SvgError::Scale { .. })),
                "{scale}"
            );
        }
    }

    #[test]
    fn files_are_written_and_a_missing_folder_is_named() {
        let folder = tempfile::tempdir().expect("tempdir");
        let svg = one_text("a");
        svg.save_svg(&folder.path().join("a.svg")).expect("written");
        svg.save_png(&folder.path().join("a.png"), 1.0)
            .expect("written");
        let text = std::fs::read_to_string(folder.path().join("a.svg")).expect("read");
        assert_eq!(text, svg.as_str());
        let missing = folder.path().join("none").join("a.svg");
        let error = svg.save_svg(&missing).expect_err("refused").to_string();
        assert!(error.contains("a.svg"), "{error}");
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(shorten("surprise", 8), "surprise");
        assert_eq!(shorten("surprised", 8), "surpris…");
    }
}
