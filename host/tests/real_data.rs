//! The readers on the real data sets, which are not part of the repository.

use std::path::{Path, PathBuf};

use fer_models::Labels;
use fer_tools::data::{self, DataError, LoadOptions, Split, average, fer2013};

/// The folder of the real data: `FER_DATA`, or `../shared/data` beside the workspace. Without it
/// the test says so and is skipped, unless `FER_NO_SKIP=1`.
fn shared_data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("FER_DATA").map_or_else(beside, PathBuf::from);
    if folder.join("fer2013.csv.xz").is_file() {
        return Some(folder);
    }
    let no_skip = std::env::var_os("FER_NO_SKIP").is_some_and(|value| value == "1");
    assert!(
        !no_skip,
        "FER_NO_SKIP=1, but {} has no data",
        folder.display()
    );
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
    {
        eprintln!("SKIP: no data in {} (set FER_DATA)", folder.display());
    }
    None
}

#[test]
fn fer2013_has_the_published_counts() {
    let Some(folder) = shared_data() else { return };
    let loaded = data::load(&folder.join("fer2013.csv.xz"), &LoadOptions::default()).unwrap();
    let data = loaded.dataset;
    assert_eq!(loaded.skipped, 0);
    assert_eq!(data.indices(Split::Training).len(), 28_709);
    assert_eq!(data.indices(Split::PublicTest).len(), 3_589);
    assert_eq!(
        data.counts(Split::Training),
        [3995, 436, 4097, 7215, 4830, 3171, 4965]
    );
    let averages = average::class_averages(&data, Split::Training).unwrap();
    assert_eq!(averages.len(), 7);
    assert!(
        averages
            .iter()
            .all(|a| a.pixels.len() == fer2013::SIDE * fer2013::SIDE)
    );
}

#[test]
fn ck48_has_the_published_counts_and_subjects() {
    let Some(folder) = shared_data() else { return };
    let data = data::load(&folder.join("ck48"), &LoadOptions::default())
        .unwrap()
        .dataset;
    assert_eq!(data.labels(), &Labels::ckplus());
    assert_eq!(
        data.counts(Split::Training),
        [135, 177, 75, 207, 84, 249, 54]
    );
    assert_eq!((data.len(), data.subjects()), (981, Some(118)));
    let sequences: std::collections::BTreeSet<_> = data
        .items()
        .iter()
        .map(|item| (item.subject.clone(), item.sequence.clone()))
        .collect();
    assert_eq!(sequences.len(), 327);
    let refused = average::class_averages(&data, Split::Training);
    assert!(matches!(
        refused,
        Err(DataError::TooFewFaces { found: 75, .. })
    ));
}
