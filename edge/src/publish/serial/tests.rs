//! The sink on ports that fail on command. `tests/tests/serial` has the real ones.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Condvar, Mutex};

use fer_wire::{Camera, Decoder, Emotion, Frame, MAX_FRAME, Message, Status};

use super::*;
use crate::health;
use crate::publish::Face;

/// Longer than anything here takes, so that a test that fails ends.
const LONG: Duration = Duration::from_secs(20);

fn identity() -> Identity {
    Identity {
        firmware: "test 1".to_owned(),
        model: "m".to_owned(),
        labels: Labels::fer2013().into(),
    }
}

fn observation(seq: u64) -> Observation {
    Observation {
        seq,
        t_ms: 40 * seq,
        source: "demo".into(),
        file: String::new(),
        model: "m".into(),
        labels: Labels::fer2013().into(),
        faces: Vec::<Face>::new(),
    }
}

/// What a port does with a frame.
type Answer = io::Result<()>;

/// A port that shows what it gets, and answers as it is told; without an answer, it takes everything.
struct Scripted {
    sent: Sender<Vec<u8>>,
    answers: Arc<(Mutex<VecDeque<Answer>>, Condvar)>,
    finished: Arc<AtomicBool>,
}

impl Port for Scripted {
    fn send(&mut self, bytes: &[u8], _: Duration) -> io::Result<()> {
        let answer = self.answers.0.lock().unwrap().pop_front();
        self.answers.1.notify_all();
        answer.unwrap_or(Ok(()))?;
        self.sent.send(bytes.to_vec()).map_err(io::Error::other)
    }

    fn finish(&mut self, _: Duration) -> io::Result<()> {
        self.finished.store(true, Relaxed);
        Ok(())
    }
}

/// A sink, the frames that it sent, and the answers it will get.
struct Line {
    sink: Option<Serial>,
    health: Arc<Health>,
    frames: Receiver<Vec<u8>>,
    answers: Arc<(Mutex<VecDeque<Answer>>, Condvar)>,
    /// Whether a port was readied for being closed.
    finished: Arc<AtomicBool>,
    decoder: Decoder,
}

impl Line {
    /// A line with a port.
    fn start(settings: &Settings) -> Self {
        Self::start_on(settings, Arc::new(AtomicBool::new(true)))
    }

    /// A line whose port is there while it is `plugged`.
    fn start_on(settings: &Settings, plugged: Arc<AtomicBool>) -> Self {
        let (sent, frames) = mpsc::channel();
        let answers = Arc::<(Mutex<VecDeque<Answer>>, Condvar)>::default();
        let port_answers = answers.clone();
        let finished = Arc::<AtomicBool>::default();
        let port_finished = finished.clone();
        let open = move || {
            if !plugged.load(Relaxed) {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(Scripted {
                sent: sent.clone(),
                answers: port_answers.clone(),
                finished: port_finished.clone(),
            })
        };
        let health = Arc::new(Health::new(7));
        let sink =
            Serial::start_on(settings, "fake".into(), open, identity(), health.clone()).unwrap();
        Self {
            sink: Some(sink),
            health,
            frames,
            answers,
            finished,
            decoder: Decoder::new(),
        }
    }

    fn publish(&mut self, seq: u64) {
        self.sink
            .as_mut()
            .unwrap()
            .publish(&observation(seq))
            .unwrap();
    }

    /// The next frames' answers, until the sink has taken all of them.
    fn answer(&self, script: impl IntoIterator<Item = Answer>) {
        self.answers.0.lock().unwrap().extend(script);
    }

    fn answered(&self) {
        let (answers, changed) = &*self.answers;
        let waiting = changed
            .wait_timeout_while(answers.lock().unwrap(), LONG, |answers| !answers.is_empty())
            .unwrap();
        assert!(!waiting.1.timed_out());
    }

    fn next(&mut self) -> Frame<'_> {
        let bytes = self.frames.recv_timeout(LONG).expect("a frame");
        assert!(bytes.len() <= MAX_FRAME);
        self.decoder
            .feed(&mut &*bytes)
            .expect("whole")
            .expect("right")
    }

    fn hello(&mut self) {
        let frame = self.next();
        assert!(
            matches!(frame.message, Message::Hello(hello) if hello.labels[3] == "happy"),
            "{frame:?}"
        );
    }

