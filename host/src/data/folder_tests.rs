use std::fs;

use image::{GrayImage, Luma};

use super::*;
use crate::data;

/// Writes grey pictures of one value each; the path's order is not the order of writing.
fn faces(root: &Path, files: &[(&str, u8)]) {
    for (name, value) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(10, 12, Luma([*value]))
            .save(path)
            .unwrap();
    }
}

fn read(root: &Path) -> Result<Loaded, DataError> {
    data::load(root, &LoadOptions::default())
}

#[test]
fn class_folders_are_training_in_a_fixed_order() {
    let root = tempfile::tempdir().unwrap();
    faces(
        root.path(),
        &[
            ("happy/b.png", 2),
            ("happy/a.bmp", 1),
            ("Anger/z.png", 3),
            ("sadness/q.png", 4),
        ],
    );
    let data = read(root.path()).unwrap().dataset;
    assert_eq!(data.labels(), &Labels::fer2013());
    let found: Vec<_> = (0..4)
        .map(|i| (data.item(i).label, data.image(i)[0]))
        .collect();
    assert_eq!(found, [(0, 3), (3, 1), (3, 2), (4, 4)]);
    assert!(
        data.items()
            .iter()
            .all(|item| item.split == Split::Training && item.subject.is_none())
    );
    assert_eq!(data.image(0).len(), 48 * 48);
}

#[test]
fn split_folders_are_recognised() {
    let root = tempfile::tempdir().unwrap();
    faces(
        root.path(),
        &[
            ("Train/happy/a.png", 1),
            ("valid/sad/b.png", 2),
            ("PrivateTest/fear/c.png", 3),
        ],
    );
    let data = read(root.path()).unwrap().dataset;
    assert_eq!(
        data.items()
            .iter()
            .map(|item| item.split)
            .collect::<Vec<_>>(),
        Split::ALL
    );
}

#[test]
fn splits_beside_classes_are_refused() {
    let root = tempfile::tempdir().unwrap();
    faces(root.path(), &[("train/happy/a.png", 1), ("sad/b.png", 2)]);
    let error = read(root.path()).unwrap_err().to_string();
    assert!(
        error.contains("\"train\"") && error.contains("\"sad\""),
        "{error}"
    );
}

#[test]
fn contempt_without_neutral_is_ckplus_and_other_names_are_sorted() {
    for (names, expected) in [
        (vec!["contempt", "happy"], Labels::ckplus()),
        (vec!["contempt", "happy", "neutral"], Labels::ferplus()),
        (
            vec!["smile", "other"],
            Labels::new(vec!["other".into(), "smile".into()]).unwrap(),
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            faces(root.path(), &[(&format!("{name}/1.png"), 1)]);
        }
        assert_eq!(read(root.path()).unwrap().dataset.labels(), &expected);
    }
}

#[test]
fn ck48_names_give_subject_and_sequence() {
    let root = tempfile::tempdir().unwrap();
    faces(
        root.path(),
        &[
            ("contempt/S138_008_00000007.png", 1),
            ("anger/S010_004_00000017.png", 2),
        ],
    );
    let data = read(root.path()).unwrap().dataset;
    assert_eq!(data.item(0).subject.as_deref(), Some("S010"));
    assert_eq!(data.item(1).sequence.as_deref(), Some("008"));
    assert_eq!(data.subjects(), Some(2));
}

#[test]
fn a_broken_image_is_named_or_counted_and_other_files_are_ignored() {
    let root = tempfile::tempdir().unwrap();
    faces(root.path(), &[("happy/a.png", 1), ("sad/b.png", 2)]);
    fs::write(root.path().join("happy/.hidden.png"), b"junk").unwrap();
    fs::write(root.path().join("happy/notes.txt"), b"junk").unwrap();
    fs::write(root.path().join("README"), b"junk").unwrap();
    let loaded = read(root.path()).unwrap();
    assert_eq!(loaded.dataset.len(), 2);
    assert!(loaded.notes[0].contains("1 entries"), "{:?}", loaded.notes);

    let whole = fs::read(root.path().join("sad/b.png")).unwrap();
    fs::write(root.path().join("sad/c.png"), &whole[..whole.len() / 2]).unwrap();
    let error = read(root.path()).unwrap_err().to_string();
    assert!(error.contains("sad/c.png"), "{error}");
    let options = LoadOptions {
        skip_bad: true,
        ..LoadOptions::default()
    };
    let loaded = data::load(root.path(), &options).unwrap();
    assert_eq!((loaded.dataset.len(), loaded.skipped), (2, 1));
}

#[test]
fn folders_without_images_are_errors() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(read(root.path()), Err(DataError::Labels { .. })));
    fs::create_dir_all(root.path().join("happy")).unwrap();
    assert!(matches!(
        read(root.path()),
        Err(DataError::Empty { what: "images", .. })
    ));
    fs::create_dir_all(root.path().join("train")).unwrap();
    assert!(matches!(
        read(root.path()),
        Err(DataError::MixedLayout { .. })
    ));
}
