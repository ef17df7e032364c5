//! What a monitor asks.

use std::time::Duration;

use fer_edge::health::{Camera, Dropped};

use crate::client::get;
use crate::running::{settings, start};

/// The names that dashboards rely on.
const NAMES: [(&str, &str); 13] = [
    ("fer_build_info", "gauge"),
    ("fer_frames_captured_total", "counter"),
    ("fer_frames_dropped_total", "counter"),
    ("fer_inference_duration_seconds", "histogram"),
    ("fer_camera_up", "gauge"),
    ("fer_camera_reconnects_total", "counter"),
    ("fer_mqtt_connected", "gauge"),
    ("fer_mqtt_dropped_messages_total", "counter"),
    ("fer_serial_open", "gauge"),
    ("fer_serial_dropped_reports_total", "counter"),
    ("fer_emotion_observations_total", "counter"),
    ("fer_faces_reused_total", "counter"),
    ("fer_uptime_seconds", "gauge"),
];

/// A sample line as the text format defines it: name, labels in braces, one number.
#[track_caller]
fn check_sample(line: &str) -> (&str, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let name = series.split('{').next().unwrap();
    assert!(
        name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
        "{line}"
    );
    if let Some(labels) = series
        .strip_prefix(name)
        .filter(|labels| !labels.is_empty())
    {
        let labels = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
        for label in labels.split(',') {
            let (key, value) = label.split_once('=').unwrap();
            assert!(key.bytes().all(|b| b.is_ascii_lowercase()), "{line}");
            assert!(value.starts_with('"') && value.ends_with('"'), "{line}");
        }
    }
    (name, value.parse().unwrap())
}

#[test]
fn metrics_are_in_the_text_format_under_their_names() {
    let running = start(&settings());
    running.health.count_captured();
    running.health.count_dropped(Dropped::Late, 2);
    running
        .health
        .count_processed(Some(Duration::from_millis(3)), [3].into_iter());
    let answer = get(running.address, "/metrics", "");
    assert!(
        answer
            .head
            .contains("\r\nContent-Type: text/plain; version=0.0.4")
    );
    let text = answer.text();
    assert!(text.ends_with('\n'));
    for (name, kind) in NAMES {
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
    }
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
        } else if !line.starts_with('#') {
            let (name, value) = check_sample(line);
            assert!(name.starts_with(family) && value >= 0.0, "{family}: {line}");
        }
    }
    assert!(text.contains("fer_emotion_observations_total{label=\"happy\"} 1\n"));
    assert!(text.contains("fer_inference_duration_seconds_bucket{le=\"+Inf\"} 1\n"));
    assert!(text.contains("fer_camera_up 1\n"));
}

#[test]
fn ready_means_that_frames_flow() {
    let mut running = start(&settings());
    running.health.set_camera(Camera::Offline);
    let before = get(running.address, "/readyz", "");
    assert_eq!(before.status, 503);
    assert_eq!(before.text(), "not ready: no frame yet, camera offline\n");
    assert_eq!(get(running.address, "/healthz", "").status, 200);
    running.show(0, "");
    assert_eq!(get(running.address, "/readyz", "").text(), "ready\n");
}
