//! The publisher's thread: joins [`Session`] and [`link`], and keeps time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use rumqttc::{Client, QoS};

use super::backoff::Backoff;
use super::buffer::Report;
use super::commands::{Command, Request};
use super::link::{self, Event};
use super::quota::Quota;
use super::session::{Level, Session};
use super::settings::Settings;
use super::topics::Topics;
use super::watch::Watch;
use super::{Device, discovery};
use crate::control::Control;
use crate::health::Health;

/// How often levels that others set, such as the camera's state, are looked at.
const GLANCE: Duration = Duration::from_millis(250);

/// How long an orderly end may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// What wakes the thread.
pub(super) enum Wake {
    /// A report was made.
    Report(Report),
    /// The number of faces has changed.
    Faces(usize),
    /// Something happened on the link.
    Link(Event),
    /// Say goodbye and end.
    Stop,
}

/// What the thread shares with others.
pub(super) struct Shared {
    pub(super) health: Arc<Health>,
    pub(super) control: Arc<Control>,
    /// Asks the pipeline to report what it sees with the next frame, changed or not.
    pub(super) refresh: Arc<AtomicBool>,
}

/// Where the connection is in its life.
enum State {
    /// Until the next try.
    Waiting(Instant),
    Connecting,
    /// Since when.
    Up(Client, Instant),
    /// The goodbye is on its way; the link ends when the broker closes it.
    Leaving,
}

pub(super) struct Runner {
    settings: Settings,
    client_id: String,
    topics: Topics,
    shared: Shared,
    wakes: Receiver<Wake>,
    sender: SyncSender<Wake>,
    state: State,
    session: Session,
    backoff: Backoff,
    watch: Watch,
    connects: u64,
    /// Why the last connection ended, so that the same reason is told once.
    trouble: Option<String>,
    /// The topics that the broker refused to pass on, so that they are told once.
    refused: Vec<String>,
    /// For the lines about commands.
    quota: Quota,
    /// When an orderly end has to be over.
    stop_at: Option<Instant>,
}

impl Runner {
    pub(super) fn new(
        settings: Settings,
        device: Device,
        shared: Shared,
        (sender, wakes): (SyncSender<Wake>, Receiver<Wake>),
    ) -> Self {
        let now = Instant::now();
        let topics = Topics::new(
            &settings.topic_prefix,
            &settings.discovery_prefix,
            &device.id,
        );
        let mut session = Session::new(topics.clone(), settings.buffer);
        session.set(Level::Availability, b"online");
        session.set(Level::Faces, b"0");
        if settings.discovery {
            let document = discovery::document(&device, &settings, &topics).to_string();
            session.set(Level::Discovery, document.as_bytes());
        }
        let milliseconds = |ms: u32| Duration::from_millis(ms.into());
        Self {
            client_id: settings.client_id(&device.id),
            backoff: Backoff::new(
                milliseconds(settings.retry_first_ms),
                milliseconds(settings.retry_cap_ms),
            ),
            watch: Watch::new(
                Arc::clone(&shared.health),
                Arc::clone(&shared.control),
                device.model,
                Duration::from_secs(settings.health_s.into()),
                now,
            ),
            settings,
            topics,
            shared,
            wakes,
            sender,
            state: State::Waiting(now),
            session,
            connects: 0,
            trouble: None,
            refused: Vec::new(),
            quota: Quota::default(),
            stop_at: None,
        }
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        loop {
            let now = Instant::now();
            if self.is_over(now) {
                break;
            }
            if matches!(self.state, State::Waiting(until) if until <= now) {
                self.connect();
            }
            if matches!(self.state, State::Up(..)) {
                self.watch.look(now, self.connects, &mut self.session);
                self.send();
            }
            // An error is the end of patience: the channel stays open, we hold a sender ourselves.
            if let Ok(wake) = self.wakes.recv_timeout(self.patience(now)) {
                self.take(wake);
            }
        }
        self.shared.health.set_mqtt_connected(false);
        if self.session.waiting() > 0 {
            tracing::warn!(
                reports = self.session.waiting(),
                "not delivered to the broker"
            );
        }
    }

    /// How long nothing has to be done unless something happens.
    fn patience(&self, now: Instant) -> Duration {
        let until = match self.state {
            State::Waiting(until) => until,
            State::Connecting | State::Up(..) | State::Leaving => now + GLANCE,
        };
        let until = self.stop_at.map_or(until, |stop| stop.min(until));
        until.saturating_duration_since(now)
    }

    fn take(&mut self, wake: Wake) {
        match wake {
            Wake::Report(report) => {
                if self.session.report(report) {
                    self.shared.health.count_mqtt_dropped(1);
                }
            }
            Wake::Faces(count) => self.session.set(Level::Faces, count.to_string().as_bytes()),
            Wake::Link(Event::Connected(client)) => self.connected(client),
            Wake::Link(Event::Numbered(number)) => self.session.numbered(number),
            Wake::Link(Event::Confirmed(number)) => self.session.confirmed(number),
            Wake::Link(Event::Subscribed(granted)) => self.subscribed(&granted),
            Wake::Link(Event::Message(message)) => self.message(&message),
            Wake::Link(Event::TooLarge(bytes)) => self.too_large(bytes),
            Wake::Link(Event::Down(reason)) => self.down(reason),
            Wake::Stop => {
                self.session.stop();
                self.stop_at = Some(Instant::now() + GOODBYE);
            }
        }
    }

