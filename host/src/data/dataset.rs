//! The data set: tiles in one buffer, one [`Item`] of facts per tile.

use std::fmt;
use std::str::FromStr;

use fer_models::Labels;
use serde::{Deserialize, Serialize};

use super::error::{DataError, excerpt};
use super::targets::Targets;

/// Which part of the data an image belongs to, with FER2013's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Split {
    /// What a network learns from.
    Training,
    /// What choices (stopping, hyper-parameters) are made on.
    PublicTest,
    /// What the final figure is measured on, once.
    PrivateTest,
}

impl Split {
    /// Every split, in FER2013's order.
    pub const ALL: [Self; 3] = [Self::Training, Self::PublicTest, Self::PrivateTest];

    /// FER2013's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "Training",
            Self::PublicTest => "PublicTest",
            Self::PrivateTest => "PrivateTest",
        }
    }

    /// The split of a folder name: `train`, `valid`, `PublicTest`, `private_test`, …; `None`
    /// where the name is no split.
    pub fn from_folder(name: &str) -> Option<Self> {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        match plain.as_str() {
            "train" | "training" => Some(Self::Training),
            "val" | "valid" | "validation" | "publictest" => Some(Self::PublicTest),
            "test" | "privatetest" => Some(Self::PrivateTest),
            _ => None,
        }
    }

    pub(super) fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|split| name.eq_ignore_ascii_case(split.name().as_bytes()))
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not a split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("split: expected Training, PublicTest or PrivateTest, found {found:?}")]
pub struct SplitError {
    found: String,
}

impl FromStr for Split {
    type Err = SplitError;

    /// FER2013's spelling in any case.
    fn from_str(name: &str) -> Result<Self, SplitError> {
        Self::from_bytes(name.as_bytes()).ok_or_else(|| SplitError {
            found: excerpt(name.as_bytes()),
        })
    }
}

/// What is known about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Index into the data set's labels.
    pub label: u8,
    /// Which split it belongs to.
    pub split: Split,
    /// The person, where the data says (CK+: `S005`).
    pub subject: Option<String>,
    /// The recording, where the data says (CK+: `001`); unique only together with the subject.
    pub sequence: Option<String>,
}

/// Labelled square 8-bit grey images of one size, in a fixed order.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    labels: Labels,
    tile: usize,
    pixels: Vec<u8>,
    items: Vec<Item>,
    targets: Option<Targets>,
}

impl Dataset {
    /// An empty data set of `tile`×`tile` images.
    pub fn new(labels: Labels, tile: usize) -> Self {
        Self {
            labels,
            tile,
            pixels: Vec::new(),
            items: Vec::new(),
            targets: None,
        }
    }

    /// Appends one image: `tile * tile` bytes, rows from top to bottom.
    ///
    /// # Errors
    /// [`DataError::ImageSize`] for another number of bytes, [`DataError::Label`] for a label
    /// outside the label set; the data set is then unchanged.
    pub fn push(&mut self, pixels: &[u8], item: Item) -> Result<(), DataError> {
        let expected = self.tile * self.tile;
        if pixels.len() != expected {
            return Err(DataError::ImageSize {
                expected,
                found: pixels.len(),
            });
        }
        if usize::from(item.label) >= self.labels.len() {
            return Err(DataError::Label {
                classes: self.labels.len(),
                found: item.label,
            });
        }
        if let Some(targets) = &mut self.targets {
            targets.push_label(self.labels.len(), item.label);
        }
        self.pixels.extend_from_slice(pixels);
        self.items.push(item);
        Ok(())
    }

    /// Trains towards `targets` instead of the labels; judging is always by [`Item::label`].
    ///
    /// # Errors
    /// [`DataError::Targets`] where there is not one distribution over the classes for each image.
    pub fn set_targets(&mut self, targets: Targets) -> Result<(), DataError> {
        targets.check(self.len(), self.labels.len())?;
        self.targets = Some(targets);
        Ok(())
    }

