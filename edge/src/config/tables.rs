//! The tables that belong to no single module: what to look at, with which model, and the service.

use std::path::{Path, PathBuf};

use fer_models::Rect;
use serde::{Deserialize, Serialize};

use crate::budget;
use crate::reuse;
use crate::setting::{InvalidSetting, within};
use crate::smooth;

/// How faces are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DetectorKind {
    /// SeetaFace, embedded: upright frontal faces
    #[serde(alias = "rustface")]
    #[value(alias = "rustface")]
    Seeta,
    /// A YuNet from an ONNX file, given by --detector-model
    Yunet,
    /// The whole frame is a face
    None,
    /// A fixed region, given by --region
    Roi,
}

/// A detector with what it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'a> {
    /// SeetaFace, embedded.
    Seeta,
    /// YuNet from a file.
    Yunet(&'a Path),
    /// The whole frame.
    WholeFrame,
    /// A fixed region.
    Region(Rect),
}

/// `[vision]`: how faces are found and followed.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vision {
    /// How faces are found; by default seeta, roi where there is a region, yunet where there is its
    /// file.
    pub detector: Option<DetectorKind>,
    /// ONNX file of a YuNet.
    pub detector_model: Option<PathBuf>,
    /// Where the face is, as x, y, width and height in pixels of the frame.
    pub region: Option<[f32; 4]>,
    /// Smallest face to find, in pixels; by default an eighth of the frame's shorter side.
    pub min_face: Option<u16>,
    /// Detections below this score are dropped.
    pub min_score: Option<f32>,
    /// Faces are searched in every n-th frame.
    pub every_n_frames: u64,
}

impl Default for Vision {
    fn default() -> Self {
        Self {
            detector: None,
            detector_model: None,
            region: None,
            min_face: None,
            min_score: None,
            every_n_frames: 1,
        }
    }
}

impl Vision {
    /// The detector that is meant, with what it needs; seeta where that is missing, which
    /// validation refuses.
    #[must_use]
    pub fn kind(&self) -> Kind<'_> {
        let region = self.region.map(|[x, y, width, height]| Rect {
            x,
            y,
            width,
            height,
        });
        let region = region.map(Kind::Region);
        let yunet = self.detector_model.as_deref().map(Kind::Yunet);
        match self.detector {
            Some(DetectorKind::Seeta) => None,
            Some(DetectorKind::Yunet) => yunet,
            Some(DetectorKind::None) => Some(Kind::WholeFrame),
            Some(DetectorKind::Roi) => region,
            None => region.or(yunet),
        }
        .unwrap_or(Kind::Seeta)
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        if let Some(region) = self.region {
            let [_, _, width, height] = region;
            if !region.iter().all(|n| n.is_finite()) || width < 1.0 || height < 1.0 {
                return Err(InvalidSetting::new(
                    "region",
                    format!("{region:?}"),
                    "x, y, width and height, the last two at least 1",
                ));
            }
        }
        match self.detector {
            Some(DetectorKind::Roi) if self.region.is_none() => {
                return Err(InvalidSetting::new(
                    "detector",
                    "roi alone",
                    "region = [x, y, width, height] beside roi",
                ));
            }
            Some(DetectorKind::Yunet) if self.detector_model.is_none() => {
                return Err(InvalidSetting::new(
                    "detector",
                    "yunet alone",
                    "detector_model = \"FILE\" beside yunet",
                ));
            }
            _ => {}
        }
        if let Some(pixels) = self.min_face.filter(|&pixels| pixels < 20) {
            return Err(InvalidSetting::new("min_face", pixels, "at least 20"));
        }
        above_zero("min_score", self.min_score)?;
        if self.every_n_frames == 0 {
            return Err(InvalidSetting::new("every_n_frames", 0, "at least 1"));
        }
        Ok(())
    }
}

/// `[reuse]`: which faces keep the scores that they have.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reuse {
    /// Largest mean difference of a face's pixels, in grey levels of 0 to 255.
    pub difference: f32,
    /// Least score of the best emotion, 0 to 1.
    pub score: f32,
    /// How many times in a row, at most; 0 judges every face anew.
    pub frames: u32,
}

