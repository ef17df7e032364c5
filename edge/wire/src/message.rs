//! What the frames say.

use serde::{Deserialize, Serialize};

use crate::list::List;
use crate::size::{MAX_FACES, MAX_LABELS};

/// The second byte of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Hello`].
    Hello = 1,
    /// [`Emotion`].
    Emotion = 2,
    /// [`Status`].
    Status = 3,
}

impl Kind {
    /// The kind with this number, if this version knows it.
    #[must_use]
    pub fn known(number: u8) -> Option<Self> {
        [Self::Hello, Self::Emotion, Self::Status]
            .into_iter()
            .find(|&kind| kind as u8 == number)
    }
}

/// A message of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Who is talking, and what the numbers of the labels mean.
    Hello(Hello<'a>),
    /// What one frame of the camera showed.
    Emotion(Emotion),
    /// How the sender is.
    Status(Status),
}

/// Who is talking, and what the numbers of the labels mean. Sent first, after every break of the line
/// and every few seconds, so that a receiver may join at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// The sender's [`REVISION`](crate::REVISION).
    pub revision: u8,
    /// Program and version, such as `fer-edge 0.1.0`.
    pub firmware: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// The names of the labels, in the order of [`Face::scores`].
    #[serde(borrow)]
    pub labels: List<&'a str, MAX_LABELS>,
}

/// What one frame of the camera showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Emotion {
    /// When, in milliseconds on the sender's clock that never goes back.
    pub t_ms: u64,
    /// When, in seconds since 1970 UTC; absent while the sender's clock is not set.
    pub unix: Option<u32>,
    /// Number of the frame in its source, modulo 2³².
    pub frame: u32,
    /// Reports that the sender had to drop since it started, because the line was slow or away.
    pub dropped: u32,
    /// Faces in the frame, up to 255; more than [`Emotion::faces`] where they don't all fit.
    pub seen: u8,
    /// The faces, longest known first.
    pub faces: List<Face, MAX_FACES>,
}

/// The decision for one face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Face {
    /// Number of the face, the same from frame to frame, modulo 2³².
    pub id: u32,
    /// Left edge in pixels of the camera's frame; may lie outside it.
    pub x: i16,
    /// Upper edge.
    pub y: i16,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// The decision, smoothed over time: an index into [`Hello::labels`].
    pub label: u8,
    /// Smoothed score of each label.
    pub scores: List<Score, MAX_LABELS>,
}

impl Face {
    /// The score of the decision.
    #[must_use]
    pub fn score(&self) -> Score {
        self.scores
            .get(usize::from(self.label))
            .copied()
            .unwrap_or_default()
    }
}

/// A probability in steps of 1/255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(pub u8);

impl Score {
    /// The nearest step to a probability; what lies outside 0 to 1 is brought inside, NaN is 0.
    #[must_use]
    pub fn from_unit(probability: f32) -> Self {
        // the cast saturates
        Self((probability * 255.0 + 0.5) as u8)
    }

    /// The probability, 0 to 1.
    #[must_use]
    pub fn to_unit(self) -> f32 {
        f32::from(self.0) / 255.0
    }

    /// The nearest whole per cent, in integers for chips without a floating-point unit.
    #[must_use]
    pub fn percent(self) -> u8 {
        ((u16::from(self.0) * 100 + 127) / 255) as u8
    }
}

/// How the sender is; sent when the camera's state changes, and with every [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Status {
    /// Milliseconds since the sender started.
    pub uptime_ms: u64,
    /// The camera.
    pub camera: Camera,
    /// Frames that came from the camera.
    pub captured: u64,
    /// Frames that were looked at.
    pub processed: u64,
    /// As [`Emotion::dropped`].
    pub dropped: u32,
}

/// Where the camera is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum Camera {
    /// Being opened.
    #[default]
    Opening,
    /// Delivers new frames.
    Online,
    /// Open, but no new picture for a while.
    Stalled,
    /// Gone; the sender tries again.
    Offline,
    /// A state of a newer sender.
    Other(u8),
}

impl From<u8> for Camera {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Opening,
            1 => Self::Online,
            2 => Self::Stalled,
            3 => Self::Offline,
            other => Self::Other(other),
        }
    }
}

impl From<Camera> for u8 {
    fn from(camera: Camera) -> Self {
        match camera {
            Camera::Opening => 0,
            Camera::Online => 1,
            Camera::Stalled => 2,
            Camera::Offline => 3,
            Camera::Other(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_keep_to_their_range_and_survive() {
        for (probability, step) in [
            (-1.0, 0),
            (f32::NAN, 0),
            (0.0, 0),
            (0.5, 128),
            (1.0, 255),
            (7.0, 255),
        ] {
            assert_eq!(Score::from_unit(probability), Score(step));
        }
        for step in 0..=255 {
            let score = Score(step);
            assert_eq!(Score::from_unit(score.to_unit()), score);
            assert!((f32::from(score.percent()) - 100.0 * score.to_unit()).abs() <= 0.5);
        }
    }

    #[test]
    fn numbers_of_the_camera_states_are_part_of_the_protocol() {
        for number in 0..=255 {
            assert_eq!(u8::from(Camera::from(number)), number);
        }
        assert_eq!(Camera::from(3), Camera::Offline);
    }
}
