//! The files of one run: checkpoints, `metrics.jsonl` and TensorBoard events.
//!
//! The checkpoint is the truth. It records how long the two logs were when it was written; a resumed
//! run cuts them back to that, so no line stands twice.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::TrainError;
use crate::report::EventWriter;

/// The run in progress, or as it ended.
pub const LAST_FILE: &str = "last.safetensors";
/// The network of the epoch that [`TrainOptions::keep`](super::TrainOptions::keep) asks for.
pub const BEST_FILE: &str = "best.safetensors";
/// One JSON object an epoch.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// The same for TensorBoard.
const EVENTS_FILE: &str = "events.out.tfevents.fer";

/// An open run folder.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    metrics_bytes: u64,
    events: EventWriter,
}

impl RunFolder {
    /// Makes the folder and its logs.
    ///
    /// # Errors
    /// When it holds a run already, or the network of one, or cannot be written.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        if path.join(LAST_FILE).exists() {
            return Err(TrainError::Occupied(path.into()));
        }
        let best = path.join(BEST_FILE);
        if best.exists() {
            let problem =
                format!("the network of a run whose {LAST_FILE} is gone: choose another folder");
            return Err(TrainError::RunFile {
                path: best,
                problem,
            });
        }
        std::fs::create_dir_all(path).map_err(|source| TrainError::Io {
            path: path.into(),
            source,
        })?;
        sweep(path);
        Self::open(path, 0, None)
    }

    /// Opens the folder of a run to go on with, cutting its logs back to the given lengths.
    ///
    /// # Errors
    /// When a log is shorter than that or cannot be written.
    pub fn resume(path: &Path, metrics_bytes: u64, events_bytes: u64) -> Result<Self, TrainError> {
        sweep(path);
        Self::open(path, metrics_bytes, Some(events_bytes))
    }

    fn open(
        path: &Path,
        metrics_bytes: u64,
        events_bytes: Option<u64>,
    ) -> Result<Self, TrainError> {
        let file = path.join(METRICS_FILE);
        let io = |source| TrainError::Io {
            path: file.clone(),
            source,
        };
        let metrics = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .map_err(io)?;
        let found = metrics.metadata().map_err(io)?.len();
        if found < metrics_bytes {
            return Err(TrainError::RunFile {
                path: file,
                problem: format!("{found} bytes, the checkpoint expects at least {metrics_bytes}"),
            });
        }
        metrics.set_len(metrics_bytes).map_err(io)?;
        let file = path.join(EVENTS_FILE);
        let events = match events_bytes {
            None => EventWriter::create(&file),
            Some(bytes) => EventWriter::resume_at(&file, bytes),
        };
        Ok(Self {
            path: path.into(),
            metrics,
            metrics_bytes,
            events: events.map_err(|e| event_error(&file, &e))?,
        })
    }

    /// A file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Appends one line to `metrics.jsonl` and its numbers, under the tags given, to the event file.
    ///
    /// # Errors
    /// When a log cannot be written.
    pub fn log(
        &mut self,
        line: &serde_json::Value,
        step: u64,
        scalars: &[(&str, f64)],
    ) -> Result<(), TrainError> {
        let path = self.file(METRICS_FILE);
        let text = format!("{line}\n");
        self.metrics
            .write_all(text.as_bytes())
            .and_then(|()| self.metrics.sync_data())
            .map_err(|source| TrainError::Io { path, source })?;
        self.metrics_bytes += text.len() as u64;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0.0, |d| d.as_secs_f64());
        let path = self.file(EVENTS_FILE);
        for &(tag, value) in scalars {
            self.events
                .scalar(tag, step as i64, value as f32, now)
                .map_err(|e| event_error(&path, &e))?;
        }
        self.events.flush().map_err(|e| event_error(&path, &e))
    }

    /// Lengths of `metrics.jsonl` and the event file.
    pub fn lengths(&self) -> (u64, u64) {
        (self.metrics_bytes, self.events.position())
    }
}

/// Removes the temporary files that a killed run left while it wrote a checkpoint. One that stays is
/// no reason not to train.
fn sweep(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let hidden = name.strip_prefix('.').unwrap_or_default();
        if [LAST_FILE, BEST_FILE].iter().any(|f| hidden.starts_with(f)) && hidden.ends_with(".tmp")
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn event_error(path: &Path, error: &impl std::fmt::Display) -> TrainError {
    TrainError::RunFile {
        path: path.into(),
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_saved_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, metrics) = (folder.path(), folder.path().join(METRICS_FILE));
        let create = || RunFolder::create(path).map(|_| ());
        create().unwrap();
        create().unwrap();
        std::fs::write(&metrics, "{}\n").unwrap();
        for name in [LAST_FILE, BEST_FILE] {
            std::fs::write(path.join(name), "").unwrap();
            let error = create().unwrap_err().to_string();
            assert!(error.contains("another folder"), "{error}");
            std::fs::remove_file(path.join(name)).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&metrics).unwrap(), "{}\n");
    }
}
