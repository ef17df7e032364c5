//! Somebody at the far end of every sink, who only counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ChildStdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::pty::Cable;

/// What has come so far.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

impl Heard {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }
}

/// Counts lines of JSON.
pub(super) fn lines(stdout: ChildStdout) -> Heard {
    count_lines(stdout, "")
}

/// Counts what the kiosk page is told.
pub(super) fn events(port: u16) -> Heard {
    count_lines(ask(port, "/events"), "data:")
}

/// Counts bytes of the serial line.
pub(super) fn serial(mut cable: Cable) -> Heard {
    let heard = Heard::default();
    let ours = heard.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            ours.add(cable.read(&mut buffer));
        }
    });
    heard
}

/// The answer to a request.
pub(super) fn get(port: u16, path: &str) -> String {
    let mut answer = String::new();
    ask(port, path).read_to_string(&mut answer).unwrap();
    answer
}

fn count_lines(from: impl Read + Send + 'static, beginning: &'static str) -> Heard {
    let heard = Heard::default();
    let ours = heard.clone();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            ours.add(usize::from(line.starts_with(beginning)));
        }
    });
    heard
}

/// Sends a request as soon as the server listens.
fn ask(port: u16, path: &str) -> TcpStream {
    let mut stream = (0..200)
        .find_map(|_| {
            thread::sleep(Duration::from_millis(50));
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        })
        .expect("the server listens within ten seconds");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    stream
}
