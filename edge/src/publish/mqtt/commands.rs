//! What may be asked for over MQTT, and what is answered.

use serde_json::{Map, Value, json};

use super::topics::Topics;
use crate::control::Control;
use crate::publish::rounded;

/// Most bytes of a command; the longest that means something has a few dozen.
pub(super) const MAX_PAYLOAD: usize = 1024;

/// Most characters that a refusal repeats of what it refuses.
const QUOTED: usize = 60;

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Command {
    /// Look at frames, or don't.
    Enable(bool),
    /// Report faces from this score on.
    Threshold(f32),
    /// Open the camera again.
    RestartCamera,
    /// Publish the health report now.
    Health,
}

impl Command {
    /// Whether it would make a difference now.
    pub(super) fn changes(self, control: &Control) -> bool {
        match self {
            Self::Enable(on) => on != control.enabled(),
            Self::Threshold(score) => (0.0..=1.0).contains(&score) && score != control.threshold(),
            Self::RestartCamera => true,
            Self::Health => false,
        }
    }
}

/// A command as it came in, and where its answer goes.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// What to do, or what is wrong with it.
    pub(super) command: Result<Command, String>,
    reply: Reply,
}

#[derive(Debug, PartialEq)]
enum Reply {
    /// The state's own topic says what holds now; only a refusal needs words.
    State { topic: String },
    /// A response, with the number that the asker put on the request.
    Response {
        topic: String,
        transaction: Option<Value>,
    },
}

/// A message to send in answer.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// Where to.
    pub(super) topic: String,
    /// JSON.
    pub(super) payload: Vec<u8>,
}

impl Request {
    /// Reads a message; nothing when its topic is not one of ours. A payload of more than
    /// [`MAX_PAYLOAD`] bytes is refused without a look at it.
    pub(super) fn read(topics: &Topics, topic: &str, payload: &[u8]) -> Option<Self> {
        if payload.len() <= MAX_PAYLOAD {
            return Self::parse(topics, topic, payload);
        }
        let refused = Self::parse(topics, topic, b"")?;
        Some(Self {
            command: Err(format!("expected at most {MAX_PAYLOAD} bytes")),
            ..refused
        })
    }

    fn parse(topics: &Topics, topic: &str, payload: &[u8]) -> Option<Self> {
        if topic == topics.enabled_set || topic == topics.threshold_set {
            let value = bare(payload);
            let command = if topic == topics.enabled_set {
                enable(&value)
            } else {
                threshold(&value)
            };
            return Some(Self {
                command,
                reply: Reply::State {
                    topic: topic.to_owned(),
                },
            });
        }
        let verb = topics.verb(topic)?;
        let (value, transaction) = match bare(payload) {
            Value::Object(mut fields) => {
                let transaction = fields.remove("transaction");
                (fields.remove("value").unwrap_or_default(), transaction)
            }
            value => (value, None),
        };
        let command = match verb {
            "enabled" => enable(&value),
            "threshold" => threshold(&value),
            "restart_camera" => Ok(Command::RestartCamera),
            "health" => Ok(Command::Health),
            _ => Err(format!(
                "`{verb}` is not known; expected enabled, threshold, restart_camera or health"
            )),
        };
        Some(Self {
            command,
            reply: Reply::Response {
                topic: topics.response(verb),
                transaction,
            },
        })
    }

