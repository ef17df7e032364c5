//! `fer-edge run` for two hours at 30 frames a second with every sink on: memory stays where it was.
//!
//! Too long for every day, so it is asked for by name:
//!
//! ```sh
//! cargo test --workspace --test soak -- --ignored --nocapture
//! FER_SOAK_MINUTES=5 cargo test --workspace --test soak -- --ignored --nocapture
//! ```

mod film;
mod listeners;

#[path = "../mqtt/broker.rs"]
mod broker;
#[path = "../serial/pty.rs"]
#[expect(dead_code, reason = "nothing is sent back to the port here")]
mod pty;

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fer_tests::program::program;
use fer_tests::skip::note;

use broker::Broker;
use pty::Cable;

/// Memory is compared with what it was after the first minute.
const WARM_UP: Duration = Duration::from_secs(60);
/// How much it may differ at the end.
const MOST_GROWTH: f64 = 0.05;

/// The daemon, ended with the test.
struct Daemon(Child);

impl Daemon {
    /// Resident memory in KiB.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a running process").parse().unwrap()
    }

    /// Open file descriptors.
    fn descriptors(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.0.id()));
        folder.unwrap().count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every sink there is, each with somebody who listens.
fn configuration(broker: &Broker, cable: &Cable, http: u16) -> String {
    format!(
        "[mqtt]\nhost = \"127.0.0.1\"\nport = {}\nheartbeat_s = 1\nhealth_s = 5\n\
         [serial]\nport = {:?}\n\
         [http]\nenabled = true\nlisten = \"127.0.0.1:{http}\"\n\
         [led]\nsysfs = {:?}\n\
         [service]\nid = \"soak\"\n",
        broker.port(),
        cable.port(),
        broker.folder().join("led"),
    )
}

#[test]
#[ignore = "two hours, by hand before a release; CI asks for two minutes of it with FER_SOAK_MINUTES"]
fn memory_stays_within_five_percent() {
    let minutes = std::env::var("FER_SOAK_MINUTES").map_or(120, |m| m.parse().expect("minutes"));
    let Some(broker) = Broker::start("allow_anonymous true", |_| ()) else {
        return;
    };
    let cable = Cable::new();
    let http = broker::free_port();
    let led = broker.folder().join("led");
    fs::create_dir(&led).unwrap();
    for file in ["brightness", "max_brightness", "trigger"] {
        fs::write(led.join(file), "1\n").unwrap();
    }
    let file = broker.folder().join("fer-edge.toml");
    fs::write(&file, configuration(&broker, &cable, http)).unwrap();

    let mut command = program("fer-edge");
    command
        .args(["run", "--realtime", "--config"])
        .arg(&file)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut daemon = Daemon(command.spawn().unwrap());
    film::play(daemon.0.stdin.take().unwrap());
    let lines = listeners::lines(daemon.0.stdout.take().unwrap());
    let serial = listeners::serial(cable);
    let events = listeners::events(http);

    let start = Instant::now();
    thread::sleep(WARM_UP);
    let (first, descriptors) = (daemon.resident(), daemon.descriptors());
    note("minute  resident KiB  descriptors  lines  events  serial bytes");
    let mut last = first;
    let counts = || [lines.count(), serial.count(), events.count()];
    let mut heard = counts();
    for minute in 1..=minutes {
        thread::sleep((WARM_UP * minute).saturating_sub(start.elapsed()));
        last = daemon.resident();
        let before = std::mem::replace(&mut heard, counts());
        let all_speak = minute == 1 || before.iter().zip(&heard).all(|(before, now)| now > before);
        assert!(all_speak, "minute {minute}: a sink is silent: {heard:?}");
        note(&format!(
            "{minute:6}  {last:12}  {:11}  {:5}  {:6}  {:12}",
            daemon.descriptors(),
            lines.count(),
            events.count(),
            serial.count(),
        ));
    }
    let seconds = start.elapsed().as_secs_f64();
    let metrics = listeners::get(http, "/metrics");
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("fer_frames") || line.starts_with("fer_mqtt"))
    {
        note(line);
    }
    let growth = last as f64 / first as f64 - 1.0;
    let rate = lines.count() as f64 / seconds;
    note(&format!(
        "{first} KiB after a minute, {last} KiB after {:.0} minutes: {:+.2} %; {rate:.2} frames a second",
        seconds / 60.0,
        100.0 * growth
    ));
    assert!(growth.abs() <= MOST_GROWTH, "memory changed by {growth}");
    assert_eq!(daemon.descriptors(), descriptors, "open files");
    assert!(heard.iter().all(|&count| count > 0), "a sink was silent");
    assert!(metrics.contains("fer_mqtt_connected 1"), "{metrics}");
}
