//! Gives faces stable numbers: greedy matching of detections to tracks by overlap.
//!
//! A pure state machine in the manner of Bochinski, Eiselein and Sikora 2017 ("High-speed
//! tracking-by-detection without using image information"): no images, no clock of its own.

use fer_models::Rect;

use super::{Detection, iou};

/// Settings of [`Tracker`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Least overlap for a detection to continue a track, 0..=1.
    pub min_iou: f32,
    /// A track without a detection for longer than this is forgotten, in milliseconds.
    pub max_age_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_iou: 0.3,
            max_age_ms: 500,
        }
    }
}

/// A face that is followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Track {
    /// Number of this face, from 1; never used again.
    pub id: u64,
    /// Where it was last seen.
    pub rect: Rect,
    /// When it was last seen, in milliseconds of the source.
    pub seen_ms: u64,
}

/// Follows faces from detection to detection.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    settings: Settings,
    tracks: Vec<Track>,
    last_id: u64,
    pairs: Vec<(f32, usize, usize)>,
    taken_tracks: Vec<bool>,
    taken_faces: Vec<bool>,
}

impl Tracker {
    /// A tracker without tracks.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Goes on with other settings.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The faces that are followed, oldest first.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Forgets all faces; numbers go on.
    pub fn clear(&mut self) {
        self.tracks.clear();
    }

    /// Takes in what was detected at `now_ms`.
    ///
    /// Pairs are matched by falling overlap, so a detection continues the track it fits best, however long ago the last
    /// search was: whoever knows that nobody looked in between says so by [`clear`](Self::clear).
    pub fn update(&mut self, now_ms: u64, faces: &[Detection]) {
        self.pairs.clear();
        for (t, track) in self.tracks.iter().enumerate() {
            for (f, face) in faces.iter().enumerate() {
                let overlap = iou(&track.rect, &face.rect);
                if overlap >= self.settings.min_iou {
                    self.pairs.push((overlap, t, f));
                }
            }
        }
        self.pairs
            .sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        self.taken_tracks.clear();
        self.taken_tracks.resize(self.tracks.len(), false);
        self.taken_faces.clear();
        self.taken_faces.resize(faces.len(), false);
        for &(_, t, f) in &self.pairs {
            if !self.taken_tracks[t] && !self.taken_faces[f] {
                self.taken_tracks[t] = true;
                self.taken_faces[f] = true;
                self.tracks[t].rect = faces[f].rect;
                self.tracks[t].seen_ms = now_ms;
            }
        }
        for (face, taken) in faces.iter().zip(&self.taken_faces) {
            if !taken {
                self.last_id += 1;
                let track = Track {
                    id: self.last_id,
                    rect: face.rect,
                    seen_ms: now_ms,
                };
                self.tracks.push(track);
            }
        }
        self.age(now_ms);
    }

    /// Forgets the faces that were last seen too long ago.
    fn age(&mut self, now_ms: u64) {
        let max_age = self.settings.max_age_ms;
        self.tracks
            .retain(|track| now_ms.saturating_sub(track.seen_ms) <= max_age);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn face(x: f32, y: f32) -> Detection {
        Detection {
            rect: Rect {
                x,
                y,
                width: 100.0,
                height: 100.0,
            },
            score: 1.0,
        }
    }

    fn ids(tracker: &Tracker) -> Vec<u64> {
        tracker.tracks().iter().map(|t| t.id).collect()
    }

    #[test]
    fn moving_faces_keep_their_numbers_in_any_order() {
        let mut tracker = Tracker::default();
        tracker.update(0, &[face(0.0, 0.0), face(200.0, 0.0)]);
        assert_eq!(ids(&tracker), [1, 2]);
        tracker.update(100, &[face(210.0, 5.0), face(20.0, 0.0)]);
        assert_eq!(ids(&tracker), [1, 2]);
        assert_eq!(tracker.tracks()[0].rect.x, 20.0);
        assert_eq!(tracker.tracks()[1].rect.x, 210.0);
    }

    #[test]
    fn who_is_there_at_the_next_search_keeps_the_number_however_late_that_is() {
        let mut tracker = Tracker::default();
        tracker.update(0, &[face(0.0, 0.0), face(200.0, 0.0)]);
        tracker.update(50_000, &[face(5.0, 0.0)]);
        assert_eq!(ids(&tracker), [1]);
    }

    #[test]
    fn a_short_miss_is_bridged_and_a_long_one_is_not() {
        let mut tracker = Tracker::default();
        tracker.update(0, &[face(0.0, 0.0)]);
        tracker.update(400, &[]);
        assert_eq!(ids(&tracker), [1]);
        tracker.update(450, &[face(10.0, 0.0)]);
        assert_eq!(ids(&tracker), [1]);
        tracker.age(951);
        assert_eq!(ids(&tracker), [0u64; 0]);
        tracker.update(1000, &[face(10.0, 0.0)]);
        assert_eq!(ids(&tracker), [2]);
    }

    #[test]
    fn the_better_overlap_wins() {
        let mut tracker = Tracker::default();
        tracker.update(0, &[face(0.0, 0.0), face(60.0, 0.0)]);
        tracker.update(10, &[face(55.0, 0.0), face(5.0, 0.0)]);
        assert_eq!(tracker.tracks()[0].rect.x, 5.0);
        assert_eq!(tracker.tracks()[1].rect.x, 55.0);
    }

    proptest! {
        #[test]
        fn numbers_are_unique_and_ages_bounded(
            rounds in proptest::collection::vec(
                (0u64..400, proptest::collection::vec((-50f32..400.0, -50f32..400.0), 0..5)), 0..30),
        ) {
            let mut tracker = Tracker::default();
            let mut now = 0;
            for (step, faces) in rounds {
                now += step;
                let faces: Vec<_> = faces.iter().map(|&(x, y)| face(x, y)).collect();
                tracker.update(now, &faces);
                let mut seen = ids(&tracker);
                seen.dedup();
                prop_assert_eq!(seen.len(), tracker.tracks().len());
                prop_assert!(seen.is_sorted());
                prop_assert!(tracker.tracks().iter().all(|t| now - t.seen_ms <= 500));
                let current = tracker.tracks().iter().filter(|t| t.seen_ms == now).count();
                prop_assert!(current >= faces.len());
            }
        }
    }
}
