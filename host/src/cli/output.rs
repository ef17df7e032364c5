//! Outputs that could not be written, found before the work and not after it.

use std::path::Path;

use anyhow::{Result, ensure};

/// # Errors
/// A file that cannot be written because of the folder that it is to lie in, or because it is one.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let name = path.display();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = folder {
        let there = folder.is_dir();
        ensure!(there, "cannot write {name}: no folder {}", folder.display());
    }
    ensure!(!path.is_dir(), "cannot write {name}: it is a folder");
    Ok(())
}

/// # Errors
/// A folder that cannot be made because a file is in its place, or in that of one above it.
pub(super) fn check_folder(path: &Path) -> Result<()> {
    if let Some(there) = path.ancestors().find(|above| above.exists()) {
        let (name, found) = (path.display(), there.display());
        ensure!(there.is_dir(), "cannot make {name}: {found} is no folder");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{embed, ensemble, export, parse, quantize, report};

    /// The network is missing too: what is complained of first was looked at first.
    #[test]
    fn what_cannot_be_written_or_meant_is_refused_before_the_work() {
        let draw = |line: &str| report::run(parse(line).unwrap());
        let embed = |line: &str| embed::run(parse(line).unwrap());
        let export = |line: &str| export::run(parse(line).unwrap());
        let quantize = |line: &str| quantize::run(parse(line).unwrap());
        let decide = |line: &str| ensemble::run(parse(line).unwrap());
        let refused = |done: Result<()>, says: &str| {
            let error = format!("{:#}", done.unwrap_err());
            assert!(error.contains(says), "{error}");
        };
        for done in [
            draw("x classes no synth:7:70 --out no/where.svg"),
            draw("x calibration no synth:7:70 --out no/where.png"),
            draw("x run no --out no/where.html"),
            embed("x no synth:7:70 --out no/where.npz"),
        ] {
            refused(done, "cannot write no/where.");
        }
        for done in [
            // tests run in the folder of the package
            export("x no --data synth:7:70 --name n --out Cargo.toml"),
            quantize("x no --data synth:7:70 --name n --out Cargo.toml/n"),
        ] {
            refused(done, "Cargo.toml is no folder");
        }
        for weights in ["1,-1", "nan,1"] {
            let line = format!("x no no --data synth:7:70 --weights {weights}");
            refused(decide(&line), "not negative");
        }
    }
}
