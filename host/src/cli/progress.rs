//! Progress of a run: a bar on a terminal, one line an epoch elsewhere.

use std::time::Duration;

use fer_tools::train::StepReport;
use indicatif::{ProgressBar, ProgressStyle};

/// Shows step reports.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new() -> Self {
        // hidden by itself where stderr is no terminal
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    pub(crate) fn show(&self, report: &StepReport) {
        self.bar.set_length(report.batch.1 as u64);
        self.bar.set_position(report.batch.0 as u64);
        self.bar
            .set_prefix(format!("epoch {}/{}", report.epoch.0 + 1, report.epoch.1));
        self.bar.set_message(format!(
            "loss {:.3}  {:.0} images/s  {} left",
            report.loss,
            report.images_per_second,
            clock(report.left)
        ));
        if let Some(metrics) = &report.epoch_metrics {
            let percent = |key: &str| 100.0 * metrics[key].as_f64().unwrap_or(f64::NAN);
            let number = |key: &str| metrics[key].as_f64().unwrap_or(f64::NAN);
            let validation = match metrics["validation_accuracy"].as_f64() {
                Some(share) => format!("validation {:.2} %", 100.0 * share),
                None => "no validation".into(),
            };
            self.bar.suspend(|| {
                tracing::info!(
                    "epoch {}/{}: loss {:.4}, training {:.2} %, {validation}, {:.0} images/s, {} left",
                    metrics["epoch"],
                    report.epoch.1,
                    number("train_loss"),
                    percent("train_accuracy"),
                    report.images_per_second,
                    clock(report.left)
                );
            });
        }
    }
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let s = time.as_secs();
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}
