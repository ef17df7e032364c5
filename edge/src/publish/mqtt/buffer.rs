//! Reports that the broker has not confirmed yet.
//!
//! This is why an outage loses nothing: rumqttc forgets what it was given when a connection ends, so
//! it is given little at a time, and everything stays here until its PubAck.

use std::collections::VecDeque;

/// A message that must not get lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// Where it goes.
    pub(super) kind: Kind,
    /// What it says.
    pub(super) payload: Vec<u8>,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The emotion; the broker keeps the last one.
    Emotion,
    /// A face came, changed or went.
    Event,
}

/// Reports in the order in which they were made: first those on their way, then those that wait.
#[derive(Debug)]
pub(super) struct Buffer {
    reports: VecDeque<Report>,
    on_their_way: usize,
    capacity: usize,
}

impl Buffer {
    /// For at most `capacity` reports, which must be more than ever are on their way at once.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            reports: VecDeque::new(),
            on_their_way: 0,
            capacity,
        }
    }

    /// Adds a report. Where there is no room, the oldest one that waits is dropped; returns whether
    /// that happened.
    pub(super) fn push(&mut self, report: Report) -> bool {
        let full = self.reports.len() >= self.capacity;
        if full {
            // Those before it may have arrived already.
            self.reports.remove(self.on_their_way);
        }
        self.reports.push_back(report);
        full
    }

    /// The oldest report that waits, which thereby is on its way.
    pub(super) fn send_next(&mut self) -> Option<&Report> {
        let report = self.reports.get(self.on_their_way)?;
        self.on_their_way += 1;
        Some(report)
    }

    /// The oldest report has arrived.
    pub(super) fn arrived(&mut self) {
        if self.on_their_way > 0 {
            self.on_their_way -= 1;
            self.reports.pop_front();
        }
    }

    /// The connection is gone: nobody knows what has arrived, so all of it waits again.
    pub(super) fn rewind(&mut self) {
        self.on_their_way = 0;
    }

    /// Reports that wait or are on their way.
    pub(super) fn len(&self) -> usize {
        self.reports.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(number: u8) -> Report {
        Report {
            kind: Kind::Emotion,
            payload: vec![number],
        }
    }

    fn send_all(buffer: &mut Buffer) -> Vec<u8> {
        std::iter::from_fn(|| buffer.send_next().map(|r| r.payload[0])).collect()
    }

    #[test]
    fn what_was_not_confirmed_is_sent_again_in_order() {
        let mut buffer = Buffer::new(8);
        (0..5).for_each(|n| assert!(!buffer.push(report(n))));
        assert_eq!(buffer.send_next(), Some(&report(0)));
        assert_eq!(buffer.send_next(), Some(&report(1)));
        buffer.arrived();
        buffer.rewind();
        assert_eq!(send_all(&mut buffer), [1, 2, 3, 4]);
        assert_eq!(buffer.len(), 4);
    }

    #[test]
    fn a_full_buffer_drops_the_oldest_that_waits_and_keeps_what_is_on_its_way() {
        let mut buffer = Buffer::new(3);
        (0..3).for_each(|n| assert!(!buffer.push(report(n))));
        buffer.send_next();
        assert!(buffer.push(report(3)));
        buffer.arrived();
        assert_eq!(send_all(&mut buffer), [2, 3]);
    }

    #[test]
    fn a_confirmation_of_nothing_changes_nothing() {
        let mut buffer = Buffer::new(3);
        buffer.push(report(0));
        buffer.arrived();
        assert_eq!(buffer.len(), 1);
    }
}
