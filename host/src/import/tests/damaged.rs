//! The committed files that PyTorch wrote, whole, cut off at every byte and with single bytes changed.

use std::path::PathBuf;

use crate::import::{Format, import, read};

fn fixture(name: &str) -> PathBuf {
    // where cargo runs the tests of this crate
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/torch")
        .join(name)
}

#[test]
fn files_that_pytorch_wrote_are_read() {
    let old = import(&fixture("tiny-vgg11.t7"), None).unwrap();
    assert_eq!(
        (old.format, old.key, old.ignored),
        (Format::Legacy, "state_dict", 8)
    );
    assert_eq!(old.network.graph.name(), "vgg11");
    assert_eq!(
        old.network.weights["features.0.weight"].shape(),
        [2, 3, 3, 3]
    );
    let new = import(&fixture("tiny-vggnet.pth"), None).unwrap();
    assert_eq!((new.format, new.key, new.ignored), (Format::Zip, "", 0));
    assert_eq!(new.network.graph.name(), "vggnet");
    assert_eq!(new.network.graph.input_shape(), [1, 48, 48]);
}

#[test]
fn a_missing_file_is_named() {
    let error = import(&fixture("none.pth"), None).unwrap_err();
    assert!(error.to_string().contains("none.pth"), "{error}");
}

#[test]
fn a_file_cut_off_at_any_byte_is_refused() {
    for name in ["tiny-vgg11.t7", "tiny-vggnet.pth"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for end in 0..whole.len() {
            assert!(read(&whole[..end], None).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn a_file_with_a_changed_byte_is_refused_or_whole() {
    for name in ["tiny-vgg11.t7", "tiny-vggnet.pth"] {
        let mut file = std::fs::read(fixture(name)).unwrap();
        for at in (0..file.len()).step_by(13) {
            for flip in [0x01, 0xff] {
                file[at] ^= flip;
                if let Ok(imported) = read(&file, None) {
                    let network = imported.network;
                    network.graph.check_weights(&network.weights).unwrap();
                }
                file[at] ^= flip;
            }
        }
    }
}
