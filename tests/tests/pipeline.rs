//! `fer-tools pipeline`: four stages from one file, and none of them twice.

use std::fs;

use fer_models::ModelPackage;
use fer_tests::program::tools;

const PLAN: &str = r#"
data = "synth:7:210"
name = "drawn"

[network]
name = "vgg11"
width = 0.125
channels = 1

[train]
epochs = 1
batch = 32
schedule = { kind = "one-cycle", rate = 0.02, rise = 0.3 }
optimizer = { sparsity = 1e-4 }

[prune]
target = { percent = 0.3 }

[fine_tune]
distill = true
epochs = 1
batch = 32
schedule = { kind = "cosine", rate = 0.01, warmup = 0.0 }
"#;

#[test]
fn a_pipeline_goes_on_behind_the_last_stage_that_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (folder.path().join("plan.toml"), folder.path().join("out"));
    fs::write(&plan, PLAN).unwrap();
    let run = || {
        tools([
            "pipeline".as_ref(),
            plan.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ])
    };
    let first = run();
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    for stage in ["train: starting", "pruned", "fine-tune: starting"] {
        assert!(first.stderr.contains(stage), "{stage}: {}", first.stderr);
    }
    let package = ModelPackage::open(&out.join("model")).unwrap();
    assert_eq!(package.manifest.name, "drawn");

    // as if it had been stopped before the export, and a state that is of no more use were deleted
    fs::remove_dir_all(out.join("model")).unwrap();
    fs::remove_file(out.join("train/last.safetensors")).unwrap();
    let second = run();
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    for stage in ["train: done before", "fine-tune: done before"] {
        assert!(second.stderr.contains(stage), "{stage}: {}", second.stderr);
    }
    let again = ModelPackage::open(&out.join("model")).unwrap();
    assert!(again.onnx() == package.onnx(), "the same file again");

    let third = run();
    assert!(
        third.stderr.contains("export: done before"),
        "{}",
        third.stderr
    );
}
