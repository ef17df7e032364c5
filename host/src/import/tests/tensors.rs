//! Number types, strides and bounds of tensors.

use super::assemble::*;
use crate::import::error::Refusal;
use crate::import::layout::Layout;
use crate::import::torch::TorchFile;

/// The numbers of the only tensor of a file.
fn read(file: &[u8]) -> Result<(Vec<usize>, Vec<f32>), Refusal> {
    let mut file = TorchFile::open(file)?;
    let layout = Layout::find(&file)?;
    let (name, view) = layout.tensors.first_key_value().unwrap();
    let numbers = file.read(view).map_err(|problem| Refusal::Field {
        field: layout.field(name),
        problem,
    })?;
    Ok((view.shape.clone(), numbers))
}

/// The same from both containers.
#[track_caller]
fn both(tensor: Vec<u8>, count: i64, bytes: Vec<u8>) -> Result<(Vec<usize>, Vec<f32>), String> {
    let object = pickle(dict(&[("net", dict(&[("w", tensor)]))]));
    let storages = [("0", count, bytes)];
    let [old, new] = [legacy(&object, &storages), zip(&object, &storages)]
        .map(|file| read(&file).map_err(|e| e.to_string()));
    assert_eq!(old.is_ok(), new.is_ok(), "{old:?} {new:?}");
    if new.is_ok() {
        assert_eq!(old, new);
    }
    new
}

#[test]
fn every_floating_type_is_read() {
    let cases: [(&str, Vec<u8>); 4] = [
        ("FloatStorage", floats(&[1.5, -2.0])),
        (
            "DoubleStorage",
            [1.5f64, -2.0]
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect(),
        ),
        ("HalfStorage", vec![0x00, 0x3e, 0x00, 0xc0]),
        ("BFloat16Storage", vec![0xc0, 0x3f, 0x00, 0xc0]),
    ];
    for (class, bytes) in cases {
        let tensor = tensor(storage(class, "0", 2), 0, &[2], &[1]);
        assert_eq!(
            both(tensor, 2, bytes),
            Ok((vec![2], vec![1.5, -2.0])),
            "{class}"
        );
    }
}

#[test]
fn a_number_that_is_not_finite_is_named() {
    for (bytes, says) in [
        (floats(&[0.0, f32::NAN]), "number 1 is NaN"),
        (floats(&[f32::NEG_INFINITY, 0.0]), "number 0 is -inf"),
    ] {
        let error = both(vector("0", 2), 2, bytes).unwrap_err();
        assert!(error.contains("`net.w`") && error.contains(says), "{error}");
    }
    let huge = [0.0, 1e300f64]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let double = tensor(storage("DoubleStorage", "0", 2), 0, &[2], &[1]);
    assert!(
        both(double, 2, huge)
            .unwrap_err()
            .contains("number 1 is inf")
    );
}

#[test]
fn strides_are_followed() {
    let numbers: Vec<f32> = (0..12).map(|i| i as f32).collect();
    type Case<'a> = (i64, &'a [i64], &'a [i64], &'a [f32]);
    let cases: [Case<'_>; 6] = [
        (0, &[2, 3], &[3, 1], &[0., 1., 2., 3., 4., 5.]),
        // transposed
        (0, &[3, 2], &[1, 3], &[0., 3., 1., 4., 2., 5.]),
        // every second column from the second row on
        (4, &[2, 2], &[4, 2], &[4., 6., 8., 10.]),
        // channels last
        (
            0,
            &[1, 2, 2, 3],
            &[12, 1, 6, 2],
            &[0., 2., 4., 6., 8., 10., 1., 3., 5., 7., 9., 11.],
        ),
        // the stride of a single row says nothing, however large
        (9, &[1, 3], &[i64::MAX, 1], &[9., 10., 11.]),
        // a scalar
        (7, &[], &[], &[7.]),
    ];
    for (offset, size, stride, expected) in cases {
        let tensor = tensor(storage("FloatStorage", "0", 12), offset, size, stride);
        let (shape, found) = both(tensor, 12, floats(&numbers)).unwrap();
        assert_eq!(shape, size.iter().map(|&n| n as usize).collect::<Vec<_>>());
        assert_eq!(found, expected);
    }
}

