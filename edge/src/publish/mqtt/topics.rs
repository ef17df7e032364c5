//! The names under which things are published and listened to.

/// Most bytes of a verb: those that are known are far shorter, and an answer's topic has to fit MQTT's 65,535.
const MAX_VERB: usize = 64;

/// Every topic of one device.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    base: String,
    /// `online`, `stopped`, or `offline` by the broker's hand.
    pub(super) availability: String,
    /// The camera's state.
    pub(super) camera: String,
    /// The emotion, with everything about it.
    pub(super) emotion: String,
    /// Number of faces.
    pub(super) faces: String,
    /// Faces that come, change and go.
    pub(super) event: String,
    /// Counters and levels of the runtime.
    pub(super) health: String,
    /// Whether frames are looked at.
    pub(super) enabled: String,
    /// Command for it.
    pub(super) enabled_set: String,
    /// The threshold.
    pub(super) threshold: String,
    /// Command for it.
    pub(super) threshold_set: String,
    /// Commands that could not be carried out.
    pub(super) error: String,
    /// What Home Assistant has to know about the device.
    pub(super) discovery: String,
    /// Where Home Assistant says that it has come up.
    pub(super) home: String,
}

impl Topics {
    pub(super) fn new(prefix: &str, discovery_prefix: &str, id: &str) -> Self {
        let base = format!("{prefix}/{id}");
        let topic = |rest: &str| format!("{base}/{rest}");
        Self {
            availability: topic("availability"),
            camera: topic("camera/state"),
            emotion: topic("emotion"),
            faces: topic("faces"),
            event: topic("event"),
            health: topic("health"),
            enabled: topic("enabled/state"),
            enabled_set: topic("enabled/set"),
            threshold: topic("threshold/state"),
            threshold_set: topic("threshold/set"),
            error: topic("error"),
            discovery: format!("{discovery_prefix}/device/{id}/config"),
            home: format!("{discovery_prefix}/status"),
            base,
        }
    }

    /// Where `verb` is asked for; `+` for all of them.
    pub(super) fn request(&self, verb: &str) -> String {
        format!("{}/request/{verb}", self.base)
    }

    /// Where `verb` is answered.
    pub(super) fn response(&self, verb: &str) -> String {
        format!("{}/response/{verb}", self.base)
    }

    /// The verb that a topic asks for, if it is a request.
    ///
    /// It becomes part of the topic of the answer, so it is one level without wildcards, as the
    /// subscription says: a broker that sends others doesn't choose where we publish.
    pub(super) fn verb<'a>(&self, topic: &'a str) -> Option<&'a str> {
        let verb = topic
            .strip_prefix(self.base.as_str())?
            .strip_prefix("/request/")?;
        let breaks = |c: char| matches!(c, '/' | '+' | '#') || c.is_control();
        (!verb.is_empty() && verb.len() <= MAX_VERB && !verb.contains(breaks)).then_some(verb)
    }

    /// What all but discovery's begin with.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// What to listen to.
    pub(super) fn subscriptions(&self, discovery: bool) -> Vec<String> {
        let mut all = vec![
            self.enabled_set.clone(),
            self.threshold_set.clone(),
            self.request("+"),
        ];
        if discovery {
            all.push(self.home.clone());
        }
        all
    }

    /// Those of the subscriptions that the broker's answer to them does not grant.
    pub(super) fn refused(&self, discovery: bool, granted: &[bool]) -> Vec<String> {
        let all = self.subscriptions(discovery).into_iter().zip(granted);
        all.filter(|(_, granted)| !**granted)
            .map(|(topic, _)| topic)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Topics;

    #[test]
    fn topics_carry_prefix_and_device() {
        let topics = Topics::new("fer", "homeassistant", "lobby");
        assert_eq!(topics.camera, "fer/lobby/camera/state");
        assert_eq!(topics.discovery, "homeassistant/device/lobby/config");
        assert_eq!(topics.response("health"), "fer/lobby/response/health");
        assert_eq!(topics.verb("fer/lobby/request/health"), Some("health"));
        assert_eq!(topics.verb("fer/lobby2/request/health"), None);
        assert_eq!(topics.verb("fer/lobby/enabled/set"), None);
    }

    #[test]
    fn a_verb_that_would_break_the_topic_of_its_answer_is_none() {
        let topics = Topics::new("fer", "homeassistant", "lobby");
        let long = "x".repeat(65_000);
        for verb in [
            "",
            "+",
            "#",
            "a+",
            "a/b",
            "a/",
            "/",
            "a\0",
            "a\n",
            long.as_str(),
        ] {
            let topic = format!("fer/lobby/request/{verb}");
            assert_eq!(topics.verb(&topic), None, "{verb:?}");
        }
        assert_eq!(topics.verb("fer/lobby/request/dänce"), Some("dänce"));
    }
}
