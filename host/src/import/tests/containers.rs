//! Files whose pickles are right and whose containers are not.

use zip::CompressionMethod;

use super::assemble::*;

fn object() -> Vec<u8> {
    pickle(dict(&[("net", dict(&[("w", vector("0", 2))]))]))
}

fn storages() -> Vec<(&'static str, i64, Vec<u8>)> {
    vec![("0", 2, floats(&[1.0, 2.0]))]
}

#[test]
fn other_files_are_told_apart() {
    let system = |body: &[u8]| [MAGIC, &pickle(body)].concat();
    let big = dict(&[("little_endian", b"\x89".to_vec())]);
    let protocol = [&MAGIC[..15], b"\x80\x02M\xe8\x03."].concat();
    let cases = [
        (vec![], "an empty file"),
        (b"\x89HDF\r\n\x1a\n....".to_vec(), "an HDF5 file"),
        (b"hello".to_vec(), "neither a zip archive nor a pickle"),
        (pickle(b"}"), "without PyTorch's magic number"),
        (protocol, "protocol version is not 1001"),
        (system(b"]"), "system information is a list"),
        (system(&big), "big-endian"),
        (
            MAGIC.to_vec(),
            "system information: byte 0: the file ends inside an opcode",
        ),
    ];
    for (file, says) in cases {
        let error = refusal(&file);
        assert!(error.contains(says), "{says} in {error}");
    }
}

#[test]
fn legacy_storages_must_be_those_that_the_tensors_name() {
    let numbers = || floats(&[1.0, 2.0]);
    let with_keys = |keys: Vec<u8>| [LEGACY, &object(), &pickle(keys)].concat();
    let two = dict(&[
        ("a", vector("0", 2)),
        ("b", tensor(storage("HalfStorage", "0", 2), 0, &[2], &[1])),
    ]);
    let cases = [
        (
            legacy(&object(), &[("9", 2, numbers())]),
            "storage 9: no tensor names it",
        ),
        (
            legacy(&object(), &[("0", 3, numbers())]),
            "the file has 3 numbers, its tensors name 2",
        ),
        (
            legacy(&object(), &[("0", -1, numbers())]),
            "the file has -1 numbers",
        ),
        (
            legacy(&object(), &[("0", 2, vec![0; 7])]),
            "needs 8 bytes, the file has 7 left",
        ),
        (
            legacy(&object(), &[("0", 2, numbers()), ("0", 2, numbers())]),
            "storage 0: listed twice",
        ),
        (
            legacy(&object(), &[]),
            "`net.w`: its storage is not in the file",
        ),
        (with_keys(dict(&[])), "its storage keys are a dict"),
        (with_keys(list(&[int(1)])), "a storage key is an integer"),
        (
            legacy(&pickle(two), &storages()),
            "2 numbers of float32 and 2 numbers of float16",
        ),
    ];
    for (file, says) in cases {
        let error = read_error(&file);
        assert!(error.contains(says), "{says} in {error}");
    }
}

/// The error of reading every tensor, whether or not they are a network.
fn read_error(file: &[u8]) -> String {
    use crate::import::{layout::Layout, torch::TorchFile};
    let read = || -> Result<(), String> {
        let mut file = TorchFile::open(file).map_err(|e| e.to_string())?;
        let layout = Layout::find(&file).map_err(|e| e.to_string())?;
        for (name, view) in &layout.tensors {
            file.read(view)
                .map_err(|e| format!("{}: {e}", layout.field(name)))?;
        }
        Ok(())
    };
    read().expect_err("must not be readable")
}

fn members(changed: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut members = vec![
        ("a/data.pkl".to_owned(), object()),
        ("a/byteorder".to_owned(), b"little".to_vec()),
        ("a/data/0".to_owned(), floats(&[1.0, 2.0])),
    ];
    members.retain(|(name, _)| name != changed);
    if !bytes.is_empty() {
        members.push((changed.to_owned(), bytes.to_vec()));
    }
    members
}

#[test]
fn archives_must_hold_one_stored_object() {
    let stored =
        |changed, bytes: &[u8]| archive(&members(changed, bytes), CompressionMethod::Stored);
    let cases = [
        (stored("a/data.pkl", b""), "a zip archive without data.pkl"),
        (
            stored("b/data.pkl", &object()),
            "two objects in one archive, a/ and b/",
        ),
        (stored("a/constants.pkl", b"x"), "a TorchScript program"),
        (stored("a/byteorder", b"big"), "big-endian"),
        (
            stored("a/data/0", b""),
            "its storage data/0 is not in the file",
        ),
        (stored("a/data/0", b"123"), "data/0 has 3 bytes, expected 8"),
        (
            archive(&members("", b""), CompressionMethod::Deflated),
            "is compressed or encrypted",
        ),
    ];
    for (file, says) in cases {
        let error = read_error(&file);
        assert!(error.contains(says), "{says} in {error}");
    }
}

#[test]
fn a_forged_directory_is_refused() {
    let good = zip(&object(), &storages());
    let end = good.len() - 22;
    let start = u32::from_le_bytes(good[end + 16..end + 20].try_into().unwrap()) as usize;
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let wide = |count: u64, place: u64| {
        // a 64-bit end record and its locator before the end record
        let mut record = b"PK\x06\x06".to_vec();
        record.resize(56, 0);
        record[32..40].copy_from_slice(&count.to_le_bytes());
        record[48..56].copy_from_slice(&place.to_le_bytes());
        let mut locator = b"PK\x06\x07\0\0\0\0".to_vec();
        locator.extend((end as u64).to_le_bytes());
        locator.extend([1, 0, 0, 0]);
        [&good[..end], &record, &locator, &good[end..]].concat()
    };
    let cases = [
        (with(end + 10, &[255, 255]), "members in"),
        (with(end + 16, &[255; 4]), "the directory reaches past"),
        (with(end + 16, &[0; 4]), "no directory entry at byte 0"),
        (with(end, b"XX"), "without its directory"),
        (
            with(start + 20, &[0xfe; 8]),
            "reaches past the end of the file",
        ),
        (with(start + 20, &[0xff; 8]), "has no 64-bit sizes"),
        (with(start + 28, &[255, 255]), "the directory reaches past"),
        (with(start + 42, &[1, 0, 0, 0]), "no member at byte 1"),
        (
            with(start + 16, &[1, 2, 3, 4]),
            "checksum of the member at byte 0 is wrong",
        ),
        (wide(1 << 60, 0), "members in"),
        (wide(4, u64::MAX), "the directory reaches past"),
        (wide(4, 1 << 40), "the directory reaches past"),
    ];
    for (file, says) in cases {
        let error = read_error(&file);
        assert!(error.contains(says), "{says} in {error}");
    }
    assert!(refusal(&wide(4, start as u64)).contains("does not fit"));
}
