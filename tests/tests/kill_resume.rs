//! A training that is killed at any moment and resumed ends as one that was left alone: the same
//! weights, momentum and average to the bit, the same metrics, the same curves.
//!
//! The moments are drawn by seed as fractions of the uninterrupted run's duration, so they fall into
//! start-up, steps, saving, validation and resuming as these come. Which of them a moment hits depends
//! on the machine's speed; what must come out does not.
//!
//! A signal that only asks loses nothing at all, and the exit code tells it from the end of the run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fer_tests::program::{Ran, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

/// One way to train, and how often it is killed.
struct Case {
    name: &'static str,
    flags: &'static str,
    /// Minutes between checkpoints.
    interval: &'static str,
    kills: usize,
    seed: u64,
}

#[test]
fn thirty_kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let every_step = Case {
        name: "every-step",
        flags: "synth:7:210 --arch vgg11 --width 0.05 --channels 1 --epochs 2 --batch 16 --ema 0.9 \
                --sparsity 1e-4 --augment strong --schedule one-cycle",
        interval: "0",
        kills: 12,
        seed: 1,
    };
    let reference = check(folder.path(), &every_step);
    // with a teacher and dropout, and steps that a kill loses
    let flags = format!(
        "synth:7:210 --arch vgg11 --width 0.05 --channels 1 --epochs 3 --batch 20 --dropout 0.3 \
         --class-weights --nesterov --clip-norm 1 --distill {}",
        reference.join("best.safetensors").display()
    );
    let at_times = Case {
        name: "at-times",
        flags: flags.leak(),
        interval: "0.003",
        kills: 8,
        seed: 2,
    };
    check(folder.path(), &at_times);
    // adaptive steps, a watched rate, an early end, frozen layers, penalties and centers
    let watched = Case {
        name: "watched",
        flags: "synth:7:210 --arch vgg11 --width 0.05 --channels 1 --epochs 4 --batch 20 --ema 0.9 \
                --optimizer radam --lr 1e-3 --schedule plateau --lr-patience 0 --lr-factor 0.5 \
                --stop-patience 1 --freeze features.0 --l2 1e-3 --center-loss 0.01 --augment heavy",
        interval: "0",
        kills: 6,
        seed: 3,
    };
    check(folder.path(), &watched);
    let adam = Case {
        name: "adam",
        flags: "synth:7:210 --arch vgg11 --width 0.05 --channels 1 --epochs 3 --batch 16 \
                --optimizer adamw --lr 1e-3 --schedule step --lr-every 1 --class-weights=inverse \
                --augment ferplus",
        interval: "0.003",
        kills: 4,
        seed: 4,
    };
    check(folder.path(), &adam);
}

#[test]
fn an_interrupted_run_is_saved_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case {
        name: "whole",
        flags: "synth:7:420 --arch vgg11 --width 0.05 --channels 1 --epochs 2 --batch 16",
        interval: "1000",
        kills: 0,
        seed: 0,
    };
    let whole = folder.path().join(case.name);
    Ran::of(&mut start(&case, &whole)).success();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let stopped = folder.path().join(signal.as_str());
        interrupted(&mut start(&case, &stopped), signal).refused(
            code,
            &["saved", "fer-tools train --resume", signal.as_str()],
        );
        let run = &Stored::read(&stopped, "last.safetensors").state["run"];
        // nothing but the signal had this saved: the first epoch is not over
        assert_eq!(run["epoch"], 0);
        assert!(run["batch"].as_u64() > Some(0), "{run}");
        Ran::of(&mut go_on(&case, &stopped)).success();
        same_run(&stopped, &whole);
    }
}