    /// Does it, and says how it went. The health report is the caller's, who has it.
    pub(super) fn carry_out(self, topics: &Topics, control: &Control) -> Option<Answer> {
        let result = self.command.and_then(|command| apply(command, control));
        match (self.reply, result) {
            (Reply::State { .. }, Ok(_)) => None,
            (Reply::State { topic }, Err(error)) => Some(Answer {
                topic: topics.error.clone(),
                payload: text(&json!({ "topic": topic, "error": error })),
            }),
            (Reply::Response { topic, transaction }, result) => {
                let mut fields = Map::new();
                match result {
                    Ok(data) => {
                        fields.insert("status".to_owned(), "ok".into());
                        fields.insert("data".to_owned(), data);
                    }
                    Err(error) => {
                        fields.insert("status".to_owned(), "error".into());
                        fields.insert("error".to_owned(), error.into());
                    }
                }
                fields.extend(transaction.map(|value| ("transaction".to_owned(), value)));
                Some(Answer {
                    topic,
                    payload: text(&Value::Object(fields)),
                })
            }
        }
    }
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// JSON, or else a word such as `ON`.
fn bare(payload: &[u8]) -> Value {
    serde_json::from_slice(payload)
        .unwrap_or_else(|_| String::from_utf8_lossy(payload).trim().into())
}

/// The beginning of a value, for a refusal: it goes out and into the log, and whoever sends it decides
/// how long it is.
fn quoted(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(QUOTED) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn enable(value: &Value) -> Result<Command, String> {
    match value {
        Value::Bool(on) => Ok(Command::Enable(*on)),
        Value::String(word) if word == "ON" => Ok(Command::Enable(true)),
        Value::String(word) if word == "OFF" => Ok(Command::Enable(false)),
        other => Err(format!(
            "expected ON or OFF, true or false, found `{}`",
            quoted(other)
        )),
    }
}

fn threshold(value: &Value) -> Result<Command, String> {
    let number = match value {
        Value::String(word) => word.parse().ok(),
        other => other.as_f64(),
    };
    number
        .map(|number| Command::Threshold(number as f32))
        .ok_or_else(|| format!("expected a number from 0 to 1, found `{}`", quoted(value)))
}

fn apply(command: Command, control: &Control) -> Result<Value, String> {
    match command {
        Command::Enable(on) => {
            control.enable(on);
            Ok(json!({ "enabled": on }))
        }
        Command::Threshold(score) => {
            if !control.set_threshold(score) {
                return Err(format!("expected a number from 0 to 1, found `{score}`"));
            }
            Ok(json!({ "threshold": rounded(Some(&score)) }))
        }
        Command::RestartCamera => {
            control.restart_camera();
            Ok(json!({}))
        }
        Command::Health => Ok(json!({})),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(control: &Control, rest: &str, payload: &str) -> Option<(String, Value)> {
        let topics = Topics::new("fer", "homeassistant", "lobby");
        let request = Request::read(&topics, &format!("fer/lobby/{rest}"), payload.as_bytes())?;
        let answer = request.carry_out(&topics, control)?;
        Some((
            answer.topic,
            serde_json::from_slice(&answer.payload).unwrap(),
        ))
    }

    #[test]
    fn a_set_topic_acts_and_stays_silent() {
        let control = Control::default();
        assert_eq!(ask(&control, "enabled/set", "OFF"), None);
        assert!(!control.enabled());
        assert_eq!(ask(&control, "enabled/set", "true"), None);
        assert!(control.enabled());
        assert_eq!(ask(&control, "threshold/set", "0.4"), None);
        assert_eq!(control.threshold(), 0.4);
    }

    #[test]
    fn a_refused_value_is_explained_on_the_error_topic() {
        let control = Control::default();
        for (topic, payload) in [
            ("enabled/set", "maybe"),
            ("enabled/set", ""),
            ("threshold/set", "1.5"),
            ("threshold/set", "NaN"),
            ("threshold/set", "[]"),
        ] {
            let (to, answer) = ask(&control, topic, payload).unwrap();
            assert_eq!(to, "fer/lobby/error");
            assert_eq!(answer["topic"], format!("fer/lobby/{topic}"));
            assert!(
                answer["error"].as_str().unwrap().starts_with("expected"),
                "{answer}"
            );
        }
        assert!(control.enabled());
        assert_eq!(control.threshold(), 0.0);
    }

    #[test]
    fn a_request_is_answered_with_its_transaction() {
        let control = Control::default();
        let asked = ask(&control, "request/restart_camera", r#"{"transaction": 7}"#);
        let expected = json!({ "status": "ok", "data": {}, "transaction": 7 });
        assert_eq!(
            asked,
            Some(("fer/lobby/response/restart_camera".to_owned(), expected))
        );
        assert!(control.take_restart());
        let (_, answer) = ask(&control, "request/enabled", r#"{"value": false}"#).unwrap();
        assert_eq!(
            answer,
            json!({ "status": "ok", "data": { "enabled": false } })
        );
        assert!(!control.enabled());
    }

    #[test]
    fn an_unknown_or_wrong_request_is_answered_too() {
        let control = Control::default();
        let (topic, answer) = ask(&control, "request/dance", "").unwrap();
        assert_eq!(
            (topic.as_str(), &answer["status"]),
            ("fer/lobby/response/dance", &json!("error"))
        );
        let (_, answer) = ask(&control, "request/threshold", r#"{"value": "high"}"#).unwrap();
        assert_eq!(answer["status"], "error");
        assert_eq!(ask(&control, "emotion", "{}"), None);
    }

    #[test]
    fn a_refusal_is_short_however_long_the_command() {
        let control = Control::default();
        for topic in ["enabled/set", "threshold/set", "request/enabled"] {
            for payload in ["ä".repeat(500), "[1],".repeat(200_000)] {
                let (_, answer) = ask(&control, topic, &payload).unwrap();
                let error = answer["error"].as_str().unwrap();
                assert!(error.starts_with("expected"), "{error}");
                assert!(error.len() < 250, "{} bytes: {error}", error.len());
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused_even_where_it_means_something() {
        let control = Control::default();
        let padded = |length: usize| format!("{:>length$}", "OFF");
        let (to, answer) = ask(&control, "enabled/set", &padded(MAX_PAYLOAD + 1)).unwrap();
        assert_eq!(to, "fer/lobby/error");
        assert_eq!(answer["error"], "expected at most 1024 bytes");
        let (to, answer) = ask(&control, "request/health", &padded(MAX_PAYLOAD + 1)).unwrap();
        assert_eq!(to, "fer/lobby/response/health");
        assert_eq!(answer["status"], "error");
        assert!(control.enabled());
        assert_eq!(ask(&control, "enabled/set", &padded(MAX_PAYLOAD)), None);
        assert!(!control.enabled());
    }

    #[test]
    fn only_what_makes_a_difference_is_a_change() {
        let control = Control::default();
        let changes = [
            (Command::Enable(true), false),
            (Command::Enable(false), true),
            (Command::Threshold(0.0), false),
            (Command::Threshold(0.5), true),
            (Command::Threshold(2.0), false),
            (Command::Threshold(f32::NAN), false),
            (Command::RestartCamera, true),
            (Command::Health, false),
        ];
        for (command, expected) in changes {
            assert_eq!(command.changes(&control), expected, "{command:?}");
        }
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        let texts = [
            "ON",
            "OFF",
            "true",
            "1",
            "0.5",
            "-0.0",
            "1e39",
            "NaN",
            "inf",
            "null",
            "{}",
            "[]",
            r#"{"value": true}"#,
            r#"{"value": 0.25, "transaction": [1, {}]}"#,
            r#"{"value": {"value": 1}}"#,
            r#"{"transaction": null}"#,
        ];
        prop_oneof![
            prop::sample::select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..40),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_answered_in_json_and_leaves_a_threshold_from_0_to_1(
            rest in prop_oneof![
                prop::sample::select(vec![
                    "enabled/set", "threshold/set", "request/enabled", "request/threshold", "request/health",
                    "request/restart_camera", "request/", "request/a/b", "request/+", "request/#", "request/a+b",
                    "response/enabled", "",
                ]).prop_map(str::to_owned),
                ".{0,20}",
            ],
            payload in payload(),
        ) {
            let topics = Topics::new("fer", "homeassistant", "lobby");
            let control = Control::default();
            let request = Request::read(&topics, &format!("fer/lobby/{rest}"), &payload);
            let to_itself = rest.starts_with("request/") || rest.ends_with("/set");
            prop_assert!(to_itself || request.is_none(), "{request:?}");
            if let Some(answer) = request.and_then(|request| request.carry_out(&topics, &control)) {
                prop_assert!(!answer.topic.contains(['+', '#']), "{}", answer.topic);
                let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
                prop_assert!(answer.is_object(), "{answer}");
            }
            prop_assert!((0.0..=1.0).contains(&control.threshold()));
        }
    }
}
