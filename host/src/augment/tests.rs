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
    for preset in PRESETS {
        let augment = Augment::named(preset.name).unwrap();
        augment.validate().unwrap();
        let text = toml::to_string(&augment).unwrap();
        assert_eq!(toml::from_str::<Augment>(&text).unwrap(), augment);
    }
    assert_eq!(Augment::named("rot31"), None);
}

/// Pixel values of a crop after `augment`.
fn pixels(augment: &Augment, seed: u64, tile: &[u8]) -> Vec<f32> {
    let to_pixel = |v: f32| (v * 0.25 + 0.5) * 255.0;
    apply(augment, seed, tile)
        .into_iter()
        .map(to_pixel)
        .collect()
}

#[test]
fn every_preset_but_none_changes_the_crop_and_differs_from_the_others() {
    let made: Vec<Vec<f32>> = PRESETS
        .iter()
        .map(|preset| pixels(&(preset.make)(), 5, &tile()))
        .collect();
    for (i, one) in made.iter().enumerate() {
        for other in &made[..i] {
            assert_ne!(one, other, "{}", PRESETS[i].name);
        }
    }
}

#[test]
fn what_is_outside_is_black_or_mirrored_or_goes_on() {
    let white = vec![200_u8; 48 * 48];
    let moved = |outside| {
        let augment = Augment {
            rotate: 40.0,
            shift: 0.3,
            outside,
            ..Augment::none()
        };
        (0..20)
            .flat_map(|seed| pixels(&augment, seed, &white))
            .collect::<Vec<_>>()
    };
    for outside in [Outside::Edge, Outside::Reflect] {
        assert!(moved(outside).iter().all(|v| (v - 200.0).abs() < 1e-2));
    }
    let black = moved(Outside::Black);
    let dark = black.iter().filter(|v| v.abs() < 1e-2).count();
    let bright = black.iter().filter(|v| (*v - 200.0).abs() < 1e-2).count();
    assert_eq!(dark + bright, black.len());
    assert!(
        dark > black.len() / 50 && bright > black.len() / 2,
        "{dark} dark"
    );
}

#[test]
fn reflection_mirrors_at_the_last_pixel() {
    // a ramp: one step of grey a column; shifted far, the mirrored columns run backwards
    let ramp: Vec<u8> = (0..48 * 48).map(|at| (at % 48 * 4) as u8).collect();
    let augment = Augment {
        shift: 0.5,
        outside: Outside::Reflect,
        ..Augment::none()
    };
    let mut turned = 0;
    for seed in 0..10 {
        let row = &pixels(&augment, seed, &ramp)[..44];
        let steps: Vec<f32> = row.windows(2).map(|w| w[1] - w[0]).collect();
        let up = steps.iter().filter(|s| (**s - 4.0).abs() < 0.05).count();
        let down = steps.iter().filter(|s| (**s + 4.0).abs() < 0.05).count();
        // all but where it turns
        assert!(up + down >= steps.len() - 2, "{row:?}");
        turned += usize::from(up > 2 && down > 2);
    }
    assert!(turned >= 4, "{turned}");
}

#[test]
fn a_resized_cut_holds_the_share_that_was_asked_for() {
    // pixel values that tell their column: the span across a row tells the cut's width
    let ramp: Vec<u8> = (0..48 * 48).map(|at| (at % 48 * 5) as u8).collect();
    let augment = Augment {
        min_area: 0.64,
        ..Augment::none()
    };
    let spans: Vec<f32> = (0..200)
        .map(|seed| {
            let row = &pixels(&augment, seed, &ramp)[20 * 44..21 * 44];
            (row[43] - row[0]) / 5.0 * 44.0 / 43.0 / 48.0
        })
        .collect();
    let (least, most) = spans
        .iter()
        .fold((1.0_f32, 0.0_f32), |(a, b), s| (a.min(*s), b.max(*s)));
    // sides of a square cut lie between 0.8 and 1 of the tile; edges lose a little
    assert!((0.78..0.84).contains(&least), "{least}");
    assert!((0.95..1.01).contains(&most), "{most}");
}

