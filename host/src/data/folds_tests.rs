use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::data::Item;

/// A data set of CK+48's class sizes; consecutive images of a class belong to one person, and each
/// person shows every class.
fn like_ck48() -> Dataset {
    of_sizes(CK48)
}

fn of_sizes(sizes: [usize; 7]) -> Dataset {
    let mut data = Dataset::new(Labels::ckplus(), 1);
    for (label, size) in sizes.into_iter().enumerate() {
        for index in 0..size {
            let item = Item {
                label: label as u8,
                split: Split::Training,
                subject: Some(format!("S{:03}", index * 40 / size)),
                sequence: None,
            };
            data.push(&[index as u8], item).unwrap();
        }
    }
    data
}

#[test]
fn the_reference_leaves_24_images_out_and_tests_33_twice() {
    let data = like_ck48();
    let folds = folds(&data, FoldRule::CkReference, 10, 1).unwrap();
    assert_eq!(folds.len(), 10);
    let mut times = vec![0; data.len()];
    for fold in &folds {
        assert_eq!(fold.len(), 99);
        fold.iter().for_each(|&index| times[index] += 1);
    }
    assert_eq!(times.iter().sum::<usize>(), 990);
    let by_class = |n: usize| -> Vec<usize> {
        let mut counts = vec![0; 7];
        for (index, _) in times.iter().enumerate().filter(|(_, times)| **times == n) {
            counts[usize::from(data.item(index).label)] += 1;
        }
        counts
    };
    // seeds.md section 1.3: 15 of anger and 9 of surprise are never tested
    assert_eq!(by_class(0), [15, 0, 0, 0, 0, 9, 0]);
    assert_eq!(by_class(2).iter().sum::<usize>(), 33);
    assert_eq!(by_class(3), [0; 7]);
    // the first fold tests each class's first images, the last its last
    assert!(folds[0].contains(&0) && folds[0].contains(&135));
    assert!(folds[9].contains(&134) && folds[9].contains(&980));

    let fold = Fold::new(&data, &folds[3], FoldRule::CkReference, None, 1);
    assert_eq!((fold.training.len(), fold.validation.len()), (882, 0));
}

#[test]
fn the_reference_is_for_ck48_only() {
    let data = like_ck48();
    let less: Vec<_> = (0..980).map(|i| (i, Split::Training)).collect();
    let error = folds(&data.select(&less), FoldRule::CkReference, 10, 1).unwrap_err();
    assert!(matches!(error, FoldError::NotCk48 { .. }), "{error}");
}

#[test]
fn subject_folds_share_nobody_not_even_with_the_validation_part() {
    let data = like_ck48();
    let folds = folds(&data, FoldRule::Subjects, 10, 1).unwrap();
    assert_eq!(folds.iter().map(Vec::len).sum::<usize>(), data.len());
    let people = |indices: &[usize]| -> BTreeSet<String> {
        let people = indices.iter().map(|&i| data.item(i).subject.clone());
        people.map(Option::unwrap).collect()
    };
    for test in &folds {
        assert!((80..=120).contains(&test.len()), "{}", test.len());
        let fold = Fold::new(&data, test, FoldRule::Subjects, Some(0.1), 1);
        let parts = [&fold.training, &fold.validation, &fold.test];
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), 981);
        assert!((50..=130).contains(&fold.validation.len()));
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            assert!(people(parts[a]).is_disjoint(&people(parts[b])));
        }
        let own = fold.dataset(&data);
        assert_eq!(own.indices(Split::PrivateTest).len(), test.len());
        assert_eq!(
            own.image(own.indices(Split::PrivateTest)[0]),
            data.image(test[0])
        );
    }
}

#[test]
fn leaving_one_person_out_makes_a_fold_of_each() {
    let data = like_ck48();
    let folds = folds(&data, FoldRule::LeaveOneSubjectOut, 2, 1).unwrap();
    assert_eq!(folds.len(), 40);
    assert!(
        folds[7]
            .iter()
            .all(|&i| data.item(i).subject.as_deref() == Some("S007"))
    );
}

#[test]
fn unknown_persons_and_impossible_counts_are_refused() {
    let drawn = crate::data::open("synth:1:70", &Default::default())
        .unwrap()
        .dataset;
    let error = folds(&drawn, FoldRule::Subjects, 10, 1).unwrap_err();
    assert!(matches!(error, FoldError::NoSubjects { unknown: 56, .. }));
    for count in [0, 1, 57] {
        let error = folds(&drawn, FoldRule::Stratified, count, 1).unwrap_err();
        assert_eq!(
            error,
            FoldError::Count {
                most: 56,
                found: count
            }
        );
    }
    assert_eq!(
        folds(&drawn, FoldRule::Stratified, 4, 1).unwrap()[0].len(),
        14
    );
}

#[test]
fn a_fold_without_images_for_a_part_is_named() {
    // seven images, one of each class
    let data = of_sizes([1; 7]);
    let alone = folds(&data, FoldRule::Stratified, 7, 1).unwrap();
    let check = |tested: &[Vec<usize>], validation| {
        check_parts(&data, tested, FoldRule::Stratified, validation, 1)
    };
    assert_eq!(check(&alone, None), Ok(()));
    assert_eq!(check(&alone, Some(0.2)), Ok(()));
    let empty = |fold, purpose| Err(FoldError::Empty { fold, purpose });
    assert_eq!(check(&alone, Some(0.02)), empty(1, "to validate on"));
    assert_eq!(check(&[vec![0], Vec::new()], None), empty(2, "to test"));
    assert_eq!(check(&[(0..7).collect()], None), empty(1, "to train on"));
}

proptest! {
    /// Each class was cut at the same rounded places: of 8 images a class, ten folds had 7, none, 7, ….
    #[test]
    fn stratified_folds_are_even_in_all_and_in_each_class(
        sizes in proptest::array::uniform7(0_usize..40), count in 2_usize..12, seed: u64,
    ) {
        let data = of_sizes(sizes);
        prop_assume!(data.len() >= count);
        let folds = folds(&data, FoldRule::Stratified, count, seed).unwrap();
        let even = |counts: Vec<usize>| {
            let (least, most) = (counts.iter().min(), counts.iter().max());
            prop_assert!(most.unwrap() - least.unwrap() <= 1, "{:?}", counts);
            Ok(())
        };
        even(folds.iter().map(Vec::len).collect())?;
        for class in 0..7 {
            let of_class = |fold: &Vec<usize>| {
                fold.iter().filter(|&&i| data.item(i).label == class).count()
            };
            even(folds.iter().map(of_class).collect())?;
        }
        let mut all = folds.concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..data.len()).collect::<Vec<_>>());
    }
}