#[test]
fn an_interrupt_ends_all_seeds_folds_and_stages() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("small.toml");
    let network = "[network]\nname = \"vgg11\"\nwidth = 0.05\nchannels = 1\n";
    let train = "epochs = 2\nbatch = 16\n";
    fs::write(&recipe, format!("{network}[train]\n{train}")).unwrap();
    let plan = folder.path().join("plan.toml");
    let stages = format!(
        "name = \"small\"\ndata = \"synth:7:420\"\n{network}[train]\n{train}\
         [prune]\ntarget = {{ percent = 0.3 }}\n[fine_tune]\n{train}"
    );
    fs::write(&plan, stages).unwrap();
    let (recipe, plan) = (recipe.display(), plan.display());
    for (name, line) in [
        (
            "seeds",
            format!("train synth:7:420 --recipe {recipe} --seeds 1,2"),
        ),
        (
            "folds",
            format!(
                "crossval run synth:7:420 --rule stratified --recipe {recipe} --folds 3 --jobs 2"
            ),
        ),
        ("stages", format!("pipeline {plan}")),
    ] {
        let out = folder.path().join(name);
        let mut command = program("fer-tools");
        command.args(line.split_whitespace()).arg("--out").arg(&out);
        interrupted(&mut command, Signal::SIGINT).refused(130, &["interrupted, and saved"]);
        let runs = fs::read_dir(&out).unwrap().filter_map(|entry| {
            let last = entry.unwrap().path().join("last.safetensors");
            last.exists().then_some(())
        });
        let started = if name == "folds" { 1..=2 } else { 1..=1 };
        assert!(started.contains(&runs.count()), "{name}: more was started");
        Ran::of(&mut command).success();
    }
}

/// Runs a command, and sends it the signal as soon as it says that it begins to train.
fn interrupted(command: &mut Command, signal: Signal) -> Ran {
    let mut child = spawned(command);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut stderr = String::new();
    while log.read_line(&mut stderr).unwrap() > 0 {
        let line = stderr.lines().last().unwrap_or_default();
        if ["parameters", ": starting"]
            .iter()
            .any(|w| line.contains(w))
        {
            kill(Pid::from_raw(child.id() as i32), signal).unwrap();
            break;
        }
    }
    log.read_to_string(&mut stderr).unwrap();
    Ran {
        code: child.wait().unwrap().code(),
        stdout: String::new(),
        stderr,
    }
}

/// Runs a case uninterrupted and with kills, and compares; returns the uninterrupted run's folder.
fn check(folder: &Path, case: &Case) -> std::path::PathBuf {
    let expected = folder.join(case.name);
    let started = Instant::now();
    Ran::of(&mut start(case, &expected)).success();
    let mut whole = started.elapsed();

    let mut rng = StdRng::seed_from_u64(case.seed);
    let mut kills = 0;
    let mut run = 0;
    while kills < case.kills {
        run += 1;
        let killed = folder.join(format!("{}-{run}", case.name));
        let mut hits = 0;
        for _ in 0..rng.random_range(1..=4) {
            let moment = whole.mul_f64(rng.random_range(0.02..0.9));
            if kill_after(&mut go_on(case, &killed), moment) {
                hits += 1;
            } else {
                break;
            }
        }
        if hits == 0 {
            // it was faster than the first: the moments move closer
            whole = whole.mul_f64(0.8);
        }
        kills += hits;
        Ran::of(&mut go_on(case, &killed)).success();
        same_run(&killed, &expected);
        fs::remove_dir_all(&killed).unwrap();
    }
    let _ = writeln!(
        std::io::stderr().lock(),
        "{}: {kills} kills in {run} runs of {:.1} s",
        case.name,
        whole.as_secs_f64()
    );
    expected
}

/// The command that starts a run.
fn start(case: &Case, folder: &Path) -> Command {
    let mut command = program("fer-tools");
    command
        .arg("train")
        .args(case.flags.split_whitespace())
        .args(["--threads", "1", "--checkpoint-minutes", case.interval])
        .arg("--out")
        .arg(folder);
    command
}

/// The command that a user gives after the power cut: where nothing was saved yet, the first again.
fn go_on(case: &Case, folder: &Path) -> Command {
    if !folder.join("last.safetensors").exists() {
        return start(case, folder);
    }
    let mut command = program("fer-tools");
    command
        .args(["train", "--threads", "1"])
        .args(["--checkpoint-minutes", case.interval])
        .arg("--resume")
        .arg(folder);
    command
}

