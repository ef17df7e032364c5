//! The whole funnel.

use std::num::NonZeroUsize;

use crate::bilinear::Bilinear;
use crate::boosted::Hit;
use crate::contrast;
use crate::gray::{Gray, Picture};
use crate::lab::Codes;
use crate::mlp::Scratch;
use crate::model::{Model, ModelError};
use crate::nms::Thinning;
use crate::shrink::Shrink;
use crate::window::{Cutter, SIDE, Window};

/// Each level of the pyramid is this much of the one below.
const SHRINK: f32 = 0.8;
/// Overlap beyond which windows between two sieves become one.
const SAME_WINDOW: f32 = 0.8;
/// Overlap beyond which windows at the end are of the same face.
const SAME_FACE: f32 = 0.3;

/// Smallest face that makes sense: its picture is enlarged so often that it has the cascade's size.
const LEAST_FACE: f32 = 10.0;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Side of the smallest face to find, in pixels. What is below 10, or not a number, counts as 10.
    pub min_face: f32,
    /// Faces below this score are dropped; useful scores lie between 0.9 and 4.5.
    pub min_score: f32,
    /// How far the window moves at a time, in pixels of each level of the pyramid.
    pub step: NonZeroUsize,
}

impl Default for Search {
    /// Faces from 40 pixels on, score 2, step 4.
    fn default() -> Self {
        const STEP: NonZeroUsize = NonZeroUsize::new(4).unwrap();
        Self {
            min_face: SIDE as f32,
            min_score: 2.0,
            step: STEP,
        }
    }
}

/// A face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Left edge, in pixels of the picture; may lie outside it.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height; differs from the width where shrinking the picture had to round its sides.
    pub height: f32,
    /// How sure the cascade is: about 1 for each window that ended here.
    pub score: f32,
}

/// A cascade and the memory that it works in.
#[derive(Debug)]
pub struct Detector {
    model: Model,
    shrink: Shrink,
    base: Picture,
    sieve: Sieve,
    thinning: Thinning,
    /// Windows that each boosted classifier let through.
    passed: Vec<Vec<Window>>,
    windows: Vec<Window>,
    kept: Vec<Window>,
    cutter: Cutter,
    scratch: Scratch,
}

impl Detector {
    /// A detector from the content of a model file.
    ///
    /// # Errors
    /// Returns an error, naming the field, when this isn't a cascade for frontal faces.
    pub fn new(model: &[u8]) -> Result<Self, ModelError> {
        let model = Model::read(model)?;
        Ok(Self {
            passed: model.boosted.iter().map(|_| Vec::new()).collect(),
            model,
            shrink: Shrink::default(),
            base: Picture::default(),
            sieve: Sieve::default(),
            thinning: Thinning::default(),
            windows: Vec::new(),
            kept: Vec::new(),
            cutter: Cutter::default(),
            scratch: Scratch::default(),
        })
    }

    /// Replaces the content of `faces` with the faces in `picture`, the surest first.
    pub fn detect(&mut self, picture: Gray<'_>, search: &Search, faces: &mut Vec<Face>) {
        faces.clear();
        let scale = SIDE as f32 / search.min_face.max(LEAST_FACE);
        let scaled = |length: usize| (length as f32 * scale).round() as usize;
        let (width, height) = (scaled(picture.width()), scaled(picture.height()));
        if width.min(height) < SIDE {
            return;
        }
        let base = if (width, height) == (picture.width(), picture.height()) {
            picture
        } else {
            self.base.reshape(width, height);
            self.shrink.run(picture, &mut self.base);
            self.base.view()
        };
        // A longer step than the picture finds the same one window, and needs no more memory.
        let step = search.step.get().min(width.max(height));
        self.sieve.run(&self.model, base, step, &mut self.passed);

        self.windows.clear();
        for &source in &self.model.sources {
            self.thinning
                .run(&self.passed[source], SAME_WINDOW, &mut self.windows);
        }
        let levels = self.model.levels.len();
        for (i, networks) in self.model.levels.iter().enumerate() {
            for (k, network) in networks.iter().enumerate() {
                self.kept.clear();
                for window in &self.windows {
                    if let Some((patch, window)) = self.cutter.cut(base, window)
                        && let Some(verdict) = network.judge(patch, &mut self.scratch)
                    {
                        self.kept.push(window.moved(verdict));
                    }
                }
                let most = match (k + 1 < networks.len(), i + 1 < levels) {
                    (true, _) => Some(SAME_WINDOW),
                    (false, false) => Some(SAME_FACE),
                    (false, true) => None,
                };
                match most {
                    Some(most) => {
                        self.windows.clear();
                        self.thinning.run(&self.kept, most, &mut self.windows);
                    }
                    None => std::mem::swap(&mut self.windows, &mut self.kept),
                }
            }
        }

        let across = picture.width() as f32 / width as f32;
        let down = picture.height() as f32 / height as f32;
        let sure = self.windows.iter();
        let sure = sure.filter(|window| window.score >= f64::from(search.min_score));
        faces.extend(sure.map(|window| Face {
            x: window.x as f32 * across,
            y: window.y as f32 * down,
            width: window.side as f32 * across,
            height: window.side as f32 * down,
            score: window.score as f32,
        }));
    }
}

/// The sliding window and what it looks through.
#[derive(Debug, Default)]
struct Sieve {
    bilinear: Bilinear,
    level: Picture,
    codes: Codes,
    sums: Vec<f32>,
    hits: Vec<Hit>,
}

impl Sieve {
    /// Fills each classifier's list with the windows of `base` and its pyramid that it lets through.
    fn run(&mut self, model: &Model, base: Gray<'_>, step: usize, passed: &mut [Vec<Window>]) {
        for passed in passed.iter_mut() {
            passed.clear();
        }
        let smallest = SIDE as f32 / base.width().min(base.height()) as f32;
        let mut scale = 1.0;
        while scale >= smallest {
            let sides = [base.width(), base.height()].map(|side| (side as f32 * scale) as usize);
            let [width, height] = sides;
            // The last level's scale may have been rounded up, its sides down.
            if width.min(height) < SIDE {
                break;
            }
            let level = if scale == 1.0 {
                base
            } else {
                self.level.reshape(width, height);
                self.bilinear.resize(base, width, self.level.pixels_mut());
                self.level.view()
            };
            self.codes.compute(level, step);
            for y in (0..=height - SIDE).step_by(step) {
                for (boosted, passed) in model.boosted.iter().zip(passed.iter_mut()) {
                    boosted.search(&self.codes, y, step, &mut self.sums, &mut self.hits);
                    for hit in &self.hits {
                        if contrast::varies(level, hit.x, y) {
                            passed.push(Window::on_level(hit.x, y, scale, hit.score));
                        }
                    }
                }
            }
            scale *= SHRINK;
        }
    }
}
