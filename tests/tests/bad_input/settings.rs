//! Recipes, pipelines and manifests: what a file sets.

use std::fs;

use fer_models::{Labels, Manifest, ModelPackage, sha256_hex};

use crate::bench::Bench;

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
    // what only the network tells
    let small = "[network]\nname = \"vgg11\"\nwidth = 0.05\n[train]\n";
    refused(&format!("{small}freeze = [\"nope\"]\n"), "freeze");
    let pulls = "penalty = { l1 = 0.1, layers = [\"nope\"] }\n";
    refused(&format!("{small}{pulls}"), "penalty.layers");
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
        .refused(78, &["two.toml", "channels is 2, expected 1 or 3"]);
    bench
        .tools("crossval run synth:7:70 --rule stratified --recipe two.toml --out run")
        .refused(78, &["two.toml", "channels is 2, expected 1 or 3"]);
    assert!(!bench.path("run").exists());
}

/// `crossval` passed it over in silence.
#[test]
fn a_network_beside_one_to_start_from_is_warned_of() {
    let bench = Bench::new();
    bench.write("r.toml", "[network]\nname = \"vgg11\"\n");
    for command in ["train", "crossval run"] {
        bench
            .tools(&format!(
                "{command} synth:7:70 --from no.safetensors --recipe r.toml --out x"
            ))
            .refused(1, &["r.toml", "passed over: no.safetensors"]);
    }
}

const PLAN: &str = "\
data = \"synth:7:70\"
name = \"m\"
[network]
name = \"vgg11\"
width = 0.05
[train]
epochs = 1
[prune]
target = { percent = 0.5 }
[fine_tune]
epochs = 2
[export]
crops = \"center\"
";

/// A pipeline found these out after its trainings.
#[test]
fn a_pipeline_is_checked_whole_before_it_begins() {
    let bench = Bench::new();
    let taught = "epochs = 2\ndistill = true\nloss = { distill_crops = \"center\" }\n\
                  augment = { mixup = 0.2 }";
    for (part, wrong, says) in [
        ("\"m\"", "\"my model!\"", "1 to 64 letters"),
        ("width = 0.05", "channels = 2", "[network]"),
        ("percent = 0.5", "percent = 5.0", "[prune]"),
        ("[prune]", "[prune]\nmin_channels = 0", "[prune]"),
        ("[prune]", "[prune]\nround_to = 0", "[prune]"),
        ("crops = \"center\"", "images = 0", "[export]"),
        // what only the network or the data tell
        ("epochs = 1", "epochs = 1\nfreeze = [\"nope\"]", "[train]"),
        (
            "epochs = 2",
            "penalty = { l1 = 0.1, layers = [\"nope\"] }",
            "[fine_tune]: penalty.layers",
        ),
        ("epochs = 2", taught, "[fine_tune]: loss.distill_crops"),
        ("vgg11", "vggnet", "[prune]: `vggnet` has no channel to cut"),
        ("percent = 0.5", "keep_macs = \"0.001\"", "[prune]: 0.001"),
    ] {
        bench.write("plan.toml", PLAN.replace(part, wrong));
        bench
            .tools("pipeline plan.toml --out out")
            .refused(78, &["plan.toml", says]);
    }
    assert!(!bench.path("out").exists());
    bench
        .tools("export x.safetensors --data synth:7:70 --name my/model --out m")
        .refused(2, &["--name", "1 to 64 letters"]);
}
