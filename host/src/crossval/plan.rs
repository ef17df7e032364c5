//! What a cross-validation does, as it stands in its folder, and what several folders have in common.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fer_models::{Crops, Labels, sha256_hex, write_atomic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{CrossvalError, FoldResult};
use crate::checkpoint::Checkpoint;
use crate::data::folds::FoldRule;
use crate::train::TrainOptions;

/// The plan's file in a folder.
const PLAN_FILE: &str = "crossval.json";

/// Everything that decides the outcome; two folders with equal plans can be merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where the images came from, as given. May differ from machine to machine.
    pub data: String,
    /// Fingerprint of the images.
    pub data_sha256: String,
    /// Class names in the order of the logits.
    pub labels: Labels,
    /// Images that are divided into folds.
    pub images: usize,
    /// How.
    pub rule: FoldRule,
    /// Number of folds.
    pub folds: usize,
    /// Seed of folds and validation parts; that of the training stands in `train`.
    pub seed: u64,
    /// Share of the training folds on which the epoch is chosen; without it the last epoch counts.
    pub validation: Option<f64>,
    /// Crops of each face that are averaged.
    pub crops: Crops,
    /// Name of the network.
    pub network: String,
    /// Fingerprint of the network that every fold starts from.
    pub start_sha256: String,
    /// How each fold is trained.
    pub train: TrainOptions,
}

impl Plan {
    /// The fingerprint of a network: structure, classes, input and numbers.
    pub fn fingerprint(start: &Checkpoint) -> String {
        let structure = (&start.network.graph, &start.labels, &start.input);
        let mut bytes = serde_json::to_vec(&structure).unwrap_or_default();
        for (name, tensor) in &start.network.weights {
            bytes.extend(name.as_bytes());
            bytes.extend(tensor.data().iter().flat_map(|v| v.to_le_bytes()));
        }
        sha256_hex(&bytes)
    }

    /// Writes the plan into a folder that has none, or checks that the folder's is the same.
    ///
    /// # Errors
    /// [`CrossvalError::OtherPlan`] names the first difference.
    pub fn claim(&self, folder: &Path) -> Result<(), CrossvalError> {
        let path = folder.join(PLAN_FILE);
        if path.exists() {
            return self.check(&Self::load(folder)?, &path);
        }
        std::fs::create_dir_all(folder).map_err(|source| CrossvalError::Io {
            path: folder.into(),
            source,
        })?;
        write_json(&path, self)
    }

    /// Reads a folder's plan.
    ///
    /// # Errors
    /// When there is none that reads.
    pub fn load(folder: &Path) -> Result<Self, CrossvalError> {
        read_json(&folder.join(PLAN_FILE))
    }

    /// Checks that `found`, read from `path`, has the same outcome.
    fn check(&self, found: &Self, path: &Path) -> Result<(), CrossvalError> {
        let fields = |plan: &Self| match serde_json::to_value(plan) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let (own, theirs) = (fields(self), fields(found));
        let differs = own
            .iter()
            .find(|(key, value)| *key != "data" && theirs.get(*key) != Some(*value));
        match differs {
            None => Ok(()),
            Some((key, value)) => Err(CrossvalError::OtherPlan {
                path: path.into(),
                field: key.clone(),
                found: theirs.get(key).map(ToString::to_string).unwrap_or_default(),
                expected: value.to_string(),
            }),
        }
    }
}

/// The plan and the results, by fold, of one cross-validation whose folds lie in `folders`.
///
/// # Errors
/// When the folders' plans differ, a fold is missing, or it is there twice with different results.
pub fn merge(folders: &[PathBuf]) -> Result<(Plan, Vec<FoldResult>), CrossvalError> {
    let mut plan: Option<Plan> = None;
    let mut results: BTreeMap<usize, FoldResult> = BTreeMap::new();
    for folder in folders {
        let own = Plan::load(folder)?;
        let plan = match &plan {
            None => plan.insert(own),
            Some(first) => {
                first.check(&own, &folder.join(PLAN_FILE))?;
                first
            }
        };
        for fold in 1..=plan.folds {
            let Some(result) = FoldResult::load(folder, fold)? else {
                continue;
            };
            result.check(plan, folder)?;
            match results.get(&fold) {
                Some(first) if !first.same(&result) => {
                    let path = folder.clone();
                    return Err(CrossvalError::Twice { fold, path });
                }
                _ => results.insert(fold, result),
            };
        }
    }
    let plan = plan.ok_or_else(|| CrossvalError::File {
        path: PathBuf::new(),
        problem: "no folder to merge".into(),
    })?;
    let missing: Vec<usize> = (1..=plan.folds)
        .filter(|fold| !results.contains_key(fold))
        .collect();
    if !missing.is_empty() {
        let all = plan.folds;
        return Err(CrossvalError::Missing { missing, all });
    }
    Ok((plan, results.into_values().collect()))
}

/// Writes a value as JSON; the file appears whole or not at all.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CrossvalError> {
    let file = |problem: String| CrossvalError::File {
        path: path.into(),
        problem,
    };
    let text = serde_json::to_string_pretty(value).map_err(|e| file(e.to_string()))?;
    write_atomic(path, |out| writeln!(out, "{text}")).map_err(|source| CrossvalError::Io {
        path: path.into(),
        source,
    })
}

/// Reads a value that [`write_json`] has written.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, CrossvalError> {
    let text = std::fs::read(path).map_err(|source| CrossvalError::Io {
        path: path.into(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|e| CrossvalError::File {
        path: path.into(),
        problem: e.to_string(),
    })
}
