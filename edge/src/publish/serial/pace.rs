//! Keeps the kernel's buffer nearly empty.
//!
//! A port takes 4 KiB at once, which at 9600 baud is four seconds: reports would wait there and come late.
//! So no more is handed over than the line has had time to send; what waits, waits in the outbox, where the
//! oldest goes first.

use std::time::{Duration, Instant};

/// Start bit, eight bits, stop bit.
const BITS_PER_BYTE: u32 = 10;

/// How far the kernel may be ahead of the line, so that the line never idles.
const AHEAD: Duration = Duration::from_millis(50);

/// When the line will have sent what it was given.
#[derive(Debug)]
pub(super) struct Pace {
    byte_time: Duration,
    free_at: Instant,
}

impl Pace {
    /// A free line of this speed.
    pub(super) fn new(baud: u32, now: Instant) -> Self {
        Self {
            byte_time: Duration::from_secs(1) * BITS_PER_BYTE / baud,
            free_at: now,
        }
    }

    /// Counts bytes that the line was given.
    pub(super) fn given(&mut self, bytes: usize, now: Instant) {
        self.free_at = self.free_at.max(now) + self.byte_time * bytes as u32;
    }

    /// Until when to hold back, if at all.
    pub(super) fn hold(&self, now: Instant) -> Option<Instant> {
        (self.free_at > now + AHEAD).then(|| self.free_at - AHEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_bytes_holds_for_a_second_less_the_head_start() {
        let start = Instant::now();
        let mut pace = Pace::new(9600, start);
        assert_eq!(pace.hold(start), None);
        pace.given(40, start);
        assert_eq!(pace.hold(start), None, "42 ms are within the head start");
        pace.given(920, start);
        let until = pace.hold(start).unwrap() - start;
        assert!(
            until.abs_diff(Duration::from_millis(950)) < Duration::from_millis(1),
            "{until:?}"
        );
        assert_eq!(pace.hold(start + Duration::from_secs(1)), None);
    }

    #[test]
    fn an_idle_line_saves_nothing_up() {
        let start = Instant::now();
        let mut pace = Pace::new(1200, start);
        let later = start + Duration::from_secs(60);
        pace.given(120, later);
        assert!(pace.hold(later).is_some());
    }
}
