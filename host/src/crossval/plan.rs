//! What a cross-validation does, as it stands in its folder, and what several folders have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fer_models::{Crops, Labels, write_atomic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fold::begun;
use super::{CrossvalError, FoldResult};
use crate::data::folds::FoldRule;
use crate::train::TrainOptions;

/// The plan's file in a folder.
const PLAN_FILE: &str = "crossval.json";

/// No data set of faces that fits into memory has more images.
const MOST_IMAGES: usize = 1 << 26;

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
    /// Whether what a class leaves over goes to the parts that lack most, where classes are spread and persons are not
    /// looked at. Plans that do not say it are older: every class was cut at the same rounded places.
    #[serde(default)]
    pub even_shares: bool,
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
    /// Writes the plan into a folder that has none, or checks that the folder's is the same. A plan that no fold was
    /// begun by is nobody's, and makes room.
    ///
    /// # Errors
    /// [`CrossvalError::OtherPlan`] names the first difference.
    pub fn claim(&self, folder: &Path) -> Result<(), CrossvalError> {
        let path = folder.join(PLAN_FILE);
        if path.exists() {
            let found = Self::load(folder)?;
            if (1..=found.folds).any(|fold| begun(folder, fold)) {
                return self.check(&found, &path);
            }
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
        let path = folder.join(PLAN_FILE);
        let plan: Self = read_json(&path)?;
        let (folds, images) = (plan.folds, plan.images);
        if !(2..=images).contains(&folds) || images > MOST_IMAGES {
            let problem = format!(
                "{folds} folds of {images} images, expected 2 folds at least, an image in each, \
                 and {MOST_IMAGES} images at most"
            );
            return Err(CrossvalError::File { path, problem });
        }
        Ok(plan)
    }

    /// Checks that `found`, read from `path`, has the same outcome.
    fn check(&self, found: &Self, path: &Path) -> Result<(), CrossvalError> {
        let value = |plan: &Self| {
            let plan = Self {
                data: String::new(),
                ..plan.clone()
            };
            serde_json::to_value(plan).unwrap_or_default()
        };
        match difference("", &value(self), &value(found)) {
            None => Ok(()),
            Some((field, expected, found)) => Err(CrossvalError::OtherPlan {
                path: path.into(),
                field,
                found,
                expected,
            }),
        }
    }
}

/// The first field in which two values differ, such as `train.epochs`, with both of its values.
fn difference(name: &str, own: &Value, theirs: &Value) -> Option<(String, String, String)> {
    if let (Value::Object(own), Value::Object(theirs)) = (own, theirs) {
        let keys: BTreeSet<&String> = own.keys().chain(theirs.keys()).collect();
        return keys.into_iter().find_map(|key| {
            let name = match name {
                "" => key.clone(),
                _ => format!("{name}.{key}"),
            };
            let of = |fields: &Map<String, Value>| fields.get(key).cloned().unwrap_or_default();
            difference(&name, &of(own), &of(theirs))
        });
    }
    (own != theirs).then(|| (name.to_owned(), own.to_string(), theirs.to_string()))
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
            result.check(plan, folder, fold)?;
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
