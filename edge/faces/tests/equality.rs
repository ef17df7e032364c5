//! The same faces as rustface, to the last bit.

mod common;

use std::num::NonZeroUsize;

use common::{Both, Picture, Random};
use fer_faces::Search;

/// Asserts that both find the same faces, and says how many.
fn check(both: &mut Both, picture: &Picture, search: &Search, name: &str) -> usize {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    both.reference.detect(picture, search, &mut theirs);
    both.detector.detect(picture.view(), search, &mut ours);
    let (width, height) = (picture.width, picture.height);
    assert_eq!(ours, theirs, "{name}, {width}x{height}, {search:?}");
    ours.len()
}

fn search(min_face: f32, min_score: f32) -> Search {
    Search {
        min_face,
        min_score,
        ..Search::default()
    }
}

#[test]
fn drawn_faces() {
    let (mut both, faces) = (Both::new(), common::demo_faces());
    let mut found = 0;
    for seed in 0..30 {
        let mut random = Random(seed);
        let size = (random.of(120..=500), random.of(120..=400));
        let sides: Vec<usize> = (0..random.of(1..=5)).map(|_| random.of(40..=200)).collect();
        let picture = common::scene(&mut random, &faces, size, &sides);
        let name = format!("seed {seed}");
        for min_face in [33.3, 40.0, 60.0, 75.5] {
            found += check(&mut both, &picture, &search(min_face, 0.5), &name);
        }
        let step = NonZeroUsize::new(random.of(1..=7)).unwrap();
        let search = Search {
            step,
            ..search(50.0, 0.5)
        };
        found += check(&mut both, &picture, &search, &name);
    }
    assert!(found > 200, "{found}");
}

#[test]
fn enlarged_faces() {
    let (mut both, faces) = (Both::new(), common::demo_faces());
    for (seed, face) in faces.iter().enumerate() {
        let mut picture = common::scene(&mut Random(seed as u64), &faces, (320, 240), &[]);
        picture.draw(face, 120, 60 + 10 * seed, 40 + 5 * seed);
        let small = check(&mut both, &picture, &search(48.0, 2.0), "small");
        let picture = picture.resized(640, 480);
        let large = check(&mut both, &picture, &search(96.0, 2.0), "large");
        assert_eq!((small, large), (1, 1));
    }
}

#[test]
fn noise_and_edges() {
    let mut both = Both::new();
    for seed in 0..40 {
        let mut random = Random(seed);
        let (width, height) = (random.of(40..=200), random.of(40..=200));
        // Grain of one byte, of two values, and of squares with hard edges, whose slopes are the steepest there are.
        let side = random.of(1..=9);
        let pixels: Vec<u8> = (0..width * height).map(|_| random.bits() as u8).collect();
        let picture = match seed % 4 {
            0 => Picture::new(width, height, |i| pixels[i]),
            1 => Picture::new(width, height, |i| pixels[i] / 128 * 255),
            2 => Picture::new(width, height, |i| {
                let (x, y) = (i % width / side, i / width / side);
                pixels[y * width + x] / 128 * 255
            }),
            _ => Picture::new(width, height, |i| (i % width + i / width * side) as u8),
        };
        let name = format!("seed {seed}");
        check(&mut both, &picture, &search(40.0, 1e-6), &name);
        check(&mut both, &picture, &search(29.0, 1e-6), &name);
    }
}

#[test]
fn nothing_to_see() {
    let mut both = Both::new();
    for value in [0, 1, 127, 255] {
        for (width, height) in [(40, 40), (41, 97), (320, 240)] {
            let picture = Picture::new(width, height, |_| value);
            assert_eq!(check(&mut both, &picture, &search(40.0, 1e-6), "flat"), 0);
        }
    }
}

#[test]
fn small_pictures() {
    let (mut both, faces) = (Both::new(), common::demo_faces());
    let mut random = Random(1);
    for width in (1..=61).step_by(4) {
        for height in (1..=61).step_by(5) {
            let whole = common::scene(&mut random, &faces, (64, 64), &[50]);
            let picture = Picture::new(width, height, |i| whole.pixels[i / width * 64 + i % width]);
            for min_face in [20.0, 40.0, 50.0] {
                check(&mut both, &picture, &search(min_face, 1e-6), "small");
            }
        }
    }
}

#[test]
fn rows_further_apart() {
    let (mut both, faces) = (Both::new(), common::demo_faces());
    let picture = common::scene(&mut Random(5), &faces, (200, 160), &[90, 70]);
    let wide = Picture::new(231, 160, |i| match i % 231 {
        x @ 0..200 => picture.pixels[i / 231 * 200 + x],
        x => x as u8,
    });
    for min_face in [40.0, 48.0] {
        let (mut plain, mut strided) = (Vec::new(), Vec::new());
        let search = search(min_face, 0.5);
        both.detector.detect(picture.view(), &search, &mut plain);
        let view = fer_faces::Gray::new(200, 160, 231, &wide.pixels).unwrap();
        both.detector.detect(view, &search, &mut strided);
        assert!(!plain.is_empty());
        assert_eq!(plain, strided);
    }
}

#[test]
fn searches_beyond_all_bounds() {
    let (mut both, faces) = (Both::new(), common::demo_faces());
    let picture = common::scene(&mut Random(2), &faces, (90, 70), &[60]);
    for step in [NonZeroUsize::MAX, NonZeroUsize::MIN] {
        for min_face in [f32::NAN, f32::INFINITY, -1.0, 0.0, 1e-30, 1e30] {
            let search = Search {
                step,
                ..search(min_face, f32::MIN)
            };
            both.detector
                .detect(picture.view(), &search, &mut Vec::new());
        }
    }
}
