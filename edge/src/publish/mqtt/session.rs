//! What is to be sent next: the publisher's state, without network, clock or thread.
//!
//! Three kinds of messages are kept apart. *Levels* are retained; only their newest value matters, and
//! all of them are told again on each new connection. *Answers* matter to whoever asks now. *Reports*
//! wait in the [`Buffer`] until the broker has confirmed them. All go out with QoS 1, at most
//! [`WINDOW`] of them unconfirmed.

use std::collections::VecDeque;

use super::buffer::{Buffer, Kind, Report};
use super::commands::Answer;
use super::topics::Topics;

/// Most messages on their way at once: few are sent twice after an outage, and a round trip still
/// carries enough.
pub(super) const WINDOW: usize = 16;

/// Most answers that wait; who asks faster than that gets none.
const ANSWERS: usize = 32;

/// A retained value, in the order in which they are told on a new connection: `online` comes when
/// everything else is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Discovery,
    Camera,
    Enabled,
    Threshold,
    Faces,
    Health,
    Availability,
}

const LEVELS: [Level; 7] = [
    Level::Discovery,
    Level::Camera,
    Level::Enabled,
    Level::Threshold,
    Level::Faces,
    Level::Health,
    Level::Availability,
];

#[derive(Debug, Default)]
struct Value {
    payload: Vec<u8>,
    told: bool,
}

/// A message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) retain: bool,
}

/// A message on its way: the number that it travels under, once known, and whether it has arrived.
#[derive(Debug)]
struct Travelling {
    packet: Option<u16>,
    arrived: bool,
    is_report: bool,
}

/// The publisher's state.
#[derive(Debug)]
pub(super) struct Session {
    topics: Topics,
    connected: bool,
    stopping: bool,
    levels: [Value; LEVELS.len()],
    answers: VecDeque<Answer>,
    buffer: Buffer,
    travelling: VecDeque<Travelling>,
}

impl Session {
    pub(super) fn new(topics: Topics, buffer: usize) -> Self {
        Self {
            topics,
            connected: false,
            stopping: false,
            levels: Default::default(),
            answers: VecDeque::new(),
            buffer: Buffer::new(buffer),
            travelling: VecDeque::new(),
        }
    }

    /// Sets a level; it is told when it is new.
    pub(super) fn set(&mut self, level: Level, payload: &[u8]) {
        let value = &mut self.levels[level as usize];
        if value.payload != payload {
            value.payload.clear();
            value.payload.extend_from_slice(payload);
            value.told = false;
        }
    }

    /// Adds a report; returns whether an older one had to go for it.
    pub(super) fn report(&mut self, report: Report) -> bool {
        self.buffer.push(report)
    }

    /// Adds an answer.
    pub(super) fn answer(&mut self, answer: Answer) {
        if self.connected && self.answers.len() < ANSWERS {
            self.answers.push_back(answer);
        }
    }

    /// The connection stands.
    pub(super) fn connected(&mut self) {
        self.connected = true;
        self.tell_all();
    }

    /// Tells all levels again, as after a restart of Home Assistant or of a forgetful broker.
    pub(super) fn tell_all(&mut self) {
        self.levels.iter_mut().for_each(|value| value.told = false);
    }

    /// The connection is gone, and with it all knowledge about what was on its way.
    pub(super) fn lost(&mut self) {
        self.connected = false;
        self.travelling.clear();
        self.answers.clear();
        self.buffer.rewind();
    }

    /// Says goodbye after everything else.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        self.set(Level::Availability, b"stopped");
    }

    /// Whether everything has been sent and confirmed.
    pub(super) fn is_done(&self) -> bool {
        let told = |value: &Value| value.told || value.payload.is_empty();
        self.travelling.is_empty()
            && self.answers.is_empty()
            && self.buffer.len() == 0
            && self.levels.iter().all(told)
    }

    /// Reports that wait or are on their way.
    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The next message, which thereby is on its way; nothing while it has to wait.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        if !self.connected || self.travelling.len() >= WINDOW {
            return None;
        }
        let next = self.next_level(false).or_else(|| self.next_answer());
        let (outgoing, is_report) = match next {
            Some(outgoing) => (outgoing, false),
            None => match self.next_report() {
                Some(report) => (report, true),
                None => (self.next_level(true)?, false),
            },
        };
        self.travelling.push_back(Travelling {
            packet: None,
            arrived: false,
            is_report,
        });
        Some(outgoing)
    }

    /// A level that has to be told. The goodbye waits until it is the last word.
    fn next_level(&mut self, goodbye: bool) -> Option<Outgoing> {
        let level = LEVELS.into_iter().find(|&level| {
            let value = &self.levels[level as usize];
            let is_goodbye = self.stopping && level == Level::Availability;
            !value.told && !value.payload.is_empty() && is_goodbye == goodbye
        })?;
        let value = &mut self.levels[level as usize];
        value.told = true;
        Some(Outgoing {
            topic: self.topics.of(level).to_owned(),
            payload: value.payload.clone(),
            retain: true,
        })
    }

    fn next_answer(&mut self) -> Option<Outgoing> {
        let Answer { topic, payload } = self.answers.pop_front()?;
        Some(Outgoing {
            topic,
            payload,
            retain: false,
        })
    }

    fn next_report(&mut self) -> Option<Outgoing> {
        let report = self.buffer.send_next()?;
        let (topic, retain) = match report.kind {
            Kind::Emotion => (&self.topics.emotion, true),
            Kind::Event => (&self.topics.event, false),
        };
        Some(Outgoing {
            topic: topic.clone(),
            payload: report.payload.clone(),
            retain,
        })
    }

    /// The oldest message without a number travels under this one.
    pub(super) fn numbered(&mut self, packet: u16) {
        let unnumbered = |message: &&mut Travelling| message.packet.is_none();
        if let Some(message) = self.travelling.iter_mut().find(unnumbered) {
            message.packet = Some(packet);
        }
    }

    /// The message with this number has arrived.
    pub(super) fn confirmed(&mut self, packet: u16) {
        let is_it = |m: &&mut Travelling| m.packet == Some(packet) && !m.arrived;
        if let Some(message) = self.travelling.iter_mut().find(is_it) {
            message.arrived = true;
        }
        // Brokers confirm in order; one that does not is waited for, so that reports leave the
        // buffer from the front.
        while self.travelling.front().is_some_and(|m| m.arrived) {
            if self.travelling.pop_front().is_some_and(|m| m.is_report) {
                self.buffer.arrived();
            }
        }
    }
}

impl Topics {
    fn of(&self, level: Level) -> &str {
        match level {
            Level::Discovery => &self.discovery,
            Level::Camera => &self.camera,
            Level::Enabled => &self.enabled,
            Level::Threshold => &self.threshold,
            Level::Faces => &self.faces,
            Level::Health => &self.health,
            Level::Availability => &self.availability,
        }
    }
}

#[cfg(test)]
mod tests;
