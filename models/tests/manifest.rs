//! `model.toml`: what is refused and in which words, and that nothing makes the reader panic.

use fer_models::{Crops, Manifest, ManifestError, ModelPackage};
use proptest::prelude::*;

const GOOD: &str = r#"format = 1
name = "toy-0.5"
labels = ["sad", "happy"]

[model]
file = "model.onnx"
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
precision = "int8"
opset = 17
parameters = 1234
multiply_adds = 56789

[input]
channels = 1
tile = 48
crop = 44
mean = 0.5
std = 0.25
face_scale = 1.1
face_shift_y = -0.05

[decision]
temperature = 1.3
crops = "ten"

[provenance]
dataset = "FER2013"
command = "fer-tools pipeline line.toml"
seed = 7
commit = "0123abc"

[provenance.accuracy]
split = "PublicTest"
crops = "ten"
percent = 61.2
"#;

/// The error for the good manifest with the line that starts with `from` replaced by `to`.
fn error(from: &str, to: &str) -> ManifestError {
    let mut replaced = 0;
    let lines: Vec<&str> = GOOD
        .lines()
        .map(|line| {
            if line.starts_with(from) && replaced == 0 {
                replaced += 1;
                to
            } else {
                line
            }
        })
        .collect();
    assert_eq!(replaced, 1, "no line starts with {from}");
    Manifest::parse(&lines.join("\n")).expect_err(to)
}

#[test]
fn a_good_manifest_is_read_and_written_back_the_same() {
    let manifest = Manifest::parse(GOOD).unwrap();
    assert_eq!(manifest.input.face_scale, 1.1);
    assert_eq!(manifest.decision.crops, Crops::Ten);
    assert_eq!(manifest.provenance.accuracy.as_ref().unwrap().percent, 61.2);
    assert_eq!(Manifest::parse(&manifest.to_toml()).unwrap(), manifest);
    assert_eq!(manifest.to_toml(), GOOD);
}

#[test]
fn accuracy_may_be_left_out() {
    let text = GOOD.split("\n[provenance.accuracy]").next().unwrap();
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(manifest.provenance.accuracy, None);
    assert_eq!(Manifest::parse(&manifest.to_toml()).unwrap(), manifest);
}

#[test]
fn calibration_may_stand_beside_8_bit_layers_only() {
    let with = |precision: &str| {
        let table =
            "[model.calibration]\nmethod = \"mse\"\ndata = \"FER2013\"\nimages = 500\nseed = 1\n";
        GOOD.replace(
            "precision = \"int8\"",
            &format!("precision = \"{precision}\""),
        )
        .replace("\n[input]", &format!("\n{table}\n[input]"))
    };
    for precision in ["int8", "mixed"] {
        let text = with(precision);
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.model.calibration.as_ref().unwrap().images, 500);
        assert_eq!(manifest.to_toml(), text);
    }
    for precision in ["f32", "f16"] {
        let error = Manifest::parse(&with(precision)).unwrap_err().to_string();
        assert!(error.contains("`model.calibration`"), "{error}");
    }
}

#[test]
fn the_format_is_checked_before_anything_else() {
    let other = Manifest::parse("format = 2\nnothing = \"that this build knows\"").unwrap_err();
    assert_eq!(
        other.to_string(),
        "model.toml is format 2, this build reads 1"
    );
    for (line, found) in [
        ("", "missing"),
        ("format = \"1\"", "\"1\""),
        ("format = 1.0", "1.0"),
    ] {
        let error = error("format", line).to_string();
        assert_eq!(
            error,
            format!("model.toml is format {found}, this build reads 1")
        );
    }
}

#[test]
fn an_unknown_field_is_refused_in_every_table_with_the_known_names() {
    for (table, known) in [
        ("name = \"toy-0.5\"", "provenance"),
        ("[model]", "multiply_adds"),
        ("[input]", "face_shift_y"),
        ("[decision]", "temperature"),
        ("[provenance]", "commit"),
        ("[provenance.accuracy]", "percent"),
    ] {
        let error = error(table, &format!("{table}\ntypo = 1")).to_string();
        assert!(
            error.contains("unknown field `typo`") && error.contains(known),
            "{error}"
        );
    }
}

