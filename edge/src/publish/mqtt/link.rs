//! One connection to the broker: rumqttc on a thread of its own, turned into events.
//!
//! A link lives from one try to connect to the loss of that connection and is never used again. So
//! rumqttc has nothing left over from an earlier connection, and no say in when to try again. Its
//! event loop is never interrupted in the middle of a packet, which would lose the packet.

use std::io;
use std::iter;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rumqttc::{
    Client, ConnectReturnCode, ConnectionError, Event as Packet, Incoming, LastWill, MqttOptions,
    Outgoing, QoS, StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
    mqttbytes,
};
use rustls::ClientConfig;

use super::commands::MAX_PAYLOAD;
use super::password::{self, PasswordError};
use super::session::WINDOW;
use super::settings::Settings;
use super::tls::{self, TlsError};
use crate::secret::Secret;

/// Largest message that is taken in. rumqttc ends the connection at a larger one, and a retained one
/// comes back with every subscription, so this is far above what anybody publishes on our topics by
/// mistake. Not MQTT's own 256 MiB: rumqttc reserves what a packet's header announces, and may keep it until
/// the connection ends.
pub(super) const MAX_INCOMING: usize = 16 << 20;

/// Largest message that is sent.
const MAX_OUTGOING: usize = 1 << 20;

/// Requests that rumqttc queues: a full window, the subscriptions and the goodbye.
const REQUESTS: usize = WINDOW + 4;

/// What happened on a link.
pub(super) enum Event {
    /// The broker has accepted us; the client takes requests.
    Connected(Client),
    /// The oldest message that was handed over travels under this number.
    Numbered(u16),
    /// The broker has confirmed the message with this number.
    Confirmed(u16),
    /// The broker has answered to [`subscribe`]: whether it grants each topic, in their order.
    Subscribed(Vec<bool>),
    /// A message for us; of a payload that is too long for a command, only the beginning.
    Message(rumqttc::Publish),
    /// The broker has announced a packet of so many bytes, more than are taken in: the end follows.
    TooLarge(usize),
    /// The link is at its end, for this reason; always its last event.
    Down(String),
}

/// The files that the settings name can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The password can't be read.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How to connect.
pub(super) struct Options {
    host: String,
    port: u16,
    client_id: String,
    keep_alive: Duration,
    credentials: Option<(String, Secret)>,
    tls: Option<Arc<ClientConfig>>,
    pub(super) last_will: Option<LastWill>,
}

/// Reads the files that the settings name, anew for each connection, so that a renewed certificate or
/// password is used without a restart.
pub(super) fn options(settings: &Settings, client_id: &str) -> Result<Options, OptionsError> {
    Ok(Options {
        host: settings.host.clone(),
        port: settings.port(),
        client_id: client_id.to_owned(),
        keep_alive: Duration::from_secs(settings.keep_alive_s.into()),
        credentials: password::credentials(settings)?,
        tls: settings.tls.then(|| tls::config(settings)).transpose()?,
        last_will: None,
    })
}

impl Options {
    /// What to connect to, in turn. rumqttc has one time limit for all addresses of a name, so that one
    /// which swallows packets hides the next: it gets each by itself. With TLS it has to get the name,
    /// as it has no other to compare the certificate with.
    fn hosts(&self) -> io::Result<Vec<String>> {
        if self.tls.is_some() {
            return Ok(vec![self.host.clone()]);
        }
        let addresses = format!("{}:{}", self.host, self.port).to_socket_addrs()?;
        Ok(addresses.map(without_port).collect())
    }

    fn towards(&self, host: &str) -> MqttOptions {
        let mut options = MqttOptions::new(&self.client_id, host, self.port);
        options
            .set_keep_alive(self.keep_alive)
            .set_max_packet_size(MAX_INCOMING, MAX_OUTGOING)
            // Twice as many packet numbers as are ever in use, so that none is used twice at a time.
            .set_inflight(2 * WINDOW as u16);
        if let Some((user, password)) = &self.credentials {
            options.set_credentials(user, password.reveal());
        }
        if let Some(config) = &self.tls {
            let config = TlsConfiguration::Rustls(Arc::clone(config));
            options.set_transport(Transport::tls_with_config(config));
        }
        if let Some(will) = &self.last_will {
            options.set_last_will(will.clone());
        }
        options
    }
}

/// An address as rumqttc takes it: one of IPv6 in brackets, with its zone.
fn without_port(address: SocketAddr) -> String {
    let mut text = address.to_string();
    text.truncate(text.rfind(':').unwrap_or(text.len()));
    text
}

