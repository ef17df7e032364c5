//! The whole line on drawn faces: train, prune, fine-tune with the unpruned network as teacher,
//! export, judge, and read pictures at the edge.

use std::fs;
use std::path::{Path, PathBuf};

use fer_models::{Crops, argmax};
use fer_tests::program::{edge, tools};
use fer_tools::data::{self, Dataset, LoadOptions, Split};
use fer_tools::judge::Candidate;
use fer_tools::predict;
use image::GrayImage;
use serde_json::Value;

const DATA: &str = "synth:7:1050";

/// Chance is 1/7; seeds 1 to 3 reach 0.98 and more before and after pruning.
const LEARNT: f64 = 0.7;

/// Most that the accuracies of a checkpoint and of its export may differ: 0.2 points.
const AGREEMENT: f64 = 0.002;

/// A folder with the files of one line.
struct Line(tempfile::TempDir);

impl Line {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `fer-tools` with each `@name` replaced by that file of ours.
    fn tools(&self, line: &str) -> String {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => word.into(),
        };
        tools(line.split_whitespace().map(word)).success()
    }

    /// Accuracy of a model on PublicTest, 0 to 1, and the whole answer.
    fn judge(&self, model: &str, crops: &str) -> (f64, Value) {
        let text = self.tools(&format!("eval {model} {DATA} --crops {crops} --json"));
        let answer: Value = serde_json::from_str(&text).unwrap();
        (answer["accuracy"].as_f64().unwrap(), answer)
    }
}

#[test]
fn from_drawn_faces_to_json_lines() {
    let line = Line(tempfile::tempdir().unwrap());
    line.tools(&format!(
        "train {DATA} --out @base --arch vgg11 --width 0.125 --channels 1 --epochs 6 --batch 16 \
         --schedule one-cycle --lr 0.01 --clip-norm 5 --nesterov --sparsity 1e-4"
    ));
    let (base, _) = line.judge("@base/best.safetensors", "center");
    assert!(base > LEARNT, "{base}");

    let report = line
        .tools("prune @base/best.safetensors --percent 0.5 --min-channels 4 --out @slim.safetensors --json");
    let report: Value = serde_json::from_str(&report).unwrap();
    let parameters = |when: &str| report[when]["parameters"].as_f64().unwrap();
    assert!(parameters("after") < 0.6 * parameters("before"), "{report}");

    line.tools(&format!(
        "train {DATA} --from @slim.safetensors --dropout 0.1 --distill @base/best.safetensors --out @tuned \
         --epochs 4 --batch 16 --schedule one-cycle --lr 0.01 --clip-norm 5 --nesterov"
    ));
    line.tools(&format!(
        "export @tuned/best.safetensors --data {DATA} --name line-test --out @model --images 50"
    ));
    for file in ["model.onnx", "model.toml", "CARD.md"] {
        assert!(line.path("model").join(file).is_file(), "{file}");
    }

    for crops in ["center", "ten"] {
        let (checkpoint, _) = line.judge("@tuned/best.safetensors", crops);
        let (exported, _) = line.judge("@model", crops);
        assert!(checkpoint > LEARNT, "{crops}: {checkpoint}");
        assert!(
            (checkpoint - exported).abs() <= AGREEMENT,
            "{crops}: {checkpoint} and {exported}"
        );
    }
    let (_, answer) = line.judge("@model", "center");
    assert_eq!(answer["split"], "PublicTest");

    let dataset = data::open(DATA, &LoadOptions::default()).unwrap().dataset;
    let public = dataset.indices(Split::PublicTest);
    let seen = at_the_edge(&line.path("faces"), &line.path("model"), &dataset, &public);
    assert_eq!(seen, decisions(&line.path("model"), &dataset, &public));

    let right = seen.iter().zip(&public);
    let right = right.filter(|(seen, i)| **seen == usize::from(dataset.item(**i).label));
    let accuracy = right.count() as f64 / public.len() as f64;
    assert!((accuracy - answer["accuracy"].as_f64().unwrap()).abs() < 1e-9);
}

/// What `fer-edge run` says of the images as PNG files.
fn at_the_edge(faces: &Path, model: &Path, dataset: &Dataset, indices: &[usize]) -> Vec<usize> {
    let tile = dataset.tile() as u32;
    fs::create_dir(faces).unwrap();
    let names: Vec<String> = indices.iter().map(|i| format!("{i:06}.png")).collect();
    for (&i, name) in indices.iter().zip(&names) {
        let picture = GrayImage::from_raw(tile, tile, dataset.image(i).to_vec()).unwrap();
        picture.save(faces.join(name)).unwrap();
    }
    let args = ["run", "--detector", "none", "--model"].map(Into::into);
    let paths = [model.as_os_str().to_owned(), faces.as_os_str().to_owned()];
    let printed = edge(args.into_iter().chain(paths)).success();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let files: Vec<&str> = lines.iter().map(|l| l["file"].as_str().unwrap()).collect();
    assert_eq!(files, names);
    let label = |line: &Value| {
        assert_eq!(line["model"], "line-test");
        let name = line["faces"][0]["label"].as_str().unwrap();
        dataset.labels().index_of(name).unwrap()
    };
    lines.iter().map(label).collect()
}

/// What the code behind `fer-tools eval` decides for each image.
fn decisions(model: &Path, dataset: &Dataset, indices: &[usize]) -> Vec<usize> {
    let mut candidate = Candidate::open(model).unwrap();
    let input = *candidate.input();
    let predict = |pixels: &[f32], batch| candidate.predict(pixels, batch);
    let logits = predict::logits(dataset, indices, &input, Crops::Center, predict).unwrap();
    logits
        .chunks_exact(dataset.labels().len())
        .map(argmax)
        .collect()
}
