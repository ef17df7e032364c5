//! One connection to the broker: rumqttc on a thread of its own, turned into events.
//!
//! A link lives from one try to connect to the loss of that connection and is never used again. So
//! rumqttc has nothing left over from an earlier connection, and no say in when to try again. Its
//! event loop is never interrupted in the middle of a packet, which would lose the packet.

use std::io;
use std::thread;
use std::time::Duration;

use rumqttc::{
    Client, ConnectReturnCode, Connection, ConnectionError, Event as Packet, Incoming, LastWill,
    MqttOptions, Outgoing, QoS, StateError, TlsConfiguration, Transport, mqttbytes,
};

use super::commands::MAX_PAYLOAD;
use super::password::{self, PasswordError};
use super::session::WINDOW;
use super::settings::Settings;
use super::tls::{self, TlsError};

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

/// How to connect. Files are read anew for each connection, so that a renewed certificate or password
/// is used without a restart.
pub(super) fn options(settings: &Settings, client_id: &str) -> Result<MqttOptions, OptionsError> {
    let mut options = MqttOptions::new(client_id, &settings.host, settings.port());
    options
        .set_keep_alive(Duration::from_secs(settings.keep_alive_s.into()))
        .set_max_packet_size(MAX_INCOMING, MAX_OUTGOING)
        // Twice as many packet numbers as are ever in use, so that none is used twice at a time.
        .set_inflight(2 * WINDOW as u16);
    if let Some((user, password)) = password::credentials(settings)? {
        options.set_credentials(user, password.reveal());
    }
    if settings.tls {
        let config = TlsConfiguration::Rustls(tls::config(settings)?);
        options.set_transport(Transport::tls_with_config(config));
    }
    Ok(options)
}

/// What the broker says for us when we have vanished.
pub(super) fn last_will(topic: &str) -> LastWill {
    LastWill::new(topic, "offline", QoS::AtLeastOnce, true)
}

/// Starts to connect. `deliver` gets each event and says whether anybody listens still.
pub(super) fn open(
    options: MqttOptions,
    deliver: impl Fn(Event) -> bool + Send + 'static,
) -> io::Result<()> {
    let thread = thread::Builder::new().name("mqtt-link".to_owned());
    thread.spawn(move || {
        let mut farewell = Farewell {
            deliver,
            reason: "the connection's thread has died".to_owned(),
        };
        let host = options.broker_address().0;
        let (client, mut connection) = Client::new(options, REQUESTS);
        farewell.reason = run(client, &mut connection, &host, &farewell.deliver);
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

/// Delivers events until the connection ends; returns why.
fn run(
    client: Client,
    connection: &mut Connection,
    host: &str,
    deliver: &impl Fn(Event) -> bool,
) -> String {
    loop {
        let event = match connection.recv() {
            Ok(Ok(Packet::Incoming(Incoming::ConnAck(_)))) => Event::Connected(client.clone()),
            Ok(Ok(Packet::Outgoing(Outgoing::Publish(number)))) => Event::Numbered(number),
            Ok(Ok(Packet::Incoming(Incoming::PubAck(ack)))) => Event::Confirmed(ack.pkid),
            Ok(Ok(Packet::Incoming(Incoming::Publish(message)))) => {
                Event::Message(shortened(message))
            }
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => {
                if let Some(bytes) = beyond_limit(&error) {
                    deliver(Event::TooLarge(bytes));
                }
                return describe(&error, host);
            }
            Err(_) => return "closed".to_owned(),
        };
        if !deliver(event) {
            return "nobody listens".to_owned();
        }
    }
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
