//! The CSV reader on arbitrary bytes: no panic, and what it accepts is whole.
//! The first byte chooses whether a header is put in front and whether wrong rows are skipped.

use std::path::Path;

use fer_tools::data::{LoadOptions, fer2013};

pub(crate) fn run(bytes: &[u8]) {
    let (flags, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut text = if flags & 1 == 0 {
        b"emotion,pixels,Usage\n".to_vec()
    } else {
        Vec::new()
    };
    text.extend_from_slice(rest);
    let options = LoadOptions {
        skip_bad: flags & 2 != 0,
        ..LoadOptions::default()
    };
    if let Ok(loaded) = fer2013::read(Path::new("fuzz.csv"), &mut &text[..], &options) {
        let dataset = loaded.dataset;
        assert!(dataset.items().iter().all(|item| item.label < 7));
        assert_eq!(
            dataset.image(dataset.len() - 1).len(),
            fer2013::SIDE * fer2013::SIDE
        );
    }
}
