//! The programs under test, as a user starts them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::SystemTime;

use crate::skip::{note, root};

/// A command that starts `fer-tools` or `fer-edge`, without what the caller's environment says about
/// logs.
///
/// `cargo test --workspace` has built both beside the tests. Where a program is missing, or older than
/// its sources as after `cargo test -p fer-tests`, it is built first.
///
/// # Panics
/// When the program cannot be built.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(built(name));
    command
        .env_remove("FER_LOG")
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1");
    command
}

/// Runs `fer-tools` to its end.
///
/// # Panics
/// When it cannot be started.
pub fn tools<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    Ran::of(program("fer-tools").args(args))
}

/// Runs `fer-edge` to its end.
///
/// # Panics
/// When it cannot be started.
pub fn edge<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    Ran::of(program("fer-edge").args(args))
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output();
        let Output {
            status,
            stdout,
            stderr,
        } = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self {
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// What it printed.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// Checks that it ended with `code` and that its log holds each of `says`.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn refused(&self, code: i32, says: &[&str]) {
        let log = &self.stderr;
        assert_eq!(self.code, Some(code), "expected {says:?} in: {log}");
        for words in says {
            assert!(log.contains(words), "expected {words:?} in: {log}");
        }
    }
}

/// The program's file, built where it has to be.
fn built(name: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    // tests lie in <target>/<profile>/deps, programs in <target>/<profile>
    let test = std::env::current_exe().expect("a test knows its own file");
    let folder = test.parent().and_then(Path::parent).expect("a profile");
    let file = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !is_current(&file) {
        note(&format!(
            "building {name}, which is missing or older than its sources"
        ));
        let profile = match folder.file_name().and_then(OsStr::to_str) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let status = Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["build", "--quiet", "--bin", name, "--profile", profile])
            .arg("--target-dir")
            .arg(folder.parent().expect("a target folder"))
            .status();
        let built = status.is_ok_and(|s| s.success());
        assert!(built && file.is_file(), "cannot build {}", file.display());
    }
    file
}

/// Whether a program exists and is as new as the sources that cargo lists beside it.
fn is_current(file: &Path) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let Some(program) = changed(file) else {
        return false;
    };
    let list = fs::read_to_string(file.with_extension("d")).unwrap_or_default();
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources);
    // a path with a space is cut in two that do not exist: then nothing is known, and nothing built
    sources
        .split_whitespace()
        .filter_map(|source| changed(Path::new(source)))
        .all(|source| source <= program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_older_than_its_sources_is_not_current() {
        let folder = std::env::temp_dir().join(format!("fer-program-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name);
        let list = format!("{}: {}\n", file("fer").display(), file("main.rs").display());
        fs::write(file("fer.d"), list).unwrap();
        assert!(!is_current(&file("fer")));
        for name in ["main.rs", "fer"] {
            fs::write(file(name), "").unwrap();
        }
        assert!(is_current(&file("fer")));
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        let source = fs::File::options().write(true).open(file("main.rs"));
        source.unwrap().set_modified(later).unwrap();
        assert!(!is_current(&file("fer")));
        fs::remove_dir_all(&folder).unwrap();
    }
}
