//! A model folder: `model.onnx`, `model.toml`, `CARD.md`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fer_models::{
    Calibration, Decision, Labels, MANIFEST_FILE, MANIFEST_FORMAT, Manifest, ModelFile,
    ModelPackage, Precision, Preprocess, Provenance, sha256_hex, write_atomic,
};

use super::card::{CardFacts, card};
use super::error::ExportError;
use super::half::to_onnx_f16;
use super::model::OnnxModel;
use super::onnx::{OPSET, to_onnx};
use super::qdq::to_onnx_int8;
use super::verify::{Accept, Agreement, Images, Reference, check};
use crate::compress::quantize::Quantized;
use crate::graph::Network;
use crate::graph::count::Counts;
use crate::graph::fold::fold;

/// The name of the network's file in a model folder.
pub const MODEL_FILE: &str = "model.onnx";

/// The name of the text for people in a model folder.
pub const CARD_FILE: &str = "CARD.md";

/// What a model folder states besides the numbers.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The model's name, such as `vgg19-lite`.
    pub name: String,
    /// Class names in the order of the logits.
    pub labels: Labels,
    /// How a face becomes the network's input.
    pub input: Preprocess,
    /// How logits become a decision.
    pub decision: Decision,
    /// Data, commands, seed, commit and accuracy.
    pub provenance: Provenance,
    /// What the model is meant for: a sentence or two on the card.
    pub intended_use: String,
}

/// A network in the number type that its file stores.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// 32-bit floats.
    F32(&'a Network),
    /// 16-bit floats, computed in 32 bits.
    F16(&'a Network),
    /// 8-bit integers, in all layers or in most.
    Int8(&'a Quantized, &'a Calibration),
}

impl Form<'_> {
    fn network(&self) -> &Network {
        match self {
            Self::F32(network) | Self::F16(network) => network,
            Self::Int8(quantized, _) => quantized.network(),
        }
    }

    fn precision(&self) -> Precision {
        match self {
            Self::F32(_) => Precision::F32,
            Self::F16(_) => Precision::F16,
            Self::Int8(quantized, _) if quantized.is_mixed() => Precision::Mixed,
            Self::Int8(..) => Precision::Int8,
        }
    }

    fn onnx(&self, folded: &Network, facts: &Facts) -> Result<Vec<u8>, ExportError> {
        let Facts {
            name,
            labels,
            input,
            ..
        } = facts;
        match self {
            Self::F32(_) => to_onnx(folded, name, labels, input),
            Self::F16(_) => to_onnx_f16(folded, name, labels, input),
            Self::Int8(quantized, _) => to_onnx_int8(quantized, name, labels, input),
        }
    }

    /// How far a runtime may be from the reference: rounding to codes turns the last bit of a float
    /// into a whole step now and then.
    fn accept(&self) -> Accept {
        match self {
            Self::F32(_) | Self::F16(_) => Accept::Logits,
            Self::Int8(..) => Accept::Decisions,
        }
    }
}

/// What an export made.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The manifest as written.
    pub manifest: Manifest,
    /// Size of the ONNX file.
    pub bytes: usize,
    /// How far the file, run by tract, agrees with the network.
    pub agreement: Agreement,
}

/// Folds the network, writes it as ONNX in 32-bit floats, reads the file back, verifies it on `images`,
/// and puts the three files into `folder`, which is made where missing.
///
/// # Errors
/// As [`write_form`].
pub fn write_package(
    folder: &Path,
    network: &Network,
    facts: &Facts,
    images: Images<'_>,
    reference: Reference<'_>,
) -> Result<Exported, ExportError> {
    write_form(folder, Form::F32(network), facts, images, reference)
}

/// Writes a model folder as [`write_package`] does, in the number type of `form`.
///
/// All three files are complete on the disk before the first one takes its place, the manifest last:
/// a full disk, a refused file or a killed process leaves what was in the folder, and whoever opens it
/// between two renames is told by the checksum.
///
/// # Errors
/// When network and facts do not fit together, the file disagrees with `reference` (which computes the
/// logits of the network as trained, or as rounded where the form rounds), or a file cannot be written.
pub fn write_form(
    folder: &Path,
    form: Form<'_>,
    facts: &Facts,
    images: Images<'_>,
    reference: Reference<'_>,
) -> Result<Exported, ExportError> {
    let network = form.network();
    network.graph.check_weights(&network.weights)?;
    let folded = fold(network);
    let onnx = form.onnx(&folded, facts)?;
    let manifest = manifest(&folded, form, facts, &onnx);
    manifest.validate()?;

    let staging = Staging::create(folder)?;
    staging.write(MODEL_FILE, &onnx)?;
    staging.write(MANIFEST_FILE, manifest.to_toml().as_bytes())?;
    let package = ModelPackage::open(&staging.path)?;
    let mut model = OnnxModel::load(package.onnx())?;
    let agreement = check(&mut model, images, reference, form.accept())?;
    let facts = CardFacts {
        architecture: network.graph.name(),
        bytes: onnx.len(),
        intended_use: &facts.intended_use,
        agreement,
    };
    staging.write(CARD_FILE, card(&manifest, &facts).as_bytes())?;
    staging.place(&[CARD_FILE, MODEL_FILE, MANIFEST_FILE])?;
    Ok(Exported {
        manifest,
        bytes: onnx.len(),
        agreement,
    })
}

fn manifest(folded: &Network, form: Form<'_>, facts: &Facts, onnx: &[u8]) -> Manifest {
    let counts = Counts::of(&folded.graph);
    Manifest {
        format: MANIFEST_FORMAT,
        name: facts.name.clone(),
        labels: facts.labels.clone(),
        model: ModelFile {
            file: MODEL_FILE.into(),
            sha256: sha256_hex(onnx),
            precision: form.precision(),
            opset: OPSET,
            parameters: counts.parameters,
            multiply_adds: counts.multiply_adds,
            calibration: match form {
                Form::Int8(_, calibration) => Some(calibration.clone()),
                Form::F32(_) | Form::F16(_) => None,
            },
        },
        input: facts.input,
        decision: facts.decision,
        provenance: facts.provenance.clone(),
    }
}

/// A hidden folder inside the destination where the files wait; removed when dropped.
struct Staging<'a> {
    destination: &'a Path,
    path: PathBuf,
}

impl<'a> Staging<'a> {
    fn create(destination: &'a Path) -> Result<Self, ExportError> {
        fs::create_dir_all(destination).map_err(ExportError::io("make", destination))?;
        for attempt in 0u32.. {
            let path = destination.join(format!(".export.{}.{attempt}.tmp", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { destination, path }),
                // left by a killed process of the same id: take the next name
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(reason) => return Err(ExportError::io("make", &path)(reason)),
            }
        }
        unreachable!("2^32 folders of this process in one folder")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.path.join(name);
        write_atomic(&path, |out| out.write_all(bytes)).map_err(ExportError::io("write", &path))
    }

    /// Moves the files to the destination in this order.
    fn place(&self, names: &[&str]) -> Result<(), ExportError> {
        for name in names {
            let to = self.destination.join(name);
            fs::rename(self.path.join(name), &to).map_err(ExportError::io("write", &to))?;
        }
        #[cfg(unix)]
        fs::File::open(self.destination)
            .and_then(|folder| folder.sync_all())
            .map_err(ExportError::io("write", self.destination))?;
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // The first error is the one worth reporting; this one would only hide it.
        let _ = fs::remove_dir_all(&self.path);
    }
}
