//! Pauses between attempts: doubling, capped, and jittered so that devices that lost the same power
//! supply or server don't come back in step.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pauses of one camera.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    current: Duration,
    random: u64,
}

impl Backoff {
    /// Pauses from `first` to `longest`.
    #[must_use]
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            current: first,
            // RandomState is seeded by the system; xorshift only has to start off zero.
            random: RandomState::new().hash_one(0) | 1,
        }
    }

    /// The next pause: between half of the current step and all of it; the step then doubles.
    pub(super) fn next_pause(&mut self) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = 0.5 + (self.random >> 11) as f64 / (1u64 << 54) as f64;
        let pause = self.current.mul_f64(share);
        self.current = (self.current * 2).min(self.longest);
        pause
    }

    /// Starts again from the first pause when the camera has worked for longer than the current step:
    /// a camera that dies at once each time is left alone for longer and longer.
    pub(super) fn after(&mut self, worked: Duration) {
        if worked > self.current {
            self.current = self.first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    #[test]
    fn pauses_double_up_to_the_cap_and_never_leave_their_step() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let mut step = FIRST;
        for _ in 0..20 {
            let pause = backoff.next_pause();
            assert!(pause >= step / 2 && pause <= step, "{pause:?} of {step:?}");
            step = (step * 2).min(LONGEST);
        }
    }

    #[test]
    fn two_cameras_do_not_pause_alike() {
        let mut pauses = [
            Backoff::new(FIRST, LONGEST).next_pause(),
            Backoff::new(FIRST, LONGEST).next_pause(),
            Backoff::new(FIRST, LONGEST).next_pause(),
        ];
        pauses.sort();
        assert!(pauses[0] < pauses[2]);
    }

    #[test]
    fn only_a_camera_that_worked_for_a_while_is_trusted_again() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        for _ in 0..4 {
            backoff.next_pause();
        }
        backoff.after(Duration::from_secs(1));
        assert!(backoff.next_pause() > FIRST);
        backoff.after(Duration::from_secs(60));
        assert!(backoff.next_pause() <= FIRST);
    }
}
