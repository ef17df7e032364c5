use std::io;
use std::sync::{Mutex, mpsc};

use fer_models::Labels;
use rumqttc::Publish;

use super::*;

/// A connected runner without a thread or a broker, everything told.
fn runner() -> Runner {
    let device = Device {
        id: "lobby".to_owned(),
        name: "Lobby".to_owned(),
        model: "m".to_owned(),
        labels: Labels::fer2013(),
    };
    let shared = Shared {
        health: Arc::new(Health::new(7)),
        control: Arc::default(),
        refresh: Arc::default(),
    };
    let mut runner = Runner::new(Settings::default(), device, shared, mpsc::sync_channel(8));
    runner.session.connected();
    while runner.session.next().is_some() {}
    runner
}

fn message(topic: &str, payload: &str) -> Publish {
    Publish::new(topic, QoS::AtLeastOnce, payload)
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged, as by default, while something is done.
fn logged(does: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, does);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_others_send_fills_neither_the_log_nor_the_answers() {
    let mut runner = runner();
    let huge = "x".repeat(700_000);
    let log = logged(|| {
        runner.message(&message("fer/lobby/enabled/set", &huge));
        for _ in 0..1000 {
            runner.message(&message("fer/lobby/request/health", ""));
            runner.message(&message("fer/lobby/enabled/set", "OFF"));
            runner.message(&message("fer/lobby/enabled/set", "ON"));
        }
    });
    // Five a second, on a machine that may be busy.
    let lines = log.lines().count();
    assert!((1..100).contains(&lines), "{lines} lines");
    assert!(log.len() < 300 * lines, "{log}");
    assert!(!log.contains("request/health"), "{log}");

    let refused = runner.session.next().unwrap();
    assert_eq!(refused.topic, "fer/lobby/error");
    assert!(refused.payload.len() < 200, "{refused:?}");
    let answered = runner.session.next().unwrap();
    assert_eq!(answered.topic, "fer/lobby/response/health");
}

#[test]
fn a_message_that_no_connection_survives_is_named_each_time() {
    let mut runner = runner();
    for _ in 0..2 {
        let log = logged(|| runner.take(Wake::Link(Event::TooLarge(17 << 20))));
        assert!(log.contains("WARN"), "{log}");
        for topic in ["enabled/set", "threshold/set", "request/+"] {
            assert!(log.contains(&format!("fer/lobby/{topic}")), "{log}");
        }
        assert!(log.contains("homeassistant/status"), "{log}");
    }
}

#[test]
fn subscriptions_that_the_broker_refuses_are_told_once() {
    let mut runner = runner();
    let mut answer = |granted: [bool; 4]| {
        logged(|| runner.take(Wake::Link(Event::Subscribed(granted.to_vec()))))
    };
    assert_eq!(answer([true; 4]), "");
    let log = answer([true, false, true, false]);
    assert!(log.contains("WARN"), "{log}");
    let refused = "fer/lobby/threshold/set homeassistant/status";
    assert!(log.contains(refused), "{log}");
    assert!(!log.contains("request"), "{log}");
    assert_eq!(answer([true, false, true, false]), "");
    assert!(answer([false; 4]).contains("fer/lobby/enabled/set"));
}