    fn status(&mut self) -> Status {
        match self.next().message {
            Message::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn emotion(&mut self) -> Emotion {
        match self.next().message {
            Message::Emotion(emotion) => emotion,
            other => panic!("{other:?}"),
        }
    }
}

/// The longest time between two hellos: none comes that the test does not expect.
fn rare_hello() -> Settings {
    Settings {
        hello_secs: 3600,
        ..Settings::default()
    }
}

#[test]
fn hello_and_status_come_before_any_report() {
    let mut line = Line::start(&rare_hello());
    line.publish(5);
    line.hello();
    assert_eq!(line.status().camera, Camera::Opening);
    let report = line.emotion();
    assert_eq!((report.frame, report.t_ms, report.dropped), (5, 200, 0));
    assert!(line.health.serial_open());
}

#[test]
fn the_cameras_state_is_sent_when_it_changes() {
    let mut line = Line::start(&rare_hello());
    line.hello();
    assert_eq!(line.status().camera, Camera::Opening);
    line.health.set_camera(health::Camera::Stalled);
    assert_eq!(line.status().camera, Camera::Stalled);
}

#[test]
fn a_late_listener_hears_hello_again() {
    let settings = Settings {
        hello_secs: 1,
        ..Settings::default()
    };
    let mut line = Line::start(&settings);
    for _ in 0..2 {
        line.hello();
        line.status();
    }
}

#[test]
fn an_absent_port_is_tried_again_and_the_newest_reports_wait_for_it() {
    let settings = Settings {
        buffer: 2,
        ..rare_hello()
    };
    let plugged = Arc::new(AtomicBool::new(false));
    let mut line = Line::start_on(&settings, plugged.clone());
    for seq in 0..5 {
        line.publish(seq);
    }
    plugged.store(true, Relaxed);
    line.hello();
    assert_eq!(line.status().dropped, 3);
    let reports = [line.emotion(), line.emotion()];
    assert_eq!(reports.map(|r| (r.frame, r.dropped)), [(3, 3), (4, 3)]);
}

#[test]
fn a_port_that_was_pulled_is_opened_again_with_a_hello() {
    let mut line = Line::start(&rare_hello());
    line.hello();
    line.status();
    line.answer([Err(io::ErrorKind::BrokenPipe.into())]);
    line.publish(1);
    line.answered();
    line.publish(2);
    line.hello();
    line.status();
    let report = line.emotion();
    assert_eq!((report.frame, report.dropped), (2, 1));
}

#[test]
fn a_slow_line_loses_the_report_and_says_so() {
    let mut line = Line::start(&rare_hello());
    line.hello();
    line.status();
    line.answer([Err(io::ErrorKind::TimedOut.into())]);
    line.publish(1);
    line.answered();
    line.publish(2);
    let frame = line.next();
    let missed = frame.missed;
    assert!(
        matches!(frame.message, Message::Emotion(e) if e.frame == 2 && e.dropped == 1),
        "{frame:?}"
    );
    assert_eq!(missed, 1);
}

#[test]
fn a_state_that_the_line_did_not_take_is_sent_again() {
    let mut line = Line::start(&rare_hello());
    line.hello();
    line.status();
    line.answer([Err(io::ErrorKind::TimedOut.into())]);
    line.health.set_camera(health::Camera::Offline);
    line.answered();
    assert_eq!(line.status().camera, Camera::Offline);
}

#[test]
fn a_hello_that_the_line_did_not_take_is_sent_again() {
    let plugged = Arc::new(AtomicBool::new(false));
    let mut line = Line::start_on(&rare_hello(), plugged.clone());
    line.answer([Err(io::ErrorKind::TimedOut.into())]);
    plugged.store(true, Relaxed);
    line.hello();
    line.status();
}

#[test]
fn what_is_left_when_a_stuck_line_is_closed_counts_as_lost() {
    let mut line = Line::start(&rare_hello());
    line.hello();
    line.status();
    line.answer((0..100).map(|_| -> Answer { Err(io::ErrorKind::TimedOut.into()) }));
    for seq in 0..3 {
        line.publish(seq);
    }
    line.sink = None;
    assert!(line.frames.recv().is_err());
    assert_eq!(line.health.serial_dropped(), 3);
}

#[test]
fn closing_sends_what_waits() {
    let mut line = Line::start(&rare_hello());
    for seq in 0..3 {
        line.publish(seq);
    }
    line.sink = None;
    line.hello();
    line.status();
    let last = [line.emotion(), line.emotion(), line.emotion()];
    assert_eq!(last.map(|r| r.frame), [0, 1, 2]);
    assert!(line.finished.load(Relaxed));
    assert!(!line.health.serial_open());
}

#[test]
fn a_slow_line_that_is_closed_gets_no_more_than_it_can_send_and_the_rest_counts_as_lost() {
    const REPORTS: u64 = 4000;
    let settings = Settings {
        baud: 1200,
        buffer: REPORTS as usize,
        ..rare_hello()
    };
    let mut line = Line::start(&settings);
    line.hello();
    line.status();
    for seq in 0..REPORTS {
        line.publish(seq);
    }
    line.sink = None;
    // they would take more than eight minutes
    let lost = line.health.serial_dropped();
    assert!(lost > 0);
    assert_eq!(line.frames.iter().count() as u64 + lost, REPORTS);
}

#[test]
fn closing_does_not_wait_for_an_absent_port() {
    let mut line = Line::start_on(&rare_hello(), Arc::default());
    line.publish(0);
    line.sink = None;
    assert!(line.frames.recv().is_err());
    assert_eq!(line.health.serial_dropped(), 1);
}

#[test]
fn what_does_not_fit_a_frame_is_refused_at_the_start() {
    let start = |identity| {
        let open = || -> io::Result<Scripted> { Err(io::ErrorKind::NotFound.into()) };
        let health = Arc::new(Health::new(7));
        Serial::start_on(&Settings::default(), "fake".into(), open, identity, health).map(|_| ())
    };
    let many = Labels::new((0..17).map(|i| i.to_string()).collect()).unwrap();
    let error = start(Identity {
        labels: many.into(),
        ..identity()
    });
    assert!(matches!(error, Err(SerialError::Labels(17))), "{error:?}");
    let error = start(Identity {
        model: "x".repeat(33),
        ..identity()
    });
    assert!(matches!(error, Err(SerialError::Name(_))), "{error:?}");
}
