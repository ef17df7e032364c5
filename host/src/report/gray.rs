//! Grey pictures on a [`Canvas`], as shapes: the renderer of PNG files draws no embedded pictures.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::canvas::Canvas;

impl Canvas {
    /// Draws `pixels` (`count` × `count`, rows from top to bottom) as a square of `side` units with its
    /// upper left corner at `(x, y)`. Neighbours of one tone are one shape, and each tone is one path,
    /// so that a face takes some ten kilobytes.
    pub(super) fn gray(&mut self, (x, y): (f32, f32), side: f32, count: usize, pixels: &[u8]) {
        let mut paths: BTreeMap<u8, String> = BTreeMap::new();
        for (row, line) in pixels.chunks_exact(count).enumerate() {
            let mut column = 0;
            for run in line.chunk_by(|a, b| a == b) {
                let path = paths.entry(run[0]).or_default();
                // Writing to a String can't fail.
                let _ = write!(path, "M{column} {row}h{0}v1h-{0}z", run.len());
                column += run.len();
            }
        }
        let scale = side / count as f32;
        self.push(format_args!(
            r#"<g transform="translate({x:.1} {y:.1}) scale({scale})" shape-rendering="crispEdges">"#
        ));
        for (tone, path) in paths {
            self.push(format_args!(
                r##"<path fill="#{tone:02x}{tone:02x}{tone:02x}" d="{path}"/>"##
            ));
        }
        self.push(format_args!("</g>"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_out_where_they_were() {
        let mut canvas = Canvas::new(8.0, 8.0);
        canvas.gray((2.0, 4.0), 4.0, 2, &[0, 0, 90, 200]);
        let png = canvas.finish().png(1.0).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_luma8();
        let at = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!([at(2, 4), at(5, 5), at(2, 6), at(5, 7)], [0, 0, 90, 200]);
        assert_eq!([at(1, 4), at(6, 4), at(2, 3)], [255; 3]);
    }
}
