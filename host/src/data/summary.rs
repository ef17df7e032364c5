//! Counts of a data set by split and class, as a table and as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::dataset::Split;
use super::{Dataset, Loaded};

/// Counts of a data set; its JSON form is what `fer-tools data info --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Class names in label order.
    pub labels: Vec<String>,
    /// Side of the tiles in pixels.
    pub tile: usize,
    /// Number of images.
    pub images: usize,
    /// Rows or images left out.
    pub skipped: usize,
    /// Number of different persons, where the data says.
    pub subjects: Option<usize>,
    /// The splits that have images.
    pub splits: Vec<SplitCounts>,
}

/// Counts of one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    /// Which split.
    pub split: Split,
    /// Number of images.
    pub images: usize,
    /// Images by class, in label order.
    pub counts: Vec<usize>,
}

impl Summary {
    /// Counts what was loaded.
    pub fn new(loaded: &Loaded) -> Self {
        let dataset = &loaded.dataset;
        let splits = Split::ALL
            .into_iter()
            .map(|split| SplitCounts::new(dataset, split));
        Self {
            labels: dataset.labels().names().to_vec(),
            tile: dataset.tile(),
            images: dataset.len(),
            skipped: loaded.skipped,
            subjects: dataset.subjects(),
            splits: splits.filter(|counts| counts.images > 0).collect(),
        }
    }

    /// A table with one row a split and one column a class, ready to print.
    pub fn table(&self) -> String {
        let width = |name: &str| name.chars().count().max(7) + 2;
        let mut text = format!("{:<12}", "split");
        for label in &self.labels {
            let _ = write!(text, "{label:>0$}", width(label));
        }
        let _ = writeln!(text, "{:>9}", "total");
        let mut totals = vec![0; self.labels.len()];
        let mut line = |name: &str, counts: &[usize], total: usize| {
            let _ = write!(text, "{name:<12}");
            for (count, label) in counts.iter().zip(&self.labels) {
                let _ = write!(text, "{count:>0$}", width(label));
            }
            let _ = writeln!(text, "{total:>9}");
        };
        for row in &self.splits {
            line(row.split.name(), &row.counts, row.images);
            for (total, count) in totals.iter_mut().zip(&row.counts) {
                *total += count;
            }
        }
        line("total", &totals, self.images);
        let _ = write!(
            text,
            "\ntiles {0}x{0}, {1} skipped",
            self.tile, self.skipped
        );
        if let Some(subjects) = self.subjects {
            let _ = write!(text, ", {subjects} persons");
        }
        text.push('\n');
        text
    }
}

impl SplitCounts {
    fn new(dataset: &Dataset, split: Split) -> Self {
        let counts = dataset.counts(split);
        Self {
            split,
            images: counts.iter().sum(),
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LoadOptions, open};

    #[test]
    fn the_table_and_the_json_say_the_same() {
        let summary = Summary::new(&open("synth:1:70", &LoadOptions::default()).unwrap());
        let table = summary.table();
        assert!(table.starts_with("split"), "{table}");
        assert!(
            table
                .lines()
                .any(|line| line.starts_with("Training") && line.ends_with(" 56"))
        );
        assert!(table.contains("tiles 48x48, 0 skipped"), "{table}");
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["images"], 70);
        assert_eq!(json["splits"][0]["split"], "Training");
        assert_eq!(json["splits"][0]["counts"][6], 8);
        assert!(json["subjects"].is_null());
    }
}