/// A command that runs, of which only the log is read.
fn spawned(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills a command with signal 9 after some time; false where it was done by then.
fn kill_after(command: &mut Command, moment: Duration) -> bool {
    let mut child = spawned(command);
    std::thread::sleep(moment);
    // a process that has ended but was not waited for takes the signal without harm
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || output.status.code().is_none(),
        "failed before it was killed: {log}"
    );
    output.status.code().is_none()
}

fn same_run(killed: &Path, expected: &Path) {
    for name in ["last.safetensors", "best.safetensors"] {
        let (found, wanted) = (Stored::read(killed, name), Stored::read(expected, name));
        assert_eq!(found.state, wanted.state, "{name}");
        let names = |stored: &Stored| stored.tensors.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&wanted), "{name}");
        for (tensor, bytes) in &found.tensors {
            // not assert_eq: nobody wants to read the bytes
            assert!(
                *bytes == wanted.tensors[tensor],
                "{name}: {tensor} is another"
            );
        }
    }
    assert_eq!(metrics(killed), metrics(expected));
    let (found, wanted) = (points(killed), points(expected));
    assert!(!wanted.is_empty());
    assert_eq!(found.len(), wanted.len(), "points on the curves");
    assert!(found == wanted, "points on the curves");
    let mut left: Vec<_> = fs::read_dir(killed)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let files = [
        "best.safetensors",
        "events.out.tfevents.fer",
        "last.safetensors",
        "metrics.jsonl",
    ];
    assert_eq!(left, files, "half-written files stay behind");
}

/// A checkpoint file, read without our own reader: an 8-byte length, JSON, numbers
/// (<https://huggingface.co/docs/safetensors>).
struct Stored {
    tensors: BTreeMap<String, Vec<u8>>,
    /// Everything else, without times and paths.
    state: Value,
}

impl Stored {
    fn read(folder: &Path, name: &str) -> Self {
        let bytes = fs::read(folder.join(name)).unwrap();
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
        let mut state = Value::Null;
        let mut tensors = BTreeMap::new();
        for (name, entry) in header {
            if name == "__metadata__" {
                state = serde_json::from_str(entry["fer"].as_str().unwrap()).unwrap();
                continue;
            }
            let offset = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
            let mut bytes = format!("{} {} ", entry["dtype"], entry["shape"]).into_bytes();
            bytes.extend(&data[offset(0)..offset(1)]);
            tensors.insert(name, bytes);
        }
        let group = |group: &str| tensors.keys().any(|name| name.starts_with(group));
        assert!(group("weights/"));
        assert_eq!(group("velocity/"), name == "last.safetensors");
        state["history"]["commands"] = Value::Null;
        if let Some(run) = state["run"].as_object_mut() {
            // the metrics' lines tell times, whose lengths differ
            for key in ["seconds", "metrics_bytes"] {
                assert!(run.remove(key).is_some());
            }
        }
        Self { tensors, state }
    }
}

/// The lines of `metrics.jsonl` as they stand there, without what tells the time.
fn metrics(folder: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let fields = |line: &str| -> Vec<String> {
        let fields = line.trim_matches(['{', '}']).split(',');
        let kept = fields.filter(|f| {
            !["\"seconds\"", "\"images_per"]
                .iter()
                .any(|t| f.starts_with(t))
        });
        kept.map(str::to_owned).collect()
    };
    text.lines().map(fields).collect()
}

/// The records of the event file without their times: a length, its checksum, the event, its checksum;
/// an event starts with a field key and eight bytes of time.
fn points(folder: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(folder.join("events.out.tfevents.fer")).unwrap();
    let mut rest = &bytes[..];
    let mut points = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = u64::from_le_bytes(*length) as usize;
        points.push(tail[4..4 + length][9..].to_vec());
        rest = &tail[4 + length + 4..];
    }
    assert!(rest.is_empty(), "half a record at the end");
    points
}
