//! Reports as JSON. `docs/mqtt.md` describes the fields.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::presence::{Change, Held};
use crate::publish::{Face, Observation, SCHEMA_VERSION, Scores, rounded};

/// Most faces beside the first that a report lists, so that its size has a bound.
const MAX_OTHERS: usize = 8;

/// Seconds since 1970, in milliseconds' steps: when something was seen, not when it was sent.
pub(super) fn timestamp() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is a board without a battery that has not heard of the time yet.
    since.unwrap_or_default().as_millis() as f64 / 1000.0
}

#[derive(Serialize)]
struct Emotion<'a> {
    v: u32,
    ts: f64,
    seq: u64,
    t_ms: u64,
    source: &'a str,
    model: &'a str,
    faces: usize,
    label: Option<&'a str>,
    score: Option<f64>,
    raw_label: Option<&'a str>,
    face_id: Option<u64>,
    scores: Option<Scores<'a>>,
    others: Vec<Other<'a>>,
}

#[derive(Serialize)]
struct Other<'a> {
    face_id: u64,
    label: &'a str,
    score: f64,
}

#[derive(Serialize)]
struct Event<'a> {
    v: u32,
    #[serde(rename = "type")]
    change: Change,
    ts: f64,
    seq: u64,
    t_ms: u64,
    face_id: u64,
    label: &'a str,
    score: f64,
    present_s: f64,
}

fn score(face: &Face) -> f64 {
    rounded(face.scores.get(face.label))
}

/// The emotion of the face that has been there longest, and in short those of the next
/// [`MAX_OTHERS`]. Who is seen goes before who is missed at the moment.
pub(super) fn emotion(seen: &Observation, held: &[Held], ts: f64) -> Vec<u8> {
    let present = held.iter().filter(|held| held.present);
    let missing = held.iter().filter(|held| !held.present);
    let mut all = present.chain(missing);
    let first = all.next().map(|held| &held.face);
    let others = all.take(MAX_OTHERS).map(|held| Other {
        face_id: held.face.id,
        label: seen.label(held.face.label),
        score: score(&held.face),
    });
    json(&Emotion {
        v: SCHEMA_VERSION,
        ts,
        seq: seen.seq,
        t_ms: seen.t_ms,
        source: &seen.source,
        model: &seen.model,
        faces: held.len(),
        label: first.map(|face| seen.label(face.label)),
        score: first.map(score),
        raw_label: first.map(|face| seen.label(face.raw_label)),
        face_id: first.map(|face| face.id),
        scores: first.map(|face| Scores(seen, face)),
        others: others.collect(),
    })
}

/// A face that came, changed or went.
pub(super) fn event(seen: &Observation, change: Change, held: &Held, ts: f64) -> Vec<u8> {
    json(&Event {
        v: SCHEMA_VERSION,
        change,
        ts,
        seq: seen.seq,
        t_ms: seen.t_ms,
        face_id: held.face.id,
        label: seen.label(held.face.label),
        score: score(&held.face),
        present_s: seconds(held.seen.duration_since(held.since)),
    })
}

/// Seconds with three decimals.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// The text of a value that has no map with odd keys and no failing part, so none is lost.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::presence::Presence;
    use super::*;
    use crate::publish::fixture::{face, observation};
    use serde_json::{Value, json};

    fn parse(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn the_report_is_as_documented() {
        let seen = observation(vec![face(1, 1), face(2, 0)]);
        let mut presence = Presence::new(Duration::ZERO);
        let start = Instant::now();
        let mut events = Vec::new();
        let mut at = |millis, faces: usize| {
            let now = start + Duration::from_millis(millis);
            let seen = Observation {
                faces: seen.faces[..faces].to_vec(),
                ..seen.clone()
            };
            presence.update(&seen, now, |change, held| {
                events.push(parse(&event(&seen, change, held, 12.5)));
            });
            parse(&emotion(&seen, presence.faces(), 12.5))
        };
        at(0, 2);
        // the second face goes at 1.5 seconds, and is missed at 60
        let report = at(1500, 2);
        at(60_000, 1);
        assert_eq!(
            report,
            json!({
                "v": 1, "ts": 12.5, "seq": 4, "t_ms": 266, "source": "demo", "model": "m",
                "faces": 2, "label": "happy", "score": 0.75, "raw_label": "sad", "face_id": 1,
                "scores": {"sad": 0.25, "happy": 0.75},
                "others": [{"face_id": 2, "label": "sad", "score": 0.25}],
            })
        );
        assert_eq!(
            events[0],
            json!({
                "v": 1, "type": "new", "ts": 12.5, "seq": 4, "t_ms": 266, "face_id": 1,
                "label": "happy", "score": 0.75, "present_s": 0.0,
            })
        );
        let gone = &events[2];
        assert_eq!(
            (&gone["type"], &gone["face_id"]),
            (&json!("end"), &json!(2))
        );
        assert_eq!(gone["present_s"], 1.5);
    }

    #[test]
    fn who_is_seen_goes_first_and_a_crowd_is_cut_short() {
        let mut presence = Presence::new(Duration::from_secs(2));
        let start = Instant::now();
        let crowd = observation((1..=12).map(|id| face(id, 0)).collect());
        presence.update(&crowd, start, |_, _| ());
        let report = parse(&emotion(&crowd, presence.faces(), 0.0));
        assert_eq!(
            (&report["face_id"], &report["faces"]),
            (&1.into(), &12.into())
        );
        assert_eq!(report["others"].as_array().unwrap().len(), MAX_OTHERS);
        let two = observation(vec![face(11, 0), face(12, 0)]);
        presence.update(&two, start + Duration::from_secs(1), |_, _| ());
        let report = parse(&emotion(&two, presence.faces(), 0.0));
        assert_eq!(
            (&report["face_id"], &report["faces"]),
            (&11.into(), &12.into())
        );
        let ids: Vec<_> = report["others"]
            .as_array()
            .unwrap()
            .iter()
            .map(|face| face["face_id"].as_u64())
            .collect();
        assert_eq!(ids[..2], [Some(12), Some(1)]);
    }

    #[test]
    fn nobody_is_said_in_so_many_words() {
        let report = parse(&emotion(&observation(Vec::new()), &[], 0.0));
        assert_eq!(report["faces"], 0);
        for field in ["label", "score", "raw_label", "face_id", "scores"] {
            assert_eq!(report.get(field), Some(&Value::Null), "{field}");
        }
    }
}
