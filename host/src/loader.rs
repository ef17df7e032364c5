//! Batches in a seeded order, made on a thread of their own ahead of the trainer.
//!
//! Nothing here has a state that a resumed run would have to restore: the order of an epoch and the
//! augmentation of an image are functions of the seed, the epoch and the place in it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use fer_models::Preprocess;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::augment::Augment;
use crate::data::Dataset;

/// Batches that wait ready.
const AHEAD: usize = 3;

/// Streams of one seed that must not meet: image streams are `epoch << 32 | place`.
const ORDER_STREAM: u64 = 1 << 62;
const MIXUP_STREAM: u64 = 1 << 63;
const TARGET_STREAM: u64 = ORDER_STREAM | MIXUP_STREAM;

/// One training batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[images, channels, crop, crop]`.
    pub pixels: Vec<f32>,
    /// `[images, classes]`: one-hot, a mix or a distribution, or for [`TargetKind::AnyOf`] a set.
    ///
    /// [`TargetKind::AnyOf`]: crate::data::TargetKind::AnyOf
    pub targets: Vec<f32>,
    /// The images' places in the data set.
    pub images: Vec<usize>,
}

/// What batches are made of.
#[derive(Clone, Copy, Debug)]
pub struct Loader<'a> {
    /// The images.
    pub dataset: &'a Dataset,
    /// Those that are trained on.
    pub indices: &'a [usize],
    /// How a tile becomes an input.
    pub input: &'a Preprocess,
    /// How it differs from time to time.
    pub augment: &'a Augment,
    /// Images a batch.
    pub batch: usize,
    /// Seed of order and augmentation.
    pub seed: u64,
}

/// Batches of `batch` images in an epoch of `images`. A last batch of a single image is left out: it has no batch
/// statistics.
pub(crate) fn batches(images: usize, batch: usize) -> usize {
    images / batch + usize::from(images % batch > 1)
}

impl Loader<'_> {
    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        batches(self.indices.len(), self.batch)
    }

    /// The order of one epoch.
    pub fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order = self.indices.to_vec();
        order.shuffle(&mut self.rng(ORDER_STREAM | epoch as u64));
        order
    }

    fn rng(&self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }

    /// Makes batch `number` of an epoch with that `order`, in the buffers of `batch`.
    pub fn fill(&self, epoch: usize, order: &[usize], number: usize, batch: &mut Batch) {
        let start = number * self.batch;
        let chosen = &order[start..(start + self.batch).min(order.len())];
        let (input, plane) = (self.input.input_len(), self.input.crop * self.input.crop);
        let classes = self.dataset.labels().len();
        batch.images.clear();
        batch.images.extend_from_slice(chosen);
        batch.pixels.resize(chosen.len() * input, 0.0);
        batch.targets.clear();
        batch.targets.resize(chosen.len() * classes, 0.0);
        for (i, &index) in chosen.iter().enumerate() {
            let place = (epoch as u64) << 32 | (start + i) as u64;
            let image = &mut batch.pixels[i * input..(i + 1) * input];
            let (first, rest) = image.split_at_mut(plane);
            let tile = self.dataset.image(index);
            self.augment
                .apply(&mut self.rng(place), self.input, tile, first);
            for channel in rest.chunks_exact_mut(plane) {
                channel.copy_from_slice(first);
            }
            let target = &mut batch.targets[i * classes..(i + 1) * classes];
            match self.dataset.targets() {
                None => target[usize::from(self.dataset.item(index).label)] = 1.0,
                Some(soft) => soft.write(index, &mut self.rng(TARGET_STREAM | place), target),
            }
        }
        if self.augment.mixup > 0.0 {
            let place = (epoch as u64) << 32 | number as u64;
            self.mix(&mut self.rng(MIXUP_STREAM | place), batch, input, classes);
        }
    }

    /// Mixes each image with another of the batch by one weight from Beta(α, α).
    fn mix(&self, rng: &mut ChaCha8Rng, batch: &mut Batch, input: usize, classes: usize) {
        let own = beta(rng, f64::from(self.augment.mixup)) as f32;
        let mut partners: Vec<usize> = (0..batch.images.len()).collect();
        partners.shuffle(rng);
        let (pixels, targets) = (batch.pixels.clone(), batch.targets.clone());
        let blend = |to: &mut [f32], from: &[f32], width: usize| {
            for (row, &partner) in to.chunks_exact_mut(width).zip(&partners) {
                let other = &from[partner * width..(partner + 1) * width];
                for (a, b) in row.iter_mut().zip(other) {
                    *a = own * *a + (1.0 - own) * b;
                }
            }
        };
        blend(&mut batch.pixels, &pixels, input);
        blend(&mut batch.targets, &targets, classes);
    }

    /// Runs `consume(number, batch)` for the batches of one epoch from `first` on, while a thread
    /// makes those that follow; stops early when `consume` says `false` or fails.
    ///
    /// # Errors
    /// What `consume` fails with.
    pub fn epoch<E>(
        &self,
        epoch: usize,
        first: usize,
        mut consume: impl FnMut(usize, &Batch) -> Result<bool, E>,
    ) -> Result<(), E> {
        let (ready, batches): (SyncSender<Batch>, Receiver<Batch>) = sync_channel(AHEAD);
        let (back, used) = sync_channel(AHEAD + 2);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let order = self.order(epoch);
                for number in first..self.batches() {
                    let mut batch: Batch = used.try_recv().unwrap_or_default();
                    self.fill(epoch, &order, number, &mut batch);
                    // the consumer has stopped
                    if ready.send(batch).is_err() {
                        return;
                    }
                }
            });
            for (number, batch) in (first..).zip(batches) {
                if !consume(number, &batch)? {
                    break;
                }
                // a full shelf only means that this buffer is dropped
                let _ = back.try_send(batch);
            }
            Ok(())
        })
    }
}

