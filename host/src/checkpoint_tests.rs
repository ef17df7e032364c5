//! Checkpoints that lie: whatever a file says, it is refused or it runs.

use proptest::prelude::*;

use super::*;
use crate::export::tests::{engine_logits, odds_and_ends, pixels};

/// A file's JSON of ours and its tensors.
fn parts(bytes: &[u8]) -> (serde_json::Value, &[u8]) {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    (serde_json::from_slice(header).unwrap(), tensors)
}

/// The file again with other JSON of ours.
fn file(mut header: serde_json::Value, ours: &str, tensors: &[u8]) -> Vec<u8> {
    header["__metadata__"]["fer"] = ours.into();
    let header = header.to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes(), &header[..], tensors].concat()
}

/// Where numbers stand in a text.
fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(|c: char| c.is_ascii_digit()) {
        match found.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}

fn whole() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let network = odds_and_ends();
    let [channels, crop, _] = network.graph.input_shape();
    let checkpoint = Checkpoint {
        network,
        labels: Labels::fer2013(),
        input: Preprocess {
            crop,
            ..Preprocess::fer2013(channels)
        },
        history: History::default(),
    };
    checkpoint.save(&path).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap(), checkpoint);
    (folder, path)
}

/// The mean of two networks with the same history had it twice, and a folder's name with the word between was added
/// at every resume.
#[test]
fn a_history_names_each_data_set_once() {
    let mut history = History::default();
    for data in ["a", "b", "a and b", "b and c", "d and e/", "d and e/"] {
        history.add_dataset(data);
    }
    assert_eq!(history.dataset, "a and b and c and d and e/");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_checkpoint_that_lies_about_a_number_is_refused_or_runs(
        at in any::<prop::sample::Index>(),
        lie in prop::sample::select(vec![
            "0", "1", "2", "5", "7", "-1", "0.5", "1e-30", "1e39", "null", "[]", "[3,3]", "[1,2,3,4]",
            "65535", "65536", "4294967296", "18446744073709551615", "18446744073709551616",
        ]),
    ) {
        let (_folder, path) = whole();
        let bytes = std::fs::read(&path).unwrap();
        let (header, tensors) = parts(&bytes);
        let mut text = header["__metadata__"]["fer"].as_str().unwrap().to_owned();
        let numbers = numbers(&text);
        text.replace_range(at.get(&numbers).clone(), lie);
        std::fs::write(&path, file(header.clone(), &text, tensors)).unwrap();
        if let Ok(checkpoint) = Checkpoint::load(&path) {
            let pixels = pixels(&checkpoint.network, 1);
            let logits = engine_logits(&checkpoint.network, &pixels, 1);
            prop_assert_eq!(logits.len(), checkpoint.labels.len());
        }
    }
}
