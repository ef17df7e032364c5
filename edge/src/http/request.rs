//! A request: from bytes to the few fields that matter here, within bounds.
//!
//! [`read_head`] and [`read_body`] take any [`Read`], so that tests and the fuzzer need no socket.

use std::io::{self, Read};

use httparse::{EMPTY_HEADER, Header};

use super::response::{Refusal, Status};

/// Most header lines in a request; browsers send about 20.
const MAX_HEADERS: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Fetch.
    Get,
    /// As `Get`, without the body.
    Head,
    /// Hand in.
    Post,
    /// Anything else: no path takes it.
    Other,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What is asked for.
    pub method: Method,
    /// Path and query as they came, never decoded.
    pub target: String,
    /// The `Host` header.
    pub host: String,
    /// The `Origin` header: the page whose script asks.
    pub origin: Option<String>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// Whether a browser says that a page from elsewhere embeds or fetches this. Following a link does
    /// not count.
    pub foreign: bool,
    /// Bytes of the body.
    pub body: u64,
    /// Whether the client waits for a word before it sends the body.
    pub waits: bool,
}

/// Why there is no request to answer as asked.
#[derive(Debug)]
pub enum Cut {
    /// The client has gone, or sent nothing at all: there is nobody to tell.
    Gone,
    /// It is told why.
    Refused(Refusal),
}

impl From<Refusal> for Cut {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reads until the head is complete; returns it with what came behind it.
///
/// # Errors
/// Refuses heads beyond `limit` bytes, heads that break off or come too slowly (when `stream` times
/// out), and whatever [`parse`] refuses.
pub fn read_head(stream: &mut impl Read, limit: usize) -> Result<(Head, Vec<u8>), Cut> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 2048];
    loop {
        let space = chunk.len().min(limit - bytes.len().min(limit));
        if space == 0 {
            let reason = format!("the request's head is longer than {limit} bytes");
            return Err(Refusal::new(Status::HeaderTooLarge, reason).into());
        }
        let read = match stream.read(&mut chunk[..space]) {
            Ok(0) => return Err(Cut::Gone),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A browser opens connections ahead of need; an idle one has asked nothing.
            Err(_) if bytes.is_empty() => return Err(Cut::Gone),
            Err(error) => return Err(cut_off(&error)),
        };
        bytes.extend_from_slice(&chunk[..read]);
        if let Some((head, length)) = parse(&bytes)? {
            return Ok((head, bytes.split_off(length)));
        }
    }
}

/// The length of a body as a size, where it is within the limit.
///
/// # Errors
/// Refuses bodies beyond `limit` bytes.
pub fn body_length(length: u64, limit: usize) -> Result<usize, Refusal> {
    usize::try_from(length)
        .ok()
        .filter(|&length| length <= limit)
        .ok_or_else(|| {
            let reason = format!("the body has {length} bytes, at most {limit} are taken");
            Refusal::new(Status::TooLarge, reason)
        })
}

/// Reads a body of `length` bytes, of which `started` came with the head.
///
/// # Errors
/// Refuses bodies that come too slowly; those that break off leave nobody to tell.
pub fn read_body(stream: &mut impl Read, started: Vec<u8>, length: usize) -> Result<Vec<u8>, Cut> {
    let mut body = started;
    body.truncate(length);
    let missing = (length - body.len()) as u64;
    match stream.take(missing).read_to_end(&mut body) {
        Ok(_) if body.len() == length => Ok(body),
        Ok(_) => Err(Cut::Gone),
        Err(error) => Err(cut_off(&error)),
    }
}

fn cut_off(error: &io::Error) -> Cut {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            Refusal::new(Status::Timeout, "the request came too slowly").into()
        }
        _ => Cut::Gone,
    }
}

/// Parses a head; `None` when more bytes are needed. The second value is the head's length.
///
/// # Errors
/// Refuses what is not HTTP/1.0 or 1.1, ambiguous (a header twice whose value matters), or needs what
/// this server lacks (chunked bodies).
pub fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Refusal> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            let reason = format!("more than {MAX_HEADERS} header lines");
            return Err(Refusal::new(Status::HeaderTooLarge, reason));
        }
        Err(error) => return Err(bad(format!("not an HTTP/1.1 request: {error}"))),
    };
    let headers = &*request.headers;
    if find(headers, "transfer-encoding")?.is_some() {
        return Err(Refusal::new(
            Status::LengthRequired,
            "chunked bodies are not taken, send Content-Length",
        ));
    }
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let head = Head {
        method,
        target: request.path.unwrap_or_default().to_owned(),
        host: find(headers, "host")?
            .ok_or_else(|| bad("no Host header"))?
            .to_owned(),
        origin: find(headers, "origin")?.map(str::to_owned),
        authorization: find(headers, "authorization")?.map(str::to_owned),
        foreign: matches!(
            find(headers, "sec-fetch-site")?,
            Some("cross-site" | "same-site")
        ) && find(headers, "sec-fetch-mode")? != Some("navigate"),
        body: find(headers, "content-length")?.map_or(Ok(0), content_length)?,
        waits: find(headers, "expect")?.is_some_and(|v| v.eq_ignore_ascii_case("100-continue")),
    };
    Ok(Some((head, length)))
}

/// The header of this name, which may be there once.
fn find<'a>(headers: &'a [Header<'_>], name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut found = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name));
    let Some(header) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(bad(format!("more than one {name} header")));
    }
    match std::str::from_utf8(header.value) {
        Ok(value) => Ok(Some(value.trim())),
        Err(_) => Err(bad(format!("the {name} header is no text"))),
    }
}

/// Digits only: `parse` alone would take `+5`.
fn content_length(value: &str) -> Result<u64, Refusal> {
    value
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| value.parse().ok())
        .flatten()
        .ok_or_else(|| bad("Content-Length is no number"))
}

fn bad(reason: impl Into<String>) -> Refusal {
    Refusal::new(Status::BadRequest, reason)
}

#[cfg(test)]
mod tests;
