//! FER+'s labels on FER2013's images, as a user gives them on the command line: drawn faces stand in for
//! the pictures, and votes are written to fit.

use std::fmt::Write;
use std::fs;

use fer_tests::program::{Ran, program};
use fer_tools::checkpoint::Checkpoint;
use serde_json::Value;

const HEADER: &str =
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n";

struct Bench(tempfile::TempDir);

impl Bench {
    /// `faces.csv` with 140 drawn faces and `votes.csv`: for each eight votes for what is drawn and two
    /// for neutral, and no face in every seventh.
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench
            .run("data synth --count 140 --out faces.csv")
            .success();
        let faces = fs::read_to_string(bench.0.path().join("faces.csv")).unwrap();
        let mut votes = HEADER.to_owned();
        // from FER2013's order to FER+'s columns
        let column = [4, 5, 6, 1, 3, 2, 0];
        for (number, row) in faces.lines().skip(1).enumerate() {
            let class: usize = row[..1].parse().unwrap();
            let usage = row.rsplit(',').next().unwrap();
            let mut counts = [0; 10];
            if number % 7 == 3 {
                counts[9] = 10;
            } else {
                counts[0] = 2;
                counts[column[class]] += 8;
            }
            let counts = counts.map(|count| count.to_string()).join(",");
            writeln!(votes, "{usage},fer{number:07}.png,{counts}").unwrap();
        }
        fs::write(bench.0.path().join("votes.csv"), votes).unwrap();
        bench
    }

    fn run(&self, line: &str) -> Ran {
        let mut command = program("fer-tools");
        Ran::of(command.current_dir(&self.0).args(line.split_whitespace()))
    }
}

#[test]
fn every_mode_trains_resumes_and_is_judged() {
    let bench = Bench::new();
    for (mode, classes) in [
        ("majority", 8),
        ("probability", 8),
        ("crossentropy", 8),
        ("multi_target", 8),
        ("plurality", 8),
        ("ferplus-soft7", 7),
        ("ferplus-mixed7", 7),
    ] {
        let labels = format!("--ferplus votes.csv --labels {mode}");
        bench
            .run(&format!(
                "train faces.csv {labels} --arch vgg11 --width 0.05 --channels 1 --epochs 1 --batch 16 --out {mode}"
            ))
            .success();
        bench.run(&format!("train --resume {mode}")).success();
        let best = bench.0.path().join(mode).join("best.safetensors");
        let checkpoint = Checkpoint::load(&best).unwrap();
        assert_eq!(checkpoint.labels.len(), classes, "{mode}");
        assert_eq!(
            checkpoint.history.dataset,
            format!("votes:{mode}:votes.csv:faces.csv")
        );
        let json = bench.run(&format!(
            "eval {mode}/best.safetensors faces.csv {labels} --json"
        ));
        let json: Value = serde_json::from_str(&json.success()).unwrap();
        assert_eq!(json["labels"].as_array().unwrap().len(), classes);
        // of the 14 faces of PublicTest two have no label in FER+
        assert_eq!(json["count"], if classes == 8 { 12 } else { 14 }, "{mode}");
    }
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let bench = Bench::new();
    let train = "train faces.csv --arch vgg11 --width 0.05 --channels 1 --epochs 1 --out run";
    bench
        .run(&format!("{train} --labels majority"))
        .refused(2, &["--ferplus"]);
    bench
        .run(&format!("{train} --ferplus votes.csv --labels most"))
        .refused(2, &["multi_target"]);
    bench
        .run(&format!(
            "{train} --ferplus votes.csv --labels multi_target --label-smoothing 0.1"
        ))
        .refused(2, &["label_smoothing", "multi_target"]);
    bench
        .run("train --resume run --ferplus votes.csv")
        .refused(2, &["--ferplus"]);
    bench
        .run("data info synth:1:70 --ferplus votes.csv")
        .refused(1, &["votes.csv", "Training rows", "the images 56"]);
    bench
        .run("data votes faces.csv")
        .refused(1, &["faces.csv:1: expected the header"]);
}

#[test]
fn the_rules_are_counted_without_images() {
    let bench = Bench::new();
    let text = bench.run("data votes votes.csv").success();
    assert!(
        text.contains("majority: 120 of 140 kept, 20 dropped"),
        "{text}"
    );
    let json: Value =
        serde_json::from_str(&bench.run("data votes votes.csv --json").success()).unwrap();
    assert_eq!(json["rules"].as_array().unwrap().len(), 5);
    assert_eq!(json["rules"][0]["splits"][0]["split"], "Training");
}

