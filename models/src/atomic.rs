//! Files that are either the old one or the new one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Sets temporary names of this process apart.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Writes a file so that a reader, or a machine that loses power, sees the old file or the new one,
/// never half of either.
///
/// `fill` writes, buffered, to a temporary file beside `path` (hidden, `.NAME.PID.COUNT.tmp`), which is
/// flushed to the disk and renamed over `path`; on Unix the folder is flushed too. A symbolic link at
/// `path` is replaced, not followed. The temporary file is removed when anything fails; only a killed
/// process leaves one behind.
///
/// # Errors
/// What `fill` or the file system said, with `path` put in front and the kind kept. The old file is
/// then as it was; the exception is a folder that could not be flushed after the rename.
pub fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    replace(path, fill).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot write {}: {error}", path.display()),
        )
    })
}

fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not the name of a file",
        ));
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (temporary, file) = Temporary::create(folder, name.to_owned())?;
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(&temporary.0, path)?;
    // Now the new file's: there is nothing left to remove.
    std::mem::forget(temporary);
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// A temporary file, removed when dropped, so also when `fill` panics.
struct Temporary(PathBuf);

impl Temporary {
    fn create(folder: &Path, name: OsString) -> io::Result<(Self, File)> {
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let mut hidden = OsString::from(".");
            hidden.push(&name);
            hidden.push(format!(".{}.{count}.tmp", std::process::id()));
            let path = folder.join(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self(path), file)),
                // Left by a killed process of the same id, as in a container: take the next name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The first error is the one worth reporting; this one would only hide it.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn the_new_file_replaces_the_old_one_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        for text in ["old", "new and longer"] {
            write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn failure_leaves_the_old_file_and_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let error = write_atomic(&path, |out| {
            out.write_all(b"half")?;
            out.flush()?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"))
        })
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("a.txt: disk full"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_panic_while_filling_leaves_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let attempt = std::panic::catch_unwind(|| write_atomic(&path, |_| panic!("on purpose")));
        assert!(attempt.is_err());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_leftover_temporary_is_stepped_over() {
        let folder = tempfile::tempdir().unwrap();
        let next = COUNTER.load(Ordering::Relaxed);
        // Other tests of this process count too: cover the names they could leave us.
        for count in next..next + 50 {
            let leftover = format!(".a.txt.{}.{count}.tmp", std::process::id());
            fs::write(folder.path().join(leftover), "dead").unwrap();
        }
        let path = folder.path().join("a.txt");
        write_atomic(&path, |out| out.write_all(b"alive")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "alive");
        assert_eq!(names(folder.path()).len(), 51);
    }

    #[test]
    fn many_writers_of_one_file_never_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::thread::scope(|scope| {
            for writer in 0..8u8 {
                let path = &path;
                scope.spawn(move || write_atomic(path, |out| out.write_all(&[writer; 20_000])));
            }
        });
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes, vec![bytes[0]; 20_000]);
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_missing_folder_or_name_is_an_error_that_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/a.txt");
        let error = write_atomic(&path, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("none/a.txt"), "{error}");
        let error = write_atomic(Path::new("/"), |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
