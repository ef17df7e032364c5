//! No text makes the manifest reader panic, and what it reads is written back the same.

use fer_models::Manifest;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(manifest) = Manifest::parse(text) {
        let again =
            Manifest::parse(&manifest.to_toml()).expect("what was read is written readable");
        assert_eq!(again, manifest);
    }
}