#[test]
fn a_missing_field_or_a_wrong_type_is_named_with_its_line() {
    let missing = error("opset", "").to_string();
    assert!(missing.contains("missing field `opset`"), "{missing}");
    let text = error("tile", "tile = \"48\"").to_string();
    assert!(
        text.contains("line 15") && text.contains("expected usize"),
        "{text}"
    );
    let negative = error("seed", "seed = -1").to_string();
    assert!(negative.contains("expected u64"), "{negative}");
    let precision = error("precision", "precision = \"int4\"").to_string();
    assert!(
        precision.contains("int4") && precision.contains("int8"),
        "{precision}"
    );
    let labels = error("labels", "labels = [\"sad\", \"sad\"]").to_string();
    assert!(
        labels.contains("\"sad\" stands at 0 and again at 1"),
        "{labels}"
    );
}

#[test]
fn a_value_that_cannot_be_meant_is_named_with_what_was_expected() {
    let cases = [
        ("name", "name = \"../x\"", "name"),
        ("file", "file = \"../model.onnx\"", "model.file"),
        ("file", "file = \"a/b\"", "model.file"),
        ("file", "file = 'C:\\x'", "model.file"),
        ("file", "file = \"..\"", "model.file"),
        ("file", "file = \"\"", "model.file"),
        ("sha256", "sha256 = \"BA78\"", "model.sha256"),
        ("opset", "opset = 0", "model.opset"),
        ("channels", "channels = 2", "input.channels"),
        ("tile", "tile = 4096", "input.tile"),
        ("crop", "crop = 49", "input.crop"),
        ("mean", "mean = nan", "input.mean"),
        ("std", "std = 0.0", "input.std"),
        ("std", "std = -inf", "input.std"),
        ("face_scale", "face_scale = 1e300", "input.face_scale"),
        ("temperature", "temperature = 0.0", "decision.temperature"),
        ("temperature", "temperature = nan", "decision.temperature"),
        ("percent", "percent = 101.0", "provenance.accuracy.percent"),
    ];
    for (from, to, field) in cases {
        match error(from, to) {
            ManifestError::Field(error) => assert_eq!(error.field, field, "{to}"),
            other => panic!("{to}: {other}"),
        }
    }
    let upper = GOOD.replace("ba7816bf", "BA7816BF");
    assert!(matches!(
        Manifest::parse(&upper),
        Err(ManifestError::Field(_))
    ));
    assert_eq!(
        error("crop = 44", "crop = 49").to_string(),
        "`input.crop` is 49, expected 1 to input.tile (48)"
    );
}

#[test]
fn the_largest_numbers_survive_the_trip() {
    let mut manifest = Manifest::parse(GOOD).unwrap();
    manifest.provenance.seed = u64::MAX;
    manifest.model.parameters = u64::MAX;
    manifest.provenance.command = "quote \" back \\ line \n tab \t nul \u{0} del \u{7f}".into();
    assert_eq!(Manifest::parse(&manifest.to_toml()).unwrap(), manifest);
}

#[test]
fn the_embedded_manifest_is_written_as_this_build_writes() {
    let manifest = ModelPackage::embedded().manifest;
    assert_eq!(Manifest::parse(&manifest.to_toml()).unwrap(), manifest);
}

/// What the fuzz target asks as well: no panic, and what is read is written back the same.
fn reads_or_refuses(text: &str) -> Result<(), TestCaseError> {
    if let Ok(manifest) = Manifest::parse(text) {
        let again = Manifest::parse(&manifest.to_toml());
        prop_assert_eq!(
            again.map_err(|error| TestCaseError::fail(error.to_string()))?,
            manifest
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        reads_or_refuses(&text)?;
    }

    #[test]
    fn a_damaged_manifest_is_read_or_refused(
        start in 0..GOOD.len(), length in 0..8usize, insert in "[ -~\n]{0,4}",
    ) {
        let end = (start + length).min(GOOD.len());
        reads_or_refuses(&format!("{}{insert}{}", &GOOD[..start], &GOOD[end..]))?;
    }

    #[test]
    fn any_number_in_any_field_is_read_or_refused(line in 0..34usize, value in any::<f64>()) {
        let lines: Vec<String> = GOOD.lines().enumerate().map(|(index, text)| {
            match text.split_once(" = ") {
                Some((key, _)) if index == line => format!("{key} = {value:?}"),
                _ => text.to_owned(),
            }
        }).collect();
        reads_or_refuses(&lines.join("\n"))?;
    }
}
