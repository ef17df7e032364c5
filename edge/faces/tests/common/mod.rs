//! Pictures to search, what rustface finds in them, and random numbers without a crate.

use std::panic;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use fer_faces::{Detector, Face, Gray, Search};
use fer_models::{GrayView, resize};
use rustface::ImageData;

/// A generator (PCG's multiplier) whose seed a failing test prints.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// One of `range`.
    pub(crate) fn of(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        range.start() + self.bits() as usize % (range.end() - range.start() + 1)
    }
}

/// A picture of our own.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixels: Vec<u8>,
}

impl Picture {
    pub(crate) fn new(width: usize, height: usize, pixel: impl FnMut(usize) -> u8) -> Self {
        Self {
            width,
            height,
            pixels: (0..width * height).map(pixel).collect(),
        }
    }

    pub(crate) fn read(path: &Path) -> Self {
        let image = image::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let image = image.into_luma8();
        Self {
            width: image.width() as usize,
            height: image.height() as usize,
            pixels: image.into_raw(),
        }
    }

    pub(crate) fn resized(&self, width: usize, height: usize) -> Self {
        let mut to = Self::new(width, height, |_| 0);
        let view = GrayView::new(self.width, self.height, self.width, &self.pixels).unwrap();
        resize(view, width, height, &mut to.pixels);
        to
    }

    pub(crate) fn view(&self) -> Gray<'_> {
        Gray::new(self.width, self.height, self.width, &self.pixels).unwrap()
    }

    /// Draws what fits of a face's oval over the picture, its corner at `x`, `y`.
    pub(crate) fn draw(&mut self, face: &Self, side: usize, x: usize, y: usize) {
        let face = face.resized(side, side);
        for v in 0..side.min(self.height.saturating_sub(y)) {
            for u in 0..side.min(self.width.saturating_sub(x)) {
                let [a, b] = [u, v].map(|at| (at as f32 + 0.5) / side as f32 * 2.0 - 1.0);
                let cover = ((1.0 - a * a - b * b) * 4.0).clamp(0.0, 1.0);
                let under = &mut self.pixels[(y + v) * self.width + x + u];
                let over = f32::from(face.pixels[v * side + u]);
                *under = (f32::from(*under) * (1.0 - cover) + over * cover) as u8;
            }
        }
    }
}

/// The demo's faces, which show nobody.
pub(crate) fn demo_faces() -> Vec<Picture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/faces");
    let names = [
        "angry", "disgust", "fear", "happy", "neutral", "sad", "surprise",
    ];
    let path = |name: &str| folder.join(name).with_extension("png");
    names.map(|name| Picture::read(&path(name))).to_vec()
}

/// A wall with blotches, grain, and faces of `sides` somewhere on it.
pub(crate) fn scene(
    random: &mut Random,
    faces: &[Picture],
    (width, height): (usize, usize),
    sides: &[usize],
) -> Picture {
    let coarse = Picture::new(width / 16 + 2, height / 16 + 2, |_| {
        random.of(80..=170) as u8
    });
    let mut picture = coarse.resized(width, height);
    for pixel in &mut picture.pixels {
        *pixel += random.of(0..=6) as u8;
    }
    for &side in sides {
        let x = random.of(0..=width.saturating_sub(side / 2));
        let y = random.of(0..=height.saturating_sub(side / 2));
        picture.draw(&faces[random.of(0..=faces.len() - 1)], side, x, y);
    }
    picture
}

/// The model file inside rustface's package.
pub(crate) fn model() -> &'static [u8] {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let path = rustface_source();
        let inside = |folder: &Path| folder.join("model/seeta_fd_frontal_v1.0.bin");
        let file = path.ancestors().map(inside).find(|path| path.is_file());
        std::fs::read(file.expect("rustface's package has the model")).unwrap()
    })
}

/// A source file of rustface. Only a panic in it says where cargo has put the package.
fn rustface_source() -> std::path::PathBuf {
    static PLACE: Mutex<String> = Mutex::new(String::new());
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        if let Some(place) = info.location() {
            place.file().clone_into(&mut PLACE.lock().unwrap());
        }
    }));
    // No classifiers: the first thing that is looked for is missing.
    let empty = rustface::read_model(&[0u8; 4][..]).unwrap();
    let mut detector = rustface::create_detector_with_model(empty);
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        detector.set_slide_window_step(0, 0);
    }));
    panic::set_hook(hook);
    assert!(outcome.is_err());
    PLACE.lock().unwrap().as_str().into()
}

/// What fer-edge did before this crate: the frame shrunk until the smallest face has 40 pixels, then rustface.
pub(crate) struct Reference {
    inner: Box<dyn rustface::Detector>,
    scaled: Vec<u8>,
}

impl Reference {
    pub(crate) fn new() -> Self {
        let mut inner =
            rustface::create_detector_with_model(rustface::read_model(model()).unwrap());
        inner.set_pyramid_scale_factor(0.8);
        Self {
            inner,
            scaled: Vec::new(),
        }
    }

    pub(crate) fn detect(&mut self, picture: &Picture, search: &Search, faces: &mut Vec<Face>) {
        faces.clear();
        let Picture {
            width,
            height,
            ref pixels,
        } = *picture;
        let scale = 40.0 / search.min_face;
        let scaled = |length: usize| (length as f32 * scale).round() as usize;
        let (scaled_width, scaled_height) = (scaled(width), scaled(height));
        if scaled_width.min(scaled_height) < 40 {
            return;
        }
        let view = GrayView::new(width, height, width, pixels).unwrap();
        self.scaled.resize(scaled_width * scaled_height, 0);
        resize(view, scaled_width, scaled_height, &mut self.scaled);
        self.inner
            .set_score_thresh(f64::from(search.min_score).max(1e-6));
        let step = search.step.get() as u32;
        self.inner.set_slide_window_step(step, step);
        let image = ImageData::new(&self.scaled, scaled_width as u32, scaled_height as u32);
        let across = width as f32 / scaled_width as f32;
        let down = height as f32 / scaled_height as f32;
        faces.extend(self.inner.detect(&image).iter().map(|face| Face {
            x: face.bbox().x() as f32 * across,
            y: face.bbox().y() as f32 * down,
            width: face.bbox().width() as f32 * across,
            height: face.bbox().height() as f32 * down,
            score: face.score() as f32,
        }));
    }
}

/// Both detectors' faces.
pub(crate) struct Both {
    pub(crate) reference: Reference,
    pub(crate) detector: Detector,
}

impl Both {
    pub(crate) fn new() -> Self {
        Self {
            reference: Reference::new(),
            detector: Detector::new(model()).unwrap(),
        }
    }
}
