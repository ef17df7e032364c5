//! What the runtime knows about its own state: counters and levels, shared by all threads.
//!
//! Numbers only. Nothing here can hold a picture.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where the camera is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Camera {
    /// Being opened, for the first time or again.
    Opening,
    /// Delivers new frames.
    Online,
    /// Open, but no new picture for a while.
    Stalled,
    /// Gone; opened again after a pause.
    Offline,
}

impl Camera {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Opening, Self::Online, Self::Stalled, Self::Offline];

    /// The state's name, as in metrics and MQTT.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Online => "online",
            Self::Stalled => "stalled",
            Self::Offline => "offline",
        }
    }
}

/// Why a frame gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// A newer frame had come.
    Late,
    /// It could not be decoded or used.
    Bad,
    /// Detection was switched off.
    Disabled,
    /// To keep within the load or temperature budget.
    Budget,
}

impl Dropped {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Late, Self::Bad, Self::Disabled, Self::Budget];

    /// The reason's name, as in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Bad => "bad",
            Self::Disabled => "disabled",
            Self::Budget => "budget",
        }
    }
}

/// Upper bounds in seconds of the inference-time histogram.
pub const INFERENCE_BUCKETS: [f64; 8] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];

/// The shared state; wrap it in an `Arc`.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    camera: AtomicU8,
    reconnects: AtomicU64,
    captured: AtomicU64,
    processed: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    /// One counter a bucket and one for what is above all of them.
    inference: [AtomicU64; INFERENCE_BUCKETS.len() + 1],
    inference_micros: AtomicU64,
    /// Decisions by label.
    observed: Box<[AtomicU64]>,
    reused: AtomicU64,
    mqtt_connected: AtomicBool,
    mqtt_dropped: AtomicU64,
    beats: AtomicU64,
    mqtt_trouble: Mutex<Option<String>>,
    serial_open: AtomicBool,
    serial_dropped: AtomicU64,
}

impl Health {
    /// Everything at zero, the camera opening; `labels` is the number of the model's labels.
    #[must_use]
    pub fn new(labels: usize) -> Self {
        Self {
            started: Instant::now(),
            camera: AtomicU8::new(0),
            reconnects: AtomicU64::new(0),
            captured: AtomicU64::new(0),
            processed: AtomicU64::new(0),
            dropped: Default::default(),
            inference: Default::default(),
            inference_micros: AtomicU64::new(0),
            observed: (0..labels).map(|_| AtomicU64::new(0)).collect(),
            reused: AtomicU64::new(0),
            mqtt_connected: AtomicBool::new(false),
            mqtt_dropped: AtomicU64::new(0),
            beats: AtomicU64::new(0),
            mqtt_trouble: Mutex::default(),
            serial_open: AtomicBool::new(false),
            serial_dropped: AtomicU64::new(0),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The camera's state.
    #[must_use]
    pub fn camera(&self) -> Camera {
        Camera::ALL[usize::from(self.camera.load(Relaxed)) % Camera::ALL.len()]
    }

    /// Moves the camera to a state; opening after any other state counts as an attempt to reconnect.
    pub fn set_camera(&self, state: Camera) {
        let before = self.camera.swap(state as u8, Relaxed);
        if state == Camera::Opening && before != Camera::Opening as u8 {
            self.reconnects.fetch_add(1, Relaxed);
        }
    }

    /// Attempts to open the camera again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Relaxed)
    }

    /// Counts a frame that came from the source.
    pub fn count_captured(&self) {
        self.captured.fetch_add(1, Relaxed);
    }

    /// Frames that came from the source.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.captured.load(Relaxed)
    }

    /// Counts frames without a result.
    pub fn count_dropped(&self, why: Dropped, frames: u64) {
        self.dropped[why as usize].fetch_add(frames, Relaxed);
    }

