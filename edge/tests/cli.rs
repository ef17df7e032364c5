//! The binary from outside: output, exit codes, bad input.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use fer_models::{Labels, ModelPackage, sha256_hex};
use serde_json::Value;

fn edge(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("fer-edge").unwrap();
    command.args(args).env_remove("RUST_LOG");
    command
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_fails(args: &[&str], code: i32, says: &str) {
    let output = edge(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(text.contains(says), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// A grey picture with a gradient.
fn picture(path: &Path) {
    image::GrayImage::from_fn(48, 48, |x, y| [(x * 2 + y * 3) as u8].into())
        .save(path)
        .unwrap();
}

#[test]
fn the_demo_prints_the_documented_schema_and_repeats_itself() {
    let output = edge(&["run", "--frames", "40"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let frames = lines(&output);
    assert_eq!(frames.len(), 40);
    let names = ModelPackage::embedded().manifest.labels;
    let mut faces_seen = 0;
    for (seq, frame) in frames.iter().enumerate() {
        assert_eq!(
            keys(frame),
            ["faces", "model", "seq", "source", "t_ms", "v"].into()
        );
        assert_eq!(
            (&frame["v"], &frame["seq"], &frame["source"]),
            (&1.into(), &seq.into(), &"demo".into())
        );
        for face in frame["faces"].as_array().unwrap() {
            faces_seen += 1;
            assert_eq!(
                keys(face),
                ["box", "id", "label", "raw_label", "score", "scores"].into()
            );
            assert!(names.index_of(face["label"].as_str().unwrap()).is_some());
            assert_eq!(face["scores"].as_object().unwrap().len(), names.len());
            assert_eq!(
                face["score"],
                face["scores"][face["label"].as_str().unwrap()]
            );
            assert_eq!(face["id"], 1);
        }
    }
    assert!(faces_seen >= 36, "{faces_seen} faces in 40 frames");
    assert!(stderr(&output).contains("40 frames"));
    assert_eq!(
        output.stdout,
        edge(&["run", "demo", "--frames", "40"]).stdout
    );
}

#[test]
fn a_picture_and_a_folder_are_judged_without_smoothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b.png");
    picture(&file);
    let frames = lines(&edge(&[
        "run",
        "--detector",
        "none",
        file.to_str().unwrap(),
    ]));
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["file"], "b.png");
    assert_eq!(
        frames[0]["faces"][0]["label"],
        frames[0]["faces"][0]["raw_label"]
    );

    picture(&dir.path().join("a.png"));
    fs::write(dir.path().join("broken.jpg"), [0xff, 0xd8, 0xff, 0xe0]).unwrap();
    let output = edge(&["run", "--detector", "none", dir.path().to_str().unwrap()]);
    assert!(output.status.success());
    let files: Vec<_> = lines(&output).iter().map(|f| f["file"].clone()).collect();
    assert_eq!(files, ["a.png", "b.png"]);
    assert!(
        stderr(&output).contains("2 frames, 2 faces, 1 bad frames"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn stdin_takes_y4m_and_mjpeg_and_skips_what_is_cut_short() {
    let mut y4m = b"YUV4MPEG2 W48 H48 F10:1 Cmono\n".to_vec();
    for value in [10, 200] {
        y4m.extend(b"FRAME\n");
        y4m.extend([value; 48 * 48]);
    }
    y4m.extend(b"FRAME\nshort");
    let run = |bytes: Vec<u8>| {
        command(&["run", "-", "--region", "4,4,40,40"])
            .write_stdin(bytes)
            .output()
            .unwrap()
    };
    let output = run(y4m);
    assert!(output.status.success());
    assert_eq!(lines(&output)[1]["t_ms"], 100);
    assert_eq!(
        lines(&output)[1]["faces"][0]["box"],
        serde_json::json!([4, 4, 40, 40])
    );
    assert!(
        stderr(&output).contains("2 frames, 2 faces, 1 bad frames"),
        "{}",
        stderr(&output)
    );

    let mut jpeg = std::io::Cursor::new(Vec::new());
    let gray = image::GrayImage::from_pixel(48, 48, [99].into());
    gray.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let mjpeg = [&jpeg[..], &jpeg[..jpeg.len() / 2], &jpeg[..]].concat();
    let output = run(mjpeg);
    assert!(output.status.success());
    assert_eq!(
        lines(&output)
            .iter()
            .map(|f| f["seq"].clone())
            .collect::<Vec<_>>(),
        [0, 2]
    );
    assert!(
        stderr(&output).contains("2 frames, 2 faces, 1 bad frames"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn bad_input_is_code_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    assert_fails(&["run", &path("missing.png")], 1, "missing.png");
    assert_fails(&["run", &path("")], 1, "holds no pictures");
    fs::write(path("a.png"), "not a picture").unwrap();
    assert_fails(&["run", &path("a.png")], 1, "a.png");
    fs::write(path("a.y4m"), "YUV4MPEG2 W999999 H999999\n").unwrap();
    assert_fails(&["run", &path("a.y4m")], 1, "999999x999999");
    fs::write(path("a.mjpeg"), [0xff, 0xd8, 0xff, 0xe0, 0, 4]).unwrap();
    assert_fails(&["run", &path("a.mjpeg")], 1, "none of the 1 frames");
    picture(Path::new(&path("b.png")));
    assert_fails(
        &["run", &path("b.png"), "--region", "50,0,9,9"],
        1,
        "outside the frame",
    );
}

#[test]
fn wrong_flags_are_code_2() {
    assert_fails(&["run", "--colour"], 2, "--colour");
    assert_fails(&["jump"], 2, "jump");
    assert_fails(&[], 2, "Usage");
    assert_fails(&["run", "--region", "1,2,3"], 2, "X,Y,W,H");
    assert_fails(&["run", "https://cam/"], 2, "https is not supported");
    assert_fails(&["run", "--detector", "roi"], 2, "expected region =");
    assert_fails(
        &["run", "--detector", "none", "--region", "0,0,9,9"],
        2,
        "--detector roi",
    );
    assert_fails(
        &["run", "--region", "0,0,9,9", "--min-face", "80"],
        2,
        "--detector seeta",
    );
    assert_fails(&["run", "--detector", "yunet"], 2, "detector_model =");
    assert_fails(
        &["run", "--detector", "none", "--detector-model", "x.onnx"],
        2,
        "--detector yunet",
    );
    assert_fails(&["run", "--raw", "--margin", "0.2"], 2, "--raw");
    assert_fails(&["run", "--every-n-frames", "0"], 2, "every-n-frames");
    assert_fails(&["run", "--min-score", "0"], 2, "above 0");
}

/// It was taken for a file, and named with its password.
#[test]
fn an_address_that_is_no_cameras_is_refused_without_its_password() {
    let output = edge(&["run", "rtsp://me:secret@cam/"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("ffmpeg") && !text.contains("secret"),
        "{text}"
    );
}

/// A model folder made from the embedded one.
fn model_folder(dir: &Path, manifest: &str, onnx: &[u8]) -> String {
    let file = ModelPackage::embedded().manifest.model.file;
    fs::write(dir.join("model.toml"), manifest).unwrap();
    fs::write(dir.join(file), onnx).unwrap();
    dir.to_str().unwrap().to_owned()
}

#[test]
fn a_broken_model_folder_is_code_78() {
    let dir = tempfile::tempdir().unwrap();
    let package = ModelPackage::embedded();
    let good = package.manifest.to_toml();
    let refused = |manifest: &str, onnx: &[u8], says: &str| {
        let folder = model_folder(dir.path(), manifest, onnx);
        for command in ["run", "bench", "model"] {
            assert_fails(&[command, "--model", &folder], 78, says);
        }
    };
    refused("labels = 3", package.onnx(), "model.toml");
    refused(&format!("{good}\n[surprise]\n"), package.onnx(), "surprise");
    refused(&good, b"other bytes", "sha256");

    let mut lying = package.manifest.clone();
    lying.labels = Labels::ferplus();
    refused(&lying.to_toml(), package.onnx(), "labels");
    lying = package.manifest.clone();
    lying.input.crop -= 4;
    refused(&lying.to_toml(), package.onnx(), "but the manifest says 40");
    lying = package.manifest.clone();
    lying.model.sha256 = sha256_hex(b"no model");
    refused(&lying.to_toml(), b"no model", "not a usable ONNX model");
    assert_fails(&["model", "--model", "/nowhere"], 78, "/nowhere");
    let no_onnx = dir.path().join("face.onnx");
    fs::write(&no_onnx, "no model").unwrap();
    let no_onnx = no_onnx.to_str().unwrap();
    assert_fails(&["run", "--detector-model", no_onnx], 78, no_onnx);
}

#[test]
fn a_model_folder_does_what_the_embedded_model_does() {
    let dir = tempfile::tempdir().unwrap();
    let package = ModelPackage::embedded();
    let folder = model_folder(dir.path(), &package.manifest.to_toml(), package.onnx());
    let from_folder = edge(&["run", "--frames", "3", "--model", &folder]);
    assert!(from_folder.status.success());
    assert_eq!(from_folder.stdout, edge(&["run", "--frames", "3"]).stdout);
}

#[test]
fn model_and_bench_print_tables() {
    let output = edge(&["model"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(
        text.contains(&ModelPackage::embedded().manifest.model.sha256),
        "{text}"
    );

    let output = edge(&["bench", "--frames", "2"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for row in [
        "machine",
        "detect, per frame",
        "infer, per face",
        "whole, per face",
        "frames a second",
        "whole, per frame",
    ] {
        assert!(text.contains(row), "{row}: {text}");
    }
}

#[test]
fn help_teaches_by_example() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["cameras", "--help"],
        &["bench", "--help"],
        &["model", "--help"],
    ] {
        let output = edge(args);
        assert!(output.status.success());
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("Example"),
            "{args:?}"
        );
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("fer-edge"))
        .args(["run", "--detector", "none"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.starts_with("{\"v\":1"));
    assert!(child.wait().unwrap().success());
}
