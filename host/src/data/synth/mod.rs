//! Drawn faces with the seven FER2013 expressions: a data set that needs no download and shows no
//! person, for tests and first steps.
//!
//! An expression is geometry only (brows, eyes, mouth), while skin tone, place, size, tilt, light,
//! background and noise vary, so a network has to look at the face and not at its brightness. The
//! pictures use only `+ - * /` and `sqrt`, which IEEE 754 rounds exactly: one seed gives the same
//! bytes on every machine.

mod draw;
mod face;

use fer_models::Labels;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::dataset::{Dataset, Item, Split};
use super::error::DataError;
use super::fer2013::{self, SIDE};

/// How a specification of drawn faces begins: `synth:SEED:COUNT`.
pub const PREFIX: &str = "synth:";
/// Fewest faces: one of each of the seven expressions in each of the three splits.
pub const MIN_COUNT: usize = 21;
/// Most faces.
pub const MAX_COUNT: usize = 1_000_000;

/// Seed and count of `synth:SEED:COUNT`.
///
/// # Errors
/// [`DataError::SynthSpec`] where the text is not of that form or COUNT is outside
/// [`MIN_COUNT`]`..=`[`MAX_COUNT`].
pub fn parse_spec(spec: &str) -> Result<(u64, usize), DataError> {
    let parse = || {
        let (seed, count) = spec.strip_prefix(PREFIX)?.split_once(':')?;
        let count = count
            .parse()
            .ok()
            .filter(|count| (MIN_COUNT..=MAX_COUNT).contains(count))?;
        Some((seed.parse().ok()?, count))
    };
    parse().ok_or_else(|| DataError::SynthSpec {
        spec: spec.to_owned(),
    })
}

/// Draws `count` faces: as many of each expression as possible, a tenth of each in PublicTest and
/// in PrivateTest (at least one), ordered by split. `tile` is the side in pixels; faces are drawn
/// at 48 and resized.
///
/// # Errors
/// [`DataError::SynthSpec`] where `count` is outside [`MIN_COUNT`]`..=`[`MAX_COUNT`].
pub fn dataset(seed: u64, count: usize, tile: usize) -> Result<Dataset, DataError> {
    if !(MIN_COUNT..=MAX_COUNT).contains(&count) {
        return Err(DataError::SynthSpec {
            spec: format!("{PREFIX}{seed}:{count}"),
        });
    }
    let labels = Labels::fer2013();
    let classes = labels.len();
    let mut plan: Vec<(Split, usize)> = (0..count)
        .map(|index| (split_of(index / classes, count, index % classes), index))
        .collect();
    plan.sort_unstable();
    let faces: Vec<[u8; SIDE * SIDE]> = plan
        .par_iter()
        .map(|&(_, index)| face(seed, index, classes))
        .collect();
    let mut dataset = Dataset::new(labels, tile);
    let mut resized = vec![0; tile * tile];
    for (&(split, index), face) in plan.iter().zip(&faces) {
        let label = (index % classes) as u8;
        let item = Item {
            label,
            split,
            subject: None,
            sequence: None,
        };
        if tile == SIDE {
            dataset.push(face, item)?;
        } else {
            fer2013::resize(face, tile, &mut resized);
            dataset.push(&resized, item)?;
        }
    }
    Ok(dataset)
}

/// Split of the `nth` face of a class when `count` faces are shared out over seven classes.
fn split_of(nth: usize, count: usize, class: usize) -> Split {
    let of_class = count / 7 + usize::from(class < count % 7);
    let held_out = (of_class / 10).max(1);
    match of_class - nth {
        left if left <= held_out => Split::PrivateTest,
        left if left <= 2 * held_out => Split::PublicTest,
        _ => Split::Training,
    }
}

/// Face `index` of a seed. Each face has a random stream of its own, so the first faces of a
/// longer set are those of a shorter one.
fn face(seed: u64, index: usize, classes: usize) -> [u8; SIDE * SIDE] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index as u64);
    face::draw(&mut Dice(rng), index % classes)
}

/// Random numbers of the few kinds that drawing needs.
struct Dice(ChaCha8Rng);

impl Dice {
    /// Uniform in `low..high`.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32;
        low + (high - low) * unit
    }

    /// Bell-shaped around 0 with variance 1 (Irwin-Hall of four), without a transcendental
    /// function.
    fn bell(&mut self) -> f32 {
        let sum: f32 = (0..4).map(|_| self.between(-1.0, 1.0)).sum();
        sum * 0.866_025_4
    }

    /// True with this probability.
    fn chance(&mut self, probability: f32) -> bool {
        self.between(0.0, 1.0) < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(seed: u64, count: usize) -> String {
        let data = dataset(seed, count, SIDE).unwrap();
        let bytes: Vec<u8> = (0..data.len())
            .flat_map(|i| [&[data.item(i).label], data.image(i)].concat())
            .collect();
        fer_models::sha256_hex(&bytes)
    }

    #[test]
    fn a_seed_always_draws_the_same_bytes() {
        assert_eq!(digest(7, 70), digest(7, 70));
        assert_ne!(digest(7, 70), digest(8, 70));
        let recorded = "ea5010607597074115f2427c7f229829636cf48a238ed4032ae593bbd9689f79";
        assert_eq!(
            digest(7, 70),
            recorded,
            "drawn faces changed: results that name a seed do too"
        );
    }

    #[test]
    fn every_class_is_in_every_split_and_they_are_balanced() {
        for count in [MIN_COUNT, 70, 123, 700] {
            let data = dataset(1, count, SIDE).unwrap();
            assert_eq!(data.len(), count);
            for split in Split::ALL {
                let counts = data.counts(split);
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(
                    *least >= 1 && most - least <= 1,
                    "{count} {split}: {counts:?}"
                );
            }
        }
        let data = dataset(1, 700, SIDE).unwrap();
        assert_eq!(data.counts(Split::Training), [80; 7]);
        assert_eq!(data.counts(Split::PublicTest), [10; 7]);
    }

    #[test]
    fn specs_are_checked() {
        assert_eq!(parse_spec("synth:7:700").unwrap(), (7, 700));
        for bad in [
            "synth:",
            "synth:7",
            "synth:7:",
            "synth:x:700",
            "synth:7:20",
            "synth:7:1e9",
            "synth:-1:70",
            "synth:7:70:1",
        ] {
            assert!(parse_spec(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn brightness_alone_does_not_tell_the_expression() {
        let data = dataset(3, 700, SIDE).unwrap();
        let mut means = [(0.0, 0.0); 7];
        for index in 0..data.len() {
            let face = data.image(index);
            let sum: u32 = face.iter().map(|&pixel| u32::from(pixel)).sum();
            let mean = f64::from(sum) / face.len() as f64;
            let slot = &mut means[usize::from(data.item(index).label)];
            *slot = (slot.0 + mean / 100.0, slot.1 + mean * mean / 100.0);
        }
        let spread = |(mean, square): (f64, f64)| (square - mean * mean).sqrt();
        let between = means.iter().map(|m| m.0).fold(f64::MIN, f64::max)
            - means.iter().map(|m| m.0).fold(f64::MAX, f64::min);
        let within = means.iter().map(|&m| spread(m)).fold(f64::MAX, f64::min);
        assert!(
            between < within,
            "class means differ by {between}, spread within is {within}"
        );
    }
}
