//! Early exit: a face that has hardly changed since the model saw it keeps its scores.
//!
//! The first stage of a cascade, after Teerapittayanon, McDanel and Kung 2016 ("BranchyNet"): what is easy takes a
//! cheap way. Here the cheap way is the difference of two tiles. A tile is always compared with the one that the model
//! saw, never with the last one, so that slow changes add up. A pure state machine: no images but tiles, no clock.

use fer_models::argmax;

/// Settings of [`Reuse`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Largest mean difference of two tiles' pixels, in grey levels of 0 to 255.
    pub difference: f32,
    /// Least score of the best label: what was hard to tell is looked at again.
    pub score: f32,
    /// How many times in a row scores are kept, at most; 0 judges every face anew.
    pub frames: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // tools/bench/cascade.py: up to 6 no decision changes
            difference: 4.0,
            score: 0.5,
            frames: 5,
        }
    }
}

impl Settings {
    /// Every face is judged anew.
    pub const OFF: Self = Self {
        difference: 0.0,
        score: 1.0,
        frames: 0,
    };
}

/// What is known of a face.
#[derive(Debug, Clone)]
struct Face {
    id: u64,
    /// What the model saw.
    tile: Vec<u8>,
    /// What it said; empty until it has.
    scores: Vec<f32>,
    /// How many times in a row its word was taken.
    times: u32,
}

/// The faces that the model saw last, by their tracks.
#[derive(Debug, Clone, Default)]
pub struct Reuse {
    settings: Settings,
    faces: Vec<Face>,
}

impl Reuse {
    /// A memory without faces.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            faces: Vec::new(),
        }
    }

    /// Goes on with other settings; what is known stays.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Whether face `id`, which looks like `tile`, keeps its scores. If not, `tile` is what it looks like from now on, and
    /// [`learn`](Self::learn) has to follow.
    pub fn keeps(&mut self, id: u64, tile: &[u8]) -> bool {
        let Settings {
            difference,
            score,
            frames,
        } = self.settings;
        let at = self.faces.iter().position(|face| face.id == id);
        let Some(face) = at.map(|at| &mut self.faces[at]) else {
            self.faces.push(Face {
                id,
                tile: tile.to_vec(),
                scores: Vec::new(),
                times: 0,
            });
            return false;
        };
        let sure = |face: &Face| {
            let best = face.scores.get(argmax(&face.scores));
            best.is_some_and(|&best| best >= score)
        };
        if face.times < frames && sure(face) && mean_difference(&face.tile, tile) <= difference {
            face.times += 1;
            return true;
        }
        face.tile.clear();
        face.tile.extend_from_slice(tile);
        face.scores.clear();
        face.times = 0;
        false
    }

    /// Takes in what the model says of face `id`; of an unknown face, nothing.
    pub fn learn(&mut self, id: u64, scores: &[f32]) {
        if let Some(face) = self.faces.iter_mut().find(|face| face.id == id) {
            face.scores.clear();
            face.scores.extend_from_slice(scores);
        }
    }

    /// What the model said of face `id`; empty where it has said nothing.
    #[must_use]
    pub fn scores(&self, id: u64) -> &[f32] {
        let face = self.faces.iter().find(|face| face.id == id);
        face.map_or(&[], |face| &face.scores)
    }

    /// Forgets every face for which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        self.faces.retain(|face| keep(face.id));
    }
}

/// The mean absolute difference of two pictures; infinite where their sizes differ.
fn mean_difference(a: &[u8], b: &[u8]) -> f32 {
    if a.len() != b.len() || a.is_empty() {
        return f32::INFINITY;
    }
    let sum: u32 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| u32::from(a.abs_diff(b)))
        .sum();
    sum as f32 / a.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SURE: [f32; 2] = [0.9, 0.1];

    fn learned(settings: Settings, scores: &[f32]) -> Reuse {
        let mut reuse = Reuse::new(settings);
        assert!(!reuse.keeps(1, &[100; 4]));
        reuse.learn(1, scores);
        reuse
    }

    #[test]
    fn a_still_face_keeps_its_scores_for_a_while() {
        let mut reuse = learned(Settings::default(), &SURE);
        for _ in 0..Settings::default().frames {
            assert!(reuse.keeps(1, &[101; 4]));
            assert_eq!(reuse.scores(1), SURE);
        }
        assert!(!reuse.keeps(1, &[101; 4]));
    }

    #[test]
    fn a_face_that_changes_slowly_is_looked_at_again() {
        let settings = Settings {
            difference: 2.0,
            ..Settings::default()
        };
        let mut reuse = learned(settings, &SURE);
        assert!(reuse.keeps(1, &[101; 4]));
        assert!(reuse.keeps(1, &[102; 4]));
        assert!(!reuse.keeps(1, &[103; 4]));
    }

    #[test]
    fn a_face_that_was_hard_to_tell_is_looked_at_again() {
        let mut reuse = learned(Settings::default(), &[0.45, 0.3, 0.25]);
        assert!(!reuse.keeps(1, &[100; 4]));
    }

    #[test]
    fn off_means_every_face() {
        let mut reuse = learned(Settings::OFF, &[1.0, 0.0]);
        assert!(!reuse.keeps(1, &[100; 4]));
    }

    #[test]
    fn a_face_that_the_model_failed_on_is_looked_at_again() {
        let mut reuse = Reuse::default();
        assert!(!reuse.keeps(1, &[0; 4]));
        assert!(!reuse.keeps(1, &[0; 4]));
        assert_eq!(reuse.scores(1), [0.0f32; 0]);
    }

    #[test]
    fn faces_do_not_mix_and_are_forgotten() {
        let mut reuse = learned(Settings::default(), &SURE);
        assert!(!reuse.keeps(2, &[100; 4]));
        reuse.learn(2, &[0.2, 0.8]);
        assert_eq!((reuse.scores(1)[0], reuse.scores(2)[0]), (0.9, 0.2));
        reuse.retain(|id| id == 2);
        assert!(!reuse.keeps(1, &[100; 4]));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_close_to_what_the_model_saw(
            tiles in proptest::collection::vec(proptest::array::uniform4(90u8..110), 1..60),
        ) {
            let mut reuse = Reuse::default();
            let mut saw: Option<[u8; 4]> = None;
            let mut kept = 0;
            for tile in tiles {
                if reuse.keeps(7, &tile) {
                    kept += 1;
                    prop_assert!(kept <= Settings::default().frames);
                    let saw = saw.expect("the first is new");
                    prop_assert!(mean_difference(&saw, &tile) <= Settings::default().difference);
                } else {
                    kept = 0;
                    saw = Some(tile);
                    reuse.learn(7, &SURE);
                }
            }
        }
    }
}
