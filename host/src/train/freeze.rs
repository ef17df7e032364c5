//! Layers that training leaves as they are.

use serde::{Deserialize, Serialize};

use super::{TrainError, layers};
use crate::graph::Graph;

/// Which layers are frozen. A layer is a node with tensors: a convolution, a BatchNorm, an inner product.
///
/// A frozen BatchNorm also keeps its running statistics and normalises with them, as at inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Freeze {
    /// By count: the first `n` layers, or for `-n` all but the last `n`; 0 is none.
    ///
    /// The fifth reference's `--freeze_before` counts every Keras layer, and a positive number freezes
    /// what comes *after* it; here both signs freeze what comes before.
    Count(i32),
    /// By name: these layers and what lies under them, `layer1` for `layer1.0.conv1`.
    Layers(Vec<String>),
}

impl Default for Freeze {
    /// Nothing.
    fn default() -> Self {
        Self::Count(0)
    }
}

impl Freeze {
    /// For each node of `graph` whether it is frozen; empty where none is.
    ///
    /// # Errors
    /// When there is no such layer, or nothing is left to train.
    pub(super) fn nodes(&self, graph: &Graph) -> Result<Vec<bool>, TrainError> {
        let wrong = |problem| TrainError::Option {
            field: "freeze",
            problem,
        };
        let layers: Vec<&str> = layers::with_tensors(graph)
            .map(|node| node.name.as_str())
            .collect();
        let frozen: Vec<&str> = match self {
            Self::Count(0) => return Ok(Vec::new()),
            Self::Layers(prefixes) if prefixes.is_empty() => return Ok(Vec::new()),
            Self::Count(count) => {
                let many = count.unsigned_abs() as usize;
                if many > layers.len() {
                    return Err(wrong(format!(
                        "{count}, but {} has {} layers",
                        graph.name(),
                        layers.len()
                    )));
                }
                let end = if *count > 0 {
                    many
                } else {
                    layers.len() - many
                };
                layers[..end].to_vec()
            }
            Self::Layers(prefixes) => {
                layers::check("freeze", graph, prefixes)?;
                let chosen = |layer: &&str| prefixes.iter().any(|p| layers::under(layer, p));
                layers.iter().copied().filter(chosen).collect()
            }
        };
        if frozen.len() == layers.len() {
            return Err(wrong(
                "every layer is frozen: nothing is left to train".into(),
            ));
        }
        let names = graph.nodes().iter().map(|node| node.name.as_str());
        Ok(names.map(|name| frozen.contains(&name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{Architecture, build};

    fn frozen(freeze: &Freeze) -> Result<Vec<String>, TrainError> {
        let graph = build(&Architecture::published("resnet18"), 7).unwrap();
        let nodes = freeze.nodes(&graph)?;
        let names = graph.nodes().iter().zip(nodes);
        Ok(names
            .filter(|(_, f)| *f)
            .map(|(n, _)| n.name.clone())
            .collect())
    }

    fn layers(names: &[&str]) -> Freeze {
        Freeze::Layers(names.iter().map(|n| (*n).to_owned()).collect())
    }

    #[test]
    fn names_stand_for_what_lies_under_them() {
        let names = frozen(&layers(&["conv1", "layer1"])).unwrap();
        assert_eq!(names[0], "conv1");
        assert!(
            names[1..].iter().all(|n| n.starts_with("layer1.")),
            "{names:?}"
        );
        assert_eq!(names.len(), 1 + 2 * 4);
        assert!(frozen(&Freeze::default()).unwrap().is_empty());
        let error = frozen(&layers(&["layer"])).unwrap_err().to_string();
        assert!(
            error.contains("no layer `layer`") && error.contains("linear"),
            "{error}"
        );
    }

    #[test]
    fn counts_freeze_what_comes_before_in_both_signs() {
        assert_eq!(frozen(&Freeze::Count(2)).unwrap(), ["conv1", "bn1"]);
        // 20 convolutions, as many BatchNorms, one inner product
        let all_but_the_head = frozen(&Freeze::Count(-1)).unwrap();
        assert_eq!(all_but_the_head.len(), 40);
        assert!(!all_but_the_head.contains(&"linear".to_owned()));
        assert!(frozen(&Freeze::Count(41)).is_err());
        assert!(frozen(&Freeze::Count(-42)).is_err());
        assert!(frozen(&Freeze::Count(i32::MIN)).is_err());
    }

    #[test]
    fn recipes_say_a_number_or_names() {
        #[derive(serde::Deserialize)]
        struct Table {
            freeze: Freeze,
        }
        let read = |text: &str| toml::from_str::<Table>(text).map(|t| t.freeze);
        assert_eq!(read("freeze = -29").unwrap(), Freeze::Count(-29));
        assert_eq!(read("freeze = [\"conv1\"]").unwrap(), layers(&["conv1"]));
        assert!(read("freeze = true").is_err());
    }
}
