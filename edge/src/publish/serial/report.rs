//! From the edge's types to those of the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use fer_wire::{Camera, Emotion, Face, List, Score, Status};

use crate::health::{self, Health};
use crate::publish::{self, Observation};

/// 2024-01-01 UTC. A board without a battery starts in 1970, or where it stopped; this program did not
/// exist before.
const CLOCK_IS_SET: u32 = 1_704_067_200;

/// An observation as a report; nothing is allocated.
pub(super) fn emotion(observation: &Observation, now: SystemTime) -> Emotion {
    Emotion {
        t_ms: observation.t_ms,
        unix: unix(now),
        frame: observation.seq as u32,
        dropped: 0,
        seen: observation.faces.len().try_into().unwrap_or(u8::MAX),
        faces: List::first_of(observation.faces.iter().map(face)),
    }
}

fn face(face: &publish::Face) -> Face {
    let rect = &face.rect;
    // casts from f32 saturate
    Face {
        id: face.id as u32,
        x: rect.x.round() as i16,
        y: rect.y.round() as i16,
        width: rect.width.round() as u16,
        height: rect.height.round() as u16,
        label: face.label.try_into().unwrap_or(u8::MAX),
        scores: List::first_of(face.scores.iter().map(|&score| Score::from_unit(score))),
    }
}

fn unix(now: SystemTime) -> Option<u32> {
    let seconds = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    u32::try_from(seconds).ok().filter(|&s| s >= CLOCK_IS_SET)
}

/// The sender's state.
pub(super) fn status(health: &Health, dropped: u32) -> Status {
    Status {
        uptime_ms: health.uptime().as_millis() as u64,
        camera: match health.camera() {
            health::Camera::Opening => Camera::Opening,
            health::Camera::Online => Camera::Online,
            health::Camera::Stalled => Camera::Stalled,
            health::Camera::Offline => Camera::Offline,
        },
        captured: health.captured(),
        processed: health.processed(),
        dropped,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fer_models::Rect;
    use fer_wire::MAX_FACES;

    use super::*;
    use crate::publish::fixture;

    fn observation(faces: u64) -> Observation {
        let face = |id| publish::Face {
            rect: Rect {
                x: -40_000.0,
                y: 10.5,
                width: 99.4,
                height: 100_000.0,
            },
            ..fixture::face(id, 1)
        };
        Observation {
            seq: (1 << 32) + 4,
            ..fixture::observation((1..=faces).map(face).collect())
        }
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let report = emotion(&observation(1), UNIX_EPOCH);
        assert_eq!((report.frame, report.t_ms, report.unix), (4, 266, None));
        let face = report.faces[0];
        assert_eq!(
            (face.x, face.y, face.width, face.height),
            (i16::MIN, 11, 99, u16::MAX)
        );
        assert_eq!((face.label, face.score()), (1, Score(191)));
    }

    #[test]
    fn a_crowd_is_cut_and_counted() {
        let report = emotion(&observation(300), UNIX_EPOCH);
        assert_eq!((report.faces.len(), report.seen), (MAX_FACES, u8::MAX));
        assert_eq!(report.faces[0].id, 1);
    }

    #[test]
    fn a_clock_that_is_not_set_is_not_passed_on() {
        let at = |seconds| unix(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(86_400), None);
        assert_eq!(at(1_800_000_000), Some(1_800_000_000));
        assert_eq!(at(1 << 32), None);
    }
}
