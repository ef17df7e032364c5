//! Who is in the picture, and whether that is news.
//!
//! A detector misses a face now and then. Without a hold-off each miss would be a farewell and a
//! welcome on the wire, so a face counts as gone only after a while.

use std::time::{Duration, Instant};

use crate::publish::Face;

/// A face that is there, or was a moment ago.
#[derive(Debug)]
pub(super) struct Held {
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
    pub(super) fn update(
        &mut self,
        faces: &[Face],
        now: Instant,
        mut report: impl FnMut(Change, &Held),
    ) {
        for face in faces {
            match self.held.iter_mut().find(|held| held.face.id == face.id) {
                Some(held) => {
                    let changed = held.face.label != face.label;
                    copy(face, &mut held.face);
                    held.seen = now;
                    if changed {
                        report(Change::Update, held);
                    }
                }
                None => {
                    let held = self.welcome(face, now);
                    report(Change::New, held);
                }
            }
        }
        let hold = self.hold;
        let gone = |held: &mut Held| now.duration_since(held.seen) > hold;
        while let Some(place) = self.held.iter_mut().position(gone) {
            let held = self.held.remove(place);
            report(Change::End, &held);
            self.spare.push(held);
        }
    }

    fn welcome(&mut self, face: &Face, now: Instant) -> &Held {
        let mut held = self.spare.pop().unwrap_or_else(|| Held {
            face: face.clone(),
            since: now,
            seen: now,
        });
        copy(face, &mut held.face);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::fixture::face;

    struct Watch(Presence, Instant);

    impl Watch {
        fn new() -> Self {
            Self(Presence::new(Duration::from_millis(500)), Instant::now())
        }

        fn at(&mut self, ms: u64, faces: &[Face]) -> Vec<(Change, u64)> {
            let mut changes = Vec::new();
            let now = self.1 + Duration::from_millis(ms);
            self.0.update(faces, now, |change, held| {
                changes.push((change, held.face.id))
            });
            changes
        }
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
        let order: Vec<_> = watch.0.faces().iter().map(|held| held.face.id).collect();
        assert_eq!(order, [7, 9]);
    }
}
