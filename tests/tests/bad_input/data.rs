//! Datasets, pictures and paths that are wrong, missing or odd.

use std::fs;

use fer_tests::program::{Ran, program};

use crate::bench::{Bench, TRAIN, csv};

#[test]
fn a_wrong_row_is_named_by_file_line_and_reason() {
    let bench = Bench::new();
    let pixels = vec!["7"; 48 * 48].join(" ");
    let short = vec!["7"; 48 * 48 - 1].join(" ");
    let rows = [
        (format!("9,{pixels},Training"), "label from 0 to 6, found 9"),
        (format!("happy,{pixels},Training"), "found \"happy\""),
        (
            format!("3,{short},Training"),
            "expected 2304 values, found 2303",
        ),
        (
            format!("3,{short} 256,Training"),
            "position 2303, found \"256\"",
        ),
        (
            format!("3,{short} -1,Training"),
            "position 2303, found \"-1\"",
        ),
        (format!("3,{pixels},Holiday"), "found \"Holiday\""),
        (format!("3,{pixels}"), "expected 3 fields, found 2"),
        ("3".to_owned(), "expected 3 fields, found 1"),
    ];
    for (row, reason) in rows {
        bench.write("bad.csv", csv(&row));
        bench
            .tools("data info bad.csv")
            .refused(1, &["bad.csv:3: ", reason]);
    }
    // the last of them, where other commands meet it
    bench
        .tools("train bad.csv --out run")
        .refused(1, &["bad.csv:3: "]);
    assert!(!bench.path("run").exists(), "a refused run leaves nothing");
    let counted = bench.tools("data info bad.csv --skip-bad").success();
    assert!(counted.contains("1 skipped"), "{counted}");

    bench.write("bad.csv", "emotion,Usage\n0,Training\n");
    bench
        .tools("data info bad.csv")
        .refused(1, &["bad.csv:1: ", "\"pixels\" is missing"]);
    bench.write("bad.csv", "");
    bench.tools("data info bad.csv").refused(1, &["bad.csv"]);
    // gzip by its first bytes, and then nothing that gzip writes
    bench.write("bad.csv.gz", [0x1f, 0x8b, 8, 0, 1, 2, 3]);
    bench
        .tools("data info bad.csv.gz")
        .refused(1, &["bad.csv.gz", "gzip"]);
}

#[test]
fn a_truncated_image_is_named() {
    let bench = Bench::new();
    bench.faces("faces", &["happy", "sad"]);
    let whole = fs::read(bench.path("faces/sad/1.png")).unwrap();
    bench.write("faces/sad/1.png", &whole[..whole.len() / 2]);
    for command in ["data info faces", "train faces --out run"] {
        bench
            .tools(command)
            .refused(1, &["faces/sad/1.png", "cannot be decoded"]);
    }
    bench.tools("data info faces --skip-bad").success();

    // a camera goes on without it, and a single picture has nothing to go on with
    let ran = bench.edge("run --detector none faces/sad");
    ran.refused(0, &["1.png", "2 frames, 2 faces, 1 bad frames"]);
    assert_eq!(ran.stdout.lines().count(), 2);
    bench
        .edge("run --detector none faces/sad/1.png")
        .refused(1, &["1.png"]);
}

#[test]
fn a_path_that_is_not_text_is_a_path() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new();
    let mut command = program("fer-tools");
    command
        .current_dir(&bench.folder)
        .args(TRAIN.split_whitespace())
        .arg("--out")
        .arg(std::ffi::OsStr::from_bytes(b"r\xff"));
    Ran::of(&mut command).success();
}

#[test]
fn a_class_name_with_a_comma_is_one_field() {
    let bench = Bench::new();
    bench.faces("own", &["calm, cool", "tense"]);
    let train = TRAIN
        .replace("synth:7:70", "own")
        .replace("--batch 32", "--batch 2");
    bench.tools(&format!("{train} --out run")).success();
    bench
        .tools("ensemble run/best.safetensors --data own --split Training --out said.csv")
        .success();
    let said = fs::read_to_string(bench.path("said.csv")).unwrap();
    assert!(
        said.starts_with("image,label,predicted,\"calm, cool\",tense\n"),
        "{said}"
    );
    assert!(
        said.lines()
            .nth(1)
            .unwrap()
            .starts_with("0,\"calm, cool\","),
        "{said}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let bench = Bench::new();
    for command in [
        "data info nowhere.csv",
        "data average nowhere.csv --out a",
        "train nowhere.csv --out run",
        "train synth:7:70 --recipe nowhere.toml --out run",
        "train synth:7:70 --from nowhere.safetensors --out run",
        "train synth:7:70 --distill nowhere.safetensors --out run",
        "train --resume nowhere",
        "prune nowhere.safetensors --percent 0.5 --out slim.safetensors",
        "eval nowhere.safetensors synth:7:70",
        "eval nowhere synth:7:70",
    ] {
        bench.tools(command).refused(1, &["nowhere"]);
    }
    for command in ["run nowhere.png", "run nowhere.y4m", "run nowhere"] {
        bench.edge(command).refused(1, &["nowhere"]);
    }
    bench
        .tools("data synth --count 70 --out no/where/a.csv")
        .refused(1, &["no/where/a.csv"]);
    assert_eq!(fs::read_dir(&bench.folder).unwrap().count(), 0);
}
