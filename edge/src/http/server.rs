//! The listener: accepts connections and gives each a thread, as long as there is a place.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fer_models::Labels;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::access::Access;
use super::classify::Classify;
use super::connection::{self, Shared};
use super::connections::{Connections, Place};
use super::events::{EventSink, Hub};
use super::page;
use super::response::{Answer, Refusal, Status};
use super::settings::{Settings, SettingsError};
use crate::control::Control;
use crate::health::Health;

/// Rest after a failed accept, as when the process is out of file descriptors.
const REST_MS: u16 = 500;

/// Why the server didn't start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A setting can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The address can't be had.
    #[error("http.listen: {address}: {error}")]
    Listen {
        /// As set.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// A thread or a pipe can't be had.
    #[error("the HTTP server can't start: {0}")]
    Start(io::Error),
}

/// A running server; dropping it ends it with all its connections.
pub struct Server {
    address: SocketAddr,
    hub: Arc<Hub>,
    connections: Arc<Connections>,
    /// Dropped first of all: the accepting thread sees the other end close.
    stop: Option<UnixStream>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens and answers from now on.
    ///
    /// # Errors
    /// Returns an error when a setting can't be used, the token's file can't be read, or the address
    /// can't be had.
    pub fn start(
        settings: &Settings,
        labels: Arc<Labels>,
        model: &str,
        health: Arc<Health>,
        control: Arc<Control>,
        classify: Classify,
    ) -> Result<Self, HttpError> {
        settings.validate().map_err(SettingsError::Value)?;
        let token = settings.secret()?;
        let listen = || {
            let listener = TcpListener::bind(settings.listen)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|error| HttpError::Listen {
            address: settings.listen,
            error,
        })?;
        let hub = Arc::new(Hub::new(settings.pages()));
        let shared = Arc::new(Shared {
            access: Access::new(token, &settings.hosts),
            page: page::index(&settings.notice),
            settings: settings.clone(),
            labels,
            model: model.to_owned(),
            health,
            control,
            hub: Arc::clone(&hub),
            classify: Mutex::new(classify),
        });
        let connections = Arc::new(Connections::new(settings.connections));
        let (stop, stopped) = UnixStream::pair().map_err(HttpError::Start)?;
        let acceptor = thread::Builder::new()
            .name("http".to_owned())
            .spawn({
                let connections = Arc::clone(&connections);
                move || accept_all(&listener, &stopped, &shared, &connections)
            })
            .map_err(HttpError::Start)?;
        tracing::info!("kiosk page at http://{address}/");
        Ok(Self {
            address,
            hub,
            connections,
            stop: Some(stop),
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens; tells the port where 0 was set.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A sink that shows observations to whoever reads the events.
    #[must_use]
    pub fn sink(&self) -> EventSink {
        EventSink::new(Arc::clone(&self.hub))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(acceptor) = self.acceptor.take() {
            // Had it panicked, there would be nothing left to end.
            let _ = acceptor.join();
        }
        self.hub.close();
        self.connections.close();
    }
}

fn accept_all(
    listener: &TcpListener,
    stopped: &UnixStream,
    shared: &Arc<Shared>,
    connections: &Arc<Connections>,
) {
    let mut failing = false;
    while !wait(stopped, Some(listener)) {
        match listener.accept() {
            Ok((stream, _)) => {
                failing = false;
                give_thread(stream, connections, |place| start_thread(place, shared));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "connections can't be accepted");
                }
                failing = true;
                // Without the listener, which would be ready again at once.
                if wait(stopped, None) {
                    return;
                }
            }
        }
    }
}

/// Waits for a connection, or a rest where there is no listener; returns whether to stop.
fn wait(stopped: &UnixStream, listener: Option<&TcpListener>) -> bool {
    let timeout = match listener {
        Some(_) => PollTimeout::NONE,
        None => PollTimeout::from(REST_MS),
    };
    let entry = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds = vec![entry(stopped.as_fd())];
    fds.extend(listener.map(|listener| entry(listener.as_fd())));
    match poll(&mut fds, timeout) {
        Ok(_) => fds[0].any().unwrap_or(true),
        // A signal; every other error means that a descriptor is gone.
        Err(error) => error != nix::errno::Errno::EINTR,
    }
}

/// Gives the connection a place and, by `start`, a thread.
fn give_thread(
    stream: TcpStream,
    connections: &Arc<Connections>,
    start: impl FnOnce(Place) -> io::Result<()>,
) {
    let place = match connections.admit(stream) {
        Ok(place) => place,
        Err(stream) => return turn_away(&stream),
    };
    // The place is gone with the thread that couldn't be had, as beyond a service manager's limit of tasks.
    let stream = place.shared();
    if let Err(error) = start(place) {
        tracing::warn!(%error, "no thread for a connection");
        turn_away(&stream);
    }
}

fn start_thread(place: Place, shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("http-connection".to_owned());
    let started = thread.spawn(move || {
        if let Err(error) = connection::serve(place.stream(), &shared) {
            tracing::debug!(%error, "connection ended");
        }
    });
    started.map(drop)
}

/// Says so where that is possible without waiting.
fn turn_away(mut stream: &TcpStream) {
    let refusal = Refusal::new(Status::Unavailable, "too many connections");
    tracing::debug!(%refusal, "connection refused");
    let _: io::Result<()> = stream
        .set_write_timeout(Some(Duration::from_millis(50)))
        .and_then(|()| Answer::from(refusal).write(&mut stream, true))
        .and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_client_for_whom_there_is_no_thread_is_told_so() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connections = Arc::new(Connections::new(1));
        // Twice: the place is free again.
        for _ in 0..2 {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            give_thread(stream, &connections, |_place| {
                Err(io::ErrorKind::WouldBlock.into())
            });
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        }
    }
}
