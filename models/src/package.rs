//! A model file together with the manifest that speaks for it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::{Manifest, ManifestError};

/// Name of the manifest in a model folder.
pub const MANIFEST_FILE: &str = "model.toml";
/// Largest manifest read, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 10;
/// Largest model file read, in bytes.
pub const MAX_MODEL_BYTES: u64 = 1 << 30;

static EMBEDDED_ONNX: &[u8] = include_bytes!("../zoo/vgg19-slim-int8/model.onnx");
static EMBEDDED_MANIFEST: &str = include_str!("../zoo/vgg19-slim-int8/model.toml");

/// A manifest and the bytes of the ONNX file whose checksum it states.
///
/// The shapes inside the file are checked by whoever loads it into a runtime; this crate knows none.
#[derive(Debug, Clone)]
pub struct ModelPackage {
    /// What the file is and how to use it.
    pub manifest: Manifest,
    onnx: Cow<'static, [u8]>,
}

/// Why a folder is not a usable model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file that is missing or cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file beyond [`MAX_MANIFEST_BYTES`] or [`MAX_MODEL_BYTES`].
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A manifest that cannot be used.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The manifest, or just `model.toml` when it did not come from a file.
        path: PathBuf,
        /// What is wrong with it.
        reason: ManifestError,
    },
    /// The file is not the one that the manifest speaks for.
    #[error("{} has sha256 {found}, its manifest expects {expected}", path.display())]
    Checksum {
        /// The model file.
        path: PathBuf,
        /// Checksum of the bytes read.
        found: String,
        /// Checksum in the manifest.
        expected: String,
    },
}

impl ModelPackage {
    /// Opens a model folder, or the `model.toml` in it, and checks the model file's checksum.
    ///
    /// # Errors
    /// When either file is missing, unreadable or too large, the manifest is wrong, or the checksum
    /// differs.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let (folder, manifest_path) = if path.is_dir() {
            (path, path.join(MANIFEST_FILE))
        } else {
            (path.parent().unwrap_or(Path::new("")), path.to_owned())
        };
        let bytes = read(&manifest_path, MAX_MANIFEST_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|error| ModelError::Read {
            path: manifest_path.clone(),
            reason: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
        })?;
        let manifest = Manifest::parse(&text).map_err(|reason| ModelError::Manifest {
            path: manifest_path,
            reason,
        })?;
        let file = folder.join(&manifest.model.file);
        let onnx = read(&file, MAX_MODEL_BYTES)?;
        Self::checked(manifest, Cow::Owned(onnx), file)
    }

    /// A package from a manifest's text and the bytes of its ONNX file.
    ///
    /// # Errors
    /// When the manifest is wrong or its checksum is not the bytes'.
    pub fn from_parts(manifest_text: &str, onnx: Cow<'static, [u8]>) -> Result<Self, ModelError> {
        let manifest = Manifest::parse(manifest_text).map_err(|reason| ModelError::Manifest {
            path: MANIFEST_FILE.into(),
            reason,
        })?;
        let file = PathBuf::from(&manifest.model.file);
        Self::checked(manifest, onnx, file)
    }

    /// The model built into the binary, `models/zoo/vgg19-slim-int8`.
    ///
    /// # Panics
    /// Never: the files are part of the build, and a test opens them.
    pub fn embedded() -> Self {
        Self::from_parts(EMBEDDED_MANIFEST, Cow::Borrowed(EMBEDDED_ONNX))
            .expect("the embedded model is fixed at build time and opened by a test")
    }

    fn checked(
        manifest: Manifest,
        onnx: Cow<'static, [u8]>,
        path: PathBuf,
    ) -> Result<Self, ModelError> {
        let found = sha256_hex(&onnx);
        let expected = &manifest.model.sha256;
        if found != *expected {
            return Err(ModelError::Checksum {
                path,
                found,
                expected: expected.clone(),
            });
        }
        Ok(Self { manifest, onnx })
    }

    /// The bytes of the ONNX file.
    pub fn onnx(&self) -> &[u8] {
        &self.onnx
    }
}

/// SHA-256 of `bytes` as 64 lower-case hexadecimal digits, the way a manifest states it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Reads a whole file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let failed = |reason| ModelError::Read {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells too large from just right, whatever the metadata says.
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(ModelError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_model_opens() {
        let package =
            ModelPackage::from_parts(EMBEDDED_MANIFEST, Cow::Borrowed(EMBEDDED_ONNX)).unwrap();
        assert_eq!(package.manifest.name, "vgg19-slim-int8");
        assert_eq!(package.manifest.labels, crate::Labels::fer2013());
        assert_eq!(ModelPackage::embedded().onnx(), EMBEDDED_ONNX);
    }

    #[test]
    fn sha256_is_the_published_one() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_limit_is_the_last_size_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, [0; 9]).unwrap();
        assert_eq!(read(&path, 9).unwrap().len(), 9);
        let error = read(&path, 8).unwrap_err();
        assert!(
            matches!(error, ModelError::TooLarge { limit: 8, .. }),
            "{error}"
        );
    }
}
