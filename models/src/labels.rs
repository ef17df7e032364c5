//! Class names in the order of the network's outputs.

use serde::{Deserialize, Serialize};

/// Names that data sets use for the same expression.
const SYNONYMS: [&[&str]; 7] = [
    &["anger", "angry"],
    &["disgust", "disgusted"],
    &["fear", "fearful"],
    &["happy", "happiness"],
    &["neutral", "normal"],
    &["sad", "sadness"],
    &["surprise", "surprised"],
];

/// Longest class name in bytes: names travel on the wire and into file names.
const MAX_NAME_BYTES: usize = 64;

/// The class names of a data set or a model; index `i` names output `i` of the network.
///
/// In TOML and JSON a plain list of strings. Two label sets may share a length and differ in meaning
/// (class 6 of FER2013 is neutral, class 6 of CK+ is contempt), so names are compared, never counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Labels(Vec<String>);

/// Why a list of names is not a set of labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A classifier needs two classes, and a label is stored in one byte.
    #[error("{0} labels, expected 2 to 255")]
    Count(usize),
    /// Empty, over-long, or with spaces around it or control characters inside.
    #[error(
        "label {index} is {name:?}, expected 1 to 64 bytes without control characters or surrounding spaces"
    )]
    Name {
        /// Position in the list, from 0.
        index: usize,
        /// The name found there.
        name: String,
    },
    /// The same name twice.
    #[error("label {name:?} stands at {first} and again at {second}, expected unique names")]
    Duplicate {
        /// The repeated name.
        name: String,
        /// Its first position, from 0.
        first: usize,
        /// Its second position.
        second: usize,
    },
}

impl Labels {
    /// The seven classes of FER2013 (Goodfellow et al., 2013), in the order of its `emotion` column.
    pub fn fer2013() -> Self {
        Self::fixed(&[
            "angry", "disgust", "fear", "happy", "sad", "surprise", "neutral",
        ])
    }

    /// The eight classes of FER+ (Barsoum et al., 2016), in the order of its vote columns.
    pub fn ferplus() -> Self {
        Self::fixed(&[
            "neutral",
            "happiness",
            "surprise",
            "sadness",
            "anger",
            "disgust",
            "fear",
            "contempt",
        ])
    }

    /// The seven classes of CK+ (Lucey et al., 2010) in the order of WuJie1010's CK+48; no neutral.
    pub fn ckplus() -> Self {
        Self::fixed(&[
            "anger", "disgust", "fear", "happy", "sadness", "surprise", "contempt",
        ])
    }

    fn fixed(names: &[&str]) -> Self {
        Self(names.iter().map(|&name| name.to_owned()).collect())
    }

    /// Labels of your own, in output order.
    ///
    /// # Errors
    /// Unless there are 2 to 255 names, each printable and different from the others.
    pub fn new(names: Vec<String>) -> Result<Self, LabelError> {
        if !(2..=255).contains(&names.len()) {
            return Err(LabelError::Count(names.len()));
        }
        for (index, name) in names.iter().enumerate() {
            let plain = !name.is_empty()
                && name.len() <= MAX_NAME_BYTES
                && name.trim() == name
                && !name.chars().any(char::is_control);
            if !plain {
                return Err(LabelError::Name {
                    index,
                    name: name.clone(),
                });
            }
            if let Some(first) = names[..index].iter().position(|other| other == name) {
                return Err(LabelError::Duplicate {
                    name: name.clone(),
                    first,
                    second: index,
                });
            }
        }
        Ok(Self(names))
    }

    /// The names in output order.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Always `false`: labels hold at least two names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The class called `name`: the exact name first, then any case, then a synonym ("anger" finds
    /// "angry", "happiness" finds "happy", "normal" finds "neutral").
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let find = |name: &str| self.0.iter().position(|own| own.eq_ignore_ascii_case(name));
        self.0
            .iter()
            .position(|own| own == name)
            .or_else(|| find(name))
            .or_else(|| {
                let same = |word: &&str| word.eq_ignore_ascii_case(name);
                let group = SYNONYMS.iter().find(|group| group.iter().any(same))?;
                group.iter().find_map(|word| find(word))
            })
    }
}

impl TryFrom<Vec<String>> for Labels {
    type Error = LabelError;

    fn try_from(names: Vec<String>) -> Result<Self, LabelError> {
        Self::new(names)
    }
}

impl From<Labels> for Vec<String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_three_sets_hold_themselves_to_the_rules() {
        for (labels, count) in [
            (Labels::fer2013(), 7),
            (Labels::ferplus(), 8),
            (Labels::ckplus(), 7),
        ] {
            assert_eq!(labels.len(), count);
            assert!(!labels.is_empty());
            assert_eq!(Labels::new(labels.names().to_vec()).unwrap(), labels);
        }
    }

    #[test]
    fn class_six_of_fer2013_is_neutral_and_of_ckplus_contempt() {
        assert_eq!(Labels::fer2013().names()[6], "neutral");
        assert_eq!(Labels::ckplus().names()[6], "contempt");
    }

    #[test]
    fn synonyms_and_case_find_the_class() {
        let fer = Labels::fer2013();
        for (word, index) in [
            ("angry", 0),
            ("Anger", 0),
            ("Disgusted", 1),
            ("fearful", 2),
            ("Happiness", 3),
            ("sadness", 4),
            ("Surprised", 5),
            ("NORMAL", 6),
        ] {
            assert_eq!(fer.index_of(word), Some(index), "{word}");
        }
        assert_eq!(Labels::ferplus().index_of("angry"), Some(4));
        assert_eq!(fer.index_of("contempt"), None);
        assert_eq!(fer.index_of(""), None);
    }

    #[test]
    fn the_exact_name_wins_over_case_and_synonym() {
        let labels = Labels::new(names(&["Angry", "anger", "angry"])).unwrap();
        assert_eq!(labels.index_of("angry"), Some(2));
        assert_eq!(labels.index_of("anger"), Some(1));
        assert_eq!(labels.index_of("ANGRY"), Some(0));
    }

    #[test]
    fn bad_lists_are_refused_with_the_reason() {
        assert_eq!(Labels::new(names(&["one"])), Err(LabelError::Count(1)));
        assert_eq!(
            Labels::new(vec!["x".into(); 256]),
            Err(LabelError::Count(256))
        );
        for bad in ["", " a", "a\n", "a\u{0}b", &"x".repeat(65)] {
            let error = Labels::new(names(&["ok", bad])).unwrap_err();
            assert_eq!(
                error,
                LabelError::Name {
                    index: 1,
                    name: bad.into()
                }
            );
        }
        let error = Labels::new(names(&["a", "b", "a"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "label \"a\" stands at 0 and again at 2, expected unique names"
        );
    }
}
