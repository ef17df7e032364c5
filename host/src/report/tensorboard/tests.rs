use std::fs;
use std::io::Write;
use std::process::Command;

use super::*;

const NAME: &str = "events.out.tfevents.test";

/// The records of an event file.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).expect("read");
    let mut left = &bytes[..];
    let mut found = Vec::new();
    loop {
        let size = left.len() as u64;
        match record::next(&mut left, size).expect("no I/O error from memory") {
            record::Next::Record(data) => found.push(data),
            record::Next::End => return found,
            record::Next::Broken => panic!("broken record after {}", found.len()),
        }
    }
}

#[test]
fn a_file_holds_its_version_and_each_point() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join(NAME);
    let mut writer = EventWriter::create(&path).expect("created");
    writer.scalar("loss/train", 1, 1.5, 100.0).expect("written");
    writer
        .scalar("loss/train", -2, f32::NAN, 101.0)
        .expect("written");
    writer.flush().expect("flushed");
    assert_eq!(writer.position(), fs::metadata(&path).expect("file").len());
    let found = records(&path);
    assert!(found[0].ends_with(b"\x1a\x0dbrain.Event:2"));
    let points = [
        event::scalar("loss/train", 1, 1.5, 100.0),
        event::scalar("loss/train", -2, f32::NAN, 101.0),
    ];
    assert_eq!(found[1..], points);
}

#[test]
fn a_resumed_file_equals_the_uninterrupted_one() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join(NAME);
    let mut writer = EventWriter::create(&path).expect("created");
    writer.scalar("a", 1, 1.0, 1.0).expect("written");
    writer.flush().expect("flushed");
    let checkpoint = writer.position();
    writer.scalar("a", 2, 2.0, 2.0).expect("written");
    drop(writer);
    let whole = fs::read(&path).expect("read");

    // Killed after the checkpoint, within a record.
    let mut file = OpenOptions::new().append(true).open(&path).expect("opened");
    file.write_all(&[7; 11]).expect("written");

    let mut writer = EventWriter::resume_at(&path, checkpoint).expect("resumed");
    assert_eq!(writer.position(), checkpoint);
    writer.scalar("a", 2, 2.0, 2.0).expect("written");
    writer.flush().expect("flushed");
    assert_eq!(fs::read(&path).expect("read"), whole);
}

#[test]
fn resuming_where_no_record_ends_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join(NAME);
    let mut writer = EventWriter::create(&path).expect("created");
    let start = writer.position();
    writer.scalar("a", 1, 1.0, 1.0).expect("written");
    let end = writer.position();
    drop(writer);
    let before = fs::read(&path).expect("read");
    for (offset, expected) in [(0, 0), (start - 1, 0), (start + 3, start), (end + 1, end)] {
        match EventWriter::resume_at(&path, offset) {
            Err(EventError::Offset { whole, .. }) => assert_eq!(whole, expected),
            other => panic!("{offset}: {other:?}"),
        }
    }
    assert_eq!(fs::read(&path).expect("read"), before);

    let missing = folder.path().join("tfevents.none");
    let error = EventWriter::resume_at(&missing, 8).expect_err("refused");
    assert!(error.to_string().contains("tfevents.none"), "{error}");
}

#[test]
fn a_name_that_tensorboard_would_pass_over_is_refused() {
    let path = std::env::temp_dir().join("scalars.log");
    assert!(matches!(
        EventWriter::create(&path),
        Err(EventError::Name { .. })
    ));
}

/// Says on stderr why a test did not run; with `FER_NO_SKIP=1` that is a failure.
fn skip(reason: &str) {
    assert!(
        std::env::var_os("FER_NO_SKIP").is_none_or(|v| v != "1"),
        "SKIP refused: {reason}"
    );
    writeln!(std::io::stderr(), "SKIP: {reason}").expect("stderr");
}

/// Reads the file given with TensorBoard's own reader and prints `tag step value wall_time` lines.
const READ: &str = "
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
run = EventAccumulator(sys.argv[1])
run.Reload()
for tag in sorted(run.Tags()['scalars']):
    for e in run.Scalars(tag):
        print(tag, e.step, e.value, e.wall_time)
";

#[test]
fn tensorboard_reads_what_was_written_across_a_resume() {
    let Some(python) = std::env::var_os("FER_PYTHON") else {
        return skip("FER_PYTHON names no Python with the package tensorboard");
    };
    let has = Command::new(&python)
        .args(["-c", "import tensorboard"])
        .output()
        .expect("FER_PYTHON runs");
    if !has.status.success() {
        return skip("the Python of FER_PYTHON has no package tensorboard");
    }
    let folder = tempfile::tempdir().expect("tempdir");
    let path = folder.path().join(NAME);
    let mut writer = EventWriter::create(&path).expect("created");
    writer.scalar("loss/train", 1, 1.5, 1e9).expect("written");
    writer
        .scalar("naïve", 300, 0.25, 1e9 + 0.5)
        .expect("written");
    writer.flush().expect("flushed");
    let checkpoint = writer.position();
    writer
        .scalar("loss/train", 2, 9.0, 1e9 + 1.0)
        .expect("written");
    drop(writer);
    let mut writer = EventWriter::resume_at(&path, checkpoint).expect("resumed");
    writer
        .scalar("loss/train", 2, 0.75, 1e9 + 2.0)
        .expect("written");
    writer.flush().expect("flushed");

    let output = Command::new(&python)
        .args(["-c", READ])
        .arg(&path)
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .expect("run");
    let (found, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let expected = "\
loss/train 1 1.5 1000000000.0
loss/train 2 0.75 1000000002.0
naïve 300 0.25 1000000000.5
";
    assert_eq!(found, expected, "{log}");
}