    fn connect(&mut self) {
        let sender = self.sender.clone();
        let opened = link::options(&self.settings, &self.client_id)
            .map_err(|error| error.to_string())
            .and_then(|mut options| {
                options.last_will = Some(link::last_will(&self.topics.availability));
                let deliver = move |event| sender.send(Wake::Link(event)).is_ok();
                link::open(options, deliver).map_err(|error| error.to_string())
            });
        match opened {
            Ok(()) => self.state = State::Connecting,
            Err(reason) => self.down(reason),
        }
    }

    fn connected(&mut self, client: Client) {
        let (host, topics) = (&self.settings.host, self.topics.base());
        tracing::info!(host, topics, "connected to the broker");
        let topics = self.topics.subscriptions(self.settings.discovery);
        link::subscribe(&client, topics);
        self.connects += 1;
        self.shared.health.set_mqtt_connected(true);
        self.shared.health.set_mqtt_trouble(None);
        self.shared.refresh.store(true, Relaxed);
        self.session.connected();
        self.state = State::Up(client, Instant::now());
    }

    fn subscribed(&mut self, granted: &[bool]) {
        let refused = self.topics.refused(self.settings.discovery, granted);
        if !refused.is_empty() && refused != self.refused {
            tracing::warn!(
                host = self.settings.host,
                topics = refused.join(" "),
                "the broker refuses these subscriptions, so nothing on them arrives: allow this user to \
                 read them in its access control list"
            );
        }
        self.refused = refused;
    }

    fn down(&mut self, reason: String) {
        let host = &self.settings.host;
        let told = self.trouble.as_ref() == Some(&reason);
        match &self.state {
            State::Leaving => tracing::info!(host, "connection to the broker closed"),
            State::Up(_, since) => {
                if self.backoff.after(since.elapsed()) || !told {
                    tracing::warn!(host, reason, "connection to the broker lost");
                } else {
                    tracing::debug!(host, reason, "connection to the broker lost again");
                }
            }
            State::Waiting(_) | State::Connecting if told => {
                tracing::debug!(host, reason, "cannot connect to the broker");
            }
            State::Waiting(_) | State::Connecting => {
                tracing::warn!(
                    host,
                    reason,
                    "cannot connect to the broker; will keep trying"
                );
            }
        }
        self.shared.health.set_mqtt_connected(false);
        self.shared.health.set_mqtt_trouble(Some(reason.clone()));
        self.trouble = Some(reason);
        self.session.lost();
        self.state = State::Waiting(Instant::now() + self.backoff.pause());
    }

    fn send(&mut self) {
        let State::Up(client, _) = &self.state else {
            return;
        };
        while let Some(message) = self.session.next() {
            let (topic, payload) = (message.topic, message.payload);
            // Fails only when the link has just gone down, and then it is sent again on the next.
            let _ = client.try_publish(topic, QoS::AtLeastOnce, message.retain, payload);
        }
    }

    fn message(&mut self, message: &rumqttc::Publish) {
        if message.retain {
            // It was meant for another time, maybe for years ago.
            tracing::debug!(topic = message.topic, "retained command ignored");
        } else if message.topic == self.topics.home {
            if message.payload.as_ref() == b"online" {
                self.session.tell_all();
                self.shared.refresh.store(true, Relaxed);
            }
        } else if let Some(request) = Request::read(&self.topics, &message.topic, &message.payload)
        {
            self.log(&message.topic, &request);
            if request.command == Ok(Command::Health) {
                self.watch.report_now(Instant::now());
            }
            if let Some(answer) = request.carry_out(&self.topics, &self.shared.control) {
                self.session.answer(answer);
            }
        }
    }

    /// Whoever may publish decides how often this comes, so only what changes something is worth a line,
    /// and not every time.
    fn log(&mut self, topic: &str, request: &Request) {
        let command = &request.command;
        let changes = matches!(command, Ok(command) if command.changes(&self.shared.control));
        let line = if changes {
            self.quota.take(Instant::now())
        } else {
            None
        };
        match line {
            Some(left_out) => tracing::info!(topic, ?command, left_out, "command"),
            None => tracing::debug!(topic, ?command, "command"),
        }
    }

    /// Told each time, unlike the reason that follows: nothing mends it but a person.
    fn too_large(&self, bytes: usize) {
        let topics = self.topics.subscriptions(self.settings.discovery);
        tracing::warn!(
            bytes,
            limit = link::MAX_INCOMING,
            topics = topics.join(" "),
            "a message is too large, and if the broker retains it, no connection will last: clear it by \
             an empty retained message on its topic, which is one of these"
        );
    }

    /// Whether the thread may end, which it may after it was told to stop and as soon as nothing is
    /// left to do, or nothing can be done, or it takes too long.
    fn is_over(&mut self, now: Instant) -> bool {
        let Some(stop_at) = self.stop_at else {
            return false;
        };
        if let State::Up(client, _) = &self.state
            && self.session.is_done()
        {
            let _ = client.try_disconnect();
            self.state = State::Leaving;
        }
        match self.state {
            State::Waiting(_) | State::Connecting if self.session.waiting() == 0 => true,
            State::Waiting(_) | State::Connecting | State::Up(..) | State::Leaving => {
                stop_at <= now
            }
        }
    }
}

#[cfg(test)]
mod tests;
