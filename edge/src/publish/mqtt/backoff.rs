//! How long to wait before the next try to connect.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubles from try to try up to a cap. Each pause lies at random between half and all of it, so that
/// a hundred devices do not come back to a restarted broker in the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    cap: Duration,
    next: Duration,
    random: u64,
}

impl Backoff {
    pub(super) fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap,
            next: first,
            // The standard library's hash keys are the one source of randomness that needs no crate;
            // xorshift needs any number but zero.
            random: RandomState::new().hash_one("back-off") | 1,
        }
    }

    /// The pause before the next try.
    pub(super) fn pause(&mut self) -> Duration {
        let whole = self.next.min(self.cap);
        self.next = whole * 2;
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // The upper 53 bits as a fraction of 1.
        let fraction = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        whole.mul_f64(0.5 + 0.5 * fraction)
    }

    /// A connection ended that had stood for `stood`. Longer than the next pause would be, and pauses start from the
    /// beginning: a broker that takes a connection only to end it is asked less and less often. Returns whether they do.
    pub(super) fn after(&mut self, stood: Duration) -> bool {
        let worked = stood > self.next.min(self.cap);
        if worked {
            self.next = self.first;
        }
        worked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_start_again_after_a_success() {
        let (first, cap) = (Duration::from_millis(500), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, cap);
        for whole in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let whole = Duration::from_millis(whole);
            let pause = backoff.pause();
            assert!(
                pause >= whole / 2 && pause <= whole,
                "{pause:?} of {whole:?}"
            );
        }
        assert!(!backoff.after(Duration::from_secs(1)));
        assert!(backoff.pause() > cap / 3, "it was thrown out at once");
        assert!(backoff.after(Duration::from_secs(31)));
        assert!(backoff.pause() <= first);
    }

    #[test]
    fn pauses_differ() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second);
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
