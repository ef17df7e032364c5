//! Finds the face detector's model inside rustface's own package and copies it to `OUT_DIR`.
//!
//! The model is 1.2 MB of somebody else's work (BSD-2-Clause, see `NOTICE`), so it isn't committed
//! here. Rustface is a build dependency only so that cargo has it on disk; nothing of it runs. The question is
//! where.
//! `cargo metadata` on this workspace would answer, but it resolves every member with its
//! development dependencies, so in a fresh clone it wants packages that `cargo run -p fer-edge` has
//! not downloaded. A throw-away package that depends on rustface alone needs nothing more than this
//! build already has, follows source replacement (vendoring) and works with `--offline`.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

const MODEL: &str = "model/seeta_fd_frontal_v1.0.bin";
const MODEL_SHA256: &str = "c4619d066ed35e84d9a8e842860b0dff567aba0cbb139881075538761db3ff5d";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let model = rustface_folder(&here, &out)?.join(MODEL);
    println!("cargo::rerun-if-changed={}", model.display());

    let bytes = fs::read(&model).map_err(|e| format!("{}: {e}", model.display()))?;
    let mut found = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(found, "{byte:02x}")?;
    }
    if found != MODEL_SHA256 {
        return Err(format!(
            "{}: sha256 is {found}, expected {MODEL_SHA256}: this rustface ships another detector \
             model; check it, then change MODEL_SHA256 in edge/build.rs",
            model.display()
        )
        .into());
    }
    fs::write(out.join("seeta_fd_frontal.bin"), bytes)?;
    Ok(())
}

/// The folder of the rustface package that this build uses.
fn rustface_folder(here: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let probe = out.join("locate-rustface");
    fs::create_dir_all(&probe)?;
    fs::write(
        probe.join("Cargo.toml"),
        "[package]\nname = \"locate-rustface\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
         [lib]\npath = \"lib.rs\"\n\n\
         [dependencies]\nrustface = { version = \"0.1\", default-features = false }\n\n[workspace]\n",
    )?;
    fs::write(probe.join("lib.rs"), "")?;
    // With the workspace's lock file the probe resolves to the version that is being built; cargo
    // drops the entries that it doesn't need.
    if let Some(lock) = here
        .ancestors()
        .map(|dir| dir.join("Cargo.lock"))
        .find(|p| p.is_file())
    {
        println!("cargo::rerun-if-changed={}", lock.display());
        fs::copy(&lock, probe.join("Cargo.lock"))?;
    }
    let output = Command::new(env::var_os("CARGO").ok_or("CARGO is not set")?)
        // Cargo reads its configuration (source replacement) from the working directory upwards.
        .current_dir(here)
        .args([
            "metadata",
            "--offline",
            "--format-version=1",
            "--filter-platform",
        ])
        .arg(env::var("HOST")?)
        .arg("--manifest-path")
        .arg(probe.join("Cargo.toml"))
        // Set by `cargo clippy`; they are not for this question.
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata could not locate rustface: {stderr}").into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "rustface")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("cargo metadata does not list rustface")?;
    let folder = Path::new(manifest)
        .parent()
        .ok_or("rustface's manifest has no folder")?;
    Ok(folder.to_path_buf())
}
