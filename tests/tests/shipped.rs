//! The models in `models/zoo/`: whole, described, embedded as shipped, and the embedded one as good as it says.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use fer_edge::infer::{Classifier, TractClassifier};
use fer_models::{Crops, ModelPackage, argmax};
use fer_tests::program::edge;
use fer_tests::skip;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{LoadOptions, Split, load};
use serde_json::Value;

/// Name of the model that is built into `fer-edge`.
const EMBEDDED: &str = "vgg19-slim-int8";

/// Least accepted PublicTest accuracy of the embedded model with ten crops, in percent.
const FLOOR: f32 = 71.0;

/// The folders of the zoo.
fn zoo() -> Vec<PathBuf> {
    let folder = skip::root().join("models/zoo");
    let mut models: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    models.sort();
    assert!(!models.is_empty());
    models
}

#[test]
fn every_model_opens_under_its_folders_name_and_has_a_card() {
    for folder in zoo() {
        let package = ModelPackage::open(&folder).unwrap();
        let manifest = &package.manifest;
        assert_eq!(folder.file_name().unwrap(), manifest.name.as_str());
        let card = fs::read_to_string(folder.join("CARD.md"))
            .unwrap_or_else(|e| panic!("{}/CARD.md: {e}", folder.display()));
        for fact in [
            manifest.name.clone(),
            manifest.provenance.dataset.clone(),
            manifest.provenance.seed.to_string(),
            manifest.model.sha256[..12].to_owned(),
        ] {
            assert!(card.contains(&fact), "{}: no {fact:?}", folder.display());
        }
        let accuracy = manifest.provenance.accuracy.as_ref();
        assert!(accuracy.is_some(), "{}: not measured", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let bytes = entry.metadata().unwrap().len();
            assert!(
                bytes < 8_000_000,
                "{}: {bytes} bytes",
                entry.path().display()
            );
        }
        // what it was trained to, to fine-tune from and to compare the exported file with; the same one for 8 bits
        let floats = manifest.name.trim_end_matches("-int8");
        let trained = folder.with_file_name(floats).join("checkpoint.safetensors");
        let trained = Checkpoint::load(&trained).unwrap();
        assert_eq!(trained.labels, manifest.labels);
        assert_eq!(trained.input, manifest.input);
    }
}

#[test]
fn every_model_runs_at_the_edge() {
    for folder in zoo() {
        let args = ["run", "demo", "--frames", "5", "--model"].map(Into::into);
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let printed = edge(args.into_iter().chain([folder.into_os_string()])).success();
        assert_eq!(printed.lines().count(), 5);
        for line in printed.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["model"], name.as_str());
            assert!(line["faces"][0]["label"].is_string(), "{line}");
        }
    }
}

/// Another model or detector would make the page stale.
#[test]
fn the_page_on_json_lines_shows_what_the_demo_prints() {
    let page = fs::read_to_string(skip::root().join("docs/json-lines.md")).unwrap();
    let shown = page
        .lines()
        .find(|line| line.starts_with("{\"v\":1"))
        .unwrap();
    let printed = edge(["run", "demo", "--frames", "5"].map(Into::<OsString>::into)).success();
    let [shown, printed] = [shown, printed.lines().last().unwrap()]
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(alike(&shown, &printed), "{shown} is {printed}");
}

/// Equal but for what another processor rounds in another way.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| alike(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, a)| other.get(key).is_some_and(|b| alike(a, b)))
        }
        _ => match (one.as_f64(), other.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() < 2e-3,
            _ => one == other,
        },
    }
}

#[test]
fn the_embedded_model_is_the_shipped_one() {
    let shipped = ModelPackage::open(&skip::root().join("models/zoo").join(EMBEDDED)).unwrap();
    let embedded = ModelPackage::embedded();
    assert_eq!(embedded.manifest, shipped.manifest);
    assert!(embedded.onnx() == shipped.onnx());
}

#[test]
fn the_embedded_model_holds_its_accuracy_on_public_test() {
    let Some(data) = skip::data() else {
        skip::skip("no ../shared/data and no FER_DATA: the shipped model was not judged");
        return;
    };
    let dataset = load(&data.join("fer2013.csv.xz"), &LoadOptions::default())
        .unwrap()
        .dataset;
    let public = dataset.indices(Split::PublicTest);
    assert_eq!(public.len(), 3589, "the whole split");
    // ten crops, as for the figure in the manifest, whatever it decides by
    let embedded = ModelPackage::embedded();
    let mut manifest = embedded.manifest.clone();
    manifest.decision.crops = Crops::Ten;
    let onnx = Cow::Owned(embedded.onnx().to_vec());
    let package = ModelPackage::from_parts(&manifest.to_toml(), onnx).unwrap();
    let mut classifier = TractClassifier::load(&package).unwrap();
    let mut face = vec![0.0; Crops::Ten.count() * manifest.input.input_len()];
    let mut scores = Vec::new();
    let mut right = 0;
    for &index in &public {
        manifest
            .input
            .write_input(dataset.image(index), Crops::Ten, &mut face);
        classifier.classify(&face, &mut scores).unwrap();
        right += usize::from(argmax(&scores) == usize::from(dataset.item(index).label));
    }
    let percent = 100.0 * right as f32 / public.len() as f32;
    assert!(percent >= FLOOR, "{percent:.2} %, expected {FLOOR} %");
    let stated = manifest.provenance.accuracy.unwrap().percent;
    assert!(
        (stated - percent).abs() <= 0.2,
        "{percent:.2} %, its manifest states {stated:.2} %"
    );
}
