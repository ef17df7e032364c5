//! No text makes the manifest reader panic, and what it reads is written back the same.
#![no_main]

use fer_models::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(manifest) = Manifest::parse(text) {
        let again =
            Manifest::parse(&manifest.to_toml()).expect("what was read is written readable");
        assert_eq!(again, manifest);
    }
});
