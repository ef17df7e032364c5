//! The binary from outside: what a configuration file and variables make of `run`.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use assert_cmd::Command;
use tempfile::TempDir;

fn command(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("fer-edge").unwrap();
    command.args(args).env_remove("RUST_LOG");
    command
}

#[track_caller]
fn assert_fails(command: &mut Command, code: i32, says: &str) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(says), "{text}");
    assert!(output.stdout.is_empty(), "{text}");
}

/// A file with this configuration, for as long as the folder is kept.
fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fer-edge.toml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn a_camera_without_a_device_is_the_default_one_and_not_the_demo() {
    for text in ["[camera]\nwidth = 640", "[camera]"] {
        let (_folder, file) = file(text);
        // Refused before a camera is opened, and allowed for the demo.
        let mut realtime = command(&["run", "--realtime", "--config"]);
        assert_fails(realtime.arg(file), 2, "recordings only");
    }
}

#[test]
fn a_light_that_is_not_there_is_a_wrong_configuration() {
    let (_folder, file) = file("[led]\nsysfs = '/sys/class/leds/nobodys'");
    let mut run = command(&["run", "demo", "--frames", "1", "--config"]);
    assert_fails(run.arg(file), 78, "/sys/class/leds/nobodys");
}

#[test]
fn an_outlet_that_was_asked_for_is_opened_for_the_demo_too() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let demo = ["run", "demo", "--frames", "1"];
    let (_folder, file) = file(&format!("[http]\nenabled = true\nlisten = '{address}'"));
    let mut named = command(&demo);
    assert_fails(named.arg("--config").arg(file), 1, "http.listen");
    let mut variables = command(&demo);
    variables.env("FER_EDGE_HTTP_ENABLED", "true");
    variables.env("FER_EDGE_HTTP_LISTEN", &address);
    assert_fails(&mut variables, 1, "http.listen");
}

/// It was taken for the name of a file that is not there.
#[test]
fn an_empty_variable_names_no_file() {
    let mut run = command(&["run", "demo", "--frames", "1"]);
    let output = run.env("FER_EDGE_CONFIG", "").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_variable_that_is_no_text_is_refused() {
    // "Köln" in Latin-1.
    let name = OsStr::from_bytes(b"K\xf6ln");
    let mut run = command(&["run", "demo", "--frames", "1"]);
    run.env("FER_EDGE_SERVICE_NAME", name);
    assert_fails(&mut run, 78, "FER_EDGE_SERVICE_NAME");
}
