//! Server-sent events: the JSON lines as they come, and nobody holds up anybody.

use fer_edge::health::Camera;
use fer_edge::publish::Sink;
use fer_edge::publish::jsonl::JsonLines;

use crate::client::{Events, get};
use crate::running::{observation, settings, start};

#[test]
fn every_reader_gets_the_json_lines() {
    let mut running = start(&settings());
    let mut readers = [Events::open(running.address), Events::open(running.address)];
    for (seq, label) in ["happy", "", "sad"].into_iter().enumerate() {
        let seq = seq as u64;
        running.show(seq, label);
        let mut line = Vec::new();
        JsonLines::new(&mut line)
            .publish(&observation(seq, label))
            .unwrap();
        for reader in &mut readers {
            assert_eq!(
                reader.observation(),
                String::from_utf8_lossy(&line).trim_end()
            );
        }
    }
}

#[test]
fn a_change_of_the_camera_is_told_at_once() {
    let running = start(&settings());
    let mut events = Events::open(running.address);
    running.health.set_camera(Camera::Stalled);
    while let Some((kind, data)) = events.next() {
        assert_eq!(kind, "status");
        if data.contains("\"camera\":\"stalled\"") {
            return;
        }
    }
    panic!("the stream ended");
}

#[test]
fn a_reader_that_takes_nothing_is_dropped_and_holds_up_nobody() {
    let mut settings = settings();
    settings.write_timeout_ms = 100;
    let mut running = start(&settings);
    let (mut slow, mut quick) = (Events::open(running.address), Events::open(running.address));
    let mut large = observation(0, "happy");
    large.source = "x".repeat(64 << 10).into();
    // More than the buffers of any socket hold, in step with the quick reader.
    const EVENTS: u64 = 1024;
    for seq in 0..EVENTS {
        large.seq = seq;
        running.sink.publish(&large).unwrap();
        let line = quick.observation();
        assert!(line.contains(&format!("\"seq\":{seq},")), "{seq}");
    }
    let mut got = 0;
    // The end of the stream may cut its last line.
    while slow.next().is_some() {
        got += 1;
    }
    assert!(got < EVENTS, "{got} events");
    assert_eq!(get(running.address, "/healthz", "").status, 200);
}

#[test]
fn dropping_the_server_ends_every_stream_and_frees_the_port() {
    let mut settings = settings();
    let running = start(&settings);
    settings.listen = running.address;
    let mut events = Events::open(running.address);
    drop(running.server);
    while events.next().is_some() {}
    let again = start(&settings);
    assert_eq!(again.address, settings.listen);
}