#[test]
fn views_that_leave_the_storage_or_overlap_are_refused() {
    let huge = i64::MAX;
    let cases: [(i64, &[i64], &[i64], &str); 14] = [
        (1, &[12], &[1], "reach outside its storage of 12"),
        (0, &[13], &[1], "reach outside"),
        (13, &[1], &[1], "reach outside"),
        (0, &[2, 2], &[11, 1], "reach outside"),
        (0, &[huge], &[1], "reach outside"),
        (0, &[huge, huge], &[huge, huge], "reach outside"),
        (huge, &[2], &[huge], "reach outside"),
        (-1, &[2], &[1], "its offset is -1"),
        (0, &[-2], &[1], "its size holds a negative number, -2"),
        (11, &[12], &[-1], "its stride holds a negative number, -1"),
        (0, &[4], &[0], "overlap"),
        (0, &[3, 3], &[1, 1], "overlap"),
        (0, &[2, 2], &[1], "1 strides for 2 dimensions"),
        (0, &[1; 9], &[1; 9], "its size has 9 numbers"),
    ];
    for (offset, size, stride, says) in cases {
        let tensor = tensor(storage("FloatStorage", "0", 12), offset, size, stride);
        let error = both(tensor, 12, floats(&[0.0; 12])).unwrap_err();
        assert!(
            error.contains("`net.w`") && error.contains(says),
            "{size:?}: {error}"
        );
    }
    let empty = tensor(storage("FloatStorage", "0", 12), 0, &[huge, 0], &[1, 1]);
    let error = both(empty, 12, floats(&[0.0; 12])).unwrap_err();
    assert!(error.contains("is empty"), "{error}");
}

#[test]
fn storages_that_cannot_be_are_refused() {
    for len in [-1, i64::MIN, i64::MAX] {
        let tensor = tensor(storage("FloatStorage", "0", len), 0, &[1], &[1]);
        let error = both(tensor, len, floats(&[0.0])).unwrap_err();
        assert!(
            error.contains(&format!("its storage has {len} numbers")),
            "{error}"
        );
    }
    // as many as the file says, but not as many as it has
    let error = both(vector("0", 1 << 40), 1 << 40, floats(&[0.0])).unwrap_err();
    assert!(
        error.contains("4 bytes") || error.contains("needs"),
        "{error}"
    );
    let text = call(
        global("torch._utils", "_rebuild_tensor_v2"),
        &[
            storage("FloatStorage", "0", 1),
            int(0),
            tuple(&[text("2")]),
            tuple(&[int(1)]),
        ],
    );
    assert!(
        both(text, 1, floats(&[0.0]))
            .unwrap_err()
            .contains("its size holds text")
    );
    let int = tensor(storage("LongStorage", "0", 1), 0, &[1], &[1]);
    assert!(
        both(int, 1, vec![0; 8])
            .unwrap_err()
            .contains("holds int64, expected floats")
    );
}

#[test]
fn python_2_files_are_read() {
    // PyTorch 0.2 under Python 2.7: byte strings, an `OrderedDict` of a list, the older function
    let id = [
        python2("storage"),
        global("torch.cuda", "FloatStorage"),
        python2("140"),
        python2("cuda:0"),
        int(2),
        b"N".to_vec(),
    ];
    let tensor = call(
        global("torch._utils", "_rebuild_tensor"),
        &[
            [tuple(&id), b"Q".to_vec()].concat(),
            int(0),
            tuple(&[int(2)]),
            tuple(&[int(1)]),
        ],
    );
    let pairs = list(&[list(&[python2("module.w"), tensor])]);
    let state = call(global("collections", "OrderedDict"), &[pairs]);
    let object = [b"}".to_vec(), python2("net"), state, b"s".to_vec()].concat();
    let file = legacy(&pickle(object), &[("140", 2, floats(&[3.0, 4.0]))]);
    assert_eq!(read(&file).unwrap(), (vec![2], vec![3.0, 4.0]));
}
