//! The first sieve: boosted classifiers, each a table lookup, that drop most windows after a few.
//!
//! Many windows of a row go through the same group of tables together: their sums don't wait for each other, and the
//! tables stay in the nearest cache.

use crate::lab::Codes;

/// Lookups between two looks at the sum.
pub(crate) const GROUP: usize = 10;
/// Values of a feature.
pub(crate) const VALUES: usize = 256;

/// One boosted classifier.
#[derive(Debug)]
pub(crate) struct Boosted {
    pub(crate) groups: Vec<Group>,
}

/// Lookups after which the sum must have reached a threshold.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) lookups: Vec<Lookup>,
    pub(crate) threshold: f32,
}

/// What each value of the feature at a place of the window says.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) weights: Box<[f32; VALUES]>,
}

/// A window of the row that is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// Its left edge.
    pub(crate) x: usize,
    pub(crate) score: f32,
}

impl Boosted {
    /// Fills `hits` with those windows of one row of windows that pass, from left to right.
    ///
    /// Windows start at row `y` and at every `step`-th column up to `last`.
    pub(crate) fn search(
        &self,
        codes: &Codes,
        (y, last): (usize, usize),
        step: usize,
        hits: &mut Vec<Hit>,
    ) {
        hits.clear();
        hits.extend((0..=last).step_by(step).map(|x| Hit { x, score: 0.0 }));
        for group in &self.groups {
            for lookup in &group.lookups {
                let row = codes.from(lookup.x, y + lookup.y);
                let row = &row[..=last];
                for hit in hits.iter_mut() {
                    hit.score += lookup.weights[usize::from(row[hit.x])];
                }
            }
            hits.retain(|hit| hit.score >= group.threshold);
            if hits.is_empty() {
                break;
            }
        }
    }
}
