//! Tests that need something this machine may not have: they say so, or fail where nothing may be
//! missing.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Reports on stderr that a test did not run and why. Where `FER_NO_SKIP=1`, as in CI, that is a
/// failure.
///
/// # Panics
/// When `FER_NO_SKIP` is `1`.
pub fn skip(reason: &str) {
    assert!(
        std::env::var_os("FER_NO_SKIP").is_none_or(|v| v != "1"),
        "FER_NO_SKIP=1, but: {reason}"
    );
    note(&format!("SKIP: {reason}"));
}

/// Tells the reader of a test's output something that is no failure.
pub fn note(reason: &str) {
    // straight to stderr: the test harness would swallow `eprintln!`
    let _ = writeln!(std::io::stderr().lock(), "{reason}");
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the workspace")
}

/// The folder with the real data: `FER_DATA`, or `../shared/data` beside the workspace.
///
/// `None` where it is absent.
pub fn data() -> Option<PathBuf> {
    let folder =
        std::env::var_os("FER_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    folder.join("fer2013.csv.xz").is_file().then_some(folder)
}
