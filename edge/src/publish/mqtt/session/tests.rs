use super::*;
use proptest::prelude::*;

fn session(buffer: usize) -> Session {
    Session::new(Topics::new("fer", "homeassistant", "lobby"), buffer)
}

fn report(number: u32) -> Report {
    Report {
        kind: Kind::Emotion,
        payload: number.to_be_bytes().to_vec(),
    }
}

fn topics(session: &mut Session) -> Vec<String> {
    std::iter::from_fn(|| session.next().map(|message| message.topic)).collect()
}

#[test]
fn nothing_is_sent_without_a_connection() {
    let mut session = session(64);
    session.set(Level::Camera, b"online");
    session.report(report(0));
    assert_eq!(session.next(), None);
}

#[test]
fn a_new_connection_hears_levels_then_online_then_the_backlog() {
    let mut session = session(64);
    session.set(Level::Availability, b"online");
    session.set(Level::Camera, b"online");
    session.set(Level::Discovery, b"{}");
    session.report(report(0));
    for _ in 0..2 {
        session.connected();
        assert_eq!(
            topics(&mut session),
            [
                "homeassistant/device/lobby/config",
                "fer/lobby/camera/state",
                "fer/lobby/availability",
                "fer/lobby/emotion",
            ]
        );
        session.lost();
    }
}

#[test]
fn an_unchanged_level_is_not_told_again() {
    let mut session = session(64);
    session.connected();
    session.set(Level::Camera, b"online");
    assert_eq!(topics(&mut session).len(), 1);
    session.set(Level::Camera, b"online");
    assert_eq!(topics(&mut session).len(), 0);
    session.set(Level::Camera, b"stalled");
    let message = session.next().unwrap();
    assert_eq!(
        (message.payload.as_slice(), message.retain),
        (&b"stalled"[..], true)
    );
}

#[test]
fn the_window_bounds_what_is_on_its_way() {
    let mut session = session(64);
    session.connected();
    (0..40).for_each(|n| assert!(!session.report(report(n))));
    assert_eq!(topics(&mut session).len(), WINDOW);
    session.numbered(1);
    session.confirmed(1);
    session.confirmed(1);
    assert_eq!(topics(&mut session).len(), 1);
    assert_eq!(session.waiting(), 39);
}

#[test]
fn stopped_is_the_last_word_and_is_waited_for() {
    let mut session = session(64);
    session.set(Level::Availability, b"online");
    session.connected();
    session.report(report(0));
    session.stop();
    let sent: Vec<_> = std::iter::from_fn(|| session.next()).collect();
    let last = sent.last().unwrap();
    assert_eq!(sent.len(), 2);
    assert_eq!(last.payload, b"stopped");
    for packet in [1, 2] {
        assert!(!session.is_done());
        session.numbered(packet);
        session.confirmed(packet);
    }
    assert!(session.is_done());
}

#[test]
fn answers_do_not_outlive_their_connection_and_are_bounded() {
    let mut session = session(64);
    let answer = || Answer {
        topic: "t".to_owned(),
        payload: Vec::new(),
    };
    session.answer(answer());
    session.connected();
    assert_eq!(session.next(), None);
    (0..2 * ANSWERS).for_each(|_| session.answer(answer()));
    session.lost();
    session.connected();
    assert_eq!(session.next(), None);
}

/// One step in the life of a connection to the worst of brokers.
#[derive(Debug, Clone)]
enum Step {
    /// This many reports are made.
    Report(u8),
    /// This many messages are sent, of which the broker takes in the first ones.
    Send {
        sent: u8,
        taken: u8,
    },
    /// The broker's confirmations of this many messages reach us.
    Confirm(u8),
    Lose,
    Connect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..6).prop_map(Step::Report),
        4 => (0u8..20, 0u8..20).prop_map(|(sent, taken)| Step::Send { sent, taken }),
        4 => (1u8..20).prop_map(Step::Confirm),
        1 => Just(Step::Lose),
        2 => Just(Step::Connect),
    ]
}

/// Packet numbers as rumqttc gives them, and what the broker has taken in.
#[derive(Default)]
struct Broker {
    packet: u16,
    unconfirmed: VecDeque<u16>,
    /// Bytes after a gap never arrive: a connection is one stream.
    broken: bool,
    taken: Vec<u32>,
}

impl Broker {
    fn send(&mut self, session: &mut Session, sent: usize, taken: usize) {
        for place in 0..sent {
            let Some(message) = session.next() else {
                return;
            };
            self.packet = self.packet % 100 + 1;
            session.numbered(self.packet);
            self.broken |= place >= taken;
            if !self.broken {
                self.unconfirmed.push_back(self.packet);
                if let Ok(number) = message.payload.try_into() {
                    self.taken.push(u32::from_be_bytes(number));
                }
            }
        }
    }

    fn confirm(&mut self, session: &mut Session, count: usize) {
        for packet in self.unconfirmed.drain(..count.min(self.unconfirmed.len())) {
            session.confirmed(packet);
        }
    }

    fn new_connection(&mut self) {
        self.unconfirmed.clear();
        self.broken = false;
        self.packet = 0;
    }
}

proptest! {
    /// Whatever is lost where: every report arrives, in order, and none twice on one connection.
    #[test]
    fn every_report_arrives_in_order_however_the_connection_behaves(
        steps in proptest::collection::vec(step(), 1..200)
    ) {
        let mut session = session(4096);
        let mut broker = Broker::default();
        let (mut made, mut up) = (0, false);
        for step in steps {
            match step {
                Step::Report(count) => (0..count).for_each(|_| {
                    session.report(report(made));
                    made += 1;
                }),
                Step::Send { sent, taken } => {
                    broker.send(&mut session, sent.into(), taken.into());
                }
                Step::Confirm(count) => broker.confirm(&mut session, count.into()),
                Step::Connect if !up => {
                    broker.new_connection();
                    session.connected();
                    up = true;
                }
                Step::Connect => {}
                Step::Lose => {
                    session.lost();
                    up = false;
                }
            }
        }
        session.lost();
        broker.new_connection();
        session.connected();
        while session.waiting() > 0 {
            broker.send(&mut session, WINDOW, WINDOW);
            broker.confirm(&mut session, WINDOW);
        }
        let mut arrived = 0;
        for number in broker.taken {
            prop_assert!(number <= arrived, "{} came before {}", number, arrived);
            arrived = arrived.max(number + 1);
        }
        prop_assert_eq!(arrived, made);
    }
}
