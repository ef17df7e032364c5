//! A folder of pictures, in the order of their names.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CaptureError, Frame, Pace, Source, Step, image};

/// The pictures of one folder (not of the folders in it).
#[derive(Debug)]
pub struct Folder {
    name: String,
    files: Vec<PathBuf>,
    next: usize,
}

impl Folder {
    /// Lists the folder's pictures, sorted by name.
    ///
    /// A file counts as a picture by its extension; others are left alone.
    ///
    /// # Errors
    /// Returns an error when the folder can't be read or holds no picture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(|e| CaptureError::io(&name, e))? {
            let file = entry.map_err(|e| CaptureError::io(&name, e))?.path();
            if file.is_file() && image::is_picture(&file) {
                files.push(file);
            }
        }
        if files.is_empty() {
            return Err(CaptureError::format(&name, "holds no pictures"));
        }
        files.sort();
        Ok(Self {
            name,
            files,
            next: 0,
        })
    }
}

impl Source for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn pace(&self) -> Pace {
        Pace::Stills
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        let Some(file) = self.files.get(self.next) else {
            return Ok(Step::End);
        };
        frame.seq = self.next as u64;
        frame.t_ms = 0;
        self.next += 1;
        match image::load(file, frame) {
            Ok(()) => Ok(Step::Frame),
            Err(error) => Ok(Step::Bad(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::GrayImage;

    #[test]
    fn pictures_come_sorted_and_bad_ones_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["c.png", "a.png"] {
            GrayImage::new(3, 2).save(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("b.jpg"), "no").unwrap();
        fs::write(dir.path().join("notes.md"), "left alone").unwrap();
        let mut folder = Folder::open(dir.path()).unwrap();
        let mut frame = Frame::default();
        assert_eq!(folder.next(&mut frame).unwrap(), Step::Frame);
        assert_eq!((frame.seq, frame.file.as_str()), (0, "a.png"));
        assert!(
            matches!(folder.next(&mut frame).unwrap(), Step::Bad(why) if why.contains("b.jpg"))
        );
        assert_eq!(folder.next(&mut frame).unwrap(), Step::Frame);
        assert_eq!((frame.seq, frame.file.as_str()), (2, "c.png"));
        assert_eq!(folder.next(&mut frame).unwrap(), Step::End);
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            Folder::open(dir.path())
                .unwrap_err()
                .to_string()
                .contains("no pictures")
        );
    }
}
