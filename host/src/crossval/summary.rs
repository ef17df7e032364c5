//! What the folds say together.

use std::fmt::Write;

use fer_models::argmax;
use serde::Serialize;
use serde_json::json;

use super::{CrossvalError, FoldResult, Plan};
use crate::report::Evaluation;
use crate::train::Spread;

/// One fold's accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldScore {
    /// The fold, from 1.
    pub fold: usize,
    /// Images tested.
    pub images: usize,
    /// Share given their class, 0 to 1.
    pub accuracy: f64,
    /// The epoch whose network it is, where a validation part chose one.
    pub epoch: Option<usize>,
}

/// All folds together.
#[derive(Clone, Debug)]
pub struct Summary {
    /// By fold.
    pub folds: Vec<FoldScore>,
    /// Over all predictions of all folds.
    pub pooled: Evaluation,
    /// Images that no fold tests, and that more than one does.
    pub never_and_repeatedly: (usize, usize),
}

impl Summary {
    /// Judges the results of all folds.
    ///
    /// # Errors
    /// When there are no predictions, or one is no number.
    pub fn new(plan: &Plan, results: &[FoldResult]) -> Result<Self, CrossvalError> {
        let classes = plan.labels.len();
        let (mut logits, mut targets) = (Vec::new(), Vec::new());
        let mut times = vec![0; plan.images];
        let mut folds = Vec::new();
        for result in results {
            let rows = result.logits.chunks_exact(classes).zip(&result.targets);
            let right = rows.filter(|(row, target)| argmax(row) == usize::from(**target));
            folds.push(FoldScore {
                fold: result.fold,
                images: result.images.len(),
                accuracy: right.count() as f64 / result.images.len().max(1) as f64,
                epoch: result.epoch,
            });
            logits.extend(&result.logits);
            targets.extend(&result.targets);
            result.images.iter().for_each(|&image| times[image] += 1);
        }
        let count = |test: fn(&&usize) -> bool| times.iter().filter(test).count();
        Ok(Self {
            folds,
            pooled: Evaluation::from_logits(&plan.labels, &logits, &targets)?,
            never_and_repeatedly: (count(|times| **times == 0), count(|times| **times > 1)),
        })
    }

    /// Mean and spread of the folds' accuracies; `None` without a fold.
    pub fn spread(&self) -> Option<Spread> {
        let accuracies: Vec<f64> = self.folds.iter().map(|fold| fold.accuracy).collect();
        Spread::of(&accuracies)
    }

    /// Least and greatest accuracy of a fold.
    fn range(&self) -> (f64, f64) {
        let all = || self.folds.iter().map(|fold| fold.accuracy);
        (all().fold(1.0, f64::min), all().fold(0.0, f64::max))
    }

    /// Folds, their mean and spread, and the pooled evaluation, ready to print.
    pub fn table(&self, plan: &Plan) -> String {
        let mut text = String::new();
        // a String takes any text
        let _ = self.write(plan, &mut text);
        text
    }

    fn write(&self, plan: &Plan, out: &mut String) -> std::fmt::Result {
        let (least, most) = self.range();
        let (never, repeatedly) = self.never_and_repeatedly;
        let validation = match plan.validation {
            None => "last epoch".to_owned(),
            Some(share) => format!("epoch kept by {:.0} % of the training folds", share * 100.0),
        };
        writeln!(
            out,
            "{}: {} on {} folds of {} images, rule {}, {} crop(s) a face, {validation}\n",
            plan.data,
            plan.network,
            plan.folds,
            plan.images,
            plan.rule,
            plan.crops.count(),
        )?;
        writeln!(out, "fold  images  accuracy  epoch")?;
        for fold in &self.folds {
            let epoch = fold
                .epoch
                .map_or_else(|| "last".into(), |epoch| epoch.to_string());
            let percent = 100.0 * fold.accuracy;
            writeln!(
                out,
                "{:>4}  {:>6}  {percent:>6.2} %  {epoch:>5}",
                fold.fold, fold.images
            )?;
        }
        if let Some(spread) = self.spread() {
            let points = |d: f64| format!("{:.2}", 100.0 * d);
            writeln!(
                out,
                "\nby fold   mean {:.2} %, standard deviation {}, least {:.2} %, most {:.2} %",
                100.0 * spread.mean,
                spread.deviation.map_or_else(|| "-".into(), points),
                100.0 * least,
                100.0 * most
            )?;
        }
        writeln!(
            out,
            "pooled    {:.2} % of {} predictions; {never} images never tested, {repeatedly} more than once\n",
            100.0 * self.pooled.accuracy(),
            self.pooled.count()
        )?;
        out.push_str(&self.pooled.table());
        Ok(())
    }

    /// The same as JSON: `plan`, `folds`, `mean`, `standard_deviation`, `never_tested`,
    /// `tested_repeatedly` and `pooled`.
    pub fn json(&self, plan: &Plan) -> serde_json::Value {
        let spread = self.spread();
        json!({
            "plan": plan,
            "folds": self.folds,
            "mean": spread.map(|s| s.mean),
            "standard_deviation": spread.and_then(|s| s.deviation),
            "never_tested": self.never_and_repeatedly.0,
            "tested_repeatedly": self.never_and_repeatedly.1,
            "pooled": self.pooled.json(),
        })
    }
}