/// A draw from Beta(α, α) by Jöhnk's method, which suits the small α of mixup.
fn beta(rng: &mut ChaCha8Rng, alpha: f64) -> f64 {
    // accepts half of the draws at α = 1 and one of seventy at 4, the largest
    for _ in 0..10_000 {
        let x = rng.random::<f64>().powf(1.0 / alpha);
        let y = rng.random::<f64>().powf(1.0 / alpha);
        if x + y <= 1.0 && x + y > 0.0 {
            return x / (x + y);
        }
    }
    0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LoadOptions, TargetKind, Targets, open};

    fn with_loader<R>(augment: &Augment, run: impl FnOnce(&Loader<'_>) -> R) -> R {
        let loaded = open("synth:3:140", &LoadOptions::default()).unwrap();
        let indices: Vec<usize> = (0..loaded.dataset.len()).collect();
        run(&Loader {
            dataset: &loaded.dataset,
            indices: &indices,
            input: &Preprocess::fer2013(3),
            augment,
            batch: 16,
            seed: 5,
        })
    }

    fn collect(loader: &Loader<'_>, epoch: usize, first: usize) -> Vec<Batch> {
        let mut all = Vec::new();
        let keep = |_, batch: &Batch| {
            all.push(batch.clone());
            Ok::<_, ()>(true)
        };
        loader.epoch(epoch, first, keep).unwrap();
        all
    }

    #[test]
    fn an_epoch_joined_in_the_middle_gives_the_same_batches() {
        with_loader(&Augment::strong(), |loader| {
            let whole = collect(loader, 2, 0);
            assert_eq!(whole.len(), loader.batches());
            assert_eq!(collect(loader, 2, 4), whole[4..]);
            assert_ne!(collect(loader, 3, 4), whole[4..]);
        });
    }

    #[test]
    fn every_image_comes_once_an_epoch() {
        with_loader(&Augment::none(), |loader| {
            let mut order = loader.order(1);
            assert_ne!(order, loader.indices);
            order.sort_unstable();
            assert_eq!(order, loader.indices);
            let images: usize = collect(loader, 0, 0).iter().map(|b| b.images.len()).sum();
            assert_eq!(images, 140);
        });
    }

    #[test]
    fn targets_sum_to_one_and_channels_are_equal() {
        with_loader(&Augment::strong(), |loader| {
            for batch in collect(loader, 0, 0) {
                for row in batch.targets.chunks(7) {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                }
                for image in batch.pixels.chunks(3 * 44 * 44) {
                    assert_eq!(image[..1936], image[1936..3872]);
                }
            }
        });
    }

    #[test]
    fn drawn_targets_differ_by_epoch_and_repeat_within_it() {
        let mut dataset = open("synth:3:140", &LoadOptions::default())
            .unwrap()
            .dataset;
        let rows = [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(140);
        dataset
            .set_targets(Targets::new(TargetKind::Drawn, rows))
            .unwrap();
        let indices: Vec<usize> = (0..140).collect();
        let loader = Loader {
            dataset: &dataset,
            indices: &indices,
            input: &Preprocess::fer2013(1),
            augment: &Augment::none(),
            batch: 140,
            seed: 5,
        };
        // targets by image, whatever the order
        let of = |epoch| {
            let order = loader.order(epoch);
            let mut batch = Batch::default();
            loader.fill(epoch, &order, 0, &mut batch);
            let mut by_image = vec![0.0; 140];
            for (&index, target) in order.iter().zip(batch.targets.chunks(7)) {
                assert_eq!(target.iter().sum::<f32>(), 1.0);
                by_image[index] = target[0];
            }
            by_image
        };
        assert_eq!(of(0), of(0));
        let changed = of(0).iter().zip(of(1)).filter(|(a, b)| **a != *b).count();
        assert!((45..=95).contains(&changed), "{changed} of 140");
    }

    #[test]
    fn beta_is_symmetric_and_u_shaped_for_small_alpha() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<f64> = (0..4000).map(|_| beta(&mut rng, 0.2)).collect();
        let mean = draws.iter().sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        let edges = draws.iter().filter(|d| **d < 0.1 || **d > 0.9).count();
        assert!(edges > 2400, "{edges}");
    }
}
