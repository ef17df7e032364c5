//! `model.toml`: what a model file is and how to use it.

use serde::{Deserialize, Serialize};

use crate::crops::Crops;
use crate::field::{FieldError, check};
use crate::labels::Labels;
use crate::preprocess::Preprocess;

/// The format of `model.toml` that this build reads and writes.
pub const MANIFEST_FORMAT: u32 = 1;

/// Everything a program must know to use a model file, and where the file came from.
///
/// Tables and fields in `model.toml` are named as here; an unknown one is refused, so that an older
/// build never ignores what a newer one meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the manifest, [`MANIFEST_FORMAT`].
    pub format: u32,
    /// The model's name, for example `vgg19-lite`: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Class names in the order of the network's outputs.
    pub labels: Labels,
    /// The file itself.
    pub model: ModelFile,
    /// How a face becomes the network's input.
    pub input: Preprocess,
    /// How logits become a decision.
    pub decision: Decision,
    /// How to make the model again.
    pub provenance: Provenance,
}

/// The `[model]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Plain name of the ONNX file, which lies beside the manifest.
    pub file: String,
    /// SHA-256 of the file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Number type of the weights.
    pub precision: Precision,
    /// Version of the default ONNX operator set, 1 to 100.
    pub opset: u32,
    /// Number of weights.
    pub parameters: u64,
    /// Multiply-adds for one crop.
    pub multiply_adds: u64,
    /// How the codes of a file with 8-bit layers were chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// The `[model.calibration]` table: what the ranges of 8-bit codes were chosen on. Free text and
/// numbers for people; nothing depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How, for example `percentile 99.99, bias correction`.
    pub method: String,
    /// The data that the images are from.
    pub data: String,
    /// Number of images.
    pub images: u64,
    /// Seed of their choice.
    pub seed: u64,
}

/// Number type of a model's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point.
    F16,
    /// 8-bit integers with a scale for each output channel.
    Int8,
    /// 8-bit integers in most layers, 32-bit floats in those that rounding hurts most.
    Mixed,
}

/// The `[decision]` table: logits of all crops are averaged, divided by the temperature, and turned
/// into scores by softmax.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Softmax temperature, 0.001 to 1000; 1 leaves the logits alone.
    pub temperature: f32,
    /// The crops that the network is meant to see of each face.
    pub crops: Crops,
}

/// The `[provenance]` table. Free text for people; nothing depends on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The data trained on.
    pub dataset: String,
    /// The command that made the file.
    pub command: String,
    /// Its seed.
    pub seed: u64,
    /// The commit of this repository that ran it, or `unknown`.
    pub commit: String,
    /// How well it does, when measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Accuracy>,
}

/// The `[provenance.accuracy]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// The split measured on, for example `PublicTest`; where its data are not known to be those trained on,
    /// with them and the number of images: `PublicTest of other.csv, 500 images`.
    pub split: String,
    /// The crops averaged over.
    pub crops: Crops,
    /// Correct decisions, 0 to 100.
    pub percent: f32,
}

/// Why a text is not a manifest that this build can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not TOML, a field missing, unknown or of another type; says where and what was expected.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Written for another build. Checked first, since nothing else can be trusted then.
    #[error("model.toml is format {found}, this build reads {MANIFEST_FORMAT}")]
    Format {
        /// The format found, or `missing`.
        found: String,
    },
    /// A value that cannot be meant.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// The one field that every format of the manifest has.
#[derive(Deserialize)]
struct Header {
    format: Option<toml::Value>,
}

impl Manifest {
    /// Reads the text of a `model.toml` and checks every field.
    ///
    /// # Errors
    /// Names the field or line, what was found and what was expected. The format is checked first.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let found = match toml::from_str::<Header>(text)?.format {
            Some(toml::Value::Integer(format)) if format == i64::from(MANIFEST_FORMAT) => None,
            Some(other) => Some(other.to_string()),
            None => Some("missing".to_owned()),
        };
        if let Some(found) = found {
            return Err(ManifestError::Format { found });
        }
        let manifest: Self = toml::from_str(text)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// The manifest as the text of a `model.toml`; what [`parse`](Self::parse) accepted, it accepts
    /// again and finds equal.
    ///
    /// # Panics
    /// Never for the types of this struct: TOML can say every string, number and list in it.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("strings, numbers and tables with fixed keys are TOML")
    }

    /// Checks a model's name before there is anything else of a manifest.
    ///
    /// # Errors
    /// A name that would need quoting somewhere.
    pub fn check_name(name: &str) -> Result<(), FieldError> {
        check(
            is_plain_name(name),
            "name",
            format_args!("{name:?}"),
            "1 to 64 letters, digits, `-`, `_`, `.`, not starting with `.`",
        )
    }

    /// Checks every field; [`parse`](Self::parse) has done so. For whoever fills in the struct.
    ///
    /// # Errors
    /// The first field out of range.
    pub fn validate(&self) -> Result<(), FieldError> {
        check(
            self.format == MANIFEST_FORMAT,
            "format",
            self.format,
            MANIFEST_FORMAT,
        )?;
        Self::check_name(&self.name)?;
        self.model.validate()?;
        self.input.validate()?;
        let temperature = self.decision.temperature;
        check(
            (1e-3..=1e3).contains(&temperature),
            "decision.temperature",
            temperature,
            "1e-3 to 1e3",
        )?;
        let Some(accuracy) = &self.provenance.accuracy else {
            return Ok(());
        };
        let percent = accuracy.percent;
        check(
            (0.0..=100.0).contains(&percent),
            "provenance.accuracy.percent",
            percent,
            "0 to 100",
        )
    }
}

impl ModelFile {
    fn validate(&self) -> Result<(), FieldError> {
        check(
            is_plain_name(&self.file),
            "model.file",
            format_args!("{:?}", self.file),
            "a file name beside model.toml: 1 to 64 letters, digits, `-`, `_`, `.`, \
             not starting with `.`",
        )?;
        check(
            self.sha256.len() == 64
                && self
                    .sha256
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            "model.sha256",
            format_args!("{:?}", self.sha256),
            "64 lower-case hexadecimal digits",
        )?;
        check(
            (1..=100).contains(&self.opset),
            "model.opset",
            self.opset,
            "1 to 100",
        )?;
        check(
            self.calibration.is_none()
                || matches!(self.precision, Precision::Int8 | Precision::Mixed),
            "model.calibration",
            "given",
            "none where model.precision is not int8 or mixed",
        )
    }
}

/// A name that is one path component on every system and needs no quoting anywhere.
fn is_plain_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
