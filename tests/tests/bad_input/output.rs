//! Output that cannot be written: a limit on files, a full disk, a reader that has gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fer_tests::program::{Ran, program};
use fer_tests::skip;

use crate::bench::{Bench, TRAIN};

#[test]
fn a_file_that_may_not_grow_leaves_the_old_one() {
    let bench = Bench::new();
    bench.tools("data synth --count 70 --out a.csv").success();
    let before = fs::read(bench.path("a.csv")).unwrap();
    // blocks of 512 bytes or 1 KiB; seven hundred faces take 5 MB
    let tools = program("fer-tools");
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" data synth --count 700 --out a.csv";
    let mut limited = Command::new("sh");
    limited.current_dir(&bench.folder).args(["-c", script]);
    let ran = Ran::of(limited.arg(tools.get_program()));
    ran.refused(1, &["a.csv"]);
    assert_eq!(fs::read(bench.path("a.csv")).unwrap(), before);
    let files = fs::read_dir(&bench.folder).unwrap().count();
    assert_eq!(files, 1, "half-written files stay behind");
}

/// A file system of 256 KiB, which full disks are tried on.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, after saying so, where this user cannot mount one.
    fn mount(folder: &Path) -> Option<Self> {
        fs::create_dir(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(folder.into()));
        }
        skip::note(
            "SKIP: no right to mount a small tmpfs: a full disk is tried as a limit on file size only",
        );
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // what is left behind would be 256 KiB of memory
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint_to_resume_from() {
    let bench = Bench::new();
    let Some(disk) = SmallDisk::mount(&bench.path("disk")) else {
        return;
    };
    // a checkpoint of this network takes 180 KB: one fits, a second beside it does not
    let train = TRAIN.replace(
        "--epochs 1",
        "--epochs 2 --threads 1 --checkpoint-minutes 0",
    );
    bench
        .tools(&format!("{train} --out disk/run"))
        .refused(1, &["disk/run/last.safetensors", "No space left"]);
    let files: Vec<_> = fs::read_dir(bench.path("disk/run"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        files.iter().all(|f| !f.to_string_lossy().contains("tmp")),
        "half-written files stay behind: {files:?}"
    );
    // with room again, the run goes on and ends as if nothing had been
    fs::create_dir(bench.path("run")).unwrap();
    for file in files {
        let from = disk.0.join("run").join(&file);
        fs::copy(from, bench.path("run").join(&file)).unwrap();
    }
    bench.tools("train --resume run --threads 1").success();
    bench.tools(&format!("{train} --out whole")).success();
    let judged = ["run", "whole"].map(|run| {
        let judge = format!("eval {run}/best.safetensors synth:7:70 --json");
        let mut said: serde_json::Value =
            serde_json::from_str(&bench.tools(&judge).success()).unwrap();
        said.as_object_mut().unwrap().remove("model");
        said
    });
    assert!(judged[0]["loss"].is_f64(), "{}", judged[0]);
    assert_eq!(judged[0], judged[1]);
    bench
        .tools("data synth --count 700 --out disk/a.csv")
        .refused(1, &["disk/a.csv", "No space left"]);
    assert!(!bench.path("disk/a.csv").exists());
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let bench = Bench::new();
    bench.train("run");
    for (name, line) in [
        ("fer-tools", "data info synth:7:70"),
        ("fer-tools", "data info synth:7:70 --json"),
        ("fer-tools", "eval run/best.safetensors synth:7:70"),
        ("fer-tools", "eval run/best.safetensors synth:7:70 --json"),
        (
            "fer-tools",
            "prune run/best.safetensors --percent 0.3 --json --out s.safetensors",
        ),
        ("fer-tools", "models"),
        ("fer-tools", "--help"),
        ("fer-edge", "run --frames 3"),
        ("fer-edge", "model"),
        ("fer-edge", "--help"),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = program(name);
        command
            .current_dir(&bench.folder)
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name} {line}: {log}");
        assert!(!log.contains("ERROR"), "{name} {line}: {log}");
    }
}
