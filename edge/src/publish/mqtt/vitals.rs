//! The health report: how the runtime has been doing since the last one.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use super::report::{json, seconds, timestamp};
use crate::health::{Dropped, Health};
use crate::thermal;

/// What the publisher knows about itself.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Connection {
    /// Connections since the start.
    pub(super) connects: u64,
    /// Reports that wait for the broker.
    pub(super) waiting: usize,
    /// Reports lost because the buffer was full.
    pub(super) dropped: u64,
}

#[derive(Serialize)]
struct Report<'a> {
    ts: f64,
    uptime_s: f64,
    version: &'a str,
    model: &'a str,
    camera: &'a str,
    camera_fps: f64,
    process_fps: f64,
    inference_ms: Option<f64>,
    dropped: Map<String, Value>,
    reconnects: u64,
    temperature_c: Option<f64>,
    memory_mb: Option<f64>,
    mqtt: Connection,
}

/// The counters at the last report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vitals {
    at: Instant,
    counted: Counted,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    captured: u64,
    processed: u64,
    /// Frames on which the model ran.
    inferences: u64,
    inference: Duration,
}

impl Counted {
    fn of(health: &Health) -> Self {
        let (buckets, inference) = health.inference();
        Self {
            captured: health.captured(),
            processed: health.processed(),
            inferences: buckets.iter().sum(),
            inference,
        }
    }
}

impl Vitals {
    pub(super) fn new(health: &Health, now: Instant) -> Self {
        Self {
            at: now,
            counted: Counted::of(health),
        }
    }

    /// The report about the time since the last one.
    pub(super) fn report(
        &mut self,
        health: &Health,
        model: &str,
        mqtt: Connection,
        now: Instant,
    ) -> Vec<u8> {
        let before = std::mem::replace(self, Self::new(health, now));
        let counted = self.counted;
        let elapsed = now.duration_since(before.at).as_secs_f64().max(0.001);
        let rate = |now: u64, before: u64| tenths(now.saturating_sub(before) as f64 / elapsed);
        let inferences = counted.inferences.saturating_sub(before.counted.inferences);
        let inference = counted.inference.saturating_sub(before.counted.inference);
        let mean = inference.as_secs_f64() * 1000.0 / inferences as f64;
        let dropped = Dropped::ALL.map(|why| (why.name().to_owned(), health.dropped(why).into()));
        json(&Report {
            ts: timestamp(),
            uptime_s: seconds(health.uptime()),
            version: env!("CARGO_PKG_VERSION"),
            model,
            camera: health.camera().name(),
            camera_fps: rate(counted.captured, before.counted.captured),
            process_fps: rate(counted.processed, before.counted.processed),
            inference_ms: (inferences > 0).then(|| (mean * 1000.0).round() / 1000.0),
            dropped: dropped.into_iter().collect(),
            reconnects: health.reconnects(),
            temperature_c: thermal::read(Path::new(thermal::ZONES)).map(tenths),
            memory_mb: resident_megabytes(),
            mqtt,
        })
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn resident_megabytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(tenths(kibibytes * 1024.0 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Camera;

    #[test]
    fn rates_are_those_since_the_last_report() {
        let health = Health::new(7);
        let start = Instant::now();
        let mut vitals = Vitals::new(&health, start);
        let mqtt = Connection {
            connects: 2,
            waiting: 3,
            dropped: 1,
        };
        let mut report = |seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            let bytes = vitals.report(&health, "m", mqtt, now);
            serde_json::from_slice::<Value>(&bytes).unwrap()
        };
        health.set_camera(Camera::Online);
        (0..30).for_each(|_| health.count_captured());
        for millis in [2, 4] {
            health.count_processed(Some(Duration::from_millis(millis)), [0].into_iter());
        }
        // Nobody there: a frame like others, but none for the model.
        health.count_processed(None, std::iter::empty());
        health.count_dropped(Dropped::Late, 28);
        let first = report(2);
        assert_eq!(first["camera_fps"], 15.0);
        assert_eq!(first["process_fps"], 1.5);
        assert_eq!(first["inference_ms"], 3.0);
        assert_eq!(first["dropped"]["late"], 28);
        assert_eq!(
            (&first["camera"], &first["mqtt"]["waiting"]),
            (&"online".into(), &3.into())
        );
        let second = report(3);
        assert_eq!(second["camera_fps"], 0.0);
        assert_eq!(second["inference_ms"], Value::Null);
    }

    #[test]
    fn memory_is_known_on_linux() {
        assert!(resident_megabytes().is_some_and(|mb| mb > 1.0));
    }
}
