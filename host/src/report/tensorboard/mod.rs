//! TensorBoard event files: a log of scalars that `tensorboard --logdir` draws.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

mod event;
mod record;
#[cfg(test)]
mod tests;

/// Why an event file could not be written.
#[derive(Debug, Error)]
pub enum EventError {
    /// TensorBoard passes over files whose name lacks `tfevents`.
    #[error("{}: the name of an event file must contain `tfevents`", path.display())]
    Name {
        /// File to write.
        path: PathBuf,
    },
    /// The file could not be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The event file.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// The file to resume does not hold whole records up to the byte to resume at.
    #[error("{}: can't resume at byte {offset}: whole records end at byte {whole}", path.display())]
    Offset {
        /// The event file.
        path: PathBuf,
        /// Byte to resume at.
        offset: u64,
        /// End of the last whole record at or before it.
        whole: u64,
    },
}

/// Writes scalars to one event file, buffered.
///
/// A trainer that keeps [`position`](Self::position) in its checkpoint, after
/// [`flush`](Self::flush), can [`resume_at`](Self::resume_at) it: the curves of a run that was
/// killed and resumed then hold each point once.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
    position: u64,
    /// The record being framed, kept to spare an allocation a point.
    scratch: Vec<u8>,
}

impl EventWriter {
    /// Starts an event file, replacing one of that name. The name must contain `tfevents`:
    /// `events.out.tfevents.fer`, say.
    ///
    /// # Errors
    /// The name, or the file can't be written.
    pub fn create(path: &Path) -> Result<Self, EventError> {
        let named = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains("tfevents"));
        if !named {
            return Err(EventError::Name { path: path.into() });
        }
        let file = File::create(path).map_err(failed(path))?;
        let mut writer = Self::new(path, file, 0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        writer.write(&event::version(now.map_or(0.0, |t| t.as_secs_f64())))?;
        // a checkpoint may record this position before the first point is flushed
        writer.flush()?;
        Ok(writer)
    }

    /// Goes on with an event file from byte `offset`, a [`position`](Self::position) of the writer
    /// that made it; what stands behind it is cut off.
    ///
    /// # Errors
    /// The file can't be read or written, or `offset` is not the end of one of its records (the
    /// file is shorter, damaged, or another one); the file is then left as it was.
    pub fn resume_at(path: &Path, offset: u64) -> Result<Self, EventError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed(path))?;
        let whole = whole_records(&file, offset).map_err(failed(path))?;
        if offset == 0 || whole != offset {
            return Err(EventError::Offset {
                path: path.into(),
                offset,
                whole,
            });
        }
        file.set_len(offset).map_err(failed(path))?;
        file.seek(SeekFrom::Start(offset)).map_err(failed(path))?;
        Ok(Self::new(path, file, offset))
    }

    fn new(path: &Path, file: File, position: u64) -> Self {
        Self {
            path: path.into(),
            file: BufWriter::new(file),
            position,
            scratch: Vec::new(),
        }
    }

    /// Adds a point to the curve `tag` (`loss/train`, say: the part before `/` groups curves) at
    /// `step`, taken at `wall_time_s` seconds since 1970. A value that is not finite is shown by
    /// TensorBoard as such.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn scalar(
        &mut self,
        tag: &str,
        step: i64,
        value: f32,
        wall_time_s: f64,
    ) -> Result<(), EventError> {
        self.write(&event::scalar(tag, step, value, wall_time_s))
    }

    /// Writes what is buffered and waits until the disk holds it.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn flush(&mut self) -> Result<(), EventError> {
        let written = self.file.flush();
        written
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(failed(&self.path))
    }

    /// Length of the file in bytes, with what is still buffered.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn write(&mut self, event: &[u8]) -> Result<(), EventError> {
        self.scratch.clear();
        record::frame(event, &mut self.scratch);
        self.file
            .write_all(&self.scratch)
            .map_err(failed(&self.path))?;
        self.position += self.scratch.len() as u64;
        Ok(())
    }
}

/// End of the last whole record of `file` that ends at or before byte `limit`.
fn whole_records(file: &File, limit: u64) -> io::Result<u64> {
    let length = file.metadata()?.len().min(limit);
    let mut input = BufReader::new(file);
    let mut end = 0;
    while let record::Next::Record(_) = record::next(&mut input, length - end)? {
        end = input.stream_position()?;
    }
    Ok(end)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> EventError {
    let path = path.to_path_buf();
    move |source| EventError::Io { path, source }
}
