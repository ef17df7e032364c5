//! Pixels inside a vector picture: faces, and maps over faces.

use fer_models::GrayView;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::explain::Heat;

/// What speaks for a class, and what against it (Okabe and Ito's vermillion and blue: apart for
/// colour-blind eyes, and neither is a skin's grey).
const FOR: [f32; 3] = [213.0, 94.0, 0.0];
const AGAINST: [f32; 3] = [0.0, 114.0, 178.0];
/// How much of the face the strongest heat hides.
const COVER: f32 = 0.75;
/// Share of the strongest heat at which a white line is drawn, so that grey prints show it too.
const CONTOUR: f32 = 0.5;
/// Faces are enlarged to about this many pixels, so that maps are smooth.
const SIDE: usize = 160;

/// An RGB picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    /// `width * height` times red, green, blue.
    rgb: Vec<u8>,
}

impl Picture {
    /// A grey face of `side`×`side` pixels.
    ///
    /// # Panics
    /// When there are not as many, or none.
    pub fn face(side: usize, grey: &[u8]) -> Self {
        let rgb = grey.iter().flat_map(|&g| [g; 3]).collect();
        assert_eq!(grey.len(), side * side, "a square face");
        Self {
            width: side,
            height: side,
            rgb,
        }
    }

    /// The same with `heat` over it, strongest where the heat is: orange for, blue against. A white
    /// line runs around what has at least half of the strongest heat.
    ///
    /// # Panics
    /// As [`face`](Self::face).
    pub fn heat(side: usize, grey: &[u8], heat: &Heat) -> Self {
        let view = GrayView::new(side, side, side, grey).expect("a square face");
        let large = side * (SIDE / side).max(1);
        let mut face = vec![0; large * large];
        fer_models::resize(view, large, large, &mut face);
        let heat = heat.resized(large, large);
        let scale = match heat.strongest() {
            0.0 => 0.0,
            strongest => strongest.recip(),
        };
        let level: Vec<f32> = heat.values().iter().map(|v| v * scale).collect();
        let inside = |i: usize| level[i].abs() >= CONTOUR;
        let mut rgb = Vec::with_capacity(face.len() * 3);
        for (i, &grey) in face.iter().enumerate() {
            let right = i % large + 1 < large && inside(i) != inside(i + 1);
            let below = i + large < face.len() && inside(i) != inside(i + large);
            if right || below {
                rgb.extend([255; 3]);
                continue;
            }
            let colour = if level[i] < 0.0 { AGAINST } else { FOR };
            let cover = COVER * level[i].abs();
            let grey = f32::from(grey);
            rgb.extend(colour.map(|c| (grey + cover * (c - grey)).round() as u8));
        }
        Self {
            width: large,
            height: large,
            rgb,
        }
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// The pixels with full opacity.
    pub(super) fn rgba(&self) -> Vec<u8> {
        let (pixels, _) = self.rgb.as_chunks::<3>();
        pixels
            .iter()
            .flat_map(|&[r, g, b]| [r, g, b, 255])
            .collect()
    }

    /// A `data:` address of the picture as PNG.
    pub(super) fn address(&self) -> String {
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(
                &self.rgb,
                self.width as u32,
                self.height as u32,
                ExtendedColorType::Rgb8,
            )
            .expect("a whole picture written to memory");
        format!("data:image/png;base64,{}", base64(&png))
    }
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for place in 0..4 {
            text.push(if place > chunk.len() {
                '='
            } else {
                char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_rfcs() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn heat_colours_the_face_where_it_is() {
        let heat = Heat::new(2, 2, vec![1.0, 0.0, 0.0, -1.0]);
        let picture = Picture::heat(4, &[100; 16], &heat);
        let pixel = |x: usize, y: usize| &picture.rgb[(y * picture.width + x) * 3..][..3];
        let last = picture.width - 1;
        assert_eq!(pixel(last, 0), [100; 3], "no heat, no colour");
        let (hot, cold) = (pixel(0, 0), pixel(last, last));
        assert!(hot[0] > 150 && hot[2] < 60, "{hot:?}");
        assert!(cold[2] > 130 && cold[0] < 60, "{cold:?}");
        assert!(picture.rgb.chunks(3).any(|p| p == [255; 3]), "a contour");
        let none = Picture::heat(4, &[100; 16], &Heat::new(1, 1, vec![0.0]));
        assert!(none.rgb.iter().all(|&v| v == 100));
    }
}
