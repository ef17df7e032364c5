//! A year of opening and closing cameras, in seconds. Alone in its process, as it counts what the
//! process has open.

use std::fs;
use std::time::Duration;

use fer_edge::capture::Frame;
use fer_edge::capture::camera::child::{ChildCamera, Layout};
use fer_edge::capture::camera::{Driver, Got};

/// Open file descriptors of this process.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Children of this process, zombies included, with their state.
fn children() -> Vec<String> {
    let me = format!(" {} ", std::process::id());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|p| fs::read_to_string(p.path().join("stat")).ok());
    // After the name in brackets: state, parent.
    let rest = stats.filter_map(|stat| Some(stat.rsplit_once(')')?.1[..].to_owned()));
    rest.filter(|rest| rest.get(2..).is_some_and(|r| r.starts_with(&me)))
        .collect()
}

fn quick(program: &str, args: &[&str]) -> ChildCamera {
    ChildCamera {
        programs: vec![program.into()],
        args: args.iter().map(|&a| a.to_owned()).collect(),
        layout: Layout::gray8(8, 8),
        interval: Duration::from_millis(40),
    }
}

#[test]
fn a_thousand_openings_leave_no_descriptor_and_no_zombie() {
    let before = descriptors();
    let mut frame = Frame::default();
    let mut ends = quick("true", &[]);
    for _ in 0..1_000 {
        let mut feed = ends.open().unwrap();
        // Ends by itself; the feed says so at some time.
        while feed.next(&mut frame, Duration::from_millis(50)).is_ok() {}
    }
    assert_eq!(
        (descriptors(), children()),
        (before, vec![]),
        "after children that ended"
    );

    let mut stays = quick("cat", &["/dev/zero"]);
    for _ in 0..200 {
        let mut feed = stays.open().unwrap();
        while feed.next(&mut frame, Duration::from_millis(50)).unwrap() != Got::Picture {}
    }
    assert_eq!(
        (descriptors(), children()),
        (before, vec![]),
        "after children that were ended"
    );

    let mut missing = quick("/nowhere/rpicam-vid", &[]);
    for _ in 0..1_000 {
        assert!(missing.open().is_err());
    }
    assert_eq!(
        (descriptors(), children()),
        (before, vec![]),
        "after failed starts"
    );
}
