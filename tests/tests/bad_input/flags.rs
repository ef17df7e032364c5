//! Flags that are wrong, or that nothing comes of.

use std::fs;

use fer_tests::program::{Ran, edge, program, tools};

use crate::bench::{Bench, csv};

#[test]
fn flags_and_splits_that_give_nothing_are_refused() {
    let bench = Bench::new();
    bench.train("run");
    bench.faces("own", &["calm, cool", "tense"]);
    bench
        .tools("embed run/best.safetensors synth:7:70 --split PublicTest --out e.npz")
        .success();
    let row = csv("").lines().nth(1).unwrap().to_owned();
    bench.write("t.csv", csv(&row));
    bench
        .tools("embed run/best.safetensors t.csv --split PublicTest --out e.npz")
        .refused(1, &["t.csv", "no image in that split"]);
    bench
        .tools("explain run/best.safetensors own/tense/0.png --skip-bad --out e.svg")
        .refused(2, &["--skip-bad"]);
    bench
        .tools("explain run/best.safetensors own/tense/0.png --cells e.svg --out e.svg")
        .refused(2, &["--cells", "the same file"]);
    bench
        .tools("data csv synth:7:70 --at-most 0 --out z.csv")
        .refused(2, &["--at-most"]);
    fs::create_dir(bench.path("young")).unwrap();
    bench.write("young/metrics.jsonl", "");
    bench
        .tools("report curves young --out c.svg")
        .refused(1, &["young"]);
    let judged = bench.tools("eval run/best.safetensors synth:7:70 --picture no/where.svg");
    judged.refused(1, &["no/where.svg"]);
    assert!(judged.stdout.contains("macro"), "{}", judged.stdout);
    let costs =
        bench.tools("report pruning run/best.safetensors --data synth:7:70 --out no/where.svg");
    costs.refused(1, &["no/where.svg"]);
    assert!(costs.stdout.contains("multiply_adds"), "{}", costs.stdout);
    let face = bench.tools("report face run/best.safetensors own/tense/0.png --out no/where.svg");
    face.refused(1, &["no/where.svg"]);
    assert!(face.stdout.contains('%'), "{}", face.stdout);
}

#[test]
fn wrong_flags_are_usage() {
    let bench = Bench::new();
    for (line, subject) in [
        ("", "Usage"),
        ("paint", "paint"),
        ("train", "DATA"),
        ("train synth:7:70", "--out"),
        ("train synth:7:70 --out r --colour", "--colour"),
        ("train synth:7:70 --out r --arch vgg12", "vgg12"),
        ("train synth:7:70 --out r --channels 9", "--channels"),
        ("train synth:7:70 --out r --epochs many", "--epochs"),
        ("train synth:7:70 --out r --epochs 0", "epochs"),
        ("train synth:7:70 --out r --batch 1", "batch"),
        ("train synth:7:70 --out r --lr NaN", "schedule"),
        ("train synth:7:70 --out r --ema 1.5", "ema"),
        ("train synth:7:70 --out r --device tpu", "cuda:N"),
        (
            "train synth:7:70 --out r --precision bf16 --device cuda",
            "--precision bf16 is for the CPU",
        ),
        ("train synth:7:70 --out r --threads 0", "--threads"),
        ("train --resume r --epochs 3", "--epochs"),
        (
            "train synth:7:70 --out r --clip-value 1 --clip-norm 1",
            "--clip-norm",
        ),
        ("prune a.safetensors --out b.safetensors", "--percent"),
        (
            "prune a.safetensors --percent 2 --out b.safetensors",
            "--percent",
        ),
        ("data synth --count 1 --out a.csv", "--count"),
        ("eval a.safetensors synth:7:70 --split Holiday", "Holiday"),
        ("eval a.safetensors synth:7:70 --crops nine", "nine"),
    ] {
        bench.tools(line).refused(2, &[subject]);
    }
    for (line, subject) in [
        ("run --colour", "--colour"),
        ("", "Usage"),
        ("paint", "paint"),
    ] {
        bench.edge(line).refused(2, &[subject]);
    }
    assert!(!bench.path("r").exists());
}

#[test]
fn help_and_version_are_no_failures() {
    for ran in [
        tools(["--help"]),
        tools(["train", "--help"]),
        tools(["--version"]),
        edge(["--help"]),
        edge(["--version"]),
    ] {
        assert!(!ran.success().is_empty());
    }
}

/// A terminal of 80 columns would break examples, without the backslash that a shell needs.
#[test]
fn help_is_equally_wide_in_a_narrow_terminal() {
    let help = |columns: &str| {
        let mut command = program("fer-tools");
        Ran::of(command.args(["crossval", "--help"]).env("COLUMNS", columns)).success()
    };
    assert_eq!(help("80"), help("200"));
}
