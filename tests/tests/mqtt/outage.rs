//! A broker that dies at any moment costs nothing but time.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fer_edge::publish::mqtt::Settings;
use fer_tests::skip;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::broker::Broker;
use super::client::Client;
use super::device::{Kiosk, eventually, settings};
use super::gate::Gate;

const ANYBODY: &str = "allow_anonymous true";
const DEATHS: usize = 100;
const FRAME: Duration = Duration::from_millis(20);

/// Sequence number and time of a report.
type Heard = (u64, f64);

/// What the pipeline's thread did.
struct Frames {
    /// When each report was made.
    made: BTreeMap<u64, f64>,
    /// How long all of it took.
    elapsed: Duration,
    /// How long each call took.
    calls: Vec<Duration>,
    kiosk: Kiosk,
}

/// Publishes a frame every 20 ms, each of which is news, until told to stop.
fn publish(mut kiosk: Kiosk, stop: &AtomicBool) -> Frames {
    let (mut made, mut calls) = (BTreeMap::new(), Vec::new());
    let start = Instant::now();
    for seq in 0.. {
        if stop.load(Relaxed) {
            break;
        }
        let due = FRAME * u32::try_from(seq).unwrap();
        thread::sleep(due.saturating_sub(start.elapsed()));
        made.insert(
            seq,
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs_f64(),
        );
        let called = Instant::now();
        kiosk.see_change(seq);
        calls.push(called.elapsed());
    }
    Frames {
        made,
        elapsed: start.elapsed(),
        calls,
        kiosk,
    }
}

/// Listens to one life of the broker, until its end or the report that is waited for.
fn listen(mut ears: Client, last: Option<u64>) -> JoinHandle<Vec<Heard>> {
    thread::spawn(move || {
        let mut heard: Vec<Heard> = Vec::new();
        while last.is_none_or(|last| heard.last().is_none_or(|(seq, _)| *seq < last)) {
            let Some(message) = ears.next() else { break };
            let report = message.json();
            heard.push((
                report["seq"].as_u64().unwrap(),
                report["ts"].as_f64().unwrap(),
            ));
        }
        heard
    })
}

fn ears(port: u16) -> Client {
    let mut ears = Client::connect(port);
    ears.subscribe(&["fer/kiosk/emotion"]);
    ears
}

fn resident_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[test]
fn a_hundred_deaths_of_the_broker_lose_no_report_and_slow_no_frame() {
    let Some(mut broker) = Broker::start(ANYBODY, |_| ()) else {
        return;
    };
    let gate = Gate::new(broker.port());
    let mut rng = StdRng::seed_from_u64(4);
    let mut lives = Vec::new();
    let mut memory = Vec::new();
    let stop = AtomicBool::new(false);

    let frames = thread::scope(|scope| {
        // On a busy machine the publisher may miss most lives of the broker.
        let roomy = Settings {
            buffer: 100_000,
            ..settings(gate.port())
        };
        let kiosk = Kiosk::start(&roomy);
        let publisher = scope.spawn(|| publish(kiosk, &stop));
        for _ in 0..DEATHS {
            let life = listen(ears(broker.port()), None);
            gate.open();
            // Not to wait for anything: the moment of death is the point.
            thread::sleep(Duration::from_millis(rng.random_range(5..350)));
            broker.kill();
            gate.close();
            lives.push(life.join().unwrap());
            memory.push(resident_kilobytes());
            thread::sleep(Duration::from_millis(rng.random_range(0..100)));
            broker.restart();
        }
        stop.store(true, Relaxed);
        publisher.join().unwrap()
    });
    let last = frames.calls.len() as u64 - 1;
    let life = listen(ears(broker.port()), Some(last));
    gate.open();
    lives.push(life.join().unwrap());

    assert_eq!(
        frames.kiosk.health.mqtt_dropped(),
        0,
        "the buffer was too small"
    );
    let mut next = 0;
    let mut twice = 0;
    for heard in &lives {
        let ordered = heard.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(
            ordered,
            "twice or out of order on one connection: {heard:?}"
        );
        for &(seq, ts) in heard {
            assert!(seq <= next, "report {seq} came, but {next} has not");
            assert!(
                (ts - frames.made[&seq]).abs() < 0.1,
                "report {seq} has the time of its sending"
            );
            twice += usize::from(seq < next);
            next = next.max(seq + 1);
        }
    }
    assert_eq!(next, last + 1, "reports are missing at the end");
    let useful = lives.iter().filter(|heard| !heard.is_empty()).count();
    assert!(
        useful > DEATHS / 10,
        "only {useful} lives heard of anything"
    );

    let fps = frames.made.len() as f64 / frames.elapsed.as_secs_f64();
    let nominal = 1.0 / FRAME.as_secs_f64();
    assert!(
        (fps / nominal - 1.0).abs() < 0.01,
        "{fps} frames a second, not {nominal}"
    );
    let mut calls = frames.calls;
    calls.sort_unstable();
    let (median, late) = (calls[calls.len() / 2], calls[calls.len() * 99 / 100]);
    assert!(
        late < FRAME,
        "publish() took {late:?} in one of a hundred calls"
    );
    let (before, after) = (memory[DEATHS / 5], memory[DEATHS - 1]);
    assert!(after < before + 6144, "{before} kB grew to {after} kB");
    skip::note(&format!(
        "{DEATHS} broker deaths, {useful} with reports in between: {next} reports, all in order, {twice} sent again; {fps:.2} frames a \
         second; publish() {median:?} median, {late:?} 99th percentile; {} kB after one death, {before} kB after {}, {after} kB at the end",
        memory[0],
        DEATHS / 5
    ));
}

#[test]
fn beyond_the_buffer_the_oldest_reports_go_and_are_counted() {
    let Some(broker) = Broker::start(ANYBODY, |_| ()) else {
        return;
    };
    let gate = Gate::new(broker.port());
    let small = Settings {
        buffer: 64,
        ..settings(gate.port())
    };
    let mut kiosk = Kiosk::start(&small);
    // Each makes two reports: an event and the emotion.
    (0..100).for_each(|seq| kiosk.see_change(seq));
    let life = listen(ears(broker.port()), Some(99));
    eventually("all reports taken in", || {
        kiosk.health.mqtt_dropped() == 200 - 64
    });
    gate.open();
    let heard: Vec<u64> = life
        .join()
        .unwrap()
        .into_iter()
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(heard, (68..100).collect::<Vec<_>>());
}
