//! Runtimes that are not ours, as judges of exported files: they run in Python (`tests/judges/`, packages
//! pinned in its `requirements.txt`), found by `FER_PYTHON` or in `.venv/` in the repository root.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{npy, skip};

/// The runtimes that `judge.py` knows.
pub const RUNTIMES: [&str; 2] = ["onnxruntime", "openvino"];

/// Exit code of `judge.py` where the runtime is not installed.
const NOT_INSTALLED: i32 = 3;

/// A file with the images it is judged on.
pub struct Case {
    /// What a message calls it.
    pub name: String,
    /// The file.
    pub onnx: Vec<u8>,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// `[images, channels, height, width]`.
    pub pixels: Vec<f32>,
}

impl Case {
    /// How many images there are.
    pub fn images(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>()
    }
}

/// The judges' Python.
pub struct Judges {
    python: PathBuf,
}

impl Judges {
    /// `None`, after saying why, where Python or a runtime is missing.
    ///
    /// # Panics
    /// When a runtime is there and fails, or may not be missing ([`skip::skip`]).
    pub fn find() -> Option<Self> {
        let python = std::env::var_os("FER_PYTHON")
            .map_or_else(|| skip::root().join(".venv/bin/python"), PathBuf::from);
        let judges = Self { python };
        for runtime in RUNTIMES {
            let python = judges.python.display();
            let output = match judges.command(runtime).output() {
                Ok(output) => output,
                Err(error) => {
                    skip::skip(&format!("no judges: cannot run {python}: {error}"));
                    return None;
                }
            };
            let message = String::from_utf8_lossy(&output.stderr);
            if output.status.code() == Some(NOT_INSTALLED) {
                skip::skip(&format!("no judge {runtime} in {python}: {message}"));
                return None;
            }
            assert!(output.status.success(), "{runtime}: {message}");
        }
        Some(judges)
    }

    fn command(&self, runtime: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(skip::root().join("tests/judges/judge.py"));
        command.arg(runtime);
        command
    }

    /// Each case's logits by one runtime; the files go through `folder`.
    ///
    /// # Panics
    /// When the runtime fails.
    pub fn logits(&self, runtime: &str, folder: &Path, cases: &[Case]) -> Vec<Vec<f32>> {
        let mut command = self.command(runtime);
        let file = |i: usize, what: &str| folder.join(format!("{i}-{what}"));
        for (i, case) in cases.iter().enumerate() {
            let [c, h, w] = case.shape;
            let inputs = npy::encode(&[case.images(), c, h, w], &case.pixels);
            std::fs::write(file(i, "model.onnx"), &case.onnx).unwrap();
            std::fs::write(file(i, "inputs.npy"), inputs).unwrap();
            for what in ["model.onnx", "inputs.npy", "logits.npy"] {
                command.arg(file(i, what));
            }
        }
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{runtime}: {message}");
        (0..cases.len())
            .map(|i| npy::decode(&std::fs::read(file(i, "logits.npy")).unwrap()).unwrap())
            .collect()
    }
}
