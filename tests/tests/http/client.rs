//! A client that can also misbehave: it sends any bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header lines, as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Takes apart what came until the server closed the connection.
    #[track_caller]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let end =
            end.unwrap_or_else(|| panic!("no answer in {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A connection that gives up after a while instead of hanging the test.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// Sends bytes as they are and reads until the server closes.
#[track_caller]
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    read(&mut stream)
}

/// Reads what comes until the server closes.
#[track_caller]
pub(crate) fn read(stream: &mut TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::parse(&answer)
}

/// Asks for a target, with further header lines that each end in a line break.
#[track_caller]
pub(crate) fn get(address: SocketAddr, target: &str, lines: &str) -> Answer {
    send(
        address,
        format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n").as_bytes(),
    )
}

/// Hands in a body.
#[track_caller]
pub(crate) fn post(address: SocketAddr, target: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
    send(address, &[head.as_bytes(), body].concat())
}

/// A reader of `/events`.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    /// Asks for the events and waits for the first status, so that nothing published later is missed.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut stream = connect(address);
        write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut events = Self(BufReader::new(stream));
        let (kind, status) = events.next().expect("a status");
        assert_eq!(kind, "status", "{status}");
        events
    }

    /// The next event's name and data; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<(String, String)> {
        let mut kind = "message".to_owned();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(name) = line.strip_prefix("event: ") {
                kind = name.trim_end().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((kind, data.trim_end().to_owned()));
            }
        }
    }

    /// The data of the next observation.
    #[track_caller]
    pub(crate) fn observation(&mut self) -> String {
        loop {
            let (kind, data) = self.next().expect("an observation");
            if kind == "message" {
                return data;
            }
        }
    }
}
