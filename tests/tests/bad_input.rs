//! Whatever is wrong with what a user gives, the programs say which file, row, field or flag it is and
//! end with the documented code: 1 for data and I/O, 2 for flags, 78 for recipes and model folders.
//! A panic would be code 101.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fer_models::{Labels, Manifest, ModelPackage, sha256_hex};
use fer_tests::program::{Ran, edge, program, tools};
use fer_tests::skip;
use fer_tools::checkpoint::Checkpoint;
use image::{GrayImage, Luma};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

/// A folder of one test with the things that its commands name.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `fer-tools` in the folder, so that commands read as a user writes them.
    fn tools(&self, line: &str) -> Ran {
        let mut command = program("fer-tools");
        Ran::of(
            command
                .current_dir(&self.folder)
                .args(line.split_whitespace()),
        )
    }

    fn edge(&self, line: &str) -> Ran {
        let mut command = program("fer-edge");
        Ran::of(
            command
                .current_dir(&self.folder)
                .args(line.split_whitespace()),
        )
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// A small run in `name/`.
    fn train(&self, name: &str) {
        self.tools(&format!("{TRAIN} --out {name}")).success();
    }

    /// Class folders with one grey picture each.
    fn faces(&self, root: &str, classes: &[&str]) {
        for class in classes {
            let folder = self.path(root).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..3u8 {
                let picture = GrayImage::from_fn(48, 48, |x, y| Luma([(x * y) as u8 ^ i]));
                picture.save(folder.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

const TRAIN: &str = "train synth:7:70 --arch vgg11 --width 0.05 --channels 1 --epochs 1 --batch 32";

/// A FER2013 CSV whose third line is `row`.
fn csv(row: &str) -> String {
    let pixels = vec!["7"; 48 * 48].join(" ");
    format!("emotion,pixels,Usage\n0,{pixels},Training\n{row}\n1,{pixels},Training\n")
}

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
fn a_checkpoint_for_other_classes_is_refused() {
    let bench = Bench::new();
    bench.train("run");
    bench.faces("yesno", &["yes", "no"]);
    bench.faces("ck", &["anger", "contempt", "happy"]);
    for (data, class) in [("yesno", "yes"), ("ck", "contempt")] {
        bench
            .tools(&format!("train {data} --from run/best.safetensors --out b"))
            .refused(2, &[class, "surprise", "--new-head"]);
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
        .refused(2, &["the data calm tense", "--new-head"]);
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

/// Writes a model folder: the embedded model, with a changed manifest.
fn model(bench: &Bench, change: impl Fn(&mut Manifest), onnx: Option<&[u8]>) {
    let package = ModelPackage::embedded();
    let mut manifest = package.manifest.clone();
    change(&mut manifest);
    fs::create_dir_all(bench.path("model")).unwrap();
    bench.write("model/model.toml", manifest.to_toml());
    let onnx = onnx.unwrap_or_else(|| package.onnx());
    fs::write(bench.path("model").join(&manifest.model.file), onnx).unwrap();
}

/// Both programs refuse the model folder with the given words, as configuration.
#[track_caller]
fn refused_by_both(bench: &Bench, says: &[&str]) {
    bench
        .edge("run --model model --frames 1")
        .refused(78, &[&["model"], says].concat());
    bench
        .tools("eval model synth:7:70")
        .refused(78, &[&["model"], says].concat());
}

#[test]
fn a_manifest_that_lies_is_refused_by_both_programs() {
    let bench = Bench::new();
    model(&bench, |_| (), Some(b"other bytes"));
    refused_by_both(&bench, &["model.onnx has sha256", "expects"]);
    model(&bench, |m| m.labels = Labels::ferplus(), None);
    refused_by_both(&bench, &["labels", "8", "7"]);
    model(&bench, |m| m.input.crop -= 4, None);
    refused_by_both(&bench, &["44", "40"]);
    model(&bench, |m| m.input.channels = 4 - m.input.channels, None);
    bench
        .edge("run --model model")
        .refused(78, &["model", "channels is 1", "manifest says 3"]);
    bench
        .tools("eval model synth:7:70")
        .refused(78, &["model", "[3, 44, 44]", "[1, 44, 44]"]);
    let rubbish = |m: &mut Manifest| m.model.sha256 = sha256_hex(b"rubbish");
    model(&bench, rubbish, Some(b"rubbish"));
    refused_by_both(&bench, &["model.onnx"]);

    let good = ModelPackage::embedded().manifest.to_toml();
    let texts = [
        (format!("{good}\n[colour]\nred = 1\n"), "colour"),
        (good.replace("format = 1", "format = 2"), "format 2"),
        (good.replace("format = 1\n", ""), "format missing"),
        (good.replace("crop = 44", "crop = 49"), "crop"),
        (good.replace("crop = 44", "crop = \"big\""), "crop"),
        (
            good.replace("file = \"model.onnx\"", "file = \"../x\""),
            "file",
        ),
        ("rubbish".to_owned(), "model.toml"),
    ];
    for (text, field) in texts {
        bench.write("model/model.toml", text);
        refused_by_both(&bench, &["model.toml", field]);
    }
    fs::remove_file(bench.path("model/model.onnx")).unwrap();
    bench.write("model/model.toml", good);
    refused_by_both(&bench, &["model.onnx"]);
}

#[test]
fn a_recipe_is_configuration() {
    let bench = Bench::new();
    let refused = |text: &str, says: &str| {
        bench.write("recipe.toml", text);
        bench
            .tools("train synth:7:70 --recipe recipe.toml --out run")
            .refused(78, &["recipe.toml", says]);
    };
    refused("[train]\nepoch = 3\n", "epoch");
    refused("[train.augment]\ncolour = 1.0\n", "colour");
    refused("[network]\nname = \"vgg11\"\nwidht = 0.5\n", "widht");
    refused("[train]\nbatch = \"big\"\n", "batch");
    refused("[train]\nepochs = 0\n", "epochs");
    refused("[train", "TOML");
    assert!(!bench.path("run").exists());
}

#[test]
fn two_image_channels_are_refused_before_an_epoch_is_lost() {
    let bench = Bench::new();
    bench
        .tools("train synth:7:70 --arch vgg11 --channels 2 --out run")
        .refused(2, &["--channels", "expected 1 or 3"]);
    bench.write("two.toml", "[network]\nname = \"vgg11\"\nchannels = 2\n");
    bench
        .tools("train synth:7:70 --recipe two.toml --out run")
        .refused(1, &["vgg11", "channels is 2, expected 1 or 3"]);
    assert!(!bench.path("run").exists());
}

/// A pipeline found these out after its trainings.
#[test]
fn a_pipeline_is_checked_whole_before_it_begins() {
    let bench = Bench::new();
    let plan = |name: &str, prune: &str, export: &str| {
        format!(
            "data = \"synth:7:70\"\nname = \"{name}\"\n[network]\nname = \"vgg11\"\nwidth = 0.05\n\
             [train]\nepochs = 1\n[prune]\n{prune}\n[fine_tune]\nepochs = 1\n[export]\n{export}\n"
        )
    };
    let half = "target = { percent = 0.5 }";
    for (text, says) in [
        (plan("my model!", half, ""), "1 to 64 letters"),
        (plan("m", "target = { percent = 5.0 }", ""), "[prune]"),
        (
            plan("m", &format!("{half}\nmin_channels = 0"), ""),
            "[prune]",
        ),
        (plan("m", &format!("{half}\nround_to = 0"), ""), "[prune]"),
        (plan("m", half, "images = 0"), "[export]"),
    ] {
        bench.write("plan.toml", text);
        bench
            .tools("pipeline plan.toml --out out")
            .refused(78, &["plan.toml", says]);
    }
    assert!(!bench.path("out").exists());
    bench
        .tools("export x.safetensors --data synth:7:70 --name my/model --out m")
        .refused(2, &["--name", "1 to 64 letters"]);
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
