//! What Home Assistant (2024.11 or newer) has to know to show the device: one retained JSON document
//! (<https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>).

use serde_json::{Value, json};

use super::Device;
use super::settings::Settings;
use super::topics::Topics;

/// Heartbeats that may be missed before Home Assistant calls the emotion unavailable.
const HEARTBEATS: u32 = 3;

/// The document for this device.
pub(super) fn document(device: &Device, settings: &Settings, topics: &Topics) -> Value {
    json!({
        "device": {
            "identifiers": [format!("fer-{}", device.id)],
            "name": device.name,
            "manufacturer": "fer",
            "model": device.model,
            "sw_version": env!("CARGO_PKG_VERSION"),
        },
        "origin": {
            "name": "fer-edge",
            "sw_version": env!("CARGO_PKG_VERSION"),
            "support_url": env!("CARGO_PKG_REPOSITORY"),
        },
        "qos": 1,
        // The broker's last will and a clean stop look the same from here: not available.
        "availability": [available(&topics.availability)],
        "availability_mode": "all",
        "components": components(device, settings, topics),
    })
}

fn available(topic: &str) -> Value {
    json!({
        "topic": topic,
        "value_template": "{{ 'online' if value == 'online' else 'offline' }}",
    })
}

fn components(device: &Device, settings: &Settings, topics: &Topics) -> Value {
    // What is seen is only worth showing while the camera delivers.
    let seeing = json!([available(&topics.availability), available(&topics.camera)]);
    let expire_after = settings.heartbeat_s.saturating_mul(HEARTBEATS);
    let id = |name: &str| format!("fer-{}-{name}", device.id);
    let health = |name: &str, title: &str, template: &str, unit: &str| {
        json!({
            "platform": "sensor",
            "unique_id": id(name),
            "name": title,
            "state_topic": topics.health,
            "value_template": template,
            "unit_of_measurement": unit,
            "state_class": "measurement",
            "entity_category": "diagnostic",
        })
    };
    let mut temperature = health(
        "temperature",
        "Temperature",
        "{{ value_json.temperature_c }}",
        "°C",
    );
    temperature["device_class"] = "temperature".into();
    json!({
        "emotion": {
            "platform": "sensor",
            "unique_id": id("emotion"),
            "name": "Emotion",
            "icon": "mdi:emoticon-outline",
            "device_class": "enum",
            "options": device.labels.names(),
            "state_topic": topics.emotion,
            "value_template": "{{ value_json.label }}",
            "json_attributes_topic": topics.emotion,
            "expire_after": expire_after,
            "availability": seeing,
        },
        "confidence": {
            "platform": "sensor",
            "unique_id": id("confidence"),
            "name": "Confidence",
            "icon": "mdi:percent",
            "state_topic": topics.emotion,
            "value_template":
                "{{ None if value_json.score is none else (value_json.score * 100) | round(1) }}",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "entity_category": "diagnostic",
            "expire_after": expire_after,
            "availability": seeing,
        },
        "faces": {
            "platform": "sensor",
            "unique_id": id("faces"),
            "name": "Faces",
            "icon": "mdi:account-multiple",
            "state_topic": topics.faces,
            "state_class": "measurement",
            "availability": seeing,
        },
        "presence": {
            "platform": "binary_sensor",
            "unique_id": id("presence"),
            "name": "Face present",
            "device_class": "occupancy",
            "state_topic": topics.faces,
            "value_template": "{{ 'ON' if value | int(0) > 0 else 'OFF' }}",
            "availability": seeing,
        },
        "camera": {
            "platform": "binary_sensor",
            "unique_id": id("camera"),
            "name": "Camera",
            "device_class": "connectivity",
            "state_topic": topics.camera,
            "value_template": "{{ 'ON' if value == 'online' else 'OFF' }}",
            "entity_category": "diagnostic",
        },
        "fps": health("fps", "Frames a second", "{{ value_json.process_fps }}", "fps"),
        "inference": health("inference", "Inference", "{{ value_json.inference_ms }}", "ms"),
        "temperature": temperature,
        "enabled": {
            "platform": "switch",
            "unique_id": id("enabled"),
            "name": "Detection",
            "icon": "mdi:eye",
            "command_topic": topics.enabled_set,
            "state_topic": topics.enabled,
        },
        "threshold": {
            "platform": "number",
            "unique_id": id("threshold"),
            "name": "Threshold",
            "icon": "mdi:tune-vertical",
            "command_topic": topics.threshold_set,
            "state_topic": topics.threshold,
            "min": 0,
            "max": 1,
            "step": 0.01,
            "entity_category": "config",
        },
        "restart_camera": {
            "platform": "button",
            "unique_id": id("restart_camera"),
            "name": "Restart camera",
            "device_class": "restart",
            "command_topic": topics.request("restart_camera"),
            "payload_press": "{}",
            "entity_category": "config",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fer_models::Labels;
    use std::collections::BTreeSet;

    fn lobby() -> Value {
        let device = Device {
            id: "lobby".to_owned(),
            name: "Lobby \"east\"".to_owned(),
            model: "vgg19-lite".to_owned(),
            labels: Labels::fer2013(),
        };
        let topics = Topics::new("fer", "homeassistant", "lobby");
        document(&device, &Settings::default(), &topics)
    }

    /// The rules of Home Assistant's device discovery, for who has no Home Assistant at hand;
    /// `tests/judges/homeassistant_discovery.py` asks the real one.
    #[test]
    fn the_document_keeps_the_rules_of_device_discovery() {
        let document = lobby();
        assert!(
            !document["device"]["identifiers"]
                .as_array()
                .unwrap()
                .is_empty()
        );
        assert!(document["origin"]["name"].is_string());
        let mut ids = BTreeSet::new();
        for (name, component) in document["components"].as_object().unwrap() {
            let fields = component.as_object().unwrap();
            let platform = component["platform"].as_str().unwrap();
            let state = !matches!(platform, "button");
            let command = matches!(platform, "switch" | "number" | "button");
            assert_eq!(fields.contains_key("state_topic"), state, "{name}");
            assert_eq!(fields.contains_key("command_topic"), command, "{name}");
            assert!(
                ids.insert(component["unique_id"].as_str().unwrap()),
                "{name}"
            );
            for (field, topic) in fields.iter().filter(|(field, _)| field.ends_with("_topic")) {
                assert!(
                    topic.as_str().unwrap().starts_with("fer/lobby/"),
                    "{name}.{field}"
                );
            }
            let config = component["entity_category"] == "config";
            let read_only = matches!(platform, "sensor" | "binary_sensor");
            assert!(
                !(config && read_only),
                "{name}: a sensor configures nothing"
            );
            // `availability` and `availability_topic` exclude each other.
            assert!(!fields.contains_key("availability_topic"), "{name}");
        }
        assert_eq!(ids.len(), 11);
    }

    #[test]
    fn the_emotion_is_one_of_the_models_labels_and_expires_after_three_heartbeats() {
        let emotion = &lobby()["components"]["emotion"];
        assert_eq!(emotion["options"].as_array().unwrap().len(), 7);
        assert_eq!(emotion["expire_after"], 90);
        // An enumeration has neither unit nor state class.
        assert_eq!(emotion.get("unit_of_measurement"), None);
        assert_eq!(emotion.get("state_class"), None);
    }
}
