//! The built-in demo: averaged faces that move and change their expression over a drawn background.
//!
//! Each face is the average of all FER2013 training pictures of one class, so it shows nobody. The
//! frames are the same on every machine: only integer arithmetic and IEEE additions,
//! multiplications and divisions are used, no clock and no random numbers.

use super::{CaptureError, Frame, Pace, Source, Step, image};

/// Frame width in pixels.
pub const WIDTH: usize = 320;
/// Frame height in pixels.
pub const HEIGHT: usize = 240;
/// Frames per second.
pub const FPS: u64 = 15;
/// Frames in which every expression has been shown once; the demo ends then.
pub const FRAMES: u64 = EXPRESSIONS * HOLD;

/// Frames for which one expression lasts.
const HOLD: u64 = 30;
/// The last frames of an expression blend into the next.
const BLEND: u64 = 8;
const EXPRESSIONS: u64 = 7;
/// Side of the embedded faces.
const TILE: usize = 48;
/// The second face comes and goes within these frames, while the first is at the far right.
const SECOND: std::ops::Range<u64> = 75..135;

const FACES: [&[u8]; EXPRESSIONS as usize] = [
    include_bytes!("../../assets/faces/happy.png"),
    include_bytes!("../../assets/faces/surprise.png"),
    include_bytes!("../../assets/faces/neutral.png"),
    include_bytes!("../../assets/faces/sad.png"),
    include_bytes!("../../assets/faces/angry.png"),
    include_bytes!("../../assets/faces/fear.png"),
    include_bytes!("../../assets/faces/disgust.png"),
];

/// The demo source.
pub struct Demo {
    faces: Vec<Vec<u8>>,
    background: Vec<u8>,
    blended: Vec<u8>,
    seq: u64,
}

/// Where a face is drawn, in pixels, and how opaque.
struct Placement {
    centre_x: f32,
    centre_y: f32,
    side: f32,
    opacity: f32,
}

impl Demo {
    /// Decodes the embedded faces and draws the background.
    ///
    /// # Errors
    /// Returns an error when an embedded picture is damaged.
    pub fn new() -> Result<Self, CaptureError> {
        let mut faces = Vec::new();
        for bytes in FACES {
            let mut face = Frame::default();
            image::decode(bytes, u64::MAX, &mut face)
                .map_err(|e| CaptureError::format("demo", e))?;
            if (face.width, face.height) != (TILE, TILE) {
                return Err(CaptureError::format(
                    "demo",
                    "an embedded face is not 48x48",
                ));
            }
            faces.push(face.pixels);
        }
        let background = (0..WIDTH * HEIGHT)
            .map(|i| background(i % WIDTH, i / WIDTH))
            .collect();
        Ok(Self {
            faces,
            background,
            blended: vec![0; TILE * TILE],
            seq: 0,
        })
    }

    /// Mixes the expression of frame `seq` from one or two averages into `blended`.
    fn express(&mut self, seq: u64, offset: u64) {
        let now = seq / HOLD + offset;
        let into = (seq % HOLD).saturating_sub(HOLD - BLEND) as u32;
        let a = &self.faces[(now % EXPRESSIONS) as usize];
        let b = &self.faces[((now + 1) % EXPRESSIONS) as usize];
        for ((out, &a), &b) in self.blended.iter_mut().zip(a).zip(b) {
            let mixed = u32::from(a) * (BLEND as u32 - into) + u32::from(b) * into;
            *out = ((mixed + BLEND as u32 / 2) / BLEND as u32) as u8;
        }
    }

    fn draw(&self, place: &Placement, pixels: &mut [u8]) {
        let half = place.side / 2.0;
        let (left, top) = (place.centre_x - half, place.centre_y - half);
        let span = |from: f32, end: usize| {
            let first = (from.max(0.0) as usize).min(end);
            let last = ((from + place.side + 1.0).max(0.0) as usize).min(end);
            first..last
        };
        let columns = span(left, WIDTH);
        for y in span(top, HEIGHT) {
            let v = (y as f32 + 0.5 - top) / place.side;
            for x in columns.clone() {
                let u = (x as f32 + 0.5 - left) / place.side;
                let cover = oval(u, v) * place.opacity;
                if cover > 0.0 {
                    let pixel = &mut pixels[y * WIDTH + x];
                    let under = f32::from(*pixel);
                    *pixel = (under + (sample(&self.blended, u, v) - under) * cover + 0.5) as u8;
                }
            }
        }
    }
}

impl Source for Demo {
    fn name(&self) -> &str {
        "demo"
    }

    fn pace(&self) -> Pace {
        Pace::Recorded
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        let seq = self.seq;
        if seq == FRAMES {
            return Ok(Step::End);
        }
        self.seq += 1;
        frame.width = WIDTH;
        frame.height = HEIGHT;
        frame.seq = seq;
        frame.t_ms = seq * 1000 / FPS;
        frame.file.clear();
        frame.pixels.clear();
        frame.pixels.extend_from_slice(&self.background);
        self.express(seq, 0);
        self.draw(&first(seq), &mut frame.pixels);
        if let Some(place) = second(seq) {
            self.express(seq, 3);
            self.draw(&place, &mut frame.pixels);
        }
        Ok(Step::Frame)
    }
}

