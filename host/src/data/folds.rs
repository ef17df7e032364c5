//! Folds for cross-validation: which images are tested in which fold.

use std::collections::BTreeMap;
use std::fmt;

use fer_models::Labels;
use serde::{Deserialize, Serialize};

use super::part::{Persons, divide};
use super::{Dataset, Split};

/// Images of each class of CK+48, in [`Labels::ckplus`]'s order.
const CK48: [usize; 7] = [135, 177, 75, 207, 84, 249, 54];
/// Of these, how many the reference tests in each of its ten folds.
const CK48_TESTED: [usize; 7] = [12, 18, 9, 21, 9, 24, 6];

/// How folds are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoldRule {
    /// The ten folds of WuJie1010/Facial-Expression-Recognition.Pytorch on CK+48: blocks of each class
    /// in the order of the file names, the tenth fold the last block. **Not** independent of the
    /// person: most persons of a test fold are in its training images too. 24 images are never tested
    /// and 33 twice, so there are 990 predictions.
    CkReference,
    /// Nobody is in two folds; the classes are spread evenly.
    Subjects,
    /// One fold a person.
    LeaveOneSubjectOut,
    /// The classes are spread evenly, persons are not looked at.
    Stratified,
}

impl FoldRule {
    /// Every rule.
    pub const ALL: [Self; 4] = [
        Self::CkReference,
        Self::Subjects,
        Self::LeaveOneSubjectOut,
        Self::Stratified,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::CkReference => "ck-reference",
            Self::Subjects => "subjects",
            Self::LeaveOneSubjectOut => "leave-one-subject-out",
            Self::Stratified => "stratified",
        }
    }

    /// The rule called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// Whether persons stay apart, and so have to in a validation part as well.
    pub fn persons(self) -> Persons {
        match self {
            Self::Subjects | Self::LeaveOneSubjectOut => Persons::Apart,
            Self::CkReference | Self::Stratified => Persons::Mixed,
        }
    }
}

impl fmt::Display for FoldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why there are no such folds of a data set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The reference's rule is for one data set.
    #[error("ck-reference: expected CK+48's 981 images by class {CK48:?}, found {found}")]
    NotCk48 {
        /// What was found.
        found: String,
    },
    /// Persons are not known.
    #[error("{rule}: the file names do not say who is on the {unknown} images")]
    NoSubjects {
        /// The rule.
        rule: FoldRule,
        /// Images without a person.
        unknown: usize,
    },
    /// Too many folds, or too few.
    #[error("folds: expected 2 to {most}, found {found}")]
    Count {
        /// One an image, or one a person.
        most: usize,
        /// The number asked for.
        found: usize,
    },
    /// A fold that lacks a part.
    #[error("fold {fold} has no image {purpose}")]
    Empty {
        /// The fold, from 1.
        fold: usize,
        /// What for.
        purpose: &'static str,
    },
}

