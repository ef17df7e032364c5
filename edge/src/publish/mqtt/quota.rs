//! How often others may make us write into the log.

use std::time::{Duration, Instant};

/// Lines in a stretch of time; people who operate a device never notice the bound.
const LINES: u32 = 5;

/// That stretch.
const STRETCH: Duration = Duration::from_secs(1);

/// Counts lines, and those that were left out.
#[derive(Debug, Default)]
pub(super) struct Quota {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Quota {
    /// Whether a line may be written now; if so, how many were left out since the last one.
    pub(super) fn take(&mut self, now: Instant) -> Option<u64> {
        let over = |since| now.duration_since(since) >= STRETCH;
        if self.since.is_none_or(over) {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_a_second_and_what_was_left_out_is_told() {
        let mut quota = Quota::default();
        let start = Instant::now();
        let mut written = Vec::new();
        for ms in 0..2001 {
            written.extend(quota.take(start + Duration::from_millis(ms)));
        }
        assert_eq!(written, [0, 0, 0, 0, 0, 995, 0, 0, 0, 0, 995]);
    }
}
