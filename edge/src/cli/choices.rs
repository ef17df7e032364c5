//! Flags that several subcommands share, and what they stand for.

use std::env;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fer_edge::config::{
    self, ConfigError, DetectorKind, FlagValue, Loaded, Origin, Places, variables,
};
use fer_edge::infer::TractClassifier;
use fer_edge::service::stages;
use fer_models::ModelPackage;

use super::{Failure, configuration, conflict};

/// Where the configuration lies.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigChoice {
    /// Configuration file, with drop-ins in conf.d beside it [default: /etc/fer/fer-edge.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigChoice {
    /// Reads all layers, with `flags` on top.
    pub(super) fn load(&self, flags: Vec<FlagValue>) -> Result<Loaded, Failure> {
        load(&self.places(flags))
    }

    /// Where the layers lie.
    pub(super) fn places(&self, flags: Vec<FlagValue>) -> Places {
        let variable = env::var_os(variables::CONFIG_FILE).filter(|path| !path.is_empty());
        Places {
            file: self.config.clone().or(variable.map(PathBuf::from)),
            flags,
            ..Places::default()
        }
    }
}

/// Reads all layers, and logs what should be known about them.
pub(super) fn load(places: &Places) -> Result<Loaded, Failure> {
    let loaded = config::load(places, env::vars_os()).map_err(refused)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded)
}

/// What a flag said is the user's slip, everything else one of the configuration.
fn refused(error: ConfigError) -> Failure {
    match error {
        ConfigError::Key {
            origin: Origin::Flag(flag),
            error,
        } => conflict(&format!("{flag}: {}", error.problem)),
        error => configuration(error),
    }
}

/// Which model to run.
#[derive(Debug, Args)]
pub(super) struct ModelChoice {
    /// Model folder, or the model.toml in it [default: the embedded model]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// How faces are found.
#[derive(Debug, Args)]
pub(super) struct DetectorChoice {
    /// How faces are found [default: seeta, or roi with --region]
    #[arg(long, value_enum)]
    detector: Option<DetectorKind>,
    /// Where the face is, in pixels of the frame
    #[arg(long, value_name = "X,Y,W,H", value_parser = parse_region)]
    region: Option<[f32; 4]>,
    /// Smallest face to find [default: an eighth of the frame's shorter side, at least 48]
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u16).range(20..))]
    min_face: Option<u16>,
    /// Drop faces that the detector is less sure of; useful are 0.9 to 4.5 [default: 2], with yunet
    /// 0.5 to 0.9 [default: 0.7]
    #[arg(long, value_name = "SCORE", value_parser = parse_positive)]
    min_score: Option<f32>,
    /// ONNX file of a YuNet, for --detector yunet
    #[arg(long, value_name = "FILE")]
    detector_model: Option<PathBuf>,
}

impl ModelChoice {
    /// The flag as a value of the configuration.
    pub(super) fn values(&self) -> Vec<FlagValue> {
        let path = self.model.as_ref().map(|path| path.to_string_lossy());
        path.map(|path| ("model.path", path.as_ref().into(), "--model"))
            .into_iter()
            .collect()
    }

    /// The model folder that the flag names.
    pub(super) fn path(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// The model that the flag names, whatever the configuration says.
    pub(super) fn load(&self) -> Result<(ModelPackage, TractClassifier), Failure> {
        stages::model(self.model.as_deref()).map_err(configuration)
    }
}

impl DetectorChoice {
    /// The detector that the flags ask for, outright or by what belongs to it.
    fn kind(&self) -> Option<DetectorKind> {
        let region = self.region.map(|_| DetectorKind::Roi);
        let model = self.detector_model.as_ref().map(|_| DetectorKind::Yunet);
        self.detector.or(region).or(model)
    }

    /// Refuses flags that contradict each other.
    fn check(&self) -> Result<(), Failure> {
        let kind = self.kind();
        if self.region.is_some() && kind != Some(DetectorKind::Roi) {
            return Err(conflict("--region goes with --detector roi only"));
        }
        if self.detector_model.is_some() && kind != Some(DetectorKind::Yunet) {
            return Err(conflict("--detector-model goes with --detector yunet only"));
        }
        let searches = !matches!(kind, Some(DetectorKind::Roi | DetectorKind::None));
        if (self.min_face.is_some() || self.min_score.is_some()) && !searches {
            return Err(conflict(
                "--min-face and --min-score go with --detector seeta or yunet only",
            ));
        }
        Ok(())
    }

    /// The flags as values of the configuration.
    pub(super) fn values(&self) -> Result<Vec<FlagValue>, Failure> {
        self.check()?;
        let mut values = Vec::new();
        // What belongs to a detector outdoes the detector of a file.
        if let Some(kind) = self.kind().and_then(|kind| kind.to_possible_value()) {
            values.push(("vision.detector", kind.get_name().into(), "--detector"));
        }
        if let Some(region) = self.region {
            values.push(("vision.region", region.to_vec().into(), "--region"));
        }
        if let Some(path) = &self.detector_model {
            let path = path.to_string_lossy();
            values.push((
                "vision.detector_model",
                path.as_ref().into(),
                "--detector-model",
            ));
        }
        if let Some(pixels) = self.min_face {
            values.push(("vision.min_face", i64::from(pixels).into(), "--min-face"));
        }
        if let Some(score) = self.min_score {
            values.push(("vision.min_score", score.into(), "--min-score"));
        }
        Ok(values)
    }
}

fn parse_region(text: &str) -> Result<[f32; 4], String> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|part| part.trim().parse().ok().filter(|n: &f32| n.is_finite()))
        .collect::<Option<_>>()
        .ok_or("expected four numbers X,Y,W,H")?;
    match numbers[..] {
        [x, y, width, height] if width >= 1.0 && height >= 1.0 => Ok([x, y, width, height]),
        [_, _, _, _] => Err("width and height must be at least 1".to_owned()),
        _ => Err("expected four numbers X,Y,W,H".to_owned()),
    }
}

pub(super) fn parse_positive(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|n: &f32| n.is_finite() && *n > 0.0)
        .ok_or_else(too_small)
}

fn too_small() -> String {
    "expected a number above 0".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_four_numbers() {
        let region = parse_region("10, 20.5,100,90");
        assert_eq!(region, Ok([10.0, 20.5, 100.0, 90.0]));
        for bad in [
            "",
            "1,2,3",
            "1,2,3,4,5",
            "a,2,3,4",
            "1,2,0,4",
            "1,2,inf,4",
            "NaN,0,1,1",
        ] {
            assert!(parse_region(bad).is_err(), "{bad}");
        }
    }
}
