//! Those who read the line: `fer-monitor` on a port, and the receiver in `docs/serial.md`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use fer_edge::publish::serial::tty::{BAUD_RATES, Tty};
use fer_tests::program::program;
use fer_tests::skip::{root, skip};

use super::pty::Cable;

/// The frames that the document shows, as bytes.
fn golden() -> Vec<u8> {
    let text = fs::read_to_string(root().join("edge/wire/golden.txt")).unwrap();
    let bytes = text.lines().filter(|line| !line.starts_with('#'));
    bytes
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// What `fer-monitor` prints of the documented frames.
fn monitored(cable: &mut Cable, baud: u32) -> Vec<String> {
    let mut monitor = program("fer-monitor")
        .arg("--baud")
        .arg(baud.to_string())
        .arg(cable.port())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    cable.write(&golden());
    let lines = (0..5).map(|_| lines.next().unwrap().unwrap()).collect();
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    lines
}

#[test]
fn the_monitor_prints_a_line_as_it_comes() {
    let lines = monitored(&mut Cable::new(), 9600);
    assert_eq!(lines[3], "     2.566  #1 happy 87 % at 19,64 110x110");
}

#[test]
fn the_monitor_sets_a_port_up_as_fer_edge_does_at_every_speed() {
    for (baud, _) in BAUD_RATES {
        let sent_to = Cable::new();
        let _sender = Tty::open(sent_to.port(), baud).unwrap();
        let mut read_from = Cable::new();
        monitored(&mut read_from, baud);
        assert_eq!(read_from.mode(), sent_to.mode(), "{baud} baud");
    }
}

#[test]
fn the_documented_receiver_reads_the_documented_frames() {
    let document = fs::read_to_string(root().join("docs/serial.md")).unwrap();
    let (_, rest) = document
        .split_once("```python\n")
        .expect("an example in Python");
    let (example, _) = rest.split_once("```").unwrap();
    let spawned = Command::new("python3")
        .args(["-c", example])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = spawned else {
        return skip("no python3");
    };
    python.stdin.take().unwrap().write_all(&golden()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "vgg19-lite: angry disgust fear happy sad surprise neutral\n\
         2.533 s: nobody\n\
         2.566 s: happy 87 %\n\
         4294967.296 s: happy 87 %, neutral 88 %\n"
    );
}
