//! One training with several seeds: what each run came to, their mean and their spread.

use std::path::{Path, PathBuf};

use fer_models::write_atomic;
use serde::{Deserialize, Serialize};

use super::TrainError;

/// The file with the seeds and their results, beside the runs' folders.
pub const SEEDS_FILE: &str = "seeds.json";

/// Mean and spread of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// How many.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// The sample standard deviation (divided by `n − 1`); there is none of a single number.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Of `values`; `None` where there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        (n > 0).then(|| Self {
            n,
            mean,
            deviation: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
        })
    }
}

/// One seed's run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRun {
    /// The seed.
    pub seed: u64,
    /// Its run folder, beside the file.
    pub folder: String,
    /// Whether it is done.
    pub finished: bool,
    /// Epochs done.
    pub epochs: usize,
    /// The epoch whose network is kept, from 1.
    pub best_epoch: Option<usize>,
    /// Validation accuracy at that epoch, 0 to 1.
    pub validation_accuracy: Option<f64>,
}

/// All runs of one training, as [`SEEDS_FILE`] holds them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// What is trained and how, apart from the seed: whoever goes on must want the same.
    pub plan: serde_json::Value,
    /// The runs in the order of the seeds.
    pub runs: Vec<SeedRun>,
    /// Over the validation accuracies of the runs that are done.
    pub validation_accuracy: Option<Spread>,
}

impl Seeds {
    /// New runs in `folder`, or those that it holds.
    ///
    /// # Errors
    /// When the file cannot be read, or tells of another plan or other seeds.
    pub fn open(folder: &Path, plan: serde_json::Value, seeds: &[u64]) -> Result<Self, TrainError> {
        let path = folder.join(SEEDS_FILE);
        let fresh = Self {
            plan,
            runs: seeds.iter().map(|&seed| SeedRun::new(seed)).collect(),
            validation_accuracy: None,
        };
        let wrong = |path: PathBuf, problem: String| TrainError::RunFile { path, problem };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(fresh),
            Err(source) => return Err(TrainError::Io { path, source }),
        };
        let found: Self =
            serde_json::from_str(&text).map_err(|e| wrong(path.clone(), e.to_string()))?;
        // a run makes its folder at once, and saves its state minutes later
        let begun = |run: &SeedRun| run.finished || folder.join(&run.folder).exists();
        if !found.runs.iter().any(begun) {
            // a first try that did not get to train
            return Ok(fresh);
        }
        if found.plan != fresh.plan {
            let parts = fresh.plan.as_object().into_iter().flat_map(|p| p.keys());
            let other = parts.filter(|part| found.plan.get(part) != fresh.plan.get(part));
            let other: Vec<&str> = other.map(String::as_str).collect();
            let problem = format!(
                "another training than asked for, which differs in {}: choose another folder",
                other.join(", ")
            );
            return Err(wrong(path, problem));
        }
        let known: Vec<u64> = found.runs.iter().map(|run| run.seed).collect();
        if known != seeds {
            return Err(wrong(
                path,
                format!("has the seeds {known:?}, not {seeds:?}"),
            ));
        }
        Ok(found)
    }

    /// Writes the file, with the mean and spread of what is done.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&mut self, folder: &Path) -> Result<(), TrainError> {
        let done = self.runs.iter().filter(|run| run.finished);
        let accuracies: Vec<f64> = done.filter_map(|run| run.validation_accuracy).collect();
        self.validation_accuracy = Spread::of(&accuracies);
        let path = folder.join(SEEDS_FILE);
        let io = |source| TrainError::Io {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        write_atomic(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })
        .map_err(io)
    }

    /// The runs as a plain-text table that ends in a newline.
    pub fn table(&self) -> String {
        let mut out = format!(
            "{:>8}  {:>6}  {:>10}  {:>10}\n",
            "seed", "epochs", "kept epoch", "validation"
        );
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        for run in &self.runs {
            out += &format!(
                "{:>8}  {:>6}  {:>10}  {:>10}\n",
                run.seed,
                run.epochs,
                or_dash(run.best_epoch.map(|e| e.to_string())),
                or_dash(run.validation_accuracy.map(percent)),
            );
        }
        if let Some(Spread { n, mean, deviation }) = self.validation_accuracy {
            let points = |d: f64| format!("{:.2}", 100.0 * d);
            out += &format!(
                "mean {}, sample standard deviation {} points, n = {n}\n",
                percent(mean),
                or_dash(deviation.map(points)),
            );
        }
        out
    }
}

impl SeedRun {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            folder: format!("seed-{seed}"),
            finished: false,
            epochs: 0,
            best_epoch: None,
            validation_accuracy: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let spread = Spread::of(&[2.0, 4.0, 4.0, 6.0]).unwrap();
        assert_eq!((spread.n, spread.mean), (4, 4.0));
        assert!((spread.deviation.unwrap() - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(&[0.5]).unwrap().deviation, None);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_folder_goes_on_with_the_same_plan_only() {
        let folder = tempfile::tempdir().unwrap();
        let open = |plan, seeds: &[u64]| Seeds::open(folder.path(), plan, seeds);
        let mut seeds = open(json!({"width": 0.05}), &[1, 2]).unwrap();
        seeds.save(folder.path()).unwrap();
        // a folder without a run is anybody's
        let other = open(json!({"width": 0.1}), &[7]).unwrap();
        assert_eq!((other.runs.len(), other.runs[0].seed), (1, 7));
        for (run, accuracy) in seeds.runs.iter_mut().zip([0.5, 0.6]) {
            run.finished = true;
            run.validation_accuracy = Some(accuracy);
            std::fs::create_dir(folder.path().join(&run.folder)).unwrap();
        }
        seeds.save(folder.path()).unwrap();
        assert_eq!(open(json!({"width": 0.05}), &[1, 2]).unwrap(), seeds);
        let table = seeds.table();
        assert!(
            table.ends_with("mean 55.00 %, sample standard deviation 7.07 points, n = 2\n"),
            "{table}"
        );
        for (plan, seeds, word) in [
            (json!({"width": 0.1}), &[1, 2][..], "differs in width:"),
            (json!({"width": 0.05}), &[1, 3], "[1, 2], not [1, 3]"),
        ] {
            let error = open(plan, seeds).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        std::fs::write(folder.path().join(SEEDS_FILE), "{").unwrap();
        assert!(open(json!({"width": 0.05}), &[1, 2]).is_err());
    }

    #[test]
    fn runs_keep_their_plan_before_they_save_and_after_their_state_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let open = |plan| Seeds::open(folder.path(), plan, &[1]);
        let mut seeds = open(json!({"epochs": 3})).unwrap();
        seeds.save(folder.path()).unwrap();
        let run = folder.path().join(&seeds.runs[0].folder);
        std::fs::create_dir(&run).unwrap();
        assert!(open(json!({"epochs": 4})).is_err());
        std::fs::remove_dir(&run).unwrap();
        seeds.runs[0].finished = true;
        seeds.save(folder.path()).unwrap();
        assert!(open(json!({"epochs": 4})).is_err());
    }
}
