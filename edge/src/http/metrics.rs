//! Prometheus text format 0.0.4, written by hand: a dozen families need no library
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write};

use fer_models::Labels;

use crate::health::{Camera, Dropped, Health, INFERENCE_BUCKETS};

/// The `Content-Type` of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as they are now; `celsius` is the processor's temperature where there is a sensor.
#[must_use]
pub fn text(health: &Health, labels: &Labels, model: &str, celsius: Option<f64>) -> String {
    let mut out = Text(String::new());
    out.family("build_info", "gauge", "Version and model of this process.");
    let version = env!("CARGO_PKG_VERSION");
    let model = escaped(model);
    out.sample(
        "build_info",
        &format!("{{version=\"{version}\",model=\"{model}\"}}"),
        1,
    );
    out.single(
        "uptime_seconds",
        "gauge",
        "Time since the start.",
        seconds(health),
    );
    frames(&mut out, health);
    inference(&mut out, health);
    let up = u8::from(health.camera() == Camera::Online);
    out.single(
        "camera_up",
        "gauge",
        "Whether the camera delivers new frames.",
        up,
    );
    let help = "Attempts to open the camera again.";
    out.single(
        "camera_reconnects_total",
        "counter",
        help,
        health.reconnects(),
    );
    let connected = u8::from(health.mqtt_connected());
    out.single(
        "mqtt_connected",
        "gauge",
        "Whether the broker is connected.",
        connected,
    );
    let help = "Messages that no longer fitted the buffer while the broker was away.";
    out.single(
        "mqtt_dropped_messages_total",
        "counter",
        help,
        health.mqtt_dropped(),
    );
    let open = u8::from(health.serial_open());
    out.single(
        "serial_open",
        "gauge",
        "Whether the serial port is open.",
        open,
    );
    let help = "Reports that were lost because the serial line was slow or away.";
    out.single(
        "serial_dropped_reports_total",
        "counter",
        help,
        health.serial_dropped(),
    );
    if let Some(celsius) = celsius {
        let help = "Temperature of the processor.";
        out.single("soc_temperature_celsius", "gauge", help, celsius);
    }
    out.family(
        "emotion_observations_total",
        "counter",
        "Decisions by emotion.",
    );
    for (label, count) in labels.names().iter().zip(health.observed()) {
        let label = format!("{{label=\"{}\"}}", escaped(label));
        out.sample("emotion_observations_total", &label, count);
    }
    let help = "Faces that hardly changed and kept their scores.";
    out.single("faces_reused_total", "counter", help, health.reused());
    out.0
}

fn seconds(health: &Health) -> f64 {
    health.uptime().as_secs_f64()
}

fn frames(out: &mut Text, health: &Health) {
    let help = "Frames that came from the camera.";
    out.single("frames_captured_total", "counter", help, health.captured());
    out.family(
        "frames_dropped_total",
        "counter",
        "Frames without a result, by reason.",
    );
    for why in Dropped::ALL {
        let label = format!("{{reason=\"{}\"}}", why.name());
        out.sample("frames_dropped_total", &label, health.dropped(why));
    }
}

/// A histogram: its buckets are cumulative, the last holds all.
fn inference(out: &mut Text, health: &Health) {
    const NAME: &str = "inference_duration_seconds";
    out.family(
        NAME,
        "histogram",
        "Time of the model for the faces of a frame, where it ran.",
    );
    let (buckets, sum) = health.inference();
    let mut below = 0;
    let bounds = INFERENCE_BUCKETS.iter().map(ToString::to_string);
    for (count, bound) in buckets.iter().zip(bounds.chain(["+Inf".to_owned()])) {
        below += count;
        let label = format!("{{le=\"{bound}\"}}");
        out.sample(&format!("{NAME}_bucket"), &label, below);
    }
    out.sample(&format!("{NAME}_sum"), "", sum.as_secs_f64());
    out.sample(&format!("{NAME}_count"), "", below);
}

/// Backslash, quote and line break, as label values need.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String can't fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP fer_{name} {help}"));
        self.line(format_args!("# TYPE fer_{name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        self.line(format_args!("fer_{name}{labels} {value}"));
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counters_and_levels_appear_under_their_names() {
        let labels = Labels::new(vec!["sad".into(), "happy".into()]).unwrap();
        let health = Health::new(2);
        health.set_camera(Camera::Online);
        health.count_captured();
        health.count_dropped(Dropped::Late, 3);
        health.count_mqtt_dropped(4);
        health.count_reused(5);
        health.count_processed(Some(Duration::from_millis(20)), [1].into_iter());
        let text = text(&health, &labels, "a\"b", Some(48.25));
        for line in [
            concat!(
                "fer_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\",model=\"a\\\"b\"} 1"
            ),
            "fer_frames_captured_total 1",
            "fer_frames_dropped_total{reason=\"late\"} 3",
            "fer_frames_dropped_total{reason=\"budget\"} 0",
            "fer_camera_up 1",
            "fer_camera_reconnects_total 0",
            "fer_mqtt_connected 0",
            "fer_mqtt_dropped_messages_total 4",
            "fer_serial_open 0",
            "fer_serial_dropped_reports_total 0",
            "fer_faces_reused_total 5",
            "fer_soc_temperature_celsius 48.25",
            "fer_emotion_observations_total{label=\"happy\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }

    #[test]
    fn histogram_buckets_add_up() {
        let health = Health::new(2);
        for millis in [2, 20, 20, 5000] {
            health.count_processed(Some(Duration::from_millis(millis)), std::iter::empty());
        }
        let mut out = Text(String::new());
        inference(&mut out, &health);
        let samples: Vec<_> = out.0.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples[0],
            "fer_inference_duration_seconds_bucket{le=\"0.001\"} 0"
        );
        assert_eq!(
            samples[1],
            "fer_inference_duration_seconds_bucket{le=\"0.0025\"} 1"
        );
        assert_eq!(
            samples[4],
            "fer_inference_duration_seconds_bucket{le=\"0.025\"} 3"
        );
        assert_eq!(
            samples[8],
            "fer_inference_duration_seconds_bucket{le=\"+Inf\"} 4"
        );
        assert_eq!(samples[9], "fer_inference_duration_seconds_sum 5.042");
        assert_eq!(samples[10], "fer_inference_duration_seconds_count 4");
    }
}