#[test]
fn data_sets_are_written_in_other_forms() {
    let bench = Bench::new();
    let images = |data: &str| -> (u64, Vec<(String, u64)>) {
        let json = bench.run(&format!("data info {data} --json")).success();
        let json: Value = serde_json::from_str(&json).unwrap();
        let splits = json["splits"].as_array().unwrap().iter();
        let splits = splits.map(|s| {
            (
                s["split"].as_str().unwrap().into(),
                s["images"].as_u64().unwrap(),
            )
        });
        (json["images"].as_u64().unwrap(), splits.collect())
    };
    let parts = |training, public, private| {
        vec![
            ("Training".to_owned(), training),
            ("PublicTest".to_owned(), public),
            ("PrivateTest".to_owned(), private),
        ]
    };
    bench
        .run("data folders faces.csv --ferplus votes.csv --out eight")
        .success();
    assert_eq!(images("eight"), (120, parts(96, 12, 12)));
    bench
        .run("data folders faces.csv --out eight")
        .refused(1, &["eight", "new or empty folder"]);
    // one's own images behind FER2013's
    bench.run("data folders synth:3:70 --out own").success();
    bench.run("data csv faces.csv own --out more.csv").success();
    assert_eq!(images("more.csv"), (210, parts(168, 21, 21)));
    bench
        .run("data csv faces.csv eight --out x.csv")
        .refused(1, &["eight", "seven FER2013 labels"]);
    bench
        .run("data csv more.csv --at-most 10 --out even.csv")
        .success();
    assert_eq!(images("even.csv").0, 70 + 21 + 21);
    bench
        .run("data split more.csv --validation 0.2 --test 0.1 --out new")
        .success();
    assert_eq!(images("new"), (210, parts(147, 42, 21)));
    bench
        .run("data split more.csv --by-person --out y")
        .refused(1, &["do not say who"]);
    bench
        .run("data ferplus faces.csv votes.csv --out fp")
        .success();
    assert_eq!(images("ferplus:majority:fp"), (120, parts(96, 12, 12)));
    let rules = |votes: &str| bench.run(&format!("data votes {votes} --json")).success();
    assert_eq!(rules("fp"), rules("votes.csv"));
    bench
        .run("data plot faces.csv --histogram h.svg --sheet s.png --times 2")
        .success();
    for name in ["h.svg", "s.png"] {
        assert!(fs::metadata(bench.0.path().join(name)).unwrap().len() > 2000);
    }
    bench
        .run("data plot faces.csv --histogram h.pdf")
        .refused(2, &["h.pdf", ".svg or .png"]);
}

/// Pictures of any size became 48 pixels wide, and no help said so.
#[test]
fn pictures_are_written_in_the_size_that_is_asked_for() {
    let bench = Bench::new();
    for line in [
        "data folders synth:3:70 --size 96 --out large",
        "data split large --size 96 --validation 0.2 --out parts",
        "data folders large --out small",
    ] {
        bench.run(line).success();
    }
    for (folder, side) in [("large", 96), ("parts", 96), ("small", 48)] {
        let class = bench.0.path().join(folder).join("train/happy");
        let picture = fs::read_dir(class).unwrap().next().unwrap().unwrap();
        let size = image::image_dimensions(picture.path()).unwrap();
        assert_eq!(size, (side, side), "{folder}");
    }
    bench
        .run("data split large --size 96 --out parts.csv")
        .refused(1, &["parts.csv", "48x48"]);
    bench
        .run("data folders large --size 0 --out x")
        .refused(2, &["--size"]);
}

#[test]
fn pictures_of_two_splits_are_found_and_left_out() {
    let bench = Bench::new();
    let path = bench.0.path().join("faces.csv");
    let faces = fs::read_to_string(&path).unwrap();
    let trained = faces.lines().find(|row| row.ends_with(",Training"));
    let again = trained.unwrap().replace("Training", "PrivateTest");
    fs::write(&path, format!("{faces}{again}\n")).unwrap();
    let find = |more: &str| {
        let line = format!("data duplicates faces.csv --likeness 1 {more}");
        bench.run(&line).success()
    };
    let json: Value = serde_json::from_str(&find("--json")).unwrap();
    let pairs = json["duplicates"].as_array().unwrap();
    assert_eq!(pairs.len(), 1, "{json}");
    assert_eq!(
        (&pairs[0]["image"], &pairs[0]["of"]),
        (&140.into(), &0.into())
    );
    assert_eq!(pairs[0]["split"], "PrivateTest");
    assert_eq!(pairs[0]["label"], pairs[0]["of_label"]);
    let table = find("--out apart.csv");
    assert!(table.contains("1 (100.0 %)"), "{table}");
    let apart = fs::read_to_string(bench.0.path().join("apart.csv")).unwrap();
    assert_eq!(apart, faces);
    bench
        .run("data duplicates faces.csv --likeness 0.1")
        .refused(2, &["--likeness", "from 0.5 to 1"]);
    bench.run("data folders synth:3:70 --out own").success();
    fs::remove_dir_all(bench.0.path().join("own/valid")).unwrap();
    fs::remove_dir_all(bench.0.path().join("own/test")).unwrap();
    bench
        .run("data duplicates own")
        .refused(1, &["own", "at least two splits"]);
}