#[test]
fn gain_gamma_blur_noise_and_lost_pixels_do_what_they_say() {
    let grey = vec![100_u8; 48 * 48];
    let only = |set: fn(&mut Augment)| {
        let mut augment = Augment::none();
        set(&mut augment);
        (0..30)
            .map(|seed| pixels(&augment, seed, &grey))
            .collect::<Vec<_>>()
    };
    let inside = |all: &[Vec<f32>], low: f32, high: f32| {
        let mut values = all.iter().flatten();
        assert!(values.all(|v| (low..=high).contains(v)), "{:?}", all[0][0]);
    };
    let gain = only(|a| a.gain = 0.5);
    inside(&gain, 49.9, 150.1);
    assert!(gain.iter().any(|v| v[0] > 120.0) && gain.iter().any(|v| v[0] < 80.0));
    // (100/255)^0.5 is 0.626
    let gamma = only(|a| a.gamma = 0.5);
    inside(&gamma, 99.9, 159.8);
    assert!(gamma.iter().any(|v| v[0] > 140.0));
    let blurred = only(|a| a.blur = 4.0);
    inside(&blurred, 99.9, 100.1);
    let noisy = only(|a| a.noise = 0.1);
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    let spread = |v: &[f32]| {
        let m = mean(v);
        (v.iter().map(|v| (v - m) * (v - m)).sum::<f32>() / v.len() as f32).sqrt()
    };
    assert!((mean(&noisy[0]) - 100.0).abs() < 2.0, "{}", mean(&noisy[0]));
    assert!(
        (spread(&noisy[0]) - 25.5).abs() < 2.0,
        "{}",
        spread(&noisy[0])
    );
    let lost = only(|a| a.pixel_dropout = 0.5);
    let shares: Vec<f32> = lost
        .iter()
        .map(|v| v.iter().filter(|v| **v < 1.0).count() as f32 / v.len() as f32)
        .collect();
    assert!(
        shares.iter().all(|s| *s < 0.55) && shares.iter().any(|s| *s > 0.3),
        "{shares:?}"
    );
}

#[test]
fn blur_smooths_and_sharpening_steepens_an_edge() {
    let edge: Vec<u8> = (0..48 * 48)
        .map(|at| if at % 48 < 24 { 80 } else { 160 })
        .collect();
    let steepest = |augment: &Augment| {
        let rows = (0..20).map(|seed| pixels(augment, seed, &edge));
        let steps = rows.map(|all| {
            let row = &all[20 * 44..21 * 44];
            row.windows(2)
                .map(|w| (w[1] - w[0]).abs())
                .fold(0.0, f32::max)
        });
        steps.collect::<Vec<_>>()
    };
    let blur = Augment {
        blur: 4.0,
        ..Augment::none()
    };
    let sharpen = Augment {
        sharpen: 1.0,
        ..Augment::none()
    };
    assert!(steepest(&blur).iter().all(|s| *s <= 80.01));
    assert!(steepest(&blur).iter().any(|s| *s < 20.0));
    assert!(steepest(&sharpen).iter().any(|s| *s > 150.0));
}

/// What `augment` makes of a tile of 224 pixels, the whole of which is read.
fn large(augment: &Augment, seed: u64, tile: &[u8]) -> Vec<f32> {
    let pre = Preprocess {
        mean: 0.5,
        std: 0.25,
        ..Preprocess::of_side(1, 224)
    };
    let mut out = vec![f32::NAN; 224 * 224];
    augment.apply(&mut ChaCha8Rng::seed_from_u64(seed), &pre, tile, &mut out);
    out.into_iter().map(|v| (v * 0.25 + 0.5) * 255.0).collect()
}

