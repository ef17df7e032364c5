//! Who is in the picture, and whether that is news.
//!
//! A detector misses a face now and then. Without a hold-off each miss would be a farewell and a
//! welcome on the wire, so a face counts as gone only after a while.
//!
//! The tracker is less patient: who is missed for longer than it waits comes back as somebody else. So
//! a new face takes the place of one that is missing, or one person would count as two.

use std::time::{Duration, Instant};

use crate::publish::{Face, Observation};

/// A face that is there, or was a moment ago.
#[derive(Debug)]
pub(super) struct Held {
    /// Whether the last frame shows it.
    pub(super) present: bool,
    /// Its last decision.
    pub(super) face: Face,
    /// When it came.
    pub(super) since: Instant,
    /// When it was last seen.
    pub(super) seen: Instant,
}

/// What happened to a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// It came.
    New,
    /// Its label changed.
    Update,
    /// It went.
    End,
}

/// The faces that are there. In a steady picture nothing is allocated.
#[derive(Debug)]
pub(super) struct Presence {
    held: Vec<Held>,
    spare: Vec<Held>,
    hold: Duration,
}

impl Presence {
    pub(super) fn new(hold: Duration) -> Self {
        Self {
            held: Vec::new(),
            spare: Vec::new(),
            hold,
        }
    }

    /// The faces that are there, those that came first in front.
    pub(super) fn faces(&self) -> &[Held] {
        &self.held
    }

    /// Takes in what a frame shows; `report` gets each change.
    ///
    /// A picture that has a file's name is no frame of a stream: the next one shows other people, so
    /// nobody is held over.
    pub(super) fn update(
        &mut self,
        shown: &Observation,
        now: Instant,
        mut report: impl FnMut(Change, &Held),
    ) {
        self.held.iter_mut().for_each(|held| held.present = false);
        for face in &shown.faces {
            if let Some(held) = self.held.iter_mut().find(|held| held.face.id == face.id) {
                let changed = held.face.label != face.label;
                copy(face, &mut held.face);
                held.seen = now;
                held.present = true;
                if changed {
                    report(Change::Update, held);
                }
            }
        }
        // In a second round, because only now it is known who is missing.
        for face in &shown.faces {
            if self.held.iter().any(|held| held.face.id == face.id) {
                continue;
            }
            if let Some(place) = self.nearest_missing(face) {
                self.farewell(place, &mut report);
            }
            let held = self.welcome(face, now);
            report(Change::New, held);
        }
        let hold = if shown.file.is_empty() {
            self.hold
        } else {
            Duration::ZERO
        };
        let gone =
            |held: &Held| !held.present && (hold.is_zero() || now.duration_since(held.seen) > hold);
        while let Some(place) = self.held.iter().position(gone) {
            self.farewell(place, &mut report);
        }
    }

    /// Place of the face that the frame doesn't show and that was last seen nearest to this one.
    fn nearest_missing(&self, face: &Face) -> Option<usize> {
        let missing = self
            .held
            .iter()
            .enumerate()
            .filter(|(_, held)| !held.present);
        let apart = |held: &Held| distance(&held.face, face);
        missing
            .min_by(|(_, one), (_, other)| apart(one).total_cmp(&apart(other)))
            .map(|(place, _)| place)
    }

    fn farewell(&mut self, place: usize, report: &mut impl FnMut(Change, &Held)) {
        let held = self.held.remove(place);
        report(Change::End, &held);
        self.spare.push(held);
    }

    fn welcome(&mut self, face: &Face, now: Instant) -> &Held {
        let mut held = self.spare.pop().unwrap_or_else(|| Held {
            present: true,
            face: face.clone(),
            since: now,
            seen: now,
        });
        copy(face, &mut held.face);
        held.present = true;
        held.since = now;
        held.seen = now;
        self.held.push(held);
        &self.held[self.held.len() - 1]
    }
}

/// Like `clone_from`, but keeps the vector of scores.
fn copy(from: &Face, to: &mut Face) {
    let mut scores = std::mem::take(&mut to.scores);
    scores.clone_from(&from.scores);
    *to = Face { scores, ..*from };
}

