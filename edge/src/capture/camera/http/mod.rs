//! Motion JPEG over HTTP, as IP cameras, ESP32-CAM, mjpg-streamer and ustreamer serve it.
//!
//! A client for exactly that: one GET, deadlines everywhere, no redirects, no TLS.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::super::split::{Found, Splitter};
use super::super::{Frame, MAX_PIXELS, jpeg};
use super::address::Url;
use super::driver::{Driver, Fault, Feed, Got};
use super::wait::readable;

mod body;
mod head;

use body::Body;

const CHUNK: usize = 64 << 10;

/// Most reads for one picture before it is delivered, though more may be there.
const DRAIN: usize = 64;

/// A camera that serves Motion JPEG.
#[derive(Debug, Clone)]
pub struct HttpCamera {
    /// Where.
    pub url: Url,
    /// Longest time for connecting, and again for the head of the answer.
    pub patience: Duration,
}

impl Driver for HttpCamera {
    fn open(&mut self) -> Result<Box<dyn Feed>, Fault> {
        let name = self.url.to_string();
        let fault = |e: io::Error| Fault::io(&name, e);
        let mut stream = self.connect().map_err(fault)?;
        stream
            .set_write_timeout(Some(self.patience))
            .map_err(fault)?;
        stream.write_all(self.request().as_bytes()).map_err(fault)?;
        let mut feed = HttpFeed {
            name: name.clone(),
            stream,
            body: Body::Plain,
            splitter: Splitter::default(),
            chunk: vec![0; CHUNK],
            newest: Vec::new(),
        };
        feed.head(Instant::now() + self.patience)?;
        Ok(Box::new(feed))
    }
}

impl HttpCamera {
    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.url.host.as_str(), self.url.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.patience) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn request(&self) -> String {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fer-edge/{}\r\nAccept: \
             multipart/x-mixed-replace\r\nConnection: close\r\n\r\n",
            self.url.path,
            self.url.authority(),
            env!("CARGO_PKG_VERSION")
        )
    }
}

struct HttpFeed {
    name: String,
    stream: TcpStream,
    body: Body,
    splitter: Splitter,
    chunk: Vec<u8>,
    /// The newest whole picture that isn't delivered yet; empty when there is none.
    newest: Vec<u8>,
}

impl HttpFeed {
    /// Reads once, waiting at most `wait`; nothing when nothing comes.
    fn read(&mut self, wait: Duration) -> Result<Option<usize>, Fault> {
        let fault = |e: io::Error| Fault::io(&self.name, e);
        let [ready] = readable([self.stream.as_fd()], wait).map_err(fault)?;
        if !ready {
            return Ok(None);
        }
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err(Fault::Ended {
                what: self.name.clone(),
                words: String::new(),
            }),
            Ok(read) => Ok(Some(read)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(e) => Err(fault(e)),
        }
    }

    fn unfit(&self, why: &str) -> Fault {
        Fault::Unfit(format!("{}: {why}", self.name))
    }

    /// Reads the head of the answer and what has come of the body with it.
    fn head(&mut self, deadline: Instant) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(read) = self.read(left)? else {
                if left.is_zero() {
                    return Err(self.unfit("no answer in time"));
                }
                continue;
            };
            bytes.extend_from_slice(&self.chunk[..read]);
            let parsed = head::parse(&bytes).map_err(|why| self.unfit(&why))?;
            if let Some((length, body)) = parsed {
                self.body = body;
                return self.take(&bytes[length..]);
            }
            // A server that dribbles its head is no better than a silent one.
            if left.is_zero() {
                return Err(self.unfit("no answer in time"));
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let splitter = &mut self.splitter;
        match self.body.decode(bytes, |content| splitter.push(content)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::Ended {
                what: self.name.clone(),
                words: String::new(),
            }),
            Err(why) => Err(self.unfit(why)),
        }
    }

    /// Looks for whole pictures in what has come and keeps the newest.
    fn search(&mut self) -> Option<&'static str> {
        loop {
            match self.splitter.poll() {
                Found::Picture(range) => {
                    self.newest.clear();
                    self.newest.extend_from_slice(&self.splitter.bytes()[range]);
                }
                Found::Bad(why) => return Some(why),
                Found::More => return None,
            }
        }
    }
}

impl Feed for HttpFeed {
    fn next(&mut self, frame: &mut Frame, wait: Duration) -> Result<Got, Fault> {
        let deadline = Instant::now() + wait;
        for _ in 0..DRAIN {
            if let Some(why) = self.search() {
                return Ok(Got::Bad(why.to_owned()));
            }
            // With a picture in hand, only what is there already could be newer.
            let left = match self.newest.is_empty() {
                true => deadline.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            let Some(read) = self.read(left)? else { break };
            let bytes = std::mem::take(&mut self.chunk);
            let taken = self.take(&bytes[..read]);
            self.chunk = bytes;
            taken?;
        }
        if self.newest.is_empty() {
            return Ok(Got::Nothing);
        }
        let decoded = jpeg::decode(&self.newest, MAX_PIXELS, frame);
        self.newest.clear();
        Ok(decoded.map_or_else(Got::Bad, |_| Got::Picture))
    }
}
