//! Drawing: shapes and texts that become an [`Svg`].

use std::fmt::Write;

use super::picture::Picture;
use super::svg::{Placed, Svg};

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
    pictures: Vec<Placed>,
}

impl Canvas {
    pub(super) fn new(width: f32, height: f32) -> Self {
        let mut canvas = Self {
            width: width.ceil(),
            height: height.ceil(),
            body: String::new(),
            pictures: Vec::new(),
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

    /// Any outline (SVG path data), filled and stroked; `none` for neither.
    pub(super) fn path(&mut self, data: &str, fill: &str, stroke: &str, width: f32) {
        self.push(format_args!(
            r#"<path d="{data}" fill="{fill}" stroke="{stroke}" stroke-width="{width:.1}" stroke-linecap="round" stroke-linejoin="round"/>"#
        ));
    }

    /// Pixels with their upper left corner at `(x, y)`, above all shapes and texts.
    pub(super) fn picture(&mut self, (x, y): (f32, f32), size: [f32; 2], picture: &Picture) {
        let [width, height] = size;
        self.push(format_args!(
            r#"<image x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" preserveAspectRatio="none" href="{}"/>"#,
            picture.address()
        ));
        self.pictures.push(Placed {
            at: (x, y),
            size,
            picture: picture.clone(),
        });
    }

    pub(super) fn finish(self) -> Svg {
        let Self {
            width,
            height,
            body,
            pictures,
        } = self;
        let text = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="'DejaVu Sans', Verdana, sans-serif">
{body}</svg>
"#
        );
        Svg { text, pictures }
    }

    pub(super) fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// `text` as XML character data or attribute value; U+FFFD stands for what XML 1.0 can't hold.
pub(super) fn escape(text: &str) -> String {
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

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a&\"b'>\0"), "&lt;a&amp;&quot;b&apos;&gt;\u{FFFD}");
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(shorten("surprise", 8), "surprise");
        assert_eq!(shorten("surprised", 8), "surpris…");
    }
}
