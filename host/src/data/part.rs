//! Dividing images into parts that have the classes in equal shares, with or without a person in two
//! parts.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Dataset, Split};

/// Whether one person's images may fall into different parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persons {
    /// They may: parts differ by less than one image a class from their share, and where all shares are equal by at most
    /// one image in all from each other.
    Mixed,
    /// They stay together; images without a known person count as one person each.
    Apart,
}

/// Divides `indices` into one part for each of `shares`, which sum to 1, each class in about these
/// shares. Parts are ascending. The same seed gives the same parts on every machine.
///
/// Persons that stay together are dealt out one after the other, those with most images first, each to
/// the part that lacks its classes most, of equals one without anyone; persons of equal size come in an order drawn by
/// the seed.
pub fn divide(
    dataset: &Dataset,
    indices: &[usize],
    shares: &[f64],
    persons: Persons,
    seed: u64,
) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut parts = match persons {
        Persons::Mixed => by_class(dataset, indices, shares, &mut rng),
        Persons::Apart => by_person(dataset, indices, shares, &mut rng),
    };
    for part in &mut parts {
        part.sort_unstable();
    }
    parts
}

/// At most `most` images of each class and split, in their order, drawn by `seed`: less of the
/// frequent classes.
pub fn at_most(dataset: &Dataset, most: usize, seed: u64) -> Dataset {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut kept = Vec::new();
    for split in Split::ALL {
        let mut classes = vec![Vec::new(); dataset.labels().len()];
        for index in dataset.indices(split) {
            classes[usize::from(dataset.item(index).label)].push((index, split));
        }
        for mut class in classes {
            class.shuffle(&mut rng);
            class.truncate(most);
            kept.extend(class);
        }
    }
    kept.sort_unstable_by_key(|&(index, _)| index);
    dataset.select(&kept)
}

fn by_class(
    dataset: &Dataset,
    indices: &[usize],
    shares: &[f64],
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let mut classes = vec![Vec::new(); dataset.labels().len()];
    for &index in indices {
        classes[usize::from(dataset.item(index).label)].push(index);
    }
    let mut parts = vec![Vec::new(); shares.len()];
    // what each part lacks of its share, over all classes so far
    let mut owed = vec![0.0_f64; shares.len()];
    for mut class in classes {
        class.shuffle(rng);
        let mut rest = &class[..];
        for ((part, owed), share) in parts.iter_mut().zip(&mut owed).zip(shares) {
            let exact = class.len() as f64 * share;
            let (own, others) = rest.split_at((exact as usize).min(rest.len()));
            part.extend(own);
            *owed += exact - own.len() as f64;
            rest = others;
        }
        // what is left over goes to those that lack most, one image each, so that no class is uneven either
        let mut order: Vec<usize> = (0..shares.len()).collect();
        order.sort_by(|&a, &b| owed[b].total_cmp(&owed[a]));
        for (&index, part) in rest.iter().zip(order.into_iter().cycle()) {
            parts[part].push(index);
            owed[part] -= 1.0;
        }
    }
    parts
}

