//! Notices that a child's pictures have another size than expected.
//!
//! Raw video has no markers: when each picture is some bytes longer or shorter, everything after the
//! first is torn, and no byte says so. But a picture comes in one burst and then there is a pause. A
//! pause that lies inside what we take for pictures, again and again, gives the wrong size away.

use std::time::Duration;

/// Pictures in a row with their pause in the wrong place before that is taken as proof: one may be
/// the scheduler's doing.
const PROOF: u32 = 8;

/// Where a child pauses.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// A shorter pause says nothing.
    least: Duration,
    before: Duration,
    inside: Duration,
    suspicious: u32,
}

impl Rhythm {
    /// For pictures that are this far apart.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            least: interval / 4,
            before: Duration::ZERO,
            inside: Duration::ZERO,
            suspicious: 0,
        }
    }

    /// Notes that bytes were waited for, either the first of a picture or further ones.
    pub(super) fn pause(&mut self, first: bool, time: Duration) {
        if first {
            self.before += time;
        } else {
            self.inside = self.inside.max(time);
        }
    }

    /// Notes the end of a picture; returns whether the size is proven wrong.
    pub(super) fn picture(&mut self) -> bool {
        if self.inside > self.least && self.inside > self.before {
            self.suspicious += 1;
        } else {
            self.suspicious = 0;
        }
        self.before = Duration::ZERO;
        self.inside = Duration::ZERO;
        self.suspicious >= PROOF
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn feed(rhythm: &mut Rhythm, pictures: u32, before: u32, inside: u32) -> bool {
        (0..pictures).any(|_| {
            rhythm.pause(true, MS * before);
            rhythm.pause(false, MS);
            rhythm.pause(false, MS * inside);
            rhythm.picture()
        })
    }

    #[test]
    fn pauses_inside_every_picture_are_proof() {
        assert!(feed(&mut Rhythm::new(33 * MS), PROOF, 0, 33));
    }

    #[test]
    fn a_good_child_is_never_accused() {
        let mut rhythm = Rhythm::new(33 * MS);
        assert!(!feed(&mut rhythm, 1000, 30, 3), "pauses between pictures");
        assert!(!feed(&mut rhythm, 1000, 0, 0), "a child that waits for us");
        for _ in 0..100 {
            assert!(!feed(&mut rhythm, PROOF - 1, 0, 40), "a busy machine");
            assert!(!feed(&mut rhythm, 1, 33, 0));
        }
    }
}
