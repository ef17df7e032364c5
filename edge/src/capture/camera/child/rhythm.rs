//! Notices that a child's pictures have another size than expected.
//!
//! Raw video has no markers: when each picture is some bytes longer or shorter, everything after the
//! first is torn, and no byte says so. But a picture comes in one burst and then there is a pause. A
//! pause that lies inside what we take for pictures, again and again, gives the wrong size away.

use std::time::Duration;

/// Weight of a pause inside a picture, against one for a pause between two. A wrong size now and then
/// happens to fit, and a busy machine now and then interrupts a child in the middle of a picture.
const INSIDE: u32 = 2;

/// Weight from which on the size is proven wrong: eight pictures in a row.
const PROOF: u32 = 16;

/// Where a child pauses.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// A shorter pause says nothing.
    least: Duration,
    before: Duration,
    inside: Duration,
    weight: u32,
}

impl Rhythm {
    /// For pictures that are this far apart.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            least: interval / 4,
            before: Duration::ZERO,
            inside: Duration::ZERO,
            weight: 0,
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
        // No pause at all, as when the child waits for us, says nothing.
        if self.inside > self.least && self.inside > self.before {
            self.weight += INSIDE;
        } else if self.before > self.least {
            self.weight = self.weight.saturating_sub(1);
        }
        self.before = Duration::ZERO;
        self.inside = Duration::ZERO;
        self.weight >= PROOF
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
    fn pauses_inside_pictures_are_proof() {
        assert!(feed(&mut Rhythm::new(33 * MS), 8, 0, 33));
        // Half as large again: every second picture starts where it should.
        let mut rhythm = Rhythm::new(33 * MS);
        let proven = (0..20).any(|_| {
            feed(&mut rhythm, 1, 0, 33) || feed(&mut rhythm, 1, 33, 0) || feed(&mut rhythm, 1, 0, 0)
        });
        assert!(proven);
    }

    #[test]
    fn a_good_child_is_never_accused() {
        let mut rhythm = Rhythm::new(33 * MS);
        assert!(!feed(&mut rhythm, 1000, 30, 3), "pauses between pictures");
        assert!(!feed(&mut rhythm, 1000, 0, 0), "a child that waits for us");
        for _ in 0..100 {
            assert!(!feed(&mut rhythm, 7, 0, 40), "a busy machine");
            assert!(!feed(&mut rhythm, 14, 33, 0));
        }
    }
}