impl Default for Reuse {
    fn default() -> Self {
        let reuse::Settings {
            difference,
            score,
            frames,
        } = reuse::Settings::default();
        Self {
            difference,
            score,
            frames,
        }
    }
}

impl Reuse {
    /// As the memory of faces wants it.
    #[must_use]
    pub fn settings(&self) -> reuse::Settings {
        reuse::Settings {
            difference: self.difference,
            score: self.score,
            frames: self.frames,
        }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        within("difference", self.difference, 0.0..=255.0)?;
        within("score", self.score, 0.0..=1.0)
    }
}

/// `[smoothing]`: how scores become decisions.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smoothing {
    /// Judge each frame for itself; the other keys then count for nothing.
    pub raw: bool,
    /// Scores are averaged over about this many milliseconds.
    pub time_ms: u32,
    /// How far another emotion must lead to take over, 0 to 1.
    pub margin: f32,
    /// How many milliseconds an emotion stands at least.
    pub dwell_ms: u64,
}

impl Default for Smoothing {
    fn default() -> Self {
        let smooth = smooth::Settings::default();
        Self {
            raw: false,
            time_ms: smooth.time_constant_ms as u32,
            margin: smooth.margin,
            dwell_ms: smooth.dwell_ms,
        }
    }
}

impl Smoothing {
    /// As the smoother wants it.
    #[must_use]
    pub fn settings(&self) -> smooth::Settings {
        if self.raw {
            return smooth::Settings::RAW;
        }
        smooth::Settings {
            time_constant_ms: self.time_ms as f32,
            margin: self.margin,
            dwell_ms: self.dwell_ms,
        }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        within("margin", self.margin, 0.0..=1.0)
    }
}

/// `[model]`: which model to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// Model folder, or the `model.toml` in it; by default the embedded model.
    pub path: Option<PathBuf>,
}

/// `[service]`: the program as a whole.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// Identifies this device, for example in MQTT topics; by default derived from the machine's id.
    pub id: Option<String>,
    /// What people call this device; by default the host's name.
    pub name: Option<String>,
    /// Print each result on stdout as a line of JSON.
    pub stdout: bool,
    /// Faces whose score is below this are not reported, 0 to 1.
    pub threshold: f32,
    /// At most this many frames a second are looked at.
    pub max_fps: Option<f32>,
    /// Frames are skipped to stay below this load, in percent of one core.
    pub max_cpu_percent: Option<f32>,
    /// Frames are skipped to stay below this temperature.
    pub max_celsius: Option<f32>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            id: None,
            name: None,
            stdout: true,
            threshold: 0.0,
            max_fps: None,
            max_cpu_percent: None,
            max_celsius: None,
        }
    }
}

impl Service {
    /// What the frame rate has to keep within.
    #[must_use]
    pub fn budget(&self) -> budget::Settings {
        budget::Settings {
            max_fps: self.max_fps,
            max_cpu_percent: self.max_cpu_percent,
            max_celsius: self.max_celsius,
        }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        within("threshold", self.threshold, 0.0..=1.0)?;
        let plain = |id: &str| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
        };
        if let Some(id) = self.id.as_deref().filter(|&id| !plain(id)) {
            let expected = "1 to 64 letters, digits, - or _";
            return Err(InvalidSetting::new("id", id, expected));
        }
        // below, those who watch over the service take its pauses for faults
        if let Some(fps) = self.max_fps {
            within("max_fps", fps, 0.5..=1000.0)?;
        }
        above_zero("max_cpu_percent", self.max_cpu_percent)?;
        above_zero("max_celsius", self.max_celsius)
    }
}

fn above_zero(field: &'static str, value: Option<f32>) -> Result<(), InvalidSetting> {
    match value {
        Some(number) if !(number.is_finite() && number > 0.0) => {
            Err(InvalidSetting::new(field, number, "a number above 0"))
        }
        _ => Ok(()),
    }
}
