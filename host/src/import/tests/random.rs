//! Random files, pickles and tensors: never a panic, and what is accepted is right.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::assemble::*;
use crate::import::layout::Layout;
use crate::import::torch::TorchFile;
use crate::import::{pickle, read};

/// Opcodes and arguments as they follow each other in real pickles, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<Vec<u8>> = [
        &b"("[..],
        b"t",
        b"e",
        b"u",
        b"d",
        b"l",
        b"0",
        b"1",
        b"2",
        b"N",
        b"\x88",
        b"\x85",
        b"\x86",
        b"\x87",
        b"]",
        b"}",
        b")",
        b"a",
        b"s",
        b"R",
        b"b",
        b"Q",
        b"\x94",
        b"q\x00",
        b"q\x01",
        b"h\x00",
        b"h\x01",
        b".",
        b"\x93",
        b"\x80\x04",
    ]
    .map(<[u8]>::to_vec)
    .into_iter()
    .chain([
        text("net"),
        text("storage"),
        text("0"),
        text("features.0.weight"),
        int(-1),
        int(2),
        global("collections", "OrderedDict"),
        global("torch", "FloatStorage"),
        global("torch", "Size"),
        global("torch._utils", "_rebuild_tensor_v2"),
        global("torch._utils", "_rebuild_parameter"),
        storage("FloatStorage", "0", 2),
        vector("0", 2),
    ])
    .collect();
    let one = prop_oneof![
        20 => proptest::sample::select(fixed),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    proptest::collection::vec(one, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&bytes, None).is_err());
        prop_assert!(read(&[LEGACY, &bytes].concat(), None).is_err());
        prop_assert!(read(&[&b"PK\x03\x04"[..], &bytes].concat(), None).is_err());
        prop_assert!(read(&zip(&bytes, &[]), None).is_err());
        let _ = pickle::load(&bytes);
    }

    #[test]
    fn random_opcodes_never_panic(body in pieces()) {
        let numbers = [("0", 2, floats(&[1.0, 2.0]))];
        let object = super::assemble::pickle(body);
        prop_assert!(read(&legacy(&object, &numbers), None).is_err());
        prop_assert!(read(&zip(&object, &numbers), None).is_err());
    }

    #[test]
    fn an_accepted_view_is_what_its_strides_say(
        offset in -1i64..20,
        dimensions in proptest::collection::vec((-1i64..5, -1i64..13), 0..4),
    ) {
        let (size, stride): (Vec<i64>, Vec<i64>) = dimensions.into_iter().unzip();
        let numbers: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let view = tensor(storage("FloatStorage", "0", 24), offset, &size, &stride);
        let object = super::assemble::pickle(dict(&[("w", view)]));
        let file = zip(&object, &[("0", 24, floats(&numbers))]);
        let mut file = TorchFile::open(&file).unwrap();
        if let Ok(layout) = Layout::find(&file) {
            let found = file.read(&layout.tensors["w"]).unwrap();
            let mut expected = vec![offset];
            for (&size, &stride) in size.iter().zip(&stride) {
                expected = expected.iter().flat_map(|&at| (0..size).map(move |i| at + i * stride)).collect();
            }
            let expected: Vec<f32> = expected.into_iter().map(|at| at as f32).collect();
            prop_assert_eq!(&found, &expected);
            let distinct: BTreeSet<u32> = found.iter().map(|v| v.to_bits()).collect();
            prop_assert_eq!(distinct.len(), found.len());
        }
    }
}