fn by_person(
    dataset: &Dataset,
    indices: &[usize],
    shares: &[f64],
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<usize>> {
    let classes = dataset.labels().len();
    let mut known: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut groups = Vec::new();
    let mut totals = vec![0.0; classes];
    for &index in indices {
        let item = dataset.item(index);
        totals[usize::from(item.label)] += 1.0;
        match &item.subject {
            Some(subject) => known.entry(subject).or_default().push(index),
            None => groups.push(vec![index]),
        }
    }
    groups.extend(known.into_values());
    groups.shuffle(rng);
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));

    let mut parts = vec![Vec::new(); shares.len()];
    let mut filled = vec![vec![0.0; classes]; shares.len()];
    for group in groups {
        let mut counts = vec![0.0; classes];
        for &index in &group {
            counts[usize::from(dataset.item(index).label)] += 1.0;
        }
        // The increase of Σ (count / total)² / share, over classes and parts, which is least where
        // every part has its share of every class.
        let cost = |part: usize| -> f64 {
            let increase = |class: usize| -> f64 {
                let (before, more): (f64, f64) = (filled[part][class], counts[class]);
                (2.0 * before * more + more * more) / (totals[class] * totals[class])
            };
            let classes = (0..classes).filter(|&class| counts[class] > 0.0);
            classes.map(increase).sum::<f64>() / shares[part].max(1e-9)
        };
        let costs: Vec<f64> = (0..shares.len()).map(cost).collect();
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let level = || (0..shares.len()).filter(|&part| costs[part] <= least);
        let empty = level().find(|&part| parts[part].is_empty());
        let chosen = empty.or_else(|| level().next()).unwrap_or(0);
        for (have, more) in filled[chosen].iter_mut().zip(&counts) {
            *have += more;
        }
        parts[chosen].extend(group);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Item;
    use fer_models::Labels;
    use std::collections::BTreeSet;

    /// 30 persons with three pictures each; two thirds of them show class 1.
    fn people() -> Dataset {
        let labels = Labels::new(vec!["a".into(), "b".into()]).unwrap();
        let mut data = Dataset::new(labels, 1);
        for index in 0..90 {
            let item = Item {
                label: u8::from(index % 3 > 0),
                split: Split::Training,
                subject: Some(format!("P{:02}", index / 3)),
                sequence: None,
            };
            data.push(&[0], item).unwrap();
        }
        data
    }

    fn check(persons: Persons, shares: &[f64], sizes: &[usize]) -> Vec<Vec<usize>> {
        let data = people();
        let all: Vec<usize> = (0..90).collect();
        let parts = divide(&data, &all, shares, persons, 4);
        let mut joined: Vec<usize> = parts.concat();
        joined.sort_unstable();
        assert_eq!(joined, all, "every image in one part");
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        for part in &parts {
            let ones = part.iter().filter(|&&i| data.item(i).label == 1).count();
            assert_eq!(3 * ones, 2 * part.len(), "classes in equal shares");
        }
        assert_eq!(divide(&data, &all, shares, persons, 4), parts);
        assert_ne!(divide(&data, &all, shares, persons, 5), parts);
        parts
    }

    #[test]
    fn classes_keep_their_shares() {
        check(Persons::Mixed, &[0.8, 0.1, 0.1], &[72, 9, 9]);
        check(Persons::Mixed, &[0.1; 10], &[9; 10]);
    }

    #[test]
    fn frequent_classes_are_cut_to_size() {
        let few = at_most(&people(), 40, 1);
        assert_eq!(few.counts(Split::Training), [30, 40]);
        assert_eq!(at_most(&people(), 40, 1), few);
        assert_ne!(at_most(&people(), 40, 2), few);
        assert_eq!(at_most(&people(), 60, 1), people());
    }

    #[test]
    fn persons_with_other_classes_do_not_share_the_first_part() {
        let mut data = Dataset::new(people().labels().clone(), 1);
        for person in 0..2 {
            let item = Item {
                label: person,
                split: Split::Training,
                subject: Some(format!("P{person}")),
                sequence: None,
            };
            data.push(&[0], item).unwrap();
        }
        let parts = divide(&data, &[0, 1], &[0.5, 0.5], Persons::Apart, 1);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn nobody_is_in_two_parts() {
        for (shares, sizes) in [
            (&[0.8, 0.1, 0.1][..], &[72, 9, 9][..]),
            (&[0.1; 10], &[9; 10]),
        ] {
            let data = people();
            let parts = check(Persons::Apart, shares, sizes);
            let mut seen = BTreeSet::new();
            for part in parts {
                let own: BTreeSet<_> = part.iter().map(|&i| data.item(i).subject.clone()).collect();
                assert!(own.is_disjoint(&seen));
                seen.extend(own);
            }
            assert_eq!(seen.len(), 30);
        }
    }
}
