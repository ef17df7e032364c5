//! Every recipe in the repository trains, and several seeds go on where they were.

use std::fs;
use std::path::Path;

use fer_tests::program::tools;
use fer_tests::skip;
use serde_json::Value;

/// Trains with these flags, and gives the lines of `metrics.jsonl`.
fn train(out: &Path, flags: &[&str]) -> Vec<Value> {
    let out_text = out.to_str().unwrap();
    let mut args = vec!["train", "synth:7:70", "--threads", "1", "--out", out_text];
    args.extend(flags);
    tools(args).success();
    let text = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_recipe_trains_a_step() {
    let folder = tempfile::tempdir().unwrap();
    // what those without a network of their own start from and learn from
    let base = folder.path().join("base");
    train(
        &base,
        &["--arch", "resnet18", "--width", "0.05", "--epochs", "1"],
    );
    let base = base.join("best.safetensors");
    let base = base.to_str().unwrap();
    let narrow = folder.path().join("narrow");
    let vgg = [
        "--arch",
        "vgg19",
        "--width",
        "0.05",
        "--channels",
        "1",
        "--epochs",
        "1",
    ];
    train(&narrow, &vgg);
    let narrow = narrow.join("best.safetensors");
    let narrow = narrow.to_str().unwrap();

    let recipes = skip::root().join("host/recipes");
    let mut files: Vec<_> = fs::read_dir(recipes)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 11, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        // the command that runs it stands in it
        assert!(
            text.contains(&format!("--recipe host/recipes/{name}")),
            "{name}"
        );
        let mut flags = vec![
            "--recipe",
            file.to_str().unwrap(),
            "--epochs",
            "1",
            "--batch",
            "64",
        ];
        if text.contains("--grow") {
            flags.extend(["--width", "0.5", "--grow", narrow, "--distill", narrow]);
        } else if text.contains("\n[network]") {
            flags.extend(["--width", "0.05"]);
        } else {
            flags.extend(["--from", base]);
        }
        if text.contains("--distill") && !text.contains("--grow") {
            flags.extend(["--distill", base]);
        }
        let lines = train(&folder.path().join(name), &flags);
        assert_eq!(lines.len(), 1, "{name}");
        assert_eq!(lines[0]["step"], 1, "{name}");
        assert!(lines[0]["train_loss"].as_f64().unwrap() > 0.0, "{name}");
    }
}

#[test]
fn what_a_network_cannot_grow_from_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let narrow = folder.path().join("narrow");
    train(
        &narrow,
        &["--arch", "vgg11", "--width", "0.05", "--epochs", "1"],
    );
    let narrow = narrow.join("best.safetensors");
    let narrow = narrow.to_str().unwrap();
    for (network, says) in [
        ("--arch vgg11 --width 0.1 --channels 1", "another input"),
        ("--arch vgg13 --width 0.1", "cannot grow"),
    ] {
        let line = format!("train synth:7:70 {network} --epochs 1 --grow {narrow} --out");
        let out = folder.path().join("wide");
        let refused = tools(line.split(' ').chain([out.to_str().unwrap()]));
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(
            refused.stderr.contains(says) && refused.stderr.contains(narrow),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn several_seeds_give_a_mean_and_a_spread_and_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("seeds");
    let command = |seeds: &[&str]| {
        let fixed =
            "train synth:7:140 --arch vgg11 --width 0.05 --channels 1 --epochs 1 --threads 1";
        let mut args: Vec<&str> = fixed.split(' ').collect();
        args.extend(seeds);
        args.extend(["--out", out.to_str().unwrap()]);
        tools(args)
    };
    let table = command(&["--seeds", "3,4"]).success();
    assert!(table.contains("n = 2"), "{table}");
    let file = out.join("seeds.json");
    let read = || -> Value { serde_json::from_slice(&fs::read(&file).unwrap()).unwrap() };
    let first = read();
    let accuracy = |i: usize| first["runs"][i]["validation_accuracy"].as_f64().unwrap();
    let spread = &first["validation_accuracy"];
    let mean = (accuracy(0) + accuracy(1)) / 2.0;
    assert!((spread["mean"].as_f64().unwrap() - mean).abs() < 1e-9);
    let deviation = (accuracy(0) - accuracy(1)).abs() / 2f64.sqrt();
    assert!((spread["deviation"].as_f64().unwrap() - deviation).abs() < 1e-9);

    // one run is lost and one is kept, without its state: the same command does the lost one again, bit for bit
    let weights = |seed: u64| fs::read(out.join(format!("seed-{seed}/best.safetensors"))).unwrap();
    let (kept, lost) = (weights(3), weights(4));
    assert_ne!(kept, lost);
    fs::remove_dir_all(out.join("seed-4")).unwrap();
    fs::remove_file(out.join("seed-3/last.safetensors")).unwrap();
    let again = command(&["--seeds", "3,4"]);
    assert!(
        again.stderr.contains("seed 3: done before"),
        "{}",
        again.stderr
    );
    assert_eq!(again.success(), table);
    assert_eq!(read(), first);
    assert_eq!((weights(3), weights(4)), (kept, lost));

    // other seeds or another training need another folder; a folder of seeds is no run to resume
    let other = command(&["--seeds", "3,5"]);
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    assert!(
        other.stderr.contains("[3, 4], not [3, 5]"),
        "{}",
        other.stderr
    );
    let other = command(&["--seeds", "3,4", "--lr", "0.5"]);
    assert!(
        other.stderr.contains("another training"),
        "{}",
        other.stderr
    );
    let resumed = tools(["train", "--resume", out.to_str().unwrap()]);
    assert_eq!(resumed.code, Some(2), "{}", resumed.stderr);
    let twice = command(&["--seeds", "3,3"]);
    assert_eq!(twice.code, Some(2), "{}", twice.stderr);
}
