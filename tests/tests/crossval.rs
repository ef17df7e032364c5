//! Cross-validation as a user runs it: killed and started again, in one folder or in three, one fold at a
//! time or two, the outcome is the same to the bit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fer_tests::program::{Ran, program};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

const RECIPE: &str = "\
[network]
name = \"vgg11\"
width = 0.05
channels = 1
[train]
epochs = 2
batch = 16
";

/// Runs `fer-tools` in a folder with a recipe.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.toml"), RECIPE).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = program("fer-tools");
        command.current_dir(&self.0).args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(&mut self.command(line))
    }

    /// The three folds of 168 drawn faces.
    fn folds(&self, more: &str) -> String {
        format!(
            "crossval run synth:7:210 --rule stratified --folds 3 --recipe small.toml --threads 1 \
             --checkpoint-minutes 0 --json {more}"
        )
    }

    /// What the folds of a folder say, as they stand in its files.
    fn results(&self, folder: &str) -> Vec<String> {
        let read = |fold| {
            let path = self.path(folder).join(format!("fold-0{fold}/result.json"));
            fs::read_to_string(path).unwrap()
        };
        (1..=3).map(read).collect()
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn kills_folders_and_jobs_change_nothing() {
    let bench = Bench::new();
    let started = Instant::now();
    let whole = json(&bench.run(&bench.folds("--out whole")).success());
    let duration = started.elapsed();
    assert_eq!(whole["pooled"]["count"], 168);
    assert_eq!(whole["never_tested"], 0);
    assert_eq!(whole["folds"].as_array().unwrap().len(), 3);
    let expected = bench.results("whole");
    assert!(!bench.path("whole/fold-01/last.safetensors").exists());

    // killed at moments drawn by seed, each time started again by the same command
    let mut rng = StdRng::seed_from_u64(1);
    let (mut kills, mut patience) = (0, duration);
    while kills < 3 {
        let moment = patience.mul_f64(rng.random_range(0.05..0.5));
        if kill_after(&mut bench.command(&bench.folds("--out killed")), moment) {
            kills += 1;
        } else {
            // the machine was slower when `duration` was taken: from the beginning, with less patience
            fs::remove_dir_all(bench.path("killed")).unwrap();
            (kills, patience) = (0, patience / 2);
        }
    }
    let again = json(&bench.run(&bench.folds("--out killed")).success());
    assert_eq!(again, whole);
    assert_eq!(bench.results("killed"), expected);

    // a machine each, of which the third also holds nothing of the others
    for part in 1..=3 {
        let line = bench.folds(&format!("--fold {part}/3 --out part-{part}"));
        let says = bench.run(&line).success();
        assert_eq!(says, "", "one fold is no outcome");
    }
    bench
        .run("crossval merge part-1 part-3")
        .refused(1, &["1 of 3 folds are not done yet: 2"]);
    let merged = bench
        .run("crossval merge part-1 part-2 part-3 --json")
        .success();
    assert_eq!(json(&merged), whole);

    let both = bench.run(&bench.folds("--jobs 2 --out both")).success();
    assert_eq!(json(&both), whole);
    assert_eq!(bench.results("both"), expected);
}

/// Kills a command with signal 9 after some time; false where it was done by then.
fn kill_after(command: &mut Command, moment: Duration) -> bool {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[test]
fn a_first_try_that_trained_no_fold_makes_room() {
    let bench = Bench::new();
    let recipe = format!("{RECIPE}stop = {{ patience = 3 }}\n");
    fs::write(bench.path("small.toml"), recipe).unwrap();
    bench
        .run(&bench.folds("--out run"))
        .refused(1, &["fold 1", "no images to validate on"]);
    bench
        .run(&bench.folds("--validation 0.2 --out run"))
        .success();
    fs::write(
        bench.path("small.toml"),
        RECIPE.replace("epochs = 2", "epochs = 3"),
    )
    .unwrap();
    bench
        .run(&bench.folds("--validation 0.2 --out run"))
        .refused(1, &["train.epochs", "is 2, expected 3"]);
}

#[test]
fn a_fold_that_has_not_saved_yet_keeps_its_plan() {
    let bench = Bench::new();
    let first = |more: &str| bench.run(&bench.folds(&format!("--fold 1/3 --out run {more}")));
    first("").success();
    // as in a run's first minutes: a fold that is done has no state, and now no result and no network
    for file in ["result.json", "best.safetensors"] {
        fs::remove_file(bench.path("run/fold-01").join(file)).unwrap();
    }
    first("--epochs 3").refused(1, &["crossval.json", "train.epochs", "is 2, expected 3"]);
    first("").success();
}

/// Older builds divided the images otherwise, and folds of both would have been put together.
#[test]
fn folds_of_an_older_division_are_not_gone_on_with() {
    let bench = Bench::new();
    let first = || bench.run(&bench.folds("--fold 1/3 --out run"));
    first().success();
    let path = bench.path("run/crossval.json");
    let mut plan = json(&fs::read_to_string(&path).unwrap());
    plan.as_object_mut().unwrap().remove("even_shares");
    fs::write(&path, plan.to_string()).unwrap();
    first().refused(
        1,
        &["crossval.json", "even_shares", "is false, expected true"],
    );
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let bench = Bench::new();
    let tables = bench
        .run(&bench.folds("--out run").replace("--json ", ""))
        .success();
    for part in [
        "rule stratified",
        "last epoch",
        "pooled",
        "standard deviation",
    ] {
        assert!(tables.contains(part), "{part}: {tables}");
    }
    bench
        .run(&bench.folds("--seed 2 --out run"))
        .refused(1, &["crossval.json", "seed", "another cross-validation"]);
    bench
        .run(&bench.folds("--validation 0.2 --out run"))
        .refused(1, &["validation"]);
    bench
        .run(&bench.folds("--seed 2 --fold 1/3 --out other"))
        .success();
    bench
        .run("crossval merge run other")
        .refused(1, &["other/crossval.json"]);
    bench
        .run("crossval merge nowhere")
        .refused(1, &["nowhere/crossval.json"]);
    // a result under another fold's name, an image tested twice, an image or a class that is none
    let path = bench.path("run/fold-02/result.json");
    let whole = fs::read_to_string(&path).unwrap();
    for (field, value, says) in [
        (
            "fold",
            serde_json::json!(1),
            "the result of fold 1, expected 2",
        ),
        ("images", serde_json::json!([5, 5]), "tests image 5 twice"),
        (
            "images",
            serde_json::json!([5, 999_999]),
            "tests image 999999, expected 0 to 167",
        ),
        (
            "targets",
            serde_json::json!([99]),
            "target 99, expected 0 to 6",
        ),
    ] {
        let mut result = json(&whole);
        result[field] = value;
        fs::write(&path, result.to_string()).unwrap();
        bench
            .run("crossval merge run")
            .refused(1, &["fold-02/result.json", says]);
    }
    fs::write(&path, whole).unwrap();
    let path = bench.path("other/crossval.json");
    let plan = fs::read_to_string(&path).unwrap();
    for (field, value) in [("images", 1u64 << 50), ("folds", 1 << 40), ("folds", 0)] {
        let mut plan = json(&plan);
        plan[field] = value.into();
        fs::write(&path, plan.to_string()).unwrap();
        bench
            .run("crossval merge other")
            .refused(1, &["other/crossval.json", "expected 2 folds at least"]);
    }
    damage(&bench.path("run/fold-02/result.json"));
    bench
        .run("crossval merge run")
        .refused(1, &["fold-02/result.json"]);

    // rules that the data do not fit
    for (rule, says) in [
        ("ck-reference", "expected CK+48's 981 images"),
        ("subjects", "do not say who is on the 168 images"),
    ] {
        bench
            .run(&format!(
                "crossval run synth:7:210 --rule {rule} --recipe small.toml --out x"
            ))
            .refused(1, &[says]);
    }
    bench
        .run("crossval run synth:7:210 --rule ck-reference --folds 5 --recipe small.toml --out x")
        .refused(2, &["--folds"]);
    bench
        .run("crossval run synth:7:210 --rule stratified --fold 4/3 --recipe small.toml --out x")
        .refused(2, &["K/N"]);
    // labels that the Training images of a fold cannot be judged by
    let line =
        "crossval run votes:probability:v.csv:f.csv --rule stratified --recipe small.toml --out x";
    bench.run(line).refused(2, &["probability", "majority"]);
    assert!(!bench.path("x").exists(), "a refused run leaves nothing");
}

#[test]
fn a_recipes_network_gets_tiles_of_its_size() {
    let bench = Bench::new();
    let recipe = RECIPE
        .replace("vgg11", "vggnet")
        .replace("epochs = 2", "epochs = 1")
        .replace("channels = 1", "channels = 1\nsize = 64");
    fs::write(bench.path("large.toml"), recipe).unwrap();
    bench
        .run("crossval run synth:7:70 --rule stratified --folds 2 --recipe large.toml --out x")
        .success();
}

/// Takes a logit away.
fn damage(path: &Path) {
    let mut result = json(&fs::read_to_string(path).unwrap());
    result["logits"].as_array_mut().unwrap().pop();
    fs::write(path, result.to_string()).unwrap();
}

#[test]
fn a_validation_part_chooses_the_epoch_and_a_network_gets_a_new_head() {
    let bench = Bench::new();
    // three classes of drawn faces, one of which FER2013 calls otherwise
    bench.run("data folders synth:7:210 --out all").success();
    for (class, name) in [("happy", "happiness"), ("sad", "sad"), ("fear", "bored")] {
        let to = bench.path("three").join(name);
        fs::create_dir_all(bench.path("three")).unwrap();
        fs::rename(bench.path("all/train").join(class), to).unwrap();
    }
    bench
        .run("train synth:7:210 --recipe small.toml --epochs 1 --threads 1 --out seven")
        .success();
    let line = "crossval run three --rule stratified --folds 2 --from seven/best.safetensors \
                --recipe small.toml --validation 0.25 --threads 1 --json --out tuned";
    bench.run(line).refused(2, &["--new-head", "bored"]);
    let outcome = json(&bench.run(&format!("{line} --new-head")).success());
    assert_eq!(outcome["pooled"]["count"], 72);
    assert_eq!(outcome["plan"]["labels"].as_array().unwrap().len(), 3);
    for fold in outcome["folds"].as_array().unwrap() {
        assert!(
            fold["epoch"]
                .as_u64()
                .is_some_and(|epoch| (1..=2).contains(&epoch))
        );
    }
}
