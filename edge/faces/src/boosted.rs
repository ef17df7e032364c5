//! The first sieve: boosted classifiers, each a table lookup, that drop most windows after a few.
//!
//! All windows of a row go through one table after another first: their sums don't wait for each other. The few that are
//! left after that go through the rest on their own.

use crate::lab::{self, Codes};
use crate::window::SIDE;

/// Lookups between two looks at the sum.
pub(crate) const GROUP: usize = 10;
/// Values of a feature.
pub(crate) const VALUES: usize = 256;

/// One boosted classifier.
#[derive(Debug)]
pub(crate) struct Boosted {
    pub(crate) first: Group,
    pub(crate) rest: Vec<Group>,
}

/// Lookups after which the sum must have reached a threshold.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) lookups: Box<[Lookup; GROUP]>,
    pub(crate) threshold: f32,
}

/// What each value of the feature at a place of the window says.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) weights: [f32; VALUES],
}

/// A window of the row that is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// Its left edge.
    pub(crate) x: usize,
    pub(crate) score: f32,
}

impl Group {
    /// How far from a window's first feature those of the lookups are.
    fn places(&self, codes: &Codes) -> [usize; GROUP] {
        let mut places = [0; GROUP];
        for (place, lookup) in places.iter_mut().zip(&*self.lookups) {
            *place = lookup.y * codes.width() + lookup.x;
        }
        places
    }
}

impl Boosted {
    /// Fills `hits` with those windows of one row of windows that pass, from left to right.
    ///
    /// Windows start at row `y` and at every `step`-th column; the features have `step` places to spare.
    pub(crate) fn search(
        &self,
        codes: &Codes,
        y: usize,
        step: usize,
        sums: &mut Vec<f32>,
        hits: &mut Vec<Hit>,
    ) {
        let row = codes.starting_at(y);
        let windows = (codes.width() + lab::SIDE - SIDE - 1) / step + 1;
        sums.clear();
        sums.resize(windows, 0.0);
        for (lookup, place) in self.first.lookups.iter().zip(self.first.places(codes)) {
            let features = row[place..].chunks_exact(step);
            for (sum, feature) in sums.iter_mut().zip(features) {
                *sum += lookup.weights[usize::from(feature[0])];
            }
        }
        hits.clear();
        let scored = sums.iter().enumerate();
        let passing = scored.filter(|(_, score)| **score >= self.first.threshold);
        hits.extend(passing.map(|(i, &score)| Hit { x: i * step, score }));
        for group in &self.rest {
            if hits.is_empty() {
                break;
            }
            let places = group.places(codes);
            hits.retain_mut(|hit| {
                let features = &row[hit.x..];
                for (lookup, place) in group.lookups.iter().zip(places) {
                    hit.score += lookup.weights[usize::from(features[place])];
                }
                hit.score >= group.threshold
            });
        }
    }
}