/// Square of the distance between the centres of two faces.
fn distance(one: &Face, other: &Face) -> f32 {
    let (a, b) = (&one.rect, &other.rect);
    let x = (a.x + a.width / 2.0) - (b.x + b.width / 2.0);
    let y = (a.y + a.height / 2.0) - (b.y + b.height / 2.0);
    x * x + y * y
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::publish::fixture::{face, observation};

    struct Watch(Presence, Instant);

    impl Watch {
        fn new() -> Self {
            Self(Presence::new(Duration::from_millis(500)), Instant::now())
        }

        fn at(&mut self, ms: u64, faces: &[Face]) -> Vec<(Change, u64)> {
            self.shown(ms, &observation(faces.to_vec()))
        }

        fn shown(&mut self, ms: u64, shown: &Observation) -> Vec<(Change, u64)> {
            let mut changes = Vec::new();
            let now = self.1 + Duration::from_millis(ms);
            self.0.update(shown, now, |change, held| {
                changes.push((change, held.face.id));
            });
            changes
        }

        fn ids(&self) -> Vec<u64> {
            self.0.faces().iter().map(|held| held.face.id).collect()
        }
    }

    fn face_at(id: u64, x: f32) -> Face {
        let mut face = face(id, 0);
        face.rect.x = x;
        face
    }

    #[test]
    fn a_face_comes_changes_and_goes_once() {
        let mut watch = Watch::new();
        assert_eq!(watch.at(0, &[face(1, 0)]), [(Change::New, 1)]);
        assert_eq!(watch.at(33, &[face(1, 0)]), []);
        assert_eq!(watch.at(66, &[face(1, 1)]), [(Change::Update, 1)]);
        assert_eq!(watch.at(600, &[]), [(Change::End, 1)]);
        assert_eq!(watch.at(633, &[]), []);
        assert!(watch.0.faces().is_empty());
    }

    #[test]
    fn a_face_that_is_missed_for_a_moment_stays() {
        let mut watch = Watch::new();
        watch.at(0, &[face(1, 0), face(2, 0)]);
        assert_eq!(watch.at(400, &[face(2, 0)]), []);
        assert_eq!(watch.at(500, &[face(1, 0), face(2, 0)]), []);
        assert_eq!(watch.at(900, &[face(2, 0)]), []);
        assert_eq!(watch.at(1001, &[face(2, 0)]), [(Change::End, 1)]);
        assert_eq!(watch.0.faces().len(), 1);
    }

    #[test]
    fn those_who_came_first_stay_in_front() {
        let mut watch = Watch::new();
        watch.at(0, &[face(7, 0)]);
        watch.at(10, &[face(9, 0), face(7, 1)]);
        assert_eq!(watch.ids(), [7, 9]);
    }

    #[test]
    fn who_comes_back_under_another_number_is_not_counted_twice() {
        let mut watch = Watch::new();
        watch.at(0, &[face(1, 0)]);
        assert_eq!(watch.at(300, &[]), []);
        assert_eq!(watch.ids(), [1]);
        let changes = watch.at(400, &[face(2, 0)]);
        assert_eq!(changes, [(Change::End, 1), (Change::New, 2)]);
        assert_eq!(watch.ids(), [2]);
        assert_eq!(watch.at(2000, &[face(2, 0)]), []);
    }

    #[test]
    fn a_new_face_replaces_the_nearest_that_is_missing_and_nobody_who_is_there() {
        let mut watch = Watch::new();
        watch.at(0, &[face_at(1, 0.0), face_at(2, 300.0), face_at(3, 600.0)]);
        let changes = watch.at(100, &[face_at(4, 310.0), face_at(3, 600.0)]);
        assert_eq!(changes, [(Change::End, 2), (Change::New, 4)]);
        assert_eq!(watch.ids(), [1, 3, 4]);
        let all = [face_at(5, 0.0), face_at(1, 0.0), face_at(3, 600.0)];
        assert_eq!(watch.at(133, &all), [(Change::End, 4), (Change::New, 5)]);
        let mut all = all.to_vec();
        all.push(face_at(6, 0.0));
        assert_eq!(watch.at(166, &all), [(Change::New, 6)]);
        assert_eq!(watch.ids(), [1, 3, 5, 6]);
    }

    #[test]
    fn pictures_that_are_no_stream_hold_nobody_over() {
        let mut watch = Watch::new();
        let picture = |ids: &[u64]| {
            let mut shown = observation(ids.iter().map(|&id| face(id, 0)).collect());
            shown.file = "a.png".to_owned();
            shown
        };
        watch.shown(0, &picture(&[1, 2, 3]));
        let changes = watch.shown(0, &picture(&[4]));
        let expected = [
            (Change::End, 1),
            (Change::New, 4),
            (Change::End, 2),
            (Change::End, 3),
        ];
        assert_eq!(changes, expected);
        assert_eq!(watch.shown(1, &picture(&[])), [(Change::End, 4)]);
    }

    proptest! {
        /// Whoever comes and goes: for each number `new` and `end` take turns, and nobody counts who was not seen at
        /// the same time as all others.
        #[test]
        fn events_are_paired_and_nobody_counts_twice(
            frames in prop::collection::vec((1u64..400, prop::collection::btree_set(1u64..7, 0..4)), 1..60),
        ) {
            let mut watch = Watch::new();
            let mut there = BTreeSet::new();
            let (mut now, mut most) = (0, 0);
            for (step, ids) in frames {
                now += step;
                most = most.max(ids.len());
                let faces: Vec<_> = ids.iter().map(|&id| face(id, 0)).collect();
                for (change, id) in watch.at(now, &faces) {
                    let proper = match change {
                        Change::New => there.insert(id),
                        Change::Update => there.contains(&id),
                        Change::End => there.remove(&id),
                    };
                    prop_assert!(proper, "{:?} {}", change, id);
                }
                let held: BTreeSet<u64> = watch.ids().into_iter().collect();
                prop_assert_eq!(&held, &there);
                prop_assert!(ids.is_subset(&there));
                prop_assert!(there.len() <= most, "{:?}", there);
            }
        }
    }
}
