//! A folder to work in, and what most tests put there.

use std::fs;
use std::path::PathBuf;

use fer_tests::program::{Ran, program};
use image::{GrayImage, Luma};
use tempfile::TempDir;

/// A folder of one test with the things that its commands name.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `fer-tools` in the folder, so that commands read as a user writes them.
    pub(crate) fn tools(&self, line: &str) -> Ran {
        let mut command = program("fer-tools");
        Ran::of(
            command
                .current_dir(&self.folder)
                .args(line.split_whitespace()),
        )
    }

    pub(crate) fn edge(&self, line: &str) -> Ran {
        let mut command = program("fer-edge");
        Ran::of(
            command
                .current_dir(&self.folder)
                .args(line.split_whitespace()),
        )
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// A small run in `name/`.
    pub(crate) fn train(&self, name: &str) {
        self.tools(&format!("{TRAIN} --out {name}")).success();
    }

    /// Class folders with one grey picture each.
    pub(crate) fn faces(&self, root: &str, classes: &[&str]) {
        for class in classes {
            let folder = self.path(root).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..3u8 {
                let picture = GrayImage::from_fn(48, 48, |x, y| Luma([(x * y) as u8 ^ i]));
                picture.save(folder.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

pub(crate) const TRAIN: &str =
    "train synth:7:70 --arch vgg11 --width 0.05 --channels 1 --epochs 1 --batch 32";

/// A FER2013 CSV whose third line is `row`.
pub(crate) fn csv(row: &str) -> String {
    let pixels = vec!["7"; 48 * 48].join(" ");
    format!("emotion,pixels,Usage\n0,{pixels},Training\n{row}\n1,{pixels},Training\n")
}
