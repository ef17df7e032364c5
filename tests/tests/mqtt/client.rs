//! A client of MQTT 3.1.1 that is as small as a test can do with: QoS 0, clean session, no pings.
//! Written from the standard, so that the publisher is not judged by the library that it uses.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longest wait for a packet in a test that goes well.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: bool,
}

impl Message {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

pub(crate) struct Client(TcpStream);

impl Client {
    /// Connects to a local broker.
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self(stream);
        let mut body = b"\x00\x04MQTT\x04\x02\x00\x00".to_vec();
        text(&mut body, "");
        client.send(0x10, &body);
        let (kind, answer) = client.receive().unwrap();
        assert_eq!((kind, answer[1]), (0x20, 0), "refused: {answer:?}");
        client
    }

    /// Asks for topics and waits until that is granted.
    pub(crate) fn subscribe(&mut self, filters: &[&str]) {
        let mut body = vec![0, 1];
        for filter in filters {
            text(&mut body, filter);
            body.push(0);
        }
        self.send(0x82, &body);
        assert_eq!(self.receive().unwrap().0, 0x90);
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &str, retain: bool) {
        let mut body = Vec::new();
        text(&mut body, topic);
        body.extend(payload.as_bytes());
        self.send(0x30 | u8::from(retain), &body);
    }

    /// The next message; nothing once the broker is dead and everything it sent has been read.
    pub(crate) fn next(&mut self) -> Option<Message> {
        loop {
            let (kind, body) = match self.receive() {
                Ok(packet) => packet,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("no message for {PATIENCE:?}")
                }
                Err(_) => return None,
            };
            if kind & 0xf0 == 0x30 {
                let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                return Some(Message {
                    topic: String::from_utf8(body[2..2 + length].to_vec()).unwrap(),
                    payload: body[2 + length..].to_vec(),
                    retain: kind & 1 == 1,
                });
            }
        }
    }

    /// The next message on a topic; others are passed over.
    #[track_caller]
    pub(crate) fn next_on(&mut self, topic: &str) -> Message {
        loop {
            let message = self.next().expect("the broker lives");
            if message.topic == topic {
                return message;
            }
        }
    }

    fn send(&mut self, kind: u8, body: &[u8]) {
        let mut packet = vec![kind];
        let mut rest = body.len();
        loop {
            let more = if rest > 0x7f { 0x80 } else { 0 };
            packet.push((rest & 0x7f) as u8 | more);
            rest >>= 7;
            if rest == 0 {
                break;
            }
        }
        packet.extend(body);
        self.0.write_all(&packet).unwrap();
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut byte = [0];
        self.0.read_exact(&mut byte)?;
        let kind = byte[0];
        let (mut length, mut shift) = (0, 0);
        loop {
            self.0.read_exact(&mut byte)?;
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}
