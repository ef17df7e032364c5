//! Keeps load and temperature within a budget by looking at fewer frames.
//!
//! A pure state machine over measurements: time is passed in, and what is measured comes through
//! [`Gauges`]. Load is proportional to the frame rate, so one step brings it into the budget;
//! temperature follows slowly, so the rate falls and rises in small steps.

use std::time::Duration;

mod gauges;

pub use gauges::{Gauges, SystemGauges};

/// How often load and temperature are measured. A processor warms up over many of these.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// The rate never falls below this: the results stay useful, and the state visible.
const LOWEST_FPS: f32 = 1.0;

/// Where nothing limits the rate, it still has a number to fall from.
const HIGHEST_FPS: f32 = 240.0;

/// The rate rises again only this far below the temperature limit, so that it doesn't swing.
const COOL_BY: f32 = 3.0;

/// One step down, one step up.
const SLOWER: f32 = 0.8;
const FASTER: f32 = 1.1;

/// What has to be kept; nothing is kept by default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Settings {
    /// Frames a second that are looked at, at most.
    pub max_fps: Option<f32>,
    /// Load of this process at most, in percent of one core.
    pub max_cpu_percent: Option<f32>,
    /// Temperature at most.
    pub max_celsius: Option<f32>,
}

/// Decides for each frame whether it is looked at.
#[derive(Debug)]
pub struct Budget<G> {
    settings: Settings,
    gauges: G,
    fps: f32,
    next_frame: Duration,
    /// When it was measured last, and the processor time until then.
    measured: Option<(Duration, Option<Duration>)>,
    next_measurement: Duration,
    admitted: u32,
}

impl<G: Gauges> Budget<G> {
    /// Everything is admitted until the first measurement says otherwise.
    pub fn new(settings: Settings, gauges: G) -> Self {
        Self {
            settings,
            gauges,
            fps: settings.max_fps.unwrap_or(HIGHEST_FPS),
            next_frame: Duration::ZERO,
            measured: None,
            next_measurement: Duration::ZERO,
            admitted: 0,
        }
    }

    /// Takes other limits. A rate that load or heat has lowered adapts from where it is.
    pub fn set(&mut self, settings: Settings) {
        let [before, highest] =
            [self.settings, settings].map(|limits| limits.max_fps.unwrap_or(HIGHEST_FPS));
        let measures = settings.max_cpu_percent.is_some() || settings.max_celsius.is_some();
        self.fps = if measures && self.fps < before {
            self.fps.min(highest)
        } else {
            highest
        };
        self.settings = settings;
    }

    /// Whether the frame that came at `now`, a time since the start, is looked at.
    pub fn admit(&mut self, now: Duration) -> bool {
        if self.settings == Settings::default() {
            return true;
        }
        if now >= self.next_measurement {
            self.next_measurement = now + MEASURE_EVERY;
            self.measure(now);
        }
        if now < self.next_frame {
            return false;
        }
        // The grid of due times goes on where it was, so that a rate between the camera's and a half
        // of it is kept on average; after a pause it starts anew.
        self.next_frame = (self.next_frame + Duration::from_secs_f32(1.0 / self.fps)).max(now);
        self.admitted += 1;
        true
    }

    /// The rate that is admitted at most.
    #[must_use]
    pub fn fps(&self) -> f32 {
        self.fps
    }

    fn measure(&mut self, now: Duration) {
        let highest = self.settings.max_fps.unwrap_or(HIGHEST_FPS);
        let mut fps = self.fps;
        let cpu = self.gauges.cpu_time();
        let before = self.measured.replace((now, cpu));
        let admitted = std::mem::take(&mut self.admitted) as f32;
        let elapsed = before.map(|(then, _)| (now - then).as_secs_f32());
        // the camera or the model may be slower than what is allowed
        let rate = elapsed.map_or(fps, |elapsed| fps.min(admitted / elapsed));
        if let (Some(limit), Some(elapsed), Some((_, Some(cpu_before))), Some(cpu)) =
            (self.settings.max_cpu_percent, elapsed, before, cpu)
        {
            let percent = 100.0 * cpu.saturating_sub(cpu_before).as_secs_f32() / elapsed;
            if percent > limit {
                fps = rate * limit / percent;
            } else if percent < 0.9 * limit {
                fps *= FASTER;
            }
        }
        let celsius = self.settings.max_celsius.zip(self.gauges.celsius());
        if let Some((limit, celsius)) = celsius {
            if celsius > limit {
                fps = fps.min(rate * SLOWER);
            } else if celsius > limit - COOL_BY {
                fps = fps.min(self.fps);
            } else if self.settings.max_cpu_percent.is_none() {
                fps *= FASTER;
            }
        }
        let fps = fps.clamp(LOWEST_FPS.min(highest), highest);
        if fps < self.fps && self.fps == highest {
            tracing::info!(fps, "load or temperature is above its budget: fewer frames");
        } else if fps == highest && self.fps < highest {
            tracing::info!("load and temperature are within their budget again");
        }
        self.fps = fps;
    }
}

#[cfg(test)]
mod tests;