/// What the broker says for us when we have vanished.
pub(super) fn last_will(topic: &str) -> LastWill {
    LastWill::new(topic, "offline", QoS::AtLeastOnce, true)
}

/// Asks for messages on these topics. They go in one packet, so that its answer is about all of them.
pub(super) fn subscribe(client: &Client, topics: Vec<String>) {
    let filters = topics
        .into_iter()
        .map(|topic| SubscribeFilter::new(topic, QoS::AtLeastOnce));
    // Fails only when the link has just gone down, which is the next thing we hear.
    let _ = client.try_subscribe_many(filters);
}

/// Starts to connect. `deliver` gets each event and says whether anybody listens still.
pub(super) fn open(
    options: Options,
    deliver: impl Fn(Event) -> bool + Send + 'static,
) -> io::Result<()> {
    let thread = thread::Builder::new().name("mqtt-link".to_owned());
    thread.spawn(move || {
        let mut farewell = Farewell {
            deliver,
            reason: "the connection's thread has died".to_owned(),
        };
        farewell.reason = match options.hosts() {
            Ok(hosts) => run(&options, &hosts, &farewell.deliver),
            Err(error) => describe(&ConnectionError::Io(error), &options.host),
        };
    })?;
    Ok(())
}

/// Says that the link is down however its thread ends.
struct Farewell<F: Fn(Event) -> bool> {
    deliver: F,
    reason: String,
}

impl<F: Fn(Event) -> bool> Drop for Farewell<F> {
    fn drop(&mut self) {
        (self.deliver)(Event::Down(std::mem::take(&mut self.reason)));
    }
}

/// Connects to the first of these hosts where somebody answers, and delivers events until that connection
/// ends; returns why.
fn run(options: &Options, hosts: &[String], deliver: &impl Fn(Event) -> bool) -> String {
    let mut reason = "the host has no address".to_owned();
    for host in hosts {
        let (client, mut connection) = Client::new(options.towards(host), REQUESTS);
        let mut packets = connection.iter();
        match packets.next() {
            Some(Err(error)) if is_silence(&error) => reason = describe(&error, &options.host),
            Some(first) => {
                let packets = iter::once(first).chain(packets);
                return follow(&client, packets, &options.host, deliver);
            }
            None => return "closed".to_owned(),
        }
    }
    reason
}

/// Whether nobody is at an address, so that the next may do better.
fn is_silence(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::NetworkTimeout | ConnectionError::Io(_)
    )
}

/// Delivers events until the connection ends; returns why.
fn follow(
    client: &Client,
    packets: impl Iterator<Item = Result<Packet, ConnectionError>>,
    host: &str,
    deliver: &impl Fn(Event) -> bool,
) -> String {
    for packet in packets {
        let event = match packet {
            Ok(Packet::Incoming(Incoming::ConnAck(_))) => Event::Connected(client.clone()),
            Ok(Packet::Outgoing(Outgoing::Publish(number))) => Event::Numbered(number),
            Ok(Packet::Incoming(Incoming::PubAck(ack))) => Event::Confirmed(ack.pkid),
            Ok(Packet::Incoming(Incoming::SubAck(ack))) => {
                let codes = ack.return_codes.into_iter();
                let granted = codes.map(|code| code != SubscribeReasonCode::Failure);
                Event::Subscribed(granted.collect())
            }
            Ok(Packet::Incoming(Incoming::Publish(message))) => Event::Message(shortened(message)),
            Ok(_) => continue,
            Err(error) => {
                if let Some(bytes) = beyond_limit(&error) {
                    deliver(Event::TooLarge(bytes));
                }
                return describe(&error, host);
            }
        };
        if !deliver(event) {
            return "nobody listens".to_owned();
        }
    }
    "closed".to_owned()
}

/// Leaves of a payload that is too long what shows that it is. A copy: a part of the packet would keep
/// all of it in memory, and many may wait.
fn shortened(mut message: rumqttc::Publish) -> rumqttc::Publish {
    if message.payload.len() > MAX_PAYLOAD {
        message.payload = message.payload[..=MAX_PAYLOAD].to_vec().into();
    }
    message
}

/// The size of the packet that was refused for it.
fn beyond_limit(error: &ConnectionError) -> Option<usize> {
    use mqttbytes::Error::PayloadSizeLimitExceeded;
    match error {
        ConnectionError::MqttState(StateError::Deserialization(PayloadSizeLimitExceeded(
            bytes,
        ))) => Some(*bytes),
        _ => None,
    }
}

