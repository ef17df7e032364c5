//! Checkpoints and runs that are damaged, foreign or in the way.

use std::fs;

use fer_tests::program::Ran;
use fer_tools::checkpoint::Checkpoint;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::bench::{Bench, TRAIN};

#[test]
fn a_checkpoint_for_other_classes_is_refused() {
    let bench = Bench::new();
    bench.train("run");
    bench.faces("yesno", &["yes", "no"]);
    bench.faces("ck", &["anger", "contempt", "happy"]);
    for (data, class) in [("yesno", "yes"), ("ck", "contempt")] {
        bench
            .tools(&format!("train {data} --from run/best.safetensors --out b"))
            .refused(2, &["run/best", data, class, "surprise", "--new-head"]);
        bench
            .tools(&format!(
                "eval run/best.safetensors {data} --split Training"
            ))
            .refused(1, &[class, "surprise"]);
    }
}

/// Only `crossval run` had it, and `train` sent people to Python.
#[test]
fn a_new_head_lets_a_network_learn_other_classes() {
    let bench = Bench::new();
    bench.train("run");
    bench.faces("own", &["calm", "tense"]);
    let train = "train own --from run/best.safetensors --epochs 1 --batch 2 --out own-run";
    bench
        .tools(train)
        .refused(2, &["the data calm tense (own)", "--new-head"]);
    bench.tools(&format!("{train} --new-head")).success();
    let tuned = Checkpoint::load(&bench.path("own-run/last.safetensors")).unwrap();
    assert_eq!(tuned.network.graph.classes(), 2);
    for (flags, says) in [("", "--from"), ("--arch vgg11", "--arch")] {
        bench
            .tools(&format!("train synth:7:70 --new-head {flags} --out x"))
            .refused(2, &[says]);
    }
}

#[test]
fn a_dropout_that_a_checkpoint_cannot_have_is_refused() {
    let bench = Bench::new();
    bench.train("run");
    let train = |flags: &str| bench.tools(&format!("train synth:7:70 --epochs 1 --out b {flags}"));
    train("--from run/best.safetensors --dropout 1.5")
        .refused(1, &["run/best.safetensors", "1.5", "expected 0 up to 1"]);
    let bare = "--arch resnet34-imagenet --width 0.05 --batch 32";
    train(bare).success();
    fs::rename(bench.path("b"), bench.path("bare")).unwrap();
    train("--from bare/best.safetensors --dropout 0.1")
        .refused(1, &["bare/best.safetensors", "no dropout"]);
}

