//! What the broker's other clients may ask of the device.

use serde_json::json;

use super::broker::Broker;
use super::client::Client;
use super::device::{Kiosk, settings};

#[test]
fn commands_act_and_are_answered() {
    let Some(broker) = Broker::start("allow_anonymous true", |_| ()) else {
        return;
    };
    let mut client = Client::connect(broker.port());
    client.subscribe(&["fer/kiosk/#"]);
    let kiosk = Kiosk::start(&settings(broker.port()));
    // Told after the subscriptions were asked for.
    assert_eq!(client.next_on("fer/kiosk/enabled/state").text(), "ON");
    assert_eq!(client.next_on("fer/kiosk/threshold/state").text(), "0");
    assert_eq!(client.next_on("fer/kiosk/availability").text(), "online");

    client.publish("fer/kiosk/enabled/set", "OFF", false);
    assert_eq!(client.next_on("fer/kiosk/camera/state").text(), "disabled");
    assert_eq!(client.next_on("fer/kiosk/enabled/state").text(), "OFF");
    assert!(!kiosk.control.enabled());

    client.publish("fer/kiosk/threshold/set", "2", false);
    let refused = client.next_on("fer/kiosk/error").json();
    assert_eq!(refused["topic"], "fer/kiosk/threshold/set");
    client.publish("fer/kiosk/threshold/set", "0.4", false);
    assert_eq!(client.next_on("fer/kiosk/threshold/state").text(), "0.4");
    assert_eq!(kiosk.control.threshold(), 0.4);

    client.publish(
        "fer/kiosk/request/restart_camera",
        r#"{"transaction": "a"}"#,
        false,
    );
    let answer = client.next_on("fer/kiosk/response/restart_camera");
    assert_eq!(
        answer.json(),
        json!({ "status": "ok", "data": {}, "transaction": "a" })
    );
    assert!(!answer.retain);
    assert!(kiosk.control.take_restart());

    client.publish("fer/kiosk/request/health", "", false);
    assert_eq!(
        client.next_on("fer/kiosk/health").json()["model"],
        "vgg19-lite"
    );
    assert_eq!(
        client.next_on("fer/kiosk/response/health").json()["status"],
        "ok"
    );
}

/// Retained, it comes with every subscription: were the connection to end by it, the device would be gone for
/// good.
#[test]
fn a_huge_message_ends_no_connection_and_is_refused_in_few_words() {
    let Some(broker) = Broker::start("allow_anonymous true", |_| ()) else {
        return;
    };
    let mut client = Client::connect(broker.port());
    let huge = "x".repeat(3 << 19);
    client.publish("fer/kiosk/enabled/set", &huge, true);
    client.subscribe(&[
        "fer/kiosk/availability",
        "fer/kiosk/health",
        "fer/kiosk/response/+",
        "fer/kiosk/error",
    ]);
    let kiosk = Kiosk::start(&settings(broker.port()));
    assert_eq!(client.next_on("fer/kiosk/availability").text(), "online");
    // Comes after the retained one on the same connection.
    client.publish("fer/kiosk/request/health", "", false);
    client.next_on("fer/kiosk/response/health");

    client.publish("fer/kiosk/enabled/set", &huge, false);
    let refused = client.next_on("fer/kiosk/error");
    assert!(refused.payload.len() < 200, "{}", refused.text());
    let refused = refused.json();
    assert_eq!(refused["topic"], "fer/kiosk/enabled/set");
    assert_eq!(refused["error"], "expected at most 1024 bytes");
    assert!(kiosk.control.enabled());

    client.publish("fer/kiosk/request/health", "", false);
    let health = client.next_on("fer/kiosk/health").json();
    assert_eq!(health["mqtt"]["connects"], 1, "{health}");
}

/// A command that somebody once published with the retain flag would otherwise come back with every
/// connection.
#[test]
fn a_retained_command_is_ignored() {
    let Some(broker) = Broker::start("allow_anonymous true", |_| ()) else {
        return;
    };
    let mut client = Client::connect(broker.port());
    client.publish("fer/kiosk/enabled/set", "OFF", true);
    client.publish("fer/kiosk/request/restart_camera", "{}", true);
    client.subscribe(&["fer/kiosk/#"]);
    let kiosk = Kiosk::start(&settings(broker.port()));
    client.next_on("fer/kiosk/availability");
    // Comes after the retained ones on the same connection, so they have been dealt with.
    client.publish("fer/kiosk/request/health", "", false);
    client.next_on("fer/kiosk/response/health");
    assert!(kiosk.control.enabled());
    assert!(!kiosk.control.take_restart());
}