/// Their blur and cutout were counted for 44 and 48 pixels, and hardly to be seen on 224.
#[test]
fn presets_blur_and_cut_a_large_crop_in_proportion() {
    let fixed = |augment: Augment| Augment {
        scale_to_crop: false,
        ..augment
    };
    for preset in [Augment::strong(), Augment::heavy()] {
        assert!(preset.scale_to_crop);
        for seed in 0..20 {
            let before = apply(&fixed(preset.clone()), seed, &tile());
            assert_eq!(apply(&preset, seed, &tile()), before);
        }
    }
    let cut = Augment {
        cutout: Augment::strong().cutout,
        scale_to_crop: true,
        ..Augment::none()
    };
    let noise: Vec<u8> = (0..224 * 224).map(|at| (at * 31 % 251) as u8).collect();
    let plain = large(&Augment::none(), 1, &noise);
    let most_changed = |augment: &Augment| {
        let changed = |seed| {
            let values = large(augment, seed, &noise);
            values.iter().zip(&plain).filter(|(a, b)| a != b).count()
        };
        (0..20).map(changed).max().unwrap()
    };
    assert!((50 * 50..=56 * 56).contains(&most_changed(&cut)));
    assert!((10 * 10..=12 * 12).contains(&most_changed(&fixed(cut))));

    let blur = Augment {
        blur: Augment::heavy().blur,
        scale_to_crop: true,
        ..Augment::none()
    };
    let edge: Vec<u8> = (0..224 * 224)
        .map(|at| if at % 224 < 112 { 80 } else { 160 })
        .collect();
    let flattest = |augment: &Augment| {
        let steepest = |seed| {
            let row = &large(augment, seed, &edge)[112 * 224..113 * 224];
            row.windows(2).map(|w| w[1] - w[0]).fold(0.0, f32::max)
        };
        (0..20).map(steepest).fold(f32::INFINITY, f32::min)
    };
    // 80 / (σ √2π) in the middle of the edge
    assert!((7.0..14.0).contains(&flattest(&blur)));
    assert!((30.0..65.0).contains(&flattest(&fixed(blur))));
}

#[test]
fn one_of_applies_one_of_each_group_at_a_time() {
    let grey = vec![100_u8; 48 * 48];
    let augment = Augment {
        pixel_dropout: 1.0,
        blur: 4.0,
        gain: 0.5,
        gamma: 0.9,
        one_of: true,
        ..Augment::none()
    };
    let (mut lost, mut dark, mut light) = (0, 0, 0);
    for seed in 0..200 {
        let values = pixels(&augment, seed, &grey);
        let whole = values.iter().filter(|v| **v > 1.0);
        let first = whole.clone().next().copied().unwrap_or(100.0);
        // one light for all that is left, so gain or gamma, but no mixture of a blur and lost pixels
        assert!(whole.clone().all(|v| (v - first).abs() < 0.01), "{seed}");
        lost += usize::from(values.iter().any(|v| *v < 1.0));
        dark += usize::from(first < 99.0);
        light += usize::from(first > 151.0);
    }
    // half of the times pixels are lost; a quarter is darker by gain, many lighter than gain can do
    assert!((70..130).contains(&lost), "{lost}");
    assert!((25..80).contains(&dark), "{dark}");
    assert!(light > 40, "{light}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn values_stay_in_the_normalised_range(
        seed: u64, random: bool, flip in 0.0_f32..=1.0, rotate in 0.0_f32..=180.0,
        shift in 0.0_f32..=0.5, scale in 0.0_f32..=0.5, brightness in 0.0_f32..=1.0,
        contrast in 0.0_f32..=1.0, cutout in 0_usize..=1024,
        stretch in 0.0_f32..=0.5, skew in 0.0_f32..=1.0, min_area in 0.0_f32..=1.0,
        aspect in 0.0_f32..=4.0, values in proptest::array::uniform6(0.0_f32..=0.9),
        outside in prop_oneof![Just(Outside::Edge), Just(Outside::Black), Just(Outside::Reflect)],
        one_of: bool,
        tile in proptest::collection::vec(any::<u8>(), 48 * 48),
    ) {
        let crop = if random { Crop::Random } else { Crop::Center };
        let augment = Augment {
            crop, flip, rotate, shift, scale, brightness, contrast, cutout, mixup: 0.0,
            stretch, skew, min_area, aspect, outside, one_of, scale_to_crop: one_of,
            gain: values[0], gamma: values[1], sharpen: values[2], blur: 8.0 * values[3],
            noise: values[4], pixel_dropout: values[5],
        };
        prop_assert!(augment.validate().is_ok());
        let (low, high) = (pre().normalise(0.0), pre().normalise(255.0));
        for value in apply(&augment, seed, &tile) {
            prop_assert!((low - 1e-4..=high + 1e-4).contains(&value), "{}", value);
        }
    }
}
