//! Answers, and the headers that all of them carry.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

/// The status codes in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// As asked.
    Ok = 200,
    /// Not understood.
    BadRequest = 400,
    /// The token is missing or wrong.
    Unauthorized = 401,
    /// From a page or under a name that is not ours.
    Forbidden = 403,
    /// No such path.
    NotFound = 404,
    /// Not at this path.
    MethodNotAllowed = 405,
    /// Too slow.
    Timeout = 408,
    /// A body of unknown length.
    LengthRequired = 411,
    /// A body too large.
    TooLarge = 413,
    /// A body that is no picture.
    Unprocessable = 422,
    /// A head too large.
    HeaderTooLarge = 431,
    /// A fault of ours.
    Internal = 500,
    /// Not now.
    Unavailable = 503,
}

impl Status {
    /// The words behind the number.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::Timeout => "Request Timeout",
            Self::LengthRequired => "Length Required",
            Self::TooLarge => "Content Too Large",
            Self::Unprocessable => "Unprocessable Content",
            Self::HeaderTooLarge => "Request Header Fields Too Large",
            Self::Internal => "Internal Server Error",
            Self::Unavailable => "Service Unavailable",
        }
    }
}

/// A request that is not answered as asked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: Status,
    /// One line for whoever asked.
    pub reason: String,
    /// A header line that belongs to it, with its line end; or empty.
    pub header: &'static str,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(status: Status, reason: impl Into<String>) -> Self {
        let header = match status {
            // Browsers show their dialogue; the name they send along is ignored.
            Status::Unauthorized => {
                "WWW-Authenticate: Basic realm=\"fer-edge\", charset=\"UTF-8\"\r\n"
            }
            Status::Unavailable => "Retry-After: 1\r\n",
            _ => "",
        };
        Self {
            status,
            reason: reason.into(),
            header,
        }
    }

    /// A method that a path doesn't take; `allow` is the header line that says which it does.
    pub fn method(reason: impl Into<String>, allow: &'static str) -> Self {
        Self {
            header: allow,
            ..Self::new(Status::MethodNotAllowed, reason)
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status as u16, self.reason)
    }
}

/// What goes with every answer: nothing is cached, guessed, framed, or loaded from elsewhere.
const COMMON: &str = "\
    Connection: close\r\n\
    Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Permissions-Policy: camera=(), microphone=(), geolocation=()\r\n\
    Referrer-Policy: no-referrer\r\n";

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    status: Status,
    content_type: &'static str,
    header: &'static str,
    body: Cow<'static, [u8]>,
}

impl Answer {
    /// An answer with a body.
    pub fn new(
        status: Status,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        Self {
            status,
            content_type,
            header: "",
            body: body.into(),
        }
    }

    /// A line of text.
    #[must_use]
    pub fn line(status: Status, mut text: String) -> Self {
        text.push('\n');
        Self::new(status, "text/plain; charset=utf-8", text.into_bytes())
    }

    /// Writes head and body, or the head alone where only that was asked for.
    ///
    /// # Errors
    /// Returns the writer's error.
    pub fn write(&self, out: &mut impl Write, with_body: bool) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{COMMON}{}\r\n",
            self.status as u16,
            self.status.phrase(),
            self.content_type,
            self.body.len(),
            self.header,
        );
        out.write_all(head.as_bytes())?;
        if with_body {
            out.write_all(&self.body)?;
        }
        out.flush()
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self {
            header: refusal.header,
            ..Self::line(refusal.status, refusal.reason)
        }
    }
}

/// Writes the head of a stream of events, which ends with the connection.
///
/// # Errors
/// Returns the writer's error.
pub fn write_stream_head(out: &mut impl Write) -> io::Result<()> {
    // X-Accel-Buffering: nginx would hold events back.
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n{COMMON}\r\n"
    );
    out.write_all(head.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer, with_body: bool) -> String {
        let mut out = Vec::new();
        answer.write(&mut out, with_body).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_answer_forbids_sniffing_framing_and_foreign_content() {
        let mut stream = Vec::new();
        write_stream_head(&mut stream).unwrap();
        let refused = Answer::from(Refusal::new(Status::NotFound, "nothing here"));
        for text in [written(&refused, true), String::from_utf8(stream).unwrap()] {
            for part in [
                "nosniff",
                "default-src 'none'",
                "frame-ancestors 'none'",
                "no-store",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(text.lines().all(|line| !line.starts_with(' ')), "{text}");
        }
    }

    #[test]
    fn a_head_says_the_length_of_the_body_it_leaves_out() {
        let answer = Answer::line(Status::Ok, "ready".to_owned());
        let (whole, head) = (written(&answer, true), written(&answer, false));
        assert_eq!(whole, head.clone() + "ready\n");
        assert!(head.contains("Content-Length: 6\r\n") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_missing_token_makes_browsers_ask_for_it() {
        let answer = Answer::from(Refusal::new(Status::Unauthorized, "token"));
        assert!(written(&answer, true).contains("\r\nWWW-Authenticate: Basic realm="));
    }
}
