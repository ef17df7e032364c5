//! The importer of PyTorch checkpoints on arbitrary bytes: no panic, and what it accepts is a whole network.
//! The first byte chooses the container that the rest is put into: none, the legacy one, or a zip archive
//! whose `data.pkl` it becomes.

use std::path::Path;

use fer_tools::import::from_bytes;

/// Magic number, protocol 1001 and an empty dict for the system, as three pickles.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// A zip archive with the stored member `a/data.pkl`.
fn archive(data: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"a/data.pkl";
    let mut sum = flate2::Crc::new();
    sum.update(data);
    let length = (data.len() as u32).to_le_bytes();
    // version, flags, method, time and date; checksum, sizes, lengths of name and extra field
    let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    about.extend(sum.sum().to_le_bytes());
    about.extend([length, length].concat());
    about.extend([NAME.len() as u8, 0, 0, 0]);
    let local = [b"PK\x03\x04", &about[..], NAME, data].concat();
    let entry = [b"PK\x01\x02\x14\x00", &about[..], &[0; 14], NAME].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((entry.len() as u32).to_le_bytes());
    end.extend((local.len() as u32).to_le_bytes());
    [local, entry, end, vec![0; 2]].concat()
}

pub(crate) fn run(bytes: &[u8]) {
    let (choice, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let file = match choice % 3 {
        0 => rest.to_vec(),
        1 => [LEGACY, rest].concat(),
        _ => archive(rest),
    };
    if let Ok(imported) = from_bytes(Path::new("fuzz.pt"), &file, None) {
        let network = imported.network;
        network
            .graph
            .check_weights(&network.weights)
            .expect("whole");
        assert!(
            network
                .weights
                .values()
                .all(|array| array.data().iter().all(|number| number.is_finite()))
        );
    }
}
