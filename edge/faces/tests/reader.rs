//! Whatever the bytes are, the reader says what is wrong with them.

#[expect(dead_code, reason = "pictures")]
mod common;

use common::Random;
use fer_faces::{Detector, Gray, ModelError, Search};

fn read(bytes: &[u8]) -> Result<Detector, ModelError> {
    Detector::new(bytes)
}

#[test]
fn a_file_that_ends_early() {
    let model = common::model();
    let mut random = Random(1);
    let lengths = (0..400).chain((0..200).map(|_| random.of(0..=model.len() - 1)));
    for len in lengths.chain([model.len() - 1, model.len() - 4]) {
        let error = read(&model[..len]).unwrap_err().to_string();
        assert!(error.starts_with("the file ends before"), "{len}: {error}");
    }
}

#[test]
fn a_file_that_goes_on() {
    let mut model = common::model().to_vec();
    model.push(0);
    let error = read(&model).unwrap_err().to_string();
    assert_eq!(
        error,
        "something at byte 1209904, where the file should end"
    );
}

#[test]
fn errors_name_the_field() {
    for (at, value, expected) in [
        (0, 0, "the number of levels at byte 0 can't be 0"),
        (
            4,
            -1,
            "the number of boosted classifiers at byte 4 can't be -1",
        ),
        (
            8,
            2,
            "the number of a boosted classifier's stages at byte 8 can't be 2",
        ),
        (
            12,
            7,
            "the kind of a classifier on the first level at byte 12 can't be 7",
        ),
        (
            16,
            151,
            "the number of a boosted classifier's lookups at byte 16 can't be 151",
        ),
        (
            20,
            256,
            "the greatest value of a feature at byte 20 can't be 256",
        ),
        (24, 32, "the column of a lookup at byte 24 can't be 32"),
        (28, -5, "the row of a lookup at byte 28 can't be -5"),
        (
            1224,
            -1,
            "the thresholds of a boosted classifier at byte 1224 is not a finite number",
        ),
    ] {
        let mut model = common::model().to_vec();
        model[at..at + 4].copy_from_slice(&i32::to_le_bytes(value));
        assert_eq!(read(&model).unwrap_err().to_string(), expected);
    }
}

#[test]
fn damaged_bytes() {
    let model = common::model();
    let pixels: Vec<u8> = (0..90 * 80).map(|i| (i * i / 7) as u8).collect();
    let picture = Gray::new(90, 80, 90, &pixels).unwrap();
    let mut readable = 0;
    for seed in 0..150 {
        let mut random = Random(seed);
        let mut damaged = model.to_vec();
        for _ in 0..random.of(1..=4) {
            // Mostly where there are counts: the start, and around the networks.
            let at = match random.of(0..=2) {
                0 => random.of(0..=2000),
                1 => random.of(465_000..=530_000),
                _ => random.of(0..=model.len() - 1),
            };
            damaged[at] = random.bits() as u8;
        }
        // What can be read can also be used.
        if let Ok(mut detector) = read(&damaged) {
            readable += 1;
            detector.detect(picture, &Search::default(), &mut Vec::new());
        }
    }
    assert!(readable > 0);
}

#[test]
fn any_bytes() {
    for seed in 0..2000 {
        let mut random = Random(seed);
        let bytes: Vec<u8> = (0..random.of(0..=300))
            .map(|i| match i % 4 {
                // Small numbers get further.
                0 => random.of(0..=3) as u8,
                _ if random.of(0..=9) > 0 => 0,
                _ => random.bits() as u8,
            })
            .collect();
        assert!(read(&bytes).is_err());
    }
}