/// The error in words that say what to look at.
fn describe(error: &ConnectionError, host: &str) -> String {
    if let Some(bytes) = beyond_limit(error) {
        return format!(
            "the broker sends a message of {bytes} bytes, and at most {MAX_INCOMING} are taken"
        );
    }
    match error {
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                "the broker refuses the user name or password".to_owned()
            }
            ConnectReturnCode::BadClientId => "the broker refuses the client id".to_owned(),
            other => format!("the broker refuses the connection: {other:?}"),
        },
        ConnectionError::NetworkTimeout => "the broker does not answer".to_owned(),
        ConnectionError::Tls(error) => {
            let text = error.to_string();
            if text.contains("NotValidForName") || text.contains("not valid for name") {
                format!(
                    "TLS: the broker's certificate does not name `{host}` as a subjectAltName: {text}"
                )
            } else {
                format!("TLS: {text}")
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    #[test]
    fn a_refusal_says_what_to_look_at() {
        let refused = |code| describe(&ConnectionError::ConnectionRefused(code), "broker");
        assert!(refused(ConnectReturnCode::NotAuthorized).contains("password"));
        assert!(refused(ConnectReturnCode::BadClientId).contains("client id"));
    }

    #[test]
    fn a_link_that_finds_no_broker_says_so_once_and_ends() {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            ..Settings::default()
        };
        let (sender, events) = mpsc::channel();
        let options = options(&settings, "test").unwrap();
        open(options, move |event| sender.send(event).is_ok()).unwrap();
        let reasons = events.iter().map(|event| match event {
            Event::Down(reason) => reason,
            _ => "something else".to_owned(),
        });
        let reasons: Vec<_> = reasons.collect();
        assert!(
            matches!(&reasons[..], [reason] if reason.contains("refused")),
            "{reasons:?}"
        );
    }

    #[test]
    fn a_broker_behind_an_address_that_swallows_packets_is_reached_by_the_next() {
        // The kernel accepts for the first listener, and nobody ever answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let listener = TcpListener::bind(("127.0.0.2", port)).unwrap();
        thread::spawn(move || {
            let (mut broker, _) = listener.accept().unwrap();
            let asked = broker.read(&mut [0; 256]).unwrap();
            assert!(asked > 0, "it asks to connect");
            broker.write_all(&[0x20, 2, 0, 0]).unwrap();
        });
        let settings = Settings {
            port: Some(port),
            ..Settings::default()
        };
        let options = options(&settings, "test").unwrap();
        let hosts = ["127.0.0.1", "127.0.0.2"].map(str::to_owned);
        let (sender, events) = mpsc::channel();
        let reason = run(&options, &hosts, &|event| sender.send(event).is_ok());
        let first = events.try_recv();
        assert!(matches!(first, Ok(Event::Connected(_))), "{reason}");
    }

    #[test]
    fn each_address_of_a_name_is_tried_by_itself() {
        for (host, address) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            let settings = Settings {
                host: host.to_owned(),
                ..Settings::default()
            };
            let options = options(&settings, "test").unwrap();
            assert_eq!(options.hosts().unwrap(), [address]);
        }
        let zoned = "[fe80::1%2]:1883".parse().unwrap();
        assert_eq!(without_port(zoned), "[fe80::1%2]");
    }

    #[test]
    fn a_packet_beyond_the_limit_is_told_from_other_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port: Some(listener.local_addr().unwrap().port()),
            ..Settings::default()
        };
        let (sender, events) = mpsc::channel();
        let options = options(&settings, "test").unwrap();
        open(options, move |event| sender.send(event).is_ok()).unwrap();
        let (mut broker, _) = listener.accept().unwrap();
        let asked = broker.read(&mut [0; 256]).unwrap();
        assert!(asked > 0, "it asks to connect");
        // Accepted; then the head of a message as long as MQTT allows.
        broker.write_all(&[0x20, 2, 0, 0]).unwrap();
        broker.write_all(&[0x30, 0xff, 0xff, 0xff, 0x7f]).unwrap();
        let events: Vec<_> = events.iter().collect();
        assert!(
            matches!(
                &events[..],
                [Event::Connected(_), Event::TooLarge(268_435_455), Event::Down(reason)]
                    if reason.contains("268435455 bytes")
            ),
            "{} events",
            events.len()
        );
    }

    #[test]
    fn a_long_payload_is_not_kept() {
        let message = |length| {
            let payload = vec![b'x'; length];
            shortened(rumqttc::Publish::new("t", QoS::AtLeastOnce, payload))
        };
        assert_eq!(message(MAX_PAYLOAD).payload.len(), MAX_PAYLOAD);
        assert_eq!(message(700_000).payload.len(), MAX_PAYLOAD + 1);
    }
}
