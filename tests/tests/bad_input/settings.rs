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
