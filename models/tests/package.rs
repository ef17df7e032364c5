//! Opening model folders: a missing file, a wrong checksum and a manifest that lies are told apart.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use fer_models::{Manifest, ModelError, ModelPackage, sha256_hex};
use tempfile::TempDir;

/// A folder with the embedded model's files.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let package = ModelPackage::embedded();
    fs::write(folder.path().join("model.onnx"), package.onnx()).unwrap();
    fs::write(folder.path().join("model.toml"), package.manifest.to_toml()).unwrap();
    folder
}

fn edit(folder: &Path, change: impl FnOnce(&mut Manifest)) {
    let path = folder.join("model.toml");
    let mut manifest = Manifest::parse(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, manifest.to_toml()).unwrap();
}

#[test]
fn a_folder_and_its_manifest_open_the_same_package() {
    let folder = folder();
    let by_folder = ModelPackage::open(folder.path()).unwrap();
    let by_file = ModelPackage::open(&folder.path().join("model.toml")).unwrap();
    assert_eq!(by_folder.manifest, by_file.manifest);
    assert_eq!(by_folder.onnx(), by_file.onnx());
    assert_eq!(by_folder.onnx(), ModelPackage::embedded().onnx());
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder();
    fs::remove_file(folder.path().join("model.onnx")).unwrap();
    let error = ModelPackage::open(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::Read { .. }), "{error}");
    assert!(error.to_string().contains("model.onnx"), "{error}");
    fs::remove_file(folder.path().join("model.toml")).unwrap();
    let error = ModelPackage::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("model.toml"), "{error}");
    let error = ModelPackage::open(&folder.path().join("nowhere")).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn a_changed_file_is_refused_with_both_checksums() {
    let folder = folder();
    let package = ModelPackage::embedded();
    let mut bytes = package.onnx().to_vec();
    bytes[100] ^= 1;
    fs::write(folder.path().join("model.onnx"), &bytes).unwrap();
    let error = ModelPackage::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains(&sha256_hex(&bytes)), "{error}");
    assert!(error.contains(&package.manifest.model.sha256), "{error}");
}

#[test]
fn a_truncated_file_is_refused() {
    let folder = folder();
    let bytes = ModelPackage::embedded().onnx()[..50].to_vec();
    fs::write(folder.path().join("model.onnx"), bytes).unwrap();
    let error = ModelPackage::open(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::Checksum { .. }), "{error}");
}

#[test]
fn a_manifest_that_lies_is_an_error_that_names_file_and_field() {
    let folder = folder();
    edit(folder.path(), |manifest| manifest.input.crop = 60);
    let error = ModelPackage::open(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::Manifest { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("model.toml") && text.contains("`input.crop` is 60"),
        "{text}"
    );
}

#[test]
fn a_manifest_cannot_reach_outside_its_folder() {
    let folder = folder();
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    for file in ["../secret", secret.to_str().unwrap(), "..", ".secret"] {
        edit(folder.path(), |manifest| {
            manifest.model.file = file.to_owned()
        });
        let error = ModelPackage::open(folder.path()).unwrap_err();
        assert!(
            matches!(error, ModelError::Manifest { .. }),
            "{file}: {error}"
        );
        fs::write(
            folder.path().join("model.toml"),
            ModelPackage::embedded().manifest.to_toml(),
        )
        .unwrap();
    }
}

#[test]
fn a_manifest_that_is_not_text_or_has_no_end_is_refused() {
    let folder = folder();
    let path = folder.path().join("model.toml");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    let error = ModelPackage::open(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::Read { .. }), "{error}");
    fs::write(&path, vec![b'#'; 70_000]).unwrap();
    let error = ModelPackage::open(folder.path()).unwrap_err();
    assert!(
        matches!(error, ModelError::TooLarge { limit: 65_536, .. }),
        "{error}"
    );
}

#[test]
fn parts_are_checked_like_a_folder() {
    let package = ModelPackage::embedded();
    let text = package.manifest.to_toml();
    ModelPackage::from_parts(&text, Cow::Owned(package.onnx().to_vec())).unwrap();
    let error = ModelPackage::from_parts(&text, Cow::Borrowed(b"other")).unwrap_err();
    assert!(matches!(error, ModelError::Checksum { .. }), "{error}");
    let error = ModelPackage::from_parts("format = 9", Cow::Borrowed(b"")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "model.toml: model.toml is format 9, this build reads 1"
    );
}