    /// What is trained towards where the labels say too little; `None` where they are the targets.
    pub fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }

    /// The images at `indices`, in that order, each in the split given with it.
    ///
    /// # Panics
    /// Where an index is not below [`len`](Self::len), as a slice does.
    #[must_use]
    pub fn select(&self, indices: &[(usize, Split)]) -> Self {
        let mut chosen = Self::new(self.labels.clone(), self.tile);
        for &(index, split) in indices {
            chosen.pixels.extend_from_slice(self.image(index));
            chosen.items.push(Item {
                split,
                ..self.items[index].clone()
            });
        }
        let kept = indices.iter().map(|&(index, _)| index);
        chosen.targets = self
            .targets
            .as_ref()
            .map(|targets| targets.select(self.labels.len(), kept));
        chosen
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True where there are no images.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The label set; [`Item::label`] is an index into it.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Side of the square images in pixels.
    pub fn tile(&self) -> usize {
        self.tile
    }

    /// Pixels of image `index`: `tile * tile` bytes, rows from top to bottom.
    ///
    /// # Panics
    /// Where `index >= len()`, as a slice does.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.tile * self.tile;
        &self.pixels[index * size..(index + 1) * size]
    }

    /// Facts about image `index`.
    ///
    /// # Panics
    /// Where `index >= len()`, as a slice does.
    pub fn item(&self, index: usize) -> &Item {
        &self.items[index]
    }

    /// Facts about every image, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Indices of the images of a split, ascending.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.len())
            .filter(|&index| self.items[index].split == split)
            .collect()
    }

    /// Images of a split by class, in label order.
    pub fn counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        for item in self.items.iter().filter(|item| item.split == split) {
            counts[usize::from(item.label)] += 1;
        }
        counts
    }

    /// Number of different persons, or `None` where an image's person is not known.
    pub fn subjects(&self) -> Option<usize> {
        let all: Option<std::collections::BTreeSet<&str>> = self
            .items
            .iter()
            .map(|item| item.subject.as_deref())
            .collect();
        all.map(|all| all.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TargetKind;

    fn item(label: u8, split: Split) -> Item {
        Item {
            label,
            split,
            subject: None,
            sequence: None,
        }
    }

    #[test]
    fn images_keep_their_order_and_counts() {
        let mut data = Dataset::new(Labels::fer2013(), 2);
        data.push(&[1, 2, 3, 4], item(3, Split::Training)).unwrap();
        data.push(&[5, 6, 7, 8], item(3, Split::PublicTest))
            .unwrap();
        data.push(&[9, 9, 9, 9], item(0, Split::Training)).unwrap();
        assert_eq!(data.image(1), [5, 6, 7, 8]);
        assert_eq!(data.indices(Split::Training), [0, 2]);
        assert_eq!(data.counts(Split::Training), [1, 0, 0, 1, 0, 0, 0]);
        assert_eq!(data.counts(Split::PrivateTest), [0; 7]);
        assert_eq!(data.subjects(), None);
    }

    #[test]
    fn a_selection_takes_pixels_facts_and_targets_along() {
        let mut data = Dataset::new(Labels::fer2013(), 1);
        for label in 0..3 {
            data.push(&[label * 10], item(label, Split::Training))
                .unwrap();
        }
        let mut rows = vec![0.0; 21];
        (rows[0], rows[7], rows[15], rows[16]) = (1.0, 1.0, 0.25, 0.75);
        let targets = Targets::new(TargetKind::Distribution, rows);
        data.set_targets(targets).unwrap();
        let chosen = data.select(&[(2, Split::PublicTest), (0, Split::Training)]);
        assert_eq!((chosen.image(0), chosen.item(0).label), (&[20][..], 2));
        assert_eq!(chosen.item(0).split, Split::PublicTest);
        assert_eq!(chosen.targets().unwrap().row(7, 0)[1..3], [0.25, 0.75]);
        assert_eq!(chosen.targets().unwrap().row(7, 1)[0], 1.0);
    }

    #[test]
    fn targets_must_be_distributions_one_an_image() {
        let mut data = Dataset::new(Labels::fer2013(), 1);
        data.push(&[1], item(0, Split::Training)).unwrap();
        for rows in [vec![], vec![0.5; 7], vec![f32::NAN; 7], vec![1.0; 14]] {
            let targets = Targets::new(TargetKind::Drawn, rows);
            let error = data.set_targets(targets).unwrap_err();
            assert!(matches!(error, DataError::Targets { .. }), "{error}");
        }
        assert_eq!(data.targets(), None);
    }

    #[test]
    fn a_wrong_push_leaves_the_data_set_alone() {
        let mut data = Dataset::new(Labels::fer2013(), 2);
        assert!(matches!(
            data.push(&[0; 3], item(0, Split::Training)),
            Err(DataError::ImageSize {
                expected: 4,
                found: 3
            })
        ));
        assert!(matches!(
            data.push(&[0; 4], item(7, Split::Training)),
            Err(DataError::Label {
                classes: 7,
                found: 7
            })
        ));
        assert!(data.is_empty());
    }

    #[test]
    fn split_names_read_back() {
        for split in Split::ALL {
            assert_eq!(split.to_string().parse(), Ok(split));
        }
        assert_eq!("training".parse(), Ok(Split::Training));
        assert!("Test".parse::<Split>().is_err());
        assert_eq!(Split::from_folder("Public_Test"), Some(Split::PublicTest));
        assert_eq!(Split::from_folder("happy"), None);
    }
}
