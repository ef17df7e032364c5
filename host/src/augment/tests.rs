use fer_models::Crops;
use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;

use super::*;

fn pre() -> Preprocess {
    Preprocess {
        mean: 0.5,
        std: 0.25,
        ..Preprocess::fer2013(1)
    }
}

fn tile() -> Vec<u8> {
    (0..48 * 48).map(|at| (at * 31 % 251) as u8).collect()
}

fn apply(augment: &Augment, seed: u64, tile: &[u8]) -> Vec<f32> {
    let mut out = vec![f32::NAN; 44 * 44];
    augment.apply(&mut ChaCha8Rng::seed_from_u64(seed), &pre(), tile, &mut out);
    out
}

#[test]
fn none_is_the_models_own_centre_crop() {
    let mut expected = vec![0.0; 44 * 44];
    pre().write_input(&tile(), Crops::Center, &mut expected);
    assert_eq!(apply(&Augment::none(), 1, &tile()), expected);
    let odd = Preprocess { crop: 43, ..pre() };
    let mut expected = vec![0.0; 43 * 43];
    odd.write_input(&tile(), Crops::Center, &mut expected);
    let mut out = vec![0.0; 43 * 43];
    Augment::none().apply(&mut ChaCha8Rng::seed_from_u64(1), &odd, &tile(), &mut out);
    assert_eq!(out, expected);
}

#[test]
fn a_sure_flip_mirrors_every_row() {
    let plain = apply(&Augment::none(), 1, &tile());
    let flipped = apply(
        &Augment {
            flip: 1.0,
            ..Augment::none()
        },
        1,
        &tile(),
    );
    for (a, b) in plain.chunks(44).zip(flipped.chunks(44)) {
        assert!(a.iter().eq(b.iter().rev()));
    }
}

#[test]
fn resampling_by_nothing_is_the_identity_with_and_without_flip() {
    // The smallest rotation there is: the path that samples, at whole pixels.
    for flip in [0.0, 1.0] {
        let exact = apply(
            &Augment {
                flip,
                ..Augment::none()
            },
            1,
            &tile(),
        );
        let sampled = apply(
            &Augment {
                flip,
                rotate: 1e-6,
                ..Augment::none()
            },
            1,
            &tile(),
        );
        let worst = exact
            .iter()
            .zip(&sampled)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-2, "flip {flip}: {worst}");
    }
}

#[test]
fn random_crops_reach_every_place() {
    let mut seen = std::collections::BTreeSet::new();
    // Pixel value = row * 48 + column mod 256 would repeat; the corner pixel tells the place.
    let tile: Vec<u8> = (0..48 * 48)
        .map(|at| ((at / 48) * 5 + (at % 48)) as u8)
        .collect();
    let augment = Augment {
        crop: Crop::Random,
        ..Augment::none()
    };
    for seed in 0..400 {
        let corner = apply(&augment, seed, &tile)[0];
        seen.insert(((corner * 0.25 + 0.5) * 255.0).round() as u32);
    }
    assert_eq!(seen.len(), 25, "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_values() {
    let strong = Augment::strong();
    assert_eq!(apply(&strong, 9, &tile()), apply(&strong, 9, &tile()));
    assert_ne!(apply(&strong, 9, &tile()), apply(&strong, 10, &tile()));
}

#[test]
fn rotation_by_a_right_angle_moves_corners() {
    // 90 degrees exactly cannot be drawn; a shape with that symmetry shows the turn is about the
    // tile's centre: a centred disc stays put.
    let disc: Vec<u8> = (0..48 * 48)
        .map(|at| {
            let (x, y) = ((at % 48) as f32 - 23.5, (at / 48) as f32 - 23.5);
            if x * x + y * y < 150.0 { 250 } else { 10 }
        })
        .collect();
    let plain = apply(&Augment::none(), 1, &disc);
    let turned = apply(
        &Augment {
            rotate: 180.0,
            ..Augment::none()
        },
        4,
        &disc,
    );
    let differing = plain
        .iter()
        .zip(&turned)
        .filter(|(a, b)| (*a - *b).abs() > 2.0)
        .count();
    assert!(differing < 60, "{differing} pixels differ");
}

#[test]
fn cutout_fills_a_square_with_the_mean() {
    let plain = apply(&Augment::none(), 3, &tile());
    let cut = apply(
        &Augment {
            cutout: 8,
            ..Augment::none()
        },
        3,
        &tile(),
    );
    let mean = plain.iter().sum::<f32>() / plain.len() as f32;
    let changed: Vec<f32> = plain
        .iter()
        .zip(&cut)
        .filter(|(a, b)| a != b)
        .map(|(_, b)| *b)
        .collect();
    assert!((16..=64).contains(&changed.len()), "{}", changed.len());
    assert!(changed.iter().all(|value| (value - mean).abs() < 1e-3));
}

#[test]
fn toml_is_checked() {
    let augment: Augment = toml::from_str("crop = \"random\"\nflip = 0.5").unwrap();
    assert_eq!(augment, Augment::reference());
    assert_eq!(toml::from_str::<Augment>("").unwrap(), Augment::none());
    assert!(toml::from_str::<Augment>("rotation = 3.0").is_err());
    for (text, field) in [
        ("flip = 1.5", "augment.flip"),
        ("scale = nan", "augment.scale"),
        ("rotate = -1.0", "augment.rotate"),
        ("mixup = inf", "augment.mixup"),
    ] {
        let error = toml::from_str::<Augment>(text)
            .unwrap()
            .validate()
            .unwrap_err();
        assert_eq!(error.field, field);
    }
    Augment::strong().validate().unwrap();
    let text = toml::to_string(&Augment::strong()).unwrap();
    assert_eq!(toml::from_str::<Augment>(&text).unwrap(), Augment::strong());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn values_stay_in_the_normalised_range(
        seed: u64, random: bool, flip in 0.0_f32..=1.0, rotate in 0.0_f32..=180.0,
        shift in 0.0_f32..=0.5, scale in 0.0_f32..=0.5, brightness in 0.0_f32..=1.0,
        contrast in 0.0_f32..=1.0, cutout in 0_usize..=1024,
        tile in proptest::collection::vec(any::<u8>(), 48 * 48),
    ) {
        let crop = if random { Crop::Random } else { Crop::Center };
        let augment = Augment {
            crop, flip, rotate, shift, scale, brightness, contrast, cutout, mixup: 0.0,
        };
        prop_assert!(augment.validate().is_ok());
        let (low, high) = (pre().normalise(0.0), pre().normalise(255.0));
        for value in apply(&augment, seed, &tile) {
            prop_assert!((low - 1e-4..=high + 1e-4).contains(&value), "{}", value);
        }
    }
}
