//! Motion JPEG over HTTP, as IP cameras, ESP32-CAM, mjpg-streamer and ustreamer serve it.
//!
//! A client for exactly that: one GET, no redirects, no TLS, and deadlines for all but the name: the system's resolver
//! has its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
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
    /// Longest time for connecting, however many addresses the host has, and again for the head of the answer.
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
            end: None,
        };
        feed.head(Instant::now() + self.patience)?;
        Ok(Box::new(feed))
    }
}

impl HttpCamera {
    /// Connects to the first of the host's addresses that answers.
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let host = (self.url.host.as_str(), self.url.port);
        let addresses: Vec<SocketAddr> = host.to_socket_addrs()?.collect();
        first_answering(&addresses, self.patience, TcpStream::connect_timeout)
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

/// Connects to the first address that answers. All share `patience`, so that one that never answers leaves the others
/// their time.
fn first_answering<T>(
    addresses: &[SocketAddr],
    patience: Duration,
    mut connect: impl FnMut(&SocketAddr, Duration) -> io::Result<T>,
) -> io::Result<T> {
    let deadline = Instant::now() + patience;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - tried) as u32;
        // Connecting within no time at all is refused as a wrong argument.
        match connect(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

struct HttpFeed {
    name: String,
    stream: TcpStream,
    body: Body,
    splitter: Splitter,
    chunk: Vec<u8>,
    /// The newest whole picture that isn't delivered yet; empty when there is none.
    newest: Vec<u8>,
    /// Why nothing more comes. Told once all pictures that came before are delivered.
    end: Option<Fault>,
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
            Ok(0) => Err(self.ended()),
            Ok(read) => Ok(Some(read)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(e) => Err(fault(e)),
        }
    }

    fn ended(&self) -> Fault {
        Fault::Ended {
            what: self.name.clone(),
            words: String::new(),
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
                self.take(&bytes[length..]);
                return Ok(());
            }
            // A server that dribbles its head is no better than a silent one.
            if left.is_zero() {
                return Err(self.unfit("no answer in time"));
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let splitter = &mut self.splitter;
        self.end = match self.body.decode(bytes, |content| splitter.push(content)) {
            Ok(true) => None,
            Ok(false) => Some(self.ended()),
            Err(why) => Some(self.unfit(why)),
        };
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
            if self.end.is_some() && !self.newest.is_empty() {
                break;
            }
            if let Some(fault) = self.end.take() {
                return Err(fault);
            }
            // With a picture in hand, only what is there already could be newer.
            let left = match self.newest.is_empty() {
                true => deadline.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            match self.read(left) {
                Ok(Some(read)) => {
                    let bytes = std::mem::take(&mut self.chunk);
                    self.take(&bytes[..read]);
                    self.chunk = bytes;
                }
                Ok(None) => break,
                Err(fault) => self.end = Some(fault),
            }
        }
        if self.newest.is_empty() {
            return Ok(Got::Nothing);
        }
        let decoded = jpeg::decode(&self.newest, MAX_PIXELS, frame);
        self.newest.clear();
        Ok(decoded.map_or_else(Got::Bad, |_| Got::Picture))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn addresses_that_never_answer_share_one_deadline() {
        let addresses = [SocketAddr::from(([192, 0, 2, 1], 80)); 3];
        let patience = Duration::from_millis(60);
        let mut given = Vec::new();
        let result = first_answering(&addresses, patience, |_, time| -> io::Result<()> {
            thread::sleep(time);
            given.push(time);
            Err(io::ErrorKind::TimedOut.into())
        });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(given.len(), addresses.len());
        assert!(given.iter().sum::<Duration>() <= patience, "{given:?}");
    }
}
