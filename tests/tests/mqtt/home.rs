//! What Home Assistant, and everybody else who looks, finds on the broker.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fer_edge::health::Camera;
use fer_tests::skip;
use serde_json::{Value, json};

use super::broker::Broker;
use super::client::{Client, Message};
use super::device::{Kiosk, settings};
use super::gate::Gate;

const DISCOVERY: &str = "homeassistant/device/kiosk/config";
const AVAILABILITY: &str = "fer/kiosk/availability";

/// Messages up to the one that is told last, by topic.
fn told(client: &mut Client, last: &str) -> BTreeMap<String, Message> {
    let mut all = BTreeMap::new();
    while !all.contains_key(last) {
        let message = client.next().expect("the broker lives");
        all.insert(message.topic.clone(), message);
    }
    all
}

#[test]
fn who_comes_late_finds_everything_retained() {
    let Some(broker) = Broker::start("allow_anonymous true", |_| ()) else {
        return;
    };
    let mut early = Client::connect(broker.port());
    early.subscribe(&["fer/#", "homeassistant/#"]);
    let mut kiosk = Kiosk::start(&settings(broker.port()));
    kiosk.health.set_camera(Camera::Online);
    kiosk.see_change(7);
    let first = told(&mut early, "fer/kiosk/emotion");
    assert!(
        first.values().all(|message| !message.retain),
        "live messages carry no retain flag"
    );
    assert_eq!(first["fer/kiosk/event"].json()["type"], "new");

    let mut late = Client::connect(broker.port());
    late.subscribe(&["fer/#", "homeassistant/#"]);
    let mut kept = BTreeMap::new();
    while kept.len() < 8 {
        let message = late.next().expect("the broker lives");
        if message.retain {
            kept.insert(message.topic.clone(), message);
        }
    }
    assert_eq!(kept[AVAILABILITY].text(), "online");
    assert_eq!(kept["fer/kiosk/camera/state"].text(), "online");
    assert_eq!(kept["fer/kiosk/faces"].text(), "1");
    assert_eq!(kept["fer/kiosk/emotion"].json()["seq"], 7);
    let topics: Vec<_> = kept.keys().map(String::as_str).collect();
    let expected = [
        AVAILABILITY,
        "fer/kiosk/camera/state",
        "fer/kiosk/emotion",
        "fer/kiosk/enabled/state",
        "fer/kiosk/faces",
        "fer/kiosk/health",
        "fer/kiosk/threshold/state",
        DISCOVERY,
    ];
    assert_eq!(topics, expected);
    judge(&kept[DISCOVERY].json(), &kept);

    // Home Assistant has come up, and may have missed all that.
    early.publish("homeassistant/status", "online", false);
    let again = told(&mut early, AVAILABILITY);
    assert!(again.contains_key(DISCOVERY) && again.contains_key("fer/kiosk/faces"));
}

#[test]
fn a_clean_end_is_told_from_a_crash() {
    let Some(broker) = Broker::start("allow_anonymous true", |_| ()) else {
        return;
    };
    let gate = Gate::new(broker.port());
    gate.open();
    let mut client = Client::connect(broker.port());
    client.subscribe(&["fer/#"]);
    let mut kiosk = Kiosk::start(&settings(gate.port()));
    assert_eq!(client.next_on(AVAILABILITY).text(), "online");
    gate.close();
    assert_eq!(client.next_on(AVAILABILITY).text(), "offline");
    kiosk.see_change(0);
    gate.open();
    assert_eq!(client.next_on(AVAILABILITY).text(), "online");
    kiosk.see_change(1);
    drop(kiosk);
    // What was on its way comes before the goodbye.
    let end = told(&mut client, AVAILABILITY);
    assert_eq!(end["fer/kiosk/emotion"].json()["seq"], 1);
    assert_eq!(end[AVAILABILITY].text(), "stopped");
}

/// Asks Home Assistant's own schemas; see `tests/judges/homeassistant_discovery.py`. Its Python is found by
/// `FER_HOME_ASSISTANT_PYTHON` or in `.venv-ha/`; the value `none` says that there is none.
fn judge(document: &Value, states: &BTreeMap<String, Message>) {
    let python = std::env::var_os("FER_HOME_ASSISTANT_PYTHON")
        .map_or_else(|| skip::root().join(".venv-ha/bin/python"), PathBuf::from);
    if python.as_os_str() == "none" {
        skip::note("SKIP: FER_HOME_ASSISTANT_PYTHON=none: Home Assistant was not asked");
        return;
    }
    if !python.is_file() {
        skip::skip("no .venv-ha and no FER_HOME_ASSISTANT_PYTHON: Home Assistant was not asked");
        return;
    }
    let states: BTreeMap<_, _> = states.iter().map(|(topic, m)| (topic, m.text())).collect();
    let question = json!({ "topic": DISCOVERY, "document": document, "states": states });
    let mut child = Command::new(&python)
        .arg(skip::root().join("tests/judges/homeassistant_discovery.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(question.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    skip::note(&said);
}
