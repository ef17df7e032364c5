//! How much each class weighs in the loss.

use serde::{Deserialize, Serialize};

use super::TrainError;

/// A rule for class weights. What is counted is the training split alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum ClassWeights {
    /// All classes weigh the same.
    #[default]
    Even,
    /// `N / (classes · count)`; the loss is the mean over the weights, as PyTorch's.
    Balanced,
    /// `N / count`, and the loss is the mean over the images, as Keras': gradients are larger than with
    /// [`ClassWeights::Balanced`] by as much as the weights are.
    Inverse,
    /// A weight for each class; the loss is the mean over the weights.
    Given(Vec<f32>),
}

/// As it stands in a recipe: `true` is the balanced rule, as it was when there was no other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Switch(bool),
    Rule(String),
    List(Vec<f32>),
}

impl TryFrom<Written> for ClassWeights {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Switch(false) => Ok(Self::Even),
            Written::Switch(true) => Ok(Self::Balanced),
            Written::Rule(name) => name.parse(),
            Written::List(list) => Self::given(list),
        }
    }
}

impl From<ClassWeights> for Written {
    fn from(weights: ClassWeights) -> Self {
        match weights {
            ClassWeights::Even => Self::Switch(false),
            ClassWeights::Balanced => Self::Rule("balanced".into()),
            ClassWeights::Inverse => Self::Rule("inverse".into()),
            ClassWeights::Given(list) => Self::List(list),
        }
    }
}

impl std::str::FromStr for ClassWeights {
    type Err = String;

    /// `balanced`, `inverse`, or numbers with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "balanced" => return Ok(Self::Balanced),
            "inverse" => return Ok(Self::Inverse),
            _ => {}
        }
        let numbers: Result<Vec<f32>, _> = text.split(',').map(|n| n.trim().parse()).collect();
        numbers
            .map_err(|_| format!("`{text}`: expected balanced, inverse or a number for each class"))
            .and_then(Self::given)
    }
}

impl ClassWeights {
    fn given(list: Vec<f32>) -> Result<Self, String> {
        if list.iter().all(|w| (0.0..=1e6).contains(w)) && list.iter().any(|w| *w > 0.0) {
            Ok(Self::Given(list))
        } else {
            Err("class weights: expected numbers from 0 to 1e6, not all of them 0".into())
        }
    }

    /// The weights for classes of which the training split has `counts` images; empty where all weigh the
    /// same. A class without images weighs 0.
    ///
    /// # Errors
    /// When the rule is a list for another number of classes.
    pub fn weights(&self, counts: &[usize]) -> Result<Vec<f32>, TrainError> {
        let total: usize = counts.iter().sum();
        let over = |divisor: usize| {
            let weight = |&n: &usize| match n {
                0 => 0.0,
                n => total as f32 / (divisor * n) as f32,
            };
            counts.iter().map(weight).collect()
        };
        match self {
            Self::Even => Ok(Vec::new()),
            Self::Balanced => Ok(over(counts.len())),
            Self::Inverse => Ok(over(1)),
            Self::Given(list) if list.len() == counts.len() => Ok(list.clone()),
            Self::Given(list) => Err(TrainError::Option {
                field: "loss.class_weights",
                problem: format!("{} numbers for {} classes", list.len(), counts.len()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FER2013's training split (seeds.md section 4.3).
    const COUNTS: [usize; 7] = [3995, 436, 4097, 7215, 4830, 3171, 4965];

    #[test]
    fn balanced_weights_are_those_of_the_third_reference() {
        let weights = ClassWeights::Balanced.weights(&COUNTS).unwrap();
        let want = [1.0266, 9.4066, 1.0010, 0.5684, 0.8491, 1.2934, 0.8260];
        for (got, want) in weights.iter().zip(want) {
            assert!((got - want).abs() < 1e-4, "{got} against {want}");
        }
        let inverse = ClassWeights::Inverse.weights(&COUNTS).unwrap();
        for (inverse, balanced) in inverse.iter().zip(&weights) {
            assert!((inverse - 7.0 * balanced).abs() < 1e-4);
        }
    }

    #[test]
    fn inverse_weights_are_the_rule_of_the_fifth_reference() {
        // seeds.md section 7: 32733/n_c over all splits together gives its default list
        let counts = [11929, 9187, 4133, 3875, 2667, 152, 648, 142];
        let weights = ClassWeights::Inverse.weights(&counts).unwrap();
        let want = [2.744, 3.563, 7.920, 8.447, 12.273, 215.35, 50.51, 230.51];
        for (got, want) in weights.iter().zip(want) {
            assert!((got / want - 1.0f32).abs() < 1e-3, "{got} against {want}");
        }
    }

    #[test]
    fn lists_and_rules_are_read_and_checked() {
        let read = |text: &str| text.parse::<ClassWeights>();
        assert_eq!(read("balanced"), Ok(ClassWeights::Balanced));
        assert_eq!(read("1, 2,0"), Ok(ClassWeights::Given(vec![1.0, 2.0, 0.0])));
        for wrong in ["even", "", "1,x", "-1,2", "nan", "0,0"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let list = ClassWeights::Given(vec![1.0, 2.0]);
        assert!(list.weights(&[3, 4]).is_ok());
        let error = list.weights(&[3, 4, 5]).unwrap_err().to_string();
        assert!(error.contains("2 numbers for 3 classes"), "{error}");
        assert_eq!(ClassWeights::Balanced.weights(&[2, 0]).unwrap(), [0.5, 0.0]);
    }

    #[test]
    fn older_recipes_and_checkpoints_say_true_or_false() {
        let read = |text: &str| serde_json::from_str::<ClassWeights>(text).unwrap();
        assert_eq!(read("false"), ClassWeights::Even);
        assert_eq!(read("true"), ClassWeights::Balanced);
        for weights in [
            ClassWeights::Even,
            ClassWeights::Balanced,
            ClassWeights::Inverse,
            ClassWeights::Given(vec![0.1, 3.0]),
        ] {
            assert_eq!(read(&serde_json::to_string(&weights).unwrap()), weights);
        }
    }
}
