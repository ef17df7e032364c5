//! Model folders: complete or not there.

use std::path::Path;

use fer_models::{Crops, Decision, Labels, ModelPackage, Provenance};

use super::{engine_logits, onnx, pixels, preprocess, small};
use crate::export::{CARD_FILE, ExportError, Facts, Images, MODEL_FILE, write_package};
use crate::graph::Network;
use crate::graph::exec::ExecError;
use crate::graph::fold::fold;

fn facts(network: &Network) -> Facts {
    Facts {
        name: "test".into(),
        labels: Labels::fer2013(),
        input: preprocess(network),
        decision: Decision {
            temperature: 1.0,
            crops: Crops::Center,
        },
        provenance: Provenance {
            dataset: "random numbers".into(),
            command: "cargo test".into(),
            seed: 3,
            commit: "none".into(),
            accuracy: None,
        },
        intended_use: "Tests.".into(),
    }
}

#[test]
fn a_package_opens_and_its_card_states_the_facts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/model");
    let network = small("vgg11");
    let pixels = pixels(&network, 2);
    let images = Images {
        pixels: &pixels,
        count: 2,
    };
    // twice: the second export replaces the first
    for _ in 0..2 {
        let mut reference =
            |pixels: &[f32], n: usize| Ok::<_, ExecError>(engine_logits(&network, pixels, n));
        let exported =
            write_package(&folder, &network, &facts(&network), images, &mut reference).unwrap();
        assert!(exported.agreement.difference < 1e-4);
    }
    let package = ModelPackage::open(&folder).unwrap();
    assert_eq!(package.onnx(), onnx(&fold(&network)));
    let card = std::fs::read_to_string(folder.join(CARD_FILE)).unwrap();
    assert!(
        card.contains("# test\n") && card.contains("Seed 3"),
        "{card}"
    );
    assert!(card.contains("workplaces and educational institutions"));
    assert!(!card.contains('{'), "{card}");
    assert_eq!(names(&folder), [CARD_FILE, MODEL_FILE, "model.toml"]);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_export_that_disagrees_is_refused_and_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(MODEL_FILE), "old").unwrap();
    let network = small("vgg11");
    let pixels = pixels(&network, 2);
    let images = Images {
        pixels: &pixels,
        count: 2,
    };
    for wrong in [0.01, f32::NAN] {
        let mut reference = |pixels: &[f32], n: usize| {
            let mut logits = engine_logits(&network, pixels, n);
            logits[3] += wrong;
            Ok::<_, ExecError>(logits)
        };
        let error = write_package(
            folder.path(),
            &network,
            &facts(&network),
            images,
            &mut reference,
        )
        .unwrap_err();
        assert!(matches!(error, ExportError::Disagrees { .. }), "{error}");
    }
    assert_eq!(names(folder.path()), [MODEL_FILE]);
    let old = std::fs::read_to_string(folder.path().join(MODEL_FILE)).unwrap();
    assert_eq!(old, "old");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let network = small("vgg11");
    let images = Images {
        pixels: &[],
        count: 0,
    };
    let mut reference = |_: &[f32], _: usize| Ok::<_, ExecError>(Vec::new());
    let error = write_package(
        &file.join("model"),
        &network,
        &facts(&network),
        images,
        &mut reference,
    )
    .unwrap_err();
    assert!(error.to_string().contains("file/model"), "{error}");
}