#[test]
fn a_damaged_checkpoint_is_named_and_never_a_panic() {
    let bench = Bench::new();
    bench.train("run");
    let whole = fs::read(bench.path("run/last.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut damaged: Vec<Vec<u8>> = [0, 4, 8, 100, header - 1, header, whole.len() - 1]
        .map(|length| whole[..length].to_vec())
        .into();
    damaged.push([&u64::MAX.to_le_bytes(), &whole[8..]].concat());
    damaged.push(b"\x89PNG\r\n\x1a\n and so on".to_vec());
    damaged.push([&whole[..], b"more"].concat());
    for bytes in damaged {
        bench.write("bad.safetensors", bytes);
        for command in [
            "prune bad.safetensors --percent 0.5 --out slim.safetensors",
            "eval bad.safetensors synth:7:70",
            "train synth:7:70 --from bad.safetensors --out b",
            "train synth:7:70 --distill bad.safetensors --out b",
        ] {
            let ran = bench.tools(command);
            ran.refused(1, &["bad.safetensors"]);
        }
    }
    assert!(!bench.path("slim.safetensors").exists() && !bench.path("b").exists());

    // flipped bits: refused by name, or harmless where they make another legal text
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..30 {
        let mut bytes = whole.clone();
        let at = rng.random_range(0..header);
        bytes[at] ^= 1 << rng.random_range(0..8);
        bench.write("bad.safetensors", bytes);
        let ran = bench.tools("prune bad.safetensors --percent 0.5 --out slim.safetensors");
        if ran.code != Some(0) {
            ran.refused(1, &["bad.safetensors"]);
        }
    }
}

#[test]
fn a_run_is_not_overwritten_and_resumes_only_with_its_own_data() {
    let bench = Bench::new();
    bench.tools("data synth --count 70 --out a.csv").success();
    let train = TRAIN.replace("synth:7:70", "a.csv");
    bench.tools(&format!("{train} --out run")).success();
    let before = fs::read(bench.path("run/last.safetensors")).unwrap();
    bench
        .tools(&format!("{TRAIN} --out run"))
        .refused(1, &["run already holds a run", "--resume"]);
    bench
        .tools("data synth --seed 8 --count 70 --out a.csv")
        .success();
    bench
        .tools("train --resume run")
        .refused(1, &["a.csv", "not what the run was started with"]);
    assert_eq!(
        fs::read(bench.path("run/last.safetensors")).unwrap(),
        before
    );

    bench
        .tools("train --resume nowhere")
        .refused(1, &["nowhere"]);
    fs::create_dir(bench.path("done")).unwrap();
    fs::copy(
        bench.path("run/best.safetensors"),
        bench.path("done/last.safetensors"),
    )
    .unwrap();
    bench
        .tools("train --resume done")
        .refused(1, &["done/last.safetensors", "no training state"]);
}

#[test]
fn a_network_that_diverged_is_no_checkpoint() {
    let bench = Bench::new();
    bench.train("run");
    let path = bench.path("run/best.safetensors");
    let mut checkpoint = Checkpoint::load(&path).unwrap();
    let bias = checkpoint.network.weights.get_mut("classifier.bias");
    bias.unwrap().data_mut()[3] = f32::NAN;
    checkpoint.save(&bench.path("nan.safetensors")).unwrap();
    for command in [
        "eval nan.safetensors synth:7:70",
        "report errors nan.safetensors synth:7:70",
        "embed nan.safetensors synth:7:70 --out e.npz",
        "prune nan.safetensors --percent 0.5 --out slim.safetensors",
    ] {
        let says = ["nan.safetensors", "number 3", "classifier.bias", "NaN"];
        bench.tools(command).refused(1, &says);
    }
}

#[test]
fn a_first_try_that_did_not_train_keeps_no_folder() {
    let bench = Bench::new();
    let seeds = |data: &str| {
        let train = TRAIN.replace("synth:7:70", data);
        bench.tools(&format!("{train} --seeds 1,2 --out seeds"))
    };
    seeds("synth:7:7O").refused(1, &["synth:7:7O"]);
    seeds("synth:7:70").success();
    seeds("synth:8:70").refused(1, &["seeds.json", "another training"]);
}

#[test]
fn a_run_goes_on_with_its_own_teacher_only() {
    let bench = Bench::new();
    bench.train("first");
    bench
        .tools(&format!("{TRAIN} --seed 9 --out second"))
        .success();
    fs::rename(
        bench.path("first/best.safetensors"),
        bench.path("t.safetensors"),
    )
    .unwrap();
    let train = TRAIN.replace("--epochs 1", "--epochs 2");
    bench
        .tools(&format!("{train} --distill t.safetensors --out run"))
        .success();
    bench.tools("train --resume run").success();
    fs::rename(
        bench.path("second/best.safetensors"),
        bench.path("t.safetensors"),
    )
    .unwrap();
    bench.tools("train --resume run").refused(
        1,
        &[
            "t.safetensors",
            "not the network that the run was started with",
        ],
    );
}

/// `train --out` began anew: it emptied the logs, and replaced the best network by that of a first epoch.
#[test]
fn a_run_whose_state_was_deleted_is_not_begun_anew() {
    let bench = Bench::new();
    bench.train("run");
    fs::remove_file(bench.path("run/last.safetensors")).unwrap();
    let read = |name: &str| fs::read(bench.path(name)).unwrap();
    let files = ["run/best.safetensors", "run/metrics.jsonl"];
    let before = files.map(read);
    bench
        .tools(&format!("{TRAIN} --out run"))
        .refused(1, &["run/best.safetensors", "choose another folder"]);
    assert!(files.map(read) == before);
}

/// Only paths were compared, and runs from different networks and data made one mean.
#[test]
fn seeds_go_on_with_the_same_files_only() {
    let bench = Bench::new();
    let draw = |seed: u64| {
        let line = format!("data synth --seed {seed} --count 70 --out a.csv");
        bench.tools(&line).success();
    };
    let take = |run: &str| {
        let best = bench.path(run).join("best.safetensors");
        fs::copy(best, bench.path("n.safetensors")).unwrap();
    };
    bench.train("one");
    let other = format!("{TRAIN} --seed 9 --out two");
    bench.tools(&other).success();
    let train = |flags: &str| {
        let files = "a.csv --from n.safetensors --distill n.safetensors";
        let seeds = "--epochs 1 --batch 32 --seeds 1,2 --out seeds";
        bench.tools(&format!("train {files} {seeds} {flags}"))
    };
    let refused = |ran: Ran, differs: &str| ran.refused(1, &["another training", differs]);
    draw(7);
    take("one");
    train("").success();
    refused(train("--new-head"), "differs in new_head:");
    take("two");
    refused(train(""), "differs in distill, from:");
    take("one");
    draw(8);
    refused(train(""), "differs in data_sha256:");
    draw(7);
    train("").success();
}

/// The cut network took the place of the trained one.
#[test]
fn prune_leaves_the_checkpoint_that_it_is_given() {
    let bench = Bench::new();
    bench.train("run");
    let trained = bench.path("run/best.safetensors");
    std::os::unix::fs::symlink(&trained, bench.path("link.safetensors")).unwrap();
    let before = fs::read(&trained).unwrap();
    for (checkpoint, out) in [
        ("run/best.safetensors", "run/best.safetensors"),
        ("run/best.safetensors", "./run/../run/best.safetensors"),
        ("run/best.safetensors", "link.safetensors"),
        ("link.safetensors", "run/best.safetensors"),
    ] {
        bench
            .tools(&format!("prune {checkpoint} --percent 0.3 --out {out}"))
            .refused(2, &["--out", out, "choose another file"]);
    }
    assert!(fs::read(&trained).unwrap() == before);
}