/// The tested images of each fold, ascending, out of the Training images of `dataset`; all other
/// Training images are trained on in that fold. `count` and `seed` are for [`FoldRule::Subjects`] and
/// [`FoldRule::Stratified`]; the other two have no choice.
///
/// # Errors
/// When the rule does not fit the data, or there cannot be so many folds.
pub fn folds(
    dataset: &Dataset,
    rule: FoldRule,
    count: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, FoldError> {
    let all = dataset.indices(Split::Training);
    let mut persons: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    if rule.persons() == Persons::Apart {
        let mut unknown = 0;
        for &index in &all {
            match &dataset.item(index).subject {
                Some(person) => persons.entry(person).or_default().push(index),
                None => unknown += 1,
            }
        }
        if unknown > 0 {
            return Err(FoldError::NoSubjects { rule, unknown });
        }
    }
    let check = |found: usize, most: usize| {
        if (2..=most).contains(&found) {
            Ok(())
        } else {
            Err(FoldError::Count { most, found })
        }
    };
    match rule {
        FoldRule::CkReference => ck_reference(dataset),
        FoldRule::LeaveOneSubjectOut => {
            check(persons.len(), persons.len())?;
            Ok(persons.into_values().collect())
        }
        FoldRule::Subjects | FoldRule::Stratified => {
            let most = match rule {
                FoldRule::Subjects => persons.len(),
                _ => all.len(),
            };
            check(count, most)?;
            let shares = vec![1.0 / count as f64; count];
            Ok(divide(dataset, &all, &shares, rule.persons(), seed))
        }
    }
}

fn ck_reference(dataset: &Dataset) -> Result<Vec<Vec<usize>>, FoldError> {
    let counts = dataset.counts(Split::Training);
    if dataset.labels() != &Labels::ckplus() || counts != CK48 {
        let found = format!("{counts:?} of {}", dataset.labels().names().join(" "));
        return Err(FoldError::NotCk48 { found });
    }
    // the reader's order: by class, then by file name
    let all = dataset.indices(Split::Training);
    let fold = |fold: usize| {
        let mut tested = Vec::new();
        let mut start = 0;
        for (size, test) in CK48.into_iter().zip(CK48_TESTED) {
            let first = if fold < 9 { fold * test } else { size - test };
            tested.extend(&all[start + first..start + first + test]);
            start += size;
        }
        tested
    };
    Ok((0..10).map(fold).collect())
}

/// Checks that each fold that tests one of `tested` has images in all of its parts.
///
/// # Errors
/// [`FoldError::Empty`] names the first that has not.
pub fn check_parts(
    dataset: &Dataset,
    tested: &[Vec<usize>],
    rule: FoldRule,
    validation: Option<f64>,
    seed: u64,
) -> Result<(), FoldError> {
    for (index, test) in tested.iter().enumerate() {
        let parts = Fold::new(dataset, test, rule, validation, seed);
        let chosen = validation.is_none() || !parts.validation.is_empty();
        let found = [
            ("to train on", !parts.training.is_empty()),
            ("to validate on", chosen),
            ("to test", !parts.test.is_empty()),
        ];
        if let Some(&(purpose, _)) = found.iter().find(|(_, found)| !found) {
            let fold = index + 1;
            return Err(FoldError::Empty { fold, purpose });
        }
    }
    Ok(())
}

/// Which images of one fold are for what.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Learned from.
    pub training: Vec<usize>,
    /// The epoch is chosen on these; empty where the last epoch counts.
    pub validation: Vec<usize>,
    /// Judged once, at the end.
    pub test: Vec<usize>,
}

impl Fold {
    /// The fold that tests `test` out of the Training images of `dataset`, with a `validation` share
    /// of the rest set aside, by person where the rule keeps persons apart.
    pub fn new(
        dataset: &Dataset,
        test: &[usize],
        rule: FoldRule,
        validation: Option<f64>,
        seed: u64,
    ) -> Self {
        let mut training = dataset.indices(Split::Training);
        training.retain(|index| test.binary_search(index).is_err());
        let mut held = Vec::new();
        if let Some(share) = validation {
            let shares = [1.0 - share, share];
            let mut parts = divide(dataset, &training, &shares, rule.persons(), seed);
            held = parts.pop().unwrap_or_default();
            training = parts.pop().unwrap_or_default();
        }
        Self {
            training,
            validation: held,
            test: test.to_vec(),
        }
    }

    /// The fold's own data set: training, validation and test images as Training, PublicTest and
    /// PrivateTest.
    #[must_use]
    pub fn dataset(&self, dataset: &Dataset) -> Dataset {
        let parts = [
            (&self.training, Split::Training),
            (&self.validation, Split::PublicTest),
            (&self.test, Split::PrivateTest),
        ];
        let chosen: Vec<(usize, Split)> = parts
            .into_iter()
            .flat_map(|(part, split)| part.iter().map(move |&index| (index, split)))
            .collect();
        dataset.select(&chosen)
    }
}

#[cfg(test)]
#[path = "folds_tests.rs"]
mod tests;
