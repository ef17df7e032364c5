//! Files that are not what they should be.

use proptest::prelude::*;
use prost::Message;
use tract_onnx::pb::ModelProto;

use super::{odds_and_ends, onnx, pixels};
use crate::export::{ExportError, OnnxModel};
use crate::graph::fold::fold;

#[test]
fn a_model_of_another_signature_is_refused() {
    let mut proto = ModelProto::decode(&onnx(&odds_and_ends())[..]).unwrap();
    let graph = proto.graph.as_mut().unwrap();
    // the gate's map as output instead of the logits
    graph.output[0].name = "gated".into();
    let error = OnnxModel::load(&proto.encode_to_vec()).err().unwrap();
    assert!(
        matches!(error, ExportError::Signature { what: "output", .. }),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = OnnxModel::open("nowhere/model.onnx".as_ref())
        .err()
        .unwrap();
    assert!(error.to_string().contains("nowhere/model.onnx"), "{error}");
}

/// Loading and running damaged bytes ends in logits or an error, never in a panic.
fn survives(bytes: &[u8], pixels: &[f32]) {
    if let Ok(mut model) = OnnxModel::load(bytes)
        && model.input_shape().iter().product::<usize>() == pixels.len()
    {
        let _ = model.logits(pixels, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_file_is_an_error_not_a_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        keep in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let network = odds_and_ends();
        let pixels = pixels(&network, 1);
        let mut bytes = onnx(&fold(&network));
        for (at, mask) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        survives(&bytes, &pixels);
    }
}
