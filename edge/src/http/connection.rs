//! One connection: one request, one answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use fer_models::Labels;

use super::access::Access;
use super::classify::{Classify, ClassifyError};
use super::events::Hub;
use super::request::{self, Cut, Head, Method};
use super::response::Status::{Internal, Ok as Fine, Unavailable, Unprocessable};
use super::response::{self, Answer, Refusal};
use super::route::{self, Content, Route};
use super::settings::Settings;
use super::status::Status;
use super::{metrics, page, stream};
use crate::control::Control;
use crate::health::Health;
use crate::thermal;

/// Frames flow while the last one is no older than this.
const FLOWING: Duration = Duration::from_secs(5);
/// How long a refused client may go on sending until the line is cut.
const LINGER: Duration = Duration::from_millis(500);

/// What all connections share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) access: Access,
    pub(super) page: String,
    pub(super) labels: Arc<Labels>,
    pub(super) model: String,
    pub(super) health: Arc<Health>,
    pub(super) control: Arc<Control>,
    pub(super) hub: Arc<Hub>,
    pub(super) classify: Mutex<Classify>,
}

/// Reads from a connection until a moment, whatever the pace.
struct Deadline<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl<'a> Deadline<'a> {
    fn after(stream: &'a TcpStream, time: Duration) -> Self {
        let until = Instant::now() + time;
        Self { stream, until }
    }
}

impl Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

/// Serves the connection to its end.
///
/// # Errors
/// Returns the connection's error, which concerns nobody but its client.
pub(super) fn serve(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let settings = &shared.settings;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_millis(settings.write_timeout_ms)))?;
    let in_time = Duration::from_millis(settings.header_timeout_ms);
    let mut reader = Deadline::after(stream, in_time);
    let (head, started) = match request::read_head(&mut reader, settings.header_bytes) {
        Ok(request) => request,
        Err(cut) => return end(stream, cut, true, true),
    };
    let with_body = head.method != Method::Head;
    let unread = head.body > 0;
    let route = shared
        .access
        .check(&head)
        .and_then(|()| route::find(head.method, &head.target));
    match route {
        Ok(Route::Events) => events(stream, shared, with_body),
        Ok(Route::Classify) => match classify(stream, shared, &head, started) {
            Ok(answer) => answer.write(&mut stream, true),
            Err(cut) => end(stream, cut, true, unread),
        },
        Ok(Route::Content(it)) => content(it, shared).write(&mut stream, with_body),
        Err(refusal) => end(stream, refusal.into(), with_body, unread),
    }
}

/// Tells the client why, if it is still there. Where something is `unread` it may still be sending: closing
/// at once would destroy the answer on its way, so what comes is thrown away for a moment.
fn end(mut stream: &TcpStream, cut: Cut, with_body: bool, unread: bool) -> io::Result<()> {
    let Cut::Refused(refusal) = cut else {
        return Ok(());
    };
    tracing::debug!(%refusal, "request refused");
    Answer::from(refusal).write(&mut stream, with_body)?;
    if unread {
        stream.shutdown(Shutdown::Write)?;
        io::copy(&mut Deadline::after(stream, LINGER), &mut io::sink())?;
    }
    Ok(())
}

/// The answers that need nothing from the client.
fn content(content: Content, shared: &Shared) -> Answer {
    let text = |kind, text: &'static str| Answer::new(Fine, kind, text.as_bytes());
    match content {
        Content::Style => text("text/css; charset=utf-8", page::STYLE),
        Content::Script => text("text/javascript; charset=utf-8", page::SCRIPT),
        Content::Icon => text("image/svg+xml", page::ICON),
        Content::Alive => Answer::line(Fine, "alive".to_owned()),
        Content::Ready => ready(shared),
        Content::Metrics => {
            let celsius = thermal::read(Path::new(thermal::ZONES));
            let text = metrics::text(&shared.health, &shared.labels, &shared.model, celsius);
            Answer::new(Fine, metrics::CONTENT_TYPE, text.into_bytes())
        }
        Content::Page => {
            let page = shared.page.clone().into_bytes();
            Answer::new(Fine, "text/html; charset=utf-8", page)
        }
    }
}

fn ready(shared: &Shared) -> Answer {
    let last = match shared.hub.idle() {
        Some(idle) if idle <= FLOWING => return Answer::line(Fine, "ready".to_owned()),
        Some(idle) => format!("the last frame was {} s ago", idle.as_secs()),
        None => "no frame yet".to_owned(),
    };
    let camera = shared.health.camera().name();
    let off = if shared.control.enabled() {
        ""
    } else {
        ", detection is switched off"
    };
    Answer::line(
        Unavailable,
        format!("not ready: {last}, camera {camera}{off}"),
    )
}

fn events(mut out: &TcpStream, shared: &Shared, with_body: bool) -> io::Result<()> {
    let Some(reader) = shared.hub.subscribe() else {
        let refusal = Refusal::new(Unavailable, "too many pages read the events");
        return end(out, refusal.into(), with_body, false);
    };
    response::write_stream_head(&mut out)?;
    if !with_body {
        return Ok(());
    }
    stream::write(&mut out, reader, || {
        Status::now(
            &shared.model,
            &shared.labels,
            &shared.health,
            &shared.control,
        )
    })
}

/// One picture at a time, and its place is taken before it is read: so there is never more than one in
/// memory.
fn classify(
    mut stream: &TcpStream,
    shared: &Shared,
    head: &Head,
    started: Vec<u8>,
) -> Result<Answer, Cut> {
    let settings = &shared.settings;
    let length = request::body_length(head.body, settings.body_bytes)?;
    let mut classify = match shared.classify.try_lock() {
        Ok(classify) => classify,
        // A picture that made a decoder panic must not end the service for others.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            let reason = "another picture is being classified";
            return Err(Refusal::new(Unavailable, reason).into());
        }
    };
    if head.waits && started.is_empty() {
        let go_on = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        go_on.map_err(|_| Cut::Gone)?;
    }
    let in_time = Duration::from_millis(settings.body_timeout_ms);
    let picture = request::read_body(&mut Deadline::after(stream, in_time), started, length)?;
    let observation = classify(&picture).map_err(|error| refusal(&error))?;
    let json = serde_json::to_vec(&observation);
    let mut json = json.map_err(|e| refusal(&ClassifyError::Server(e.to_string())))?;
    json.push(b'\n');
    Ok(Answer::new(Fine, "application/json", json))
}

/// What a client is told. A fault of ours may name files of this machine, so only the log names it.
fn refusal(error: &ClassifyError) -> Refusal {
    match error {
        ClassifyError::Picture(_) => Refusal::new(Unprocessable, error.to_string()),
        ClassifyError::Server(_) => {
            tracing::error!(%error, "a request to classify failed");
            Refusal::new(Internal, "no picture can be classified; the log says why")
        }
    }
}
