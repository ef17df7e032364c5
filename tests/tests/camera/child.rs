//! Real children that stand in for `rpicam-vid`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fer_edge::capture::Frame;
use fer_edge::capture::camera::child::{ChildCamera, Layout};
use fer_edge::capture::camera::{Driver, Fault, Got};
use fer_edge::health::Camera::{Offline, Online, Opening, Stalled};
use fer_tests::program::{Ran, program};

use crate::rig::{Rig, settings};

/// Bytes of a picture of 64x48 as rpicam-vid writes it.
const LEN: usize = 64 * 48 * 3 / 2;

/// A script that behaves as `fault` says the first time, after three good pictures, and well after
/// that.
fn script(dir: &Path, fault: &str) -> PathBuf {
    let path = dir.join("rpicam-vid");
    let text = format!(
        "#!/bin/sh\n\
         here=${{0%/*}}\n\
         picture() {{ head -c {LEN} /dev/urandom; }}\n\
         if mkdir \"$here/failed\" 2>/dev/null; then\n\
         for i in 1 2 3; do picture; sleep 0.04; done\n\
         {fault}\n\
         fi\n\
         while picture; do sleep 0.04; done\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn camera(program: &Path) -> ChildCamera {
    ChildCamera {
        programs: vec![program.into()],
        args: Vec::new(),
        layout: Layout::rpicam(64, 48),
        interval: Duration::from_millis(40),
    }
}

/// Runs a camera with one fault until it is back; returns it.
fn back_after(fault: &str) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(&settings(), camera(&script(dir.path(), fault)));
    rig.until_back(1, 3);
    rig.seen
        .passed(&[Opening, Online, Offline, Opening, Online]);
    rig.seen
        .paused_at_most(Duration::from_millis(settings().retry_max_ms));
    assert!(rig.seen.health.reconnects() >= 1);
    rig
}

#[test]
fn a_killed_child_is_started_again() {
    back_after("kill -9 $$");
}

#[test]
fn a_child_that_ends_with_an_error_is_started_again() {
    back_after("echo 'ERROR: *** no cameras available ***' >&2; exit 255");
}

#[test]
fn a_hung_child_stalls_and_is_replaced() {
    let rig = back_after("sleep 1000");
    rig.seen
        .passed(&[Online, Stalled, Offline, Opening, Online]);
}

#[test]
fn a_hung_child_that_ignores_sigterm_is_replaced_too() {
    back_after("trap '' TERM; sleep 1000 & wait; sleep 1000");
}

#[test]
fn a_frozen_picture_stalls_and_is_replaced() {
    let rig = back_after(&format!(
        "while head -c {LEN} /dev/zero; do sleep 0.04; done"
    ));
    rig.seen
        .passed(&[Online, Stalled, Offline, Opening, Online]);
}

#[test]
fn a_truncated_picture_at_the_end_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let fault = format!("head -c {} /dev/zero; exit 0", LEN - 1);
    let mut rig = Rig::new(&settings(), camera(&script(dir.path(), &fault)));
    let mut frame = Frame::default();
    for _ in 0..6 {
        rig.step(&mut frame);
        assert_eq!((frame.width, frame.height), (64, 48));
        assert!(
            frame.pixels.iter().any(|&p| p != 0),
            "the cut picture was black"
        );
    }
    rig.seen.passed(&[Online, Offline, Opening, Online]);
}

#[test]
fn pictures_of_another_size_are_noticed() {
    back_after(&format!(
        "while head -c {} /dev/urandom; do sleep 0.04; done",
        LEN + 640
    ));
}

#[test]
fn garbage_and_an_end_are_survived() {
    back_after("head -c 1000003 /dev/urandom; exit 1");
}

#[test]
fn a_talkative_child_is_not_blocked() {
    back_after(
        "head -c 1000000 /dev/urandom >&2; for i in 1 2 3; do picture; sleep 0.04; done; exit 1",
    );
}

#[test]
fn the_last_words_of_a_child_are_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(
        dir.path(),
        "echo first >&2; echo 'no cameras available' >&2; exit 3",
    );
    let mut feed = camera(&program).open().unwrap();
    let mut frame = Frame::default();
    let deadline = Instant::now() + Duration::from_secs(20);
    let fault = loop {
        assert!(Instant::now() < deadline);
        if let Err(fault) = feed.next(&mut frame, Duration::from_millis(100)) {
            break fault;
        }
    };
    assert!(matches!(fault, Fault::Ended { .. }));
    let text = fault.to_string();
    assert!(
        text.ends_with("ended (exit status: 3): no cameras available"),
        "{text}"
    );
}

#[test]
fn a_restart_that_was_asked_for_opens_it_from_scratch() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(&settings(), camera(&script(dir.path(), "")));
    let mut frame = Frame::default();
    rig.step(&mut frame);
    rig.control.restart_camera();
    rig.step(&mut frame);
    assert_eq!(rig.seen.health.reconnects(), 1);
}

#[test]
fn a_childs_helpers_end_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(
        dir.path(),
        "sleep 1000 & echo $! > \"$here/helper\"; picture; wait",
    );
    let mut feed = camera(&program).open().unwrap();
    let mut frame = Frame::default();
    let mut pictures = 0;
    while pictures < 4 {
        let got = feed.next(&mut frame, Duration::from_millis(100)).unwrap();
        pictures += usize::from(got == Got::Picture);
    }
    let helper = fs::read_to_string(dir.path().join("helper")).unwrap();
    drop(feed);
    // Somebody else's zombie by now: whoever adopted it may take a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    let alive = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", helper.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    while alive() {
        assert!(Instant::now() < deadline, "the helper lives on");
        std::thread::yield_now();
    }
}

#[test]
fn the_program_runs_what_is_on_path() {
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("rpicam-vid");
    let (args, pid) = (dir.path().join("args"), dir.path().join("pid"));
    // The default size, 640x480 in yuv420.
    let text = format!(
        "#!/bin/sh\necho \"$*\" > {}\necho $$ > {}\nwhile head -c 460800 /dev/urandom; do sleep 0.03; done\n",
        args.display(),
        pid.display()
    );
    fs::write(&fake, text).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let run = ["run", "rpicam:1", "--frames", "3", "--detector", "none"];
    let output = Ran::of(program("fer-edge").args(run).env("PATH", &path)).success();
    assert_eq!(output.lines().count(), 3, "{output}");
    assert!(output.contains("\"source\":\"rpicam:1\""), "{output}");
    let args = fs::read_to_string(args).unwrap();
    assert!(
        args.contains("--codec yuv420 --camera 1 --width 640 --height 480"),
        "{args}"
    );
    let pid = fs::read_to_string(pid).unwrap();
    assert!(
        !Path::new("/proc").join(pid.trim()).exists(),
        "the child is still there"
    );

    let listed = Ran::of(program("fer-edge").arg("cameras").env("PATH", &path)).success();
    assert!(
        listed.contains(&format!("{}\n  use      rpicam\n", fake.display())),
        "{listed}"
    );
}
