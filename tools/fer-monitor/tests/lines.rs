//! The program on the frames that `docs/serial.md` shows.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const GOLDEN: &str = include_str!("../../../edge/wire/golden.txt");

fn golden() -> Vec<u8> {
    GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn monitor(args: &[&str], line: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fer-monitor"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(line).unwrap();
    child.wait_with_output().unwrap()
}

fn printed(args: &[&str], line: &[u8]) -> String {
    let output = monitor(args, line);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn people_get_a_line_a_frame() {
    assert_eq!(
        printed(&[], &golden()),
        "     hello  fer-edge 0.1.0, model vgg19-lite: angry disgust fear happy sad surprise neutral\n\
         \u{20}   status  camera online, up 2 s, 61 captured, 60 processed, 0 dropped\n\
         \u{20}    2.533  nobody\n\
         \u{20}    2.566  #1 happy 87 % at 19,64 110x110\n\
         4294967.296  #1 happy 87 % at 19,64 110x110  #300 neutral 88 % at -12,5 90x90\n"
    );
}

#[test]
fn programs_get_json_with_the_names_of_the_labels() {
    let text = printed(&["--json", "-"], &golden());
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[1]["camera"], "online");
    assert_eq!(lines[2]["unix"], serde_json::Value::Null);
    let face = &lines[3]["faces"][0];
    assert_eq!(
        (&face["label"], &face["score"]),
        (&"happy".into(), &0.875.into())
    );
    assert_eq!(face["box"], serde_json::json!([19, 64, 110, 110]));
    assert_eq!(face["scores"]["neutral"], 0.031);
}

#[test]
fn damage_is_shown_and_names_are_numbers_before_a_hello() {
    let mut line = golden();
    line.drain(..40);
    let at = line.len() - 30;
    line[at] ^= 1;
    let text = printed(&[], &line);
    assert!(text.starts_with("       bad  frame "), "{text}");
    assert!(text.contains("#1 label-3 87 %"), "{text}");
    assert!(
        text.ends_with("       bad  frame with a wrong checksum\n"),
        "{text}"
    );
}

#[test]
fn a_port_that_is_not_there_is_named() {
    let output = monitor(&["/dev/serial/by-id/none"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("/dev/serial/by-id/none"), "{log}");
    assert_eq!(monitor(&["--baud", "115201"], &[]).status.code(), Some(2));
}