    /// Frames without a result for this reason.
    #[must_use]
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize].load(Relaxed)
    }

    /// Counts a frame with a result, the time the model took for it where it ran, and the decisions in it.
    pub fn count_processed(
        &self,
        inference: Option<Duration>,
        labels: impl Iterator<Item = usize>,
    ) {
        self.processed.fetch_add(1, Relaxed);
        if let Some(time) = inference {
            self.count_inference(time);
        }
        for label in labels {
            if let Some(count) = self.observed.get(label) {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    fn count_inference(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = INFERENCE_BUCKETS
            .iter()
            .take_while(|&&b| seconds > b)
            .count();
        self.inference[bucket].fetch_add(1, Relaxed);
        self.inference_micros
            .fetch_add(time.as_micros() as u64, Relaxed);
    }

    /// Frames with a result.
    #[must_use]
    pub fn processed(&self) -> u64 {
        self.processed.load(Relaxed)
    }

    /// Frames on which the model ran, in each bucket of [`INFERENCE_BUCKETS`] (not cumulative), then
    /// those above, and the sum of all inference times.
    #[must_use]
    pub fn inference(&self) -> ([u64; INFERENCE_BUCKETS.len() + 1], Duration) {
        (
            std::array::from_fn(|i| self.inference[i].load(Relaxed)),
            Duration::from_micros(self.inference_micros.load(Relaxed)),
        )
    }

    /// Decisions for each label.
    pub fn observed(&self) -> impl Iterator<Item = u64> + '_ {
        self.observed.iter().map(|count| count.load(Relaxed))
    }

    /// Counts faces that kept their scores.
    pub fn count_reused(&self, faces: u64) {
        self.reused.fetch_add(faces, Relaxed);
    }

    /// Faces that kept their scores.
    #[must_use]
    pub fn reused(&self) -> u64 {
        self.reused.load(Relaxed)
    }

    /// Says whether the broker is connected.
    pub fn set_mqtt_connected(&self, connected: bool) {
        self.mqtt_connected.store(connected, Relaxed);
    }

    /// Whether the broker is connected.
    #[must_use]
    pub fn mqtt_connected(&self) -> bool {
        self.mqtt_connected.load(Relaxed)
    }

    /// Counts messages that no longer fitted the buffer while the broker was away.
    pub fn count_mqtt_dropped(&self, messages: u64) {
        self.mqtt_dropped.fetch_add(messages, Relaxed);
    }

    /// Shows that the processing thread is alive, with or without frames.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Relaxed);
    }

    /// How often it did so: as long as this grows, it is not stuck.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.beats.load(Relaxed)
    }

    /// Messages lost while the broker was away.
    #[must_use]
    pub fn mqtt_dropped(&self) -> u64 {
        self.mqtt_dropped.load(Relaxed)
    }

    /// Says why the broker is not connected; nothing when it is.
    pub fn set_mqtt_trouble(&self, reason: Option<String>) {
        *self
            .mqtt_trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why the broker is not connected, where that was tried.
    #[must_use]
    pub fn mqtt_trouble(&self) -> Option<String> {
        self.mqtt_trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says whether the serial port is open.
    pub fn set_serial_open(&self, open: bool) {
        self.serial_open.store(open, Relaxed);
    }

    /// Whether the serial port is open.
    #[must_use]
    pub fn serial_open(&self) -> bool {
        self.serial_open.load(Relaxed)
    }

    /// Counts reports that were lost because the serial line was slow or away.
    pub fn count_serial_dropped(&self, reports: u64) {
        self.serial_dropped.fetch_add(reports, Relaxed);
    }

    /// Reports lost because the serial line was slow or away.
    #[must_use]
    pub fn serial_dropped(&self) -> u64 {
        self.serial_dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inference_times_fall_into_their_bucket() {
        let health = Health::new(2);
        for micros in [500, 1000, 1001, 9_000_000] {
            health.count_processed(Some(Duration::from_micros(micros)), [1, 7].into_iter());
        }
        let (buckets, sum) = health.inference();
        assert_eq!(buckets, [2, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(sum, Duration::from_micros(9_002_501));
        assert_eq!(health.observed().collect::<Vec<_>>(), [0, 4]);
    }

    #[test]
    fn opening_again_counts_as_a_reconnect() {
        let health = Health::new(7);
        assert_eq!(health.camera(), Camera::Opening);
        for state in [
            Camera::Online,
            Camera::Offline,
            Camera::Opening,
            Camera::Online,
        ] {
            health.set_camera(state);
            assert_eq!(health.camera(), state);
        }
        assert_eq!(health.reconnects(), 1);
    }
}
