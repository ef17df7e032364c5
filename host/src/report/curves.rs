//! Training curves: loss and accuracy by epoch, training against validation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::axes::{Curve, PANEL, Panel};
use super::canvas::{Anchor, Canvas, TextStyle, text_width};
use super::svg::Svg;

const PAD: f32 = 24.0;
const TITLE: f32 = 20.0;

/// Why training curves could not be read or drawn.
#[derive(Debug, Error)]
pub enum CurvesError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// File read.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A line is not the metrics of an epoch.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// File read.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Reason.
        source: serde_json::Error,
    },
    /// There is no epoch to draw.
    #[error("no epoch to draw")]
    Empty,
}

/// One line of `metrics.jsonl`: what was measured at the end of an epoch. Other keys may stand
/// beside these. A measure that is missing or `null` (not taken, or not a number) leaves a gap.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Number of epochs done, from 1.
    pub epoch: u64,
    /// Mean loss of the epoch's training batches, as they were trained on.
    pub train_loss: Option<f64>,
    /// Share of training images classified right, in `0..=1`, as they were trained on.
    pub train_accuracy: Option<f64>,
    /// Mean cross entropy of the validation split.
    pub validation_loss: Option<f64>,
    /// Share of validation images classified right, in `0..=1`.
    pub validation_accuracy: Option<f64>,
}

/// Reads a `metrics.jsonl`, one JSON object a line, sorted by epoch.
///
/// A run killed while it wrote leaves half a last line, without its newline, which is passed over;
/// a resumed run may repeat epochs, of which the last counts.
///
/// # Errors
/// The file could not be read, or a line is not the metrics of an epoch.
pub fn read_metrics(path: &Path) -> Result<Vec<EpochMetrics>, CurvesError> {
    let bytes = fs::read(path).map_err(|source| CurvesError::Read {
        path: path.into(),
        source,
    })?;
    let mut epochs = BTreeMap::new();
    let whole = bytes.iter().rposition(|&b| b == b'\n').unwrap_or(0);
    let lines = bytes[..whole].split(|&b| b == b'\n');
    for (number, line) in lines.enumerate().filter(|_| whole > 0) {
        let parsed: EpochMetrics =
            serde_json::from_slice(line).map_err(|source| CurvesError::Line {
                path: path.into(),
                line: number + 1,
                source,
            })?;
        epochs.insert(parsed.epoch, parsed);
    }
    Ok(epochs.into_values().collect())
}

/// Draws loss and accuracy over `epochs`, training as a full blue line, validation as a dashed
/// orange one (colours of Okabe and Ito, told apart by colour-blind eyes), with the best validation
/// value of each marked and named.
///
/// # Errors
/// No epoch at all.
pub fn curves_picture(epochs: &[EpochMetrics], title: &str) -> Result<Svg, CurvesError> {
    let (Some(first), Some(last)) = (
        epochs.iter().map(|e| e.epoch).min(),
        epochs.iter().map(|e| e.epoch).max(),
    ) else {
        return Err(CurvesError::Empty);
    };
    let curve = |value: fn(&EpochMetrics) -> Option<f64>, scale: f64| -> Curve {
        epochs
            .iter()
            // A loss beyond this has left every scale: a gap, so that the rest stays readable.
            .map(|e| (e.epoch as f64, value(e).filter(|v| v.abs() < 1e30)))
            .map(|(epoch, value)| (epoch, value.map(|v| v * scale)))
            .collect()
    };
    let loss = Panel {
        title: "loss",
        unit: "",
        train: curve(|e| e.train_loss, 1.0),
        validation: curve(|e| e.validation_loss, 1.0),
        better: f64::lt,
    };
    let accuracy = Panel {
        title: "accuracy",
        unit: " %",
        train: curve(|e| e.train_accuracy, 100.0),
        validation: curve(|e| e.validation_accuracy, 100.0),
        better: f64::gt,
    };
    let width = (PANEL.0 * 2.0).max(PAD + text_width(title, TITLE)) + PAD;
    let mut canvas = Canvas::new(width, 52.0 + PANEL.1);
    canvas.text(PAD, 40.0, TextStyle::new(TITLE, Anchor::Start), title);
    let range = (first as f64, last as f64);
    loss.draw(&mut canvas, (0.0, 52.0), range);
    accuracy.draw(&mut canvas, (PANEL.0, 52.0), range);
    Ok(canvas.finish())
}

