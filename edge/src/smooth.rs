//! Makes a steady decision per face out of scores that flicker.
//!
//! Scores are averaged exponentially over time; the label changes only when another one leads by a
//! margin and the present one has stood for a minimum time. A pure state machine: time is passed in.

use fer_models::argmax;

/// Settings of [`Smoother`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Time constant of the average, in milliseconds; after it, new scores weigh 63 %.
    pub time_constant_ms: f32,
    /// How far another label must lead to take over, 0..=1.
    pub margin: f32,
    /// How long a label stands at least, in milliseconds.
    pub dwell_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_constant_ms: 400.0,
            margin: 0.1,
            dwell_ms: 500,
        }
    }
}

impl Settings {
    /// No smoothing: each frame decides alone.
    pub const RAW: Self = Self {
        time_constant_ms: 0.0,
        margin: 0.0,
        dwell_ms: 0,
    };
}

#[derive(Debug, Clone)]
struct State {
    id: u64,
    scores: Vec<f32>,
    label: usize,
    changed_ms: u64,
    updated_ms: u64,
}

/// The smoothed decision for one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'a> {
    /// Index of the label.
    pub label: usize,
    /// Averaged score of each label; they sum to 1.
    pub scores: &'a [f32],
}

/// Smooths the scores of each face.
#[derive(Debug, Clone, Default)]
pub struct Smoother {
    settings: Settings,
    states: Vec<State>,
}

impl Smoother {
    /// A smoother that knows no face yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            states: Vec::new(),
        }
    }

    /// Goes on with other settings; what was averaged so far stays.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes in the scores of face `id` at `now_ms`; the first ones decide at once.
    ///
    /// The number of scores must stay the same for a face.
    pub fn update(&mut self, id: u64, now_ms: u64, scores: &[f32]) -> Decision<'_> {
        let settings = self.settings;
        let at = self.states.iter().position(|state| state.id == id);
        let state = match at {
            Some(at) => {
                let state = &mut self.states[at];
                state.advance(settings, now_ms, scores);
                state
            }
            None => {
                self.states.push(State {
                    id,
                    scores: scores.to_vec(),
                    label: argmax(scores),
                    changed_ms: now_ms,
                    updated_ms: now_ms,
                });
                let last = self.states.len() - 1;
                &mut self.states[last]
            }
        };
        Decision {
            label: state.label,
            scores: &state.scores,
        }
    }

    /// Forgets every face for which `keep` says no.
    pub fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        self.states.retain(|state| keep(state.id));
    }
}

impl State {
    fn advance(&mut self, settings: Settings, now_ms: u64, scores: &[f32]) {
        let elapsed = now_ms.saturating_sub(self.updated_ms) as f32;
        let weight = if settings.time_constant_ms > 0.0 {
            1.0 - (-elapsed / settings.time_constant_ms).exp()
        } else {
            1.0
        };
        for (mean, &score) in self.scores.iter_mut().zip(scores) {
            // Exactly `score` for a weight of 1.
            *mean = weight * score + (1.0 - weight) * *mean;
        }
        self.updated_ms = self.updated_ms.max(now_ms);
        let best = argmax(&self.scores);
        let leads = self.scores[best] >= self.scores[self.label] + settings.margin;
        let stood = now_ms.saturating_sub(self.changed_ms) >= settings.dwell_ms;
        if best != self.label && leads && stood {
            self.label = best;
            self.changed_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HAPPY: [f32; 3] = [0.9, 0.05, 0.05];
    const SAD: [f32; 3] = [0.05, 0.9, 0.05];

    #[test]
    fn the_first_scores_decide_at_once() {
        let mut smoother = Smoother::default();
        assert_eq!(
            smoother.update(1, 0, &SAD),
            Decision {
                label: 1,
                scores: &SAD
            }
        );
    }

    #[test]
    fn one_odd_frame_changes_nothing() {
        let mut smoother = Smoother::default();
        for t in 0..20 {
            smoother.update(1, t * 66, &HAPPY);
        }
        assert_eq!(smoother.update(1, 1320, &SAD).label, 0);
        assert_eq!(smoother.update(1, 1386, &HAPPY).label, 0);
    }

    #[test]
    fn a_lasting_change_gets_through() {
        let mut smoother = Smoother::default();
        smoother.update(1, 0, &HAPPY);
        let changed = (1..40)
            .find(|t| smoother.update(1, t * 66, &SAD).label == 1)
            .unwrap();
        assert!((500..800).contains(&(changed * 66)), "{changed}");
    }

    #[test]
    fn a_label_stands_for_the_dwell_time() {
        let settings = Settings {
            time_constant_ms: 1.0,
            margin: 0.0,
            dwell_ms: 500,
        };
        let mut smoother = Smoother::new(settings);
        smoother.update(1, 0, &HAPPY);
        assert_eq!(smoother.update(1, 499, &SAD).label, 0);
        assert_eq!(smoother.update(1, 500, &SAD).label, 1);
        assert_eq!(smoother.update(1, 999, &HAPPY).label, 1);
        assert_eq!(smoother.update(1, 1000, &HAPPY).label, 0);
    }

    #[test]
    fn a_small_lead_is_not_enough() {
        let settings = Settings {
            time_constant_ms: 1.0,
            margin: 0.2,
            dwell_ms: 0,
        };
        let mut smoother = Smoother::new(settings);
        smoother.update(1, 0, &[0.5, 0.5]);
        assert_eq!(smoother.update(1, 1000, &[0.45, 0.55]).label, 0);
        assert_eq!(smoother.update(1, 2000, &[0.35, 0.65]).label, 1);
    }

    #[test]
    fn raw_follows_every_frame() {
        let mut smoother = Smoother::new(Settings::RAW);
        assert_eq!(smoother.update(1, 0, &HAPPY).label, 0);
        assert_eq!(
            smoother.update(1, 0, &SAD),
            Decision {
                label: 1,
                scores: &SAD
            }
        );
    }

    #[test]
    fn settings_change_without_forgetting_faces() {
        let mut smoother = Smoother::default();
        smoother.update(1, 0, &HAPPY);
        assert_eq!(smoother.update(1, 10, &SAD).label, 0);
        smoother.set(Settings::RAW);
        assert_eq!(smoother.update(1, 20, &SAD).label, 1);
    }

    #[test]
    fn faces_do_not_mix_and_are_forgotten() {
        let mut smoother = Smoother::default();
        smoother.update(1, 0, &HAPPY);
        assert_eq!(smoother.update(2, 0, &SAD).label, 1);
        smoother.retain(|id| id == 2);
        assert_eq!(smoother.update(1, 1, &SAD).label, 1);
        assert_eq!(smoother.states.len(), 2);
    }

    proptest! {
        #[test]
        fn scores_stay_a_distribution_even_when_time_jumps(
            steps in proptest::collection::vec((0u64..100_000, 0.0f32..1.0), 1..40),
        ) {
            let mut smoother = Smoother::default();
            for (now, p) in steps {
                let decision = smoother.update(7, now, &[p, 1.0 - p]);
                let sum: f32 = decision.scores.iter().sum();
                prop_assert!((sum - 1.0).abs() < 1e-4);
                prop_assert!(decision.scores.iter().all(|s| (0.0..=1.0).contains(s)));
            }
        }
    }
}