/// Left to right and back once, nodding and coming closer on the way.
fn first(seq: u64) -> Placement {
    Placement {
        centre_x: 75.0 + 165.0 * wave(seq, FRAMES),
        centre_y: 116.0 + 12.0 * wave(seq, 70),
        side: 120.0 + 20.0 * wave(seq, 90),
        opacity: 1.0,
    }
}

fn second(seq: u64) -> Option<Placement> {
    if !SECOND.contains(&seq) {
        return None;
    }
    let fade = (seq - SECOND.start + 1).min(SECOND.end - seq).min(BLEND);
    Some(Placement {
        centre_x: 62.0,
        centre_y: 132.0 - 10.0 * wave(seq, 60),
        side: 112.0,
        opacity: fade as f32 / BLEND as f32,
    })
}

/// A smooth 0 → 1 → 0 over `period` frames.
fn wave(seq: u64, period: u64) -> f32 {
    let at = seq % period;
    let t = 2.0 * at.min(period - at) as f32 / period as f32;
    t * t * (3.0 - 2.0 * t)
}

/// 1 inside the oval of the face, falling smoothly to 0 at the tile's border.
fn oval(u: f32, v: f32) -> f32 {
    let (x, y) = ((u - 0.5) / 0.47, (v - 0.5) / 0.5);
    let t = ((1.0 - (x * x + y * y)) / 0.25).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Bilinear sample at `u`, `v` in 0..1 of the tile.
fn sample(tile: &[u8], u: f32, v: f32) -> f32 {
    let at = |t: f32| {
        let t = (t * TILE as f32 - 0.5).clamp(0.0, TILE as f32 - 1.0);
        let low = (t as usize).min(TILE - 2);
        (low, t - low as f32)
    };
    let ((x, fx), (y, fy)) = (at(u), at(v));
    let row = |y: usize| {
        let (a, b) = (
            f32::from(tile[y * TILE + x]),
            f32::from(tile[y * TILE + x + 1]),
        );
        a + (b - a) * fx
    };
    let (a, b) = (row(y), row(y + 1));
    a + (b - a) * fy
}

/// A wall with soft blotches and a little grain.
fn background(x: usize, y: usize) -> u8 {
    let gradient = 96 + (y * 40 / HEIGHT) as u32;
    let blotches = noise(x, y, 40) * 28 / 255 + noise(x, y, 13) * 14 / 255;
    let grain = hash(x as u32, y as u32, 7) % 7;
    (gradient + blotches + grain) as u8
}

/// Value noise of the given cell size, 0..=255.
fn noise(x: usize, y: usize, cell: usize) -> u32 {
    let (cx, cy) = ((x / cell) as u32, (y / cell) as u32);
    let (fx, fy) = ((x % cell) as u32, (y % cell) as u32);
    let size = cell as u32;
    let corner = |dx, dy| hash(cx + dx, cy + dy, size) % 256;
    let top = corner(0, 0) * (size - fx) + corner(1, 0) * fx;
    let bottom = corner(0, 1) * (size - fx) + corner(1, 1) * fx;
    (top * (size - fy) + bottom * fy) / (size * size)
}

fn hash(x: u32, y: u32, salt: u32) -> u32 {
    let mut h =
        x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ salt.wrapping_mul(0xc2b2_ae3d);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over all frames.
    fn fingerprint() -> (u64, u64) {
        let mut demo = Demo::new().unwrap();
        let mut frame = Frame::default();
        let (mut frames, mut hash) = (0, 0xcbf2_9ce4_8422_2325_u64);
        while demo.next(&mut frame).unwrap() == Step::Frame {
            assert_eq!(frame.pixels.len(), WIDTH * HEIGHT);
            for &pixel in &frame.pixels {
                hash = (hash ^ u64::from(pixel)).wrapping_mul(0x0100_0000_01b3);
            }
            frames += 1;
        }
        (frames, hash)
    }

    /// Change the number when the faces or the drawing change on purpose.
    #[test]
    fn every_machine_draws_the_same_frames() {
        assert_eq!(fingerprint(), (FRAMES, 12_922_258_759_544_759_634));
    }

    #[test]
    fn faces_stay_inside_the_frame_and_apart() {
        for seq in 0..FRAMES {
            let a = first(seq);
            assert!(a.centre_x >= a.side / 2.0 && a.centre_x + a.side / 2.0 <= WIDTH as f32);
            assert!(a.centre_y >= a.side / 2.0 - 20.0);
            assert!(a.centre_y + a.side / 2.0 <= HEIGHT as f32);
            if let Some(b) = second(seq) {
                assert!(
                    a.centre_x - a.side / 2.0 > b.centre_x + b.side / 2.0,
                    "frame {seq}"
                );
            }
        }
    }
}