#[cfg(test)]
mod tests {
    use super::super::testing::keep;
    use super::*;

    fn falling(epochs: u64) -> Vec<EpochMetrics> {
        (1..=epochs)
            .map(|epoch| {
                let t = epoch as f64;
                EpochMetrics {
                    epoch,
                    train_loss: Some(1.8 * (-t / 60.0).exp() + 0.1),
                    train_accuracy: Some(1.0 - 0.75 * (-t / 60.0).exp()),
                    validation_loss: Some(1.7 * (-t / 25.0).exp() + 0.8 + t * 0.001),
                    validation_accuracy: Some(
                        0.71 - 0.5 * (-t / 30.0).exp() + (t * 1.7).sin() * 0.004,
                    ),
                }
            })
            .collect()
    }

    #[test]
    fn runs_of_any_length_are_drawn() {
        for epochs in [1, 2, 5, 250] {
            let svg = curves_picture(&falling(epochs), "VGG19 <on> FER2013").expect("drawn");
            keep(&format!("curves-{epochs}.png"), &svg);
        }
        assert!(matches!(curves_picture(&[], "t"), Err(CurvesError::Empty)));
    }

    #[test]
    fn gaps_and_absurd_values_are_drawn_around() {
        let mut epochs = falling(20);
        epochs[7].validation_loss = None;
        epochs[7].train_loss = Some(1e300);
        epochs[8].train_loss = Some(f64::NAN);
        epochs[0].epoch = u64::MAX;
        for e in &mut epochs {
            e.validation_accuracy = None;
            e.train_accuracy = None;
        }
        let svg = curves_picture(&epochs, "gaps").expect("drawn");
        assert!(!svg.as_str().contains("NaN") && !svg.as_str().contains("inf"));
        assert!(svg.as_str().contains("not measured"));
        epochs.remove(0);
        keep(
            "curves-gaps.png",
            &curves_picture(&epochs, "gaps").expect("drawn"),
        );
    }

    #[test]
    fn the_best_validation_epoch_is_named() {
        let mut epochs = falling(3);
        for (e, accuracy) in epochs.iter_mut().zip([0.5, 0.625, 0.625]) {
            e.validation_accuracy = Some(accuracy);
        }
        let svg = curves_picture(&epochs, "t").expect("drawn");
        assert!(svg.as_str().contains("best validation 62.50 % at epoch 2"));
    }

    fn read(text: &str) -> Result<Vec<EpochMetrics>, CurvesError> {
        let file = tempfile::NamedTempFile::new().expect("file");
        fs::write(file.path(), text).expect("written");
        read_metrics(file.path())
    }

    #[test]
    fn a_file_survives_the_kill_that_cut_it_and_the_resume_that_repeated_it() {
        let text = concat!(
            "{\"epoch\":1,\"train_loss\":2.0,\"learning_rate\":0.01}\n",
            "{\"epoch\":2,\"train_loss\":1.5}\n",
            "{\"epoch\":2,\"train_loss\":1.25,\"validation_loss\":null}\n",
            "{\"epoch\":3,\"tra",
        );
        let losses: Vec<_> = read(text)
            .expect("read")
            .iter()
            .map(|e| (e.epoch, e.train_loss))
            .collect();
        assert_eq!(losses, [(1, Some(2.0)), (2, Some(1.25))]);
        assert_eq!(read("").expect("read"), []);
        assert_eq!(read("{\"epoch\":3").expect("read"), []);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in [
            "",
            "{}",
            "{\"epoch\":-1}",
            "{\"epoch\":2,\"train_loss\":\"x\"}",
            "\u{0}",
        ] {
            let error = read(&format!("{{\"epoch\":1}}\n{wrong}\n")).expect_err(wrong);
            assert!(error.to_string().contains("line 2"), "{error}");
        }
        assert!(matches!(
            read_metrics(Path::new("/no/such/metrics.jsonl")),
            Err(CurvesError::Read { .. })
        ));
    }
}
