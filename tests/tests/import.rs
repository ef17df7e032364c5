//! Checkpoints that PyTorch wrote give PyTorch's logits, and what must be refused is.
//!
//! `host/tests/fixtures/torch/write.py` writes them, in a Python with torch that `FER_PYTHON_TORCH` names (`none`: there is
//! none); two small ones are committed beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use fer_tests::program::tools;
use fer_tests::skip;
use fer_tools::graph::exec::{Engine, NativeEngine, Params};
use fer_tools::import::{ImportError, import};
use serde_json::Value;

/// Largest accepted difference between our logits and PyTorch's.
const TOLERANCE: f64 = 1e-4;

fn fixtures() -> PathBuf {
    skip::root().join("host/tests/fixtures/torch")
}

/// Lets PyTorch write the files of one kind; `None`, after saying why, where there is no PyTorch.
fn written(kind: &str, folder: &Path) -> Option<Vec<Value>> {
    let Some(python) = std::env::var_os("FER_PYTHON_TORCH") else {
        skip::skip(&format!(
            "no FER_PYTHON_TORCH: PyTorch wrote no files ({kind})"
        ));
        return None;
    };
    if python.as_os_str() == "none" {
        skip::note(&format!(
            "SKIP: FER_PYTHON_TORCH=none: PyTorch wrote no files ({kind})"
        ));
        return None;
    }
    let mut command = Command::new(python);
    command
        .arg(fixtures().join("write.py"))
        .arg(kind)
        .arg(folder);
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {message}");
    Some(cases(folder))
}

fn cases(folder: &Path) -> Vec<Value> {
    let text = std::fs::read(folder.join("cases.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The images of `write.py`.
fn pixels(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 251) as f32 / 255.0).collect()
}

/// Imports a file and compares architecture and logits. Gives the largest difference.
fn judge(folder: &Path, case: &Value) -> f64 {
    let file = case["file"].as_str().unwrap();
    let network = import(&folder.join(file), None).unwrap().network;
    assert_eq!(network.graph.name(), case["architecture"], "{file}");
    let expected: Vec<Vec<f64>> = serde_json::from_value(case["logits"].clone()).unwrap();
    let images = expected.len();
    let pixels = pixels(images * network.graph.input_shape().iter().product::<usize>());
    let mut engine = NativeEngine::<f32>::new(network.graph.clone());
    let logits = engine
        .infer(&Params::new(&network), &pixels, images)
        .unwrap();
    // a network that forgets its image would agree whatever its first layers are
    let apart = expected[0]
        .iter()
        .zip(&expected[1])
        .map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) > 0.01, "{file}: {expected:?}");
    let expected = expected.concat();
    assert_eq!(logits.len(), expected.len(), "{file}");
    let pairs = logits.iter().zip(&expected);
    let difference = pairs
        .map(|(&l, e)| (f64::from(l) - e).abs())
        .fold(0.0, f64::max);
    assert!(difference < TOLERANCE, "{file}: {difference:e}");
    difference
}

#[test]
fn committed_files_give_pytorchs_logits() {
    let cases = cases(&fixtures());
    assert_eq!(cases.len(), 2);
    for case in &cases {
        judge(&fixtures(), case);
    }
}

#[test]
fn files_that_pytorch_writes_give_its_logits() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = written("all", folder.path()) else {
        return;
    };
    assert!(cases.len() >= 50, "{} files", cases.len());
    let differences = cases.iter().map(|case| judge(folder.path(), case));
    let largest = differences.fold(0.0, f64::max);
    skip::note(&format!(
        "{} files of PyTorch: logits within {largest:.1e}",
        cases.len()
    ));
}

#[test]
fn networks_of_torchvision_and_pytorchcv_give_their_logits() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = written("packages", folder.path()) else {
        return;
    };
    if cases.is_empty() {
        skip::note(
            "SKIP: no torchvision and pytorchcv beside torch: their networks were not judged",
        );
        return;
    }
    for case in &cases {
        let difference = judge(folder.path(), case);
        skip::note(&format!("{}: logits within {difference:.1e}", case["file"]));
    }
}

#[test]
fn files_that_cannot_be_meant_are_refused_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let Some(cases) = written("bad", folder.path()) else {
        return;
    };
    for case in &cases {
        let file = case["file"].as_str().unwrap();
        let error = import(&folder.path().join(file), None).unwrap_err();
        assert!(matches!(error, ImportError::Refused { .. }), "{error}");
        let error = error.to_string();
        let words = case["words"].as_array().unwrap();
        for words in words.iter().map(|w| w.as_str().unwrap()).chain([file]) {
            assert!(error.contains(words), "{file}: {words:?} in {error}");
        }
    }
}

#[test]
fn an_imported_checkpoint_is_judged_pruned_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, own, slim) = (
        fixtures().join("tiny-vgg11.t7").display().to_string(),
        path("own.safetensors"),
        path("slim.safetensors"),
    );
    let said = tools(["import", &file, "--out", &own, "--json"]).success();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["architecture"], "vgg11");
    assert_eq!(
        (&said["format"], &said["key"]),
        (&"legacy".into(), &"state_dict".into())
    );
    let faces = "synth:7:70";
    tools(["eval", &own, faces, "--split", "Training"]).success();
    let prune = [
        "prune",
        &own,
        "--percent",
        "0.1",
        "--min-channels",
        "1",
        "--out",
        &slim,
    ];
    tools(prune).success();
    let export = [
        "export", &own, "--data", faces, "--name", "tiny", "--images", "8", "--out",
    ];
    tools(export.into_iter().chain([path("model").as_str()])).success();
    assert!(folder.path().join("model/model.onnx").is_file());

    let wrong = tools(["import", &file, "--out", &own, "--labels", "ferplus"]);
    wrong.refused(2, &["--labels names 8 classes, the network has 7 outputs"]);
    let missing = tools(["import", "no-such-file.t7", "--out", &own]);
    missing.refused(1, &["no-such-file.t7"]);
    let text = path("text.pth");
    std::fs::write(&text, "hello").unwrap();
    tools(["import", &text, "--out", &own]).refused(1, &["text.pth", "not a PyTorch checkpoint"]);
}
