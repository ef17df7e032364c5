//! Vector pictures, and their rendering to PNG with the one font in `host/assets`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use fer_models::write_atomic;
use resvg::tiny_skia::{Color, FilterQuality, IntSize, Pixmap, PixmapPaint, Transform};
use resvg::usvg;
use thiserror::Error;

use super::picture::Picture;

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
pub struct Svg {
    pub(super) text: String,
    /// The pixels in it. They stand in the text too, but our renderer is built without decoders.
    pub(super) pictures: Vec<Placed>,
}

/// Pixels and where they go.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    /// Upper left corner in units.
    pub(super) at: (f32, f32),
    /// Width and height in units.
    pub(super) size: [f32; 2],
    pub(super) picture: Picture,
}

impl Placed {
    fn draw(&self, scale: f32, pixmap: &mut Pixmap) -> Option<()> {
        let [width, height] = self.picture.size();
        let size = IntSize::from_wh(width as u32, height as u32)?;
        let pixels = Pixmap::from_vec(self.picture.rgba(), size)?;
        let paint = PixmapPaint {
            quality: FilterQuality::Bilinear,
            ..PixmapPaint::default()
        };
        let place = Transform::from_row(
            scale * self.size[0] / width as f32,
            0.0,
            0.0,
            scale * self.size[1] / height as f32,
            scale * self.at.0,
            scale * self.at.1,
        );
        pixmap.draw_pixmap(0, 0, pixels.as_ref(), &paint, place, None);
        Some(())
    }
}

impl Svg {
    /// The SVG document.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The picture as PNG bytes, `scale` pixels a unit; white behind, only the built-in font, so
    /// that every machine draws the same.
    ///
    /// # Errors
    /// A scale that is not a positive number or gives more than 16384 pixels a side.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, SvgError> {
        let tree = usvg::Tree::from_str(&self.text, &render_options())?;
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
        for placed in &self.pictures {
            placed
                .draw(scale, &mut pixmap)
                .ok_or_else(|| SvgError::Encode("a picture of no size".into()))?;
        }
        pixmap
            .encode_png()
            .map_err(|e| SvgError::Encode(e.to_string()))
    }

    /// Writes the SVG document; the file appears whole or not at all.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn save_svg(&self, path: &Path) -> Result<(), SvgError> {
        Ok(write_atomic(path, |out| {
            out.write_all(self.text.as_bytes())
        })?)
    }

    /// The largest scale that [`png`](Self::png) takes; 1 for a text that is no SVG, which it will refuse.
    pub fn largest_scale(&self) -> f32 {
        usvg::Tree::from_str(&self.text, &render_options()).map_or(1.0, |tree| {
            let size = tree.size();
            (MAX_SIDE - 1.0) / size.width().max(size.height())
        })
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

#[cfg(test)]
mod tests {
    use super::super::canvas::{Anchor, Canvas, TextStyle};
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
}
