use std::fs;
use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::data;

fn face_text(seed: usize) -> String {
    (0..PIXELS)
        .map(|at| ((at * 7 + seed) % 256).to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

fn csv(rows: &[(&str, &str)]) -> String {
    let mut text = "emotion,pixels,Usage\n".to_owned();
    for (index, (emotion, usage)) in rows.iter().enumerate() {
        text += &format!("{emotion},{},{usage}\n", face_text(index));
    }
    text
}

fn parse(text: &[u8], options: &LoadOptions) -> Result<Loaded, DataError> {
    let mut input = text;
    read(Path::new("faces.csv"), &mut input, options)
}

fn strict(text: &str) -> Result<Loaded, DataError> {
    parse(text.as_bytes(), &LoadOptions::default())
}

fn message(text: &str) -> String {
    strict(text).unwrap_err().to_string()
}

#[test]
fn rows_are_read_in_order() {
    let loaded = strict(&csv(&[
        ("0", "Training"),
        ("6", "PublicTest"),
        ("3", "PrivateTest"),
    ]))
    .unwrap();
    let data = &loaded.dataset;
    assert_eq!(
        data.items()
            .iter()
            .map(|item| item.label)
            .collect::<Vec<_>>(),
        [0, 6, 3]
    );
    assert_eq!(
        data.items()
            .iter()
            .map(|item| item.split)
            .collect::<Vec<_>>(),
        Split::ALL
    );
    assert_eq!(data.image(2)[..3], [2, 9, 16]);
    assert!(loaded.notes.is_empty());
}

#[test]
fn kaggles_spaced_header_in_another_order_is_read() {
    let face = face_text(5);
    let text = format!("\u{feff}emotion, Usage, pixels\r\n4,training, \"{face}\"\r\n\r\n");
    let loaded = strict(&text).unwrap();
    assert_eq!(loaded.dataset.item(0).split, Split::Training);
    assert_eq!(loaded.dataset.item(0).label, 4);
    assert_eq!(loaded.dataset.image(0)[1], 12);
}

#[test]
fn a_missing_usage_column_means_training_and_is_said() {
    let loaded = strict(&format!("emotion,pixels\n1,{}\n", face_text(0))).unwrap();
    assert_eq!(loaded.dataset.counts(Split::Training)[1], 1);
    assert!(loaded.notes[0].contains("no Usage column"));
}

#[test]
fn wrong_rows_are_named_by_file_line_and_reason() {
    let good = csv(&[("0", "Training")]);
    let face = face_text(0);
    let (_, short) = face.split_once(' ').unwrap();
    let holed = face.replacen(" 7 ", " x7 ", 1);
    let bright = face.replacen(" 7 ", " 256 ", 1);
    for (row, reason) in [
        (
            format!("angry,{face},Training"),
            "emotion: expected an integer from 0 to 6, found \"angry\"",
        ),
        (
            format!(",{face},Training"),
            "emotion: expected an integer from 0 to 6, found \"\"",
        ),
        (
            format!("7,{face},Training"),
            "emotion: expected a label from 0 to 6, found 7",
        ),
        (
            format!("-1,{face},Training"),
            "emotion: expected a label from 0 to 6, found -1",
        ),
        (
            format!("0,{short},Training"),
            "pixels: expected 2304 values, found 2303",
        ),
        (
            format!("0,{face} 1,Training"),
            "pixels: expected 2304 values, found 2305",
        ),
        (
            format!("0,{bright},Training"),
            "from 0 to 255 at position 1, found \"256\"",
        ),
        (
            format!("0,{holed},Training"),
            "from 0 to 255 at position 1, found \"x7\"",
        ),
        (
            format!("0,{face},Test"),
            "Usage: expected Training, PublicTest or PrivateTest, found \"Test\"",
        ),
        (format!("0,{face}"), "expected 3 fields, found 2"),
        (format!("0,{face},Training,1"), "expected 3 fields, found 4"),
    ] {
        let found = message(&format!("{good}{row}\n"));
        assert!(
            found.starts_with("faces.csv:3: ") && found.contains(reason),
            "{found}"
        );
    }
}

#[test]
fn skip_bad_counts_wrong_rows_and_quotes_the_first() {
    let text = csv(&[
        ("0", "Training"),
        ("9", "Training"),
        ("x", "Training"),
        ("2", "PublicTest"),
    ]);
    let options = LoadOptions {
        skip_bad: true,
        ..LoadOptions::default()
    };
    let loaded = parse(text.as_bytes(), &options).unwrap();
    assert_eq!((loaded.dataset.len(), loaded.skipped), (2, 2));
    assert!(
        loaded.notes[0].contains("faces.csv:3"),
        "{:?}",
        loaded.notes
    );
    let all_bad = csv(&[("9", "Training")]);
    let error = parse(all_bad.as_bytes(), &options).unwrap_err();
    assert_eq!(error.to_string(), "faces.csv: no usable rows, 1 skipped");
}

#[test]
fn a_header_without_the_columns_is_shown() {
    let found = message("label;image\n0;1\n");
    assert!(
        found.contains("\"emotion\" is missing, found \"label;image\""),
        "{found}"
    );
    assert!(message("").contains("emotion"));
    assert!(message("emotion,pixels,Usage\n").contains("no usable rows"));
}

#[test]
fn an_endless_line_is_refused_before_it_fills_memory() {
    let mut endless = std::io::BufReader::new(std::io::repeat(b'1'));
    let error = read(Path::new("bomb.csv"), &mut endless, &LoadOptions::default()).unwrap_err();
    assert!(
        matches!(error, DataError::LineTooLong { line: 1, .. }),
        "{error}"
    );
}

#[test]
fn endless_blank_lines_are_refused() {
    let header = &b"emotion,pixels,Usage\n"[..];
    let mut endless = std::io::BufReader::new(header.chain(std::io::repeat(b'\n')));
    let error = read(Path::new("bomb.csv"), &mut endless, &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::TooManyLines { .. }), "{error}");
}

#[test]
fn another_tile_size_is_resized() {
    let options = LoadOptions {
        tile: 24,
        ..LoadOptions::default()
    };
    let loaded = parse(csv(&[("0", "Training")]).as_bytes(), &options).unwrap();
    assert_eq!(loaded.dataset.image(0).len(), 24 * 24);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The three rows of [`ramps`] packed by `xz -6`; the project's xz library is built without its
/// encoder.
const RAMPS_XZ: &[u8] = include_bytes!("../../tests/fixtures/ramps.csv.xz");

fn ramps() -> String {
    csv(&[("0", "Training"), ("5", "PublicTest"), ("6", "Training")])
}

/// Two frames with a skippable one between them: the shape parallel compressors write.
fn zstd(text: &[u8]) -> Vec<u8> {
    let frame =
        |part| ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest);
    let (first, second) = text.split_at(text.len() / 3);
    let skippable = [0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    [frame(first), skippable.to_vec(), frame(second)].concat()
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        archive
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(text).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn every_compression_is_seen_from_the_content() {
    let text = ramps();
    let plain = strict(&text).unwrap().dataset;
    let text = text.as_bytes();
    let zipped = zip_of(&[
        ("a/readme.txt", b"hello"),
        ("__MACOSX/._x.csv", b"?"),
        ("a/x.csv", text),
    ]);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("gz", gzip(text)),
        ("xz", RAMPS_XZ.to_vec()),
        ("zst", zstd(text)),
        ("zip", zipped),
        ("csv", text.to_vec()),
    ] {
        // A suffix that lies, on purpose.
        let path = folder.path().join(format!("{name}.dat"));
        fs::write(&path, bytes).unwrap();
        let loaded = data::load(&path, &LoadOptions::default());
        assert_eq!(
            loaded.unwrap_or_else(|e| panic!("{name}: {e:?}")).dataset,
            plain,
            "{name}"
        );
    }
}

#[test]
fn compressed_data_cut_short_is_an_error_that_names_the_file() {
    let rows: Vec<_> = (0..40).map(|_| ("1", "Training")).collect();
    let text = csv(&rows);
    let text = text.as_bytes();
    let folder = tempfile::tempdir().unwrap();
    let options = LoadOptions {
        skip_bad: true,
        ..LoadOptions::default()
    };
    for (name, bytes) in [
        ("gzip", gzip(text)),
        ("xz", RAMPS_XZ.to_vec()),
        ("zstd", zstd(text)),
        ("zip", zip_of(&[("x.csv", text)])),
    ] {
        let path = folder.path().join(name);
        for keep in [bytes.len() - 1, bytes.len() * 3 / 4, bytes.len() / 2, 8] {
            fs::write(&path, &bytes[..keep]).unwrap();
            let error = data::load(&path, &options).unwrap_err();
            assert!(
                matches!(error, DataError::Compressed { format, .. } if format == name),
                "{error:?}"
            );
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }
}

#[test]
fn the_published_file_is_chosen_from_an_archive_of_several() {
    let text = csv(&[("2", "Training")]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("challenge.zip");
    let others: &[(&str, &[u8])] = &[("train.csv", b"x"), ("icml_face_data.csv", text.as_bytes())];
    fs::write(&path, zip_of(others)).unwrap();
    assert_eq!(
        data::load(&path, &LoadOptions::default())
            .unwrap()
            .dataset
            .len(),
        1
    );
    fs::write(&path, zip_of(&[("a.csv", b"x"), ("b.csv", b"y")])).unwrap();
    let error = data::load(&path, &LoadOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("found a.csv, b.csv"), "{error}");
}

#[test]
fn a_written_file_reads_back_the_same() {
    let drawn = data::synth::dataset(3, 70, SIDE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faces.csv");
    write(&path, &drawn).unwrap();
    assert_eq!(
        data::load(&path, &LoadOptions::default()).unwrap().dataset,
        drawn
    );
    let small = data::synth::dataset(3, 70, 32).unwrap();
    assert!(matches!(
        write(&path, &small),
        Err(DataError::NotFer2013 { .. })
    ));
    assert!(matches!(
        write(&folder.path().join("no/f.csv"), &drawn),
        Err(DataError::Io { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn valid_rows_round_trip(
        rows in proptest::collection::vec(
            (0_u8..7, 0_usize..3, proptest::collection::vec(any::<u8>(), PIXELS)), 1..4),
    ) {
        let mut text = "emotion,pixels,Usage\n".to_owned();
        for (label, split, pixels) in &rows {
            let pixels: Vec<String> = pixels.iter().map(u8::to_string).collect();
            text += &format!("{label},{},{}\n", pixels.join(" "), Split::ALL[*split]);
        }
        let data = strict(&text).unwrap().dataset;
        prop_assert_eq!(data.len(), rows.len());
        for (index, (label, split, pixels)) in rows.iter().enumerate() {
            prop_assert_eq!(data.item(index).label, *label);
            prop_assert_eq!(data.item(index).split, Split::ALL[*split]);
            prop_assert_eq!(data.image(index), &pixels[..]);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000), header: bool, skip_bad: bool,
    ) {
        let mut text = if header { b"emotion,pixels,Usage\n".to_vec() } else { Vec::new() };
        text.extend(bytes);
        let options = LoadOptions { skip_bad, ..LoadOptions::default() };
        let _ = parse(&text, &options);
    }

    #[test]
    fn damaged_files_never_panic(at in 0_usize..10_000, byte: u8, kind in 0_usize..5) {
        let text = csv(&[("0", "Training"), ("1", "Training")]);
        let text = text.as_bytes();
        let mut bytes = match kind {
            0 => gzip(text), 1 => RAMPS_XZ.to_vec(), 2 => zstd(text), 3 => zip_of(&[("x.csv", text)]),
            _ => text.to_vec(),
        };
        let at = at % bytes.len();
        bytes[at] = byte;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let _ = data::load(file.path(), &LoadOptions::default());
    }
}
