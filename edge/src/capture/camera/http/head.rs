//! The head of an answer: is what follows a stream of pictures, and how is it wrapped? Does no I/O.

use super::super::address::public;
use super::body::{Body, Chunk};

/// Longest head that is read, in bytes.
pub(super) const MAX_HEAD: usize = 16 << 10;

/// Most header lines that are read.
const MAX_HEADERS: usize = 64;

/// Reads a head from the first bytes of an answer; nothing while it isn't complete.
///
/// Returns its length and how the body is wrapped.
///
/// # Errors
/// Returns why this is no stream of pictures.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(usize, Body)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > MAX_HEAD => {
            return Err(format!("a head of more than {MAX_HEAD} bytes"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("no HTTP answer ({error})")),
    };
    match response.code {
        Some(200) => {}
        Some(401) => {
            return Err("401: the camera wants a password, which is not supported".to_owned());
        }
        Some(code @ 300..=399) => {
            let to = header(&response, "location").unwrap_or_default();
            return Err(format!(
                "{code}: the stream is elsewhere, at `{}`",
                printable(&public(&to))
            ));
        }
        code => {
            let reason = printable(response.reason.unwrap_or_default());
            return Err(format!("{} {reason}, expected 200", code.unwrap_or(0)));
        }
    }
    let kind = header(&response, "content-type").unwrap_or_default();
    if !is_stream(&kind) {
        return Err(format!(
            "content type `{}`, expected multipart/x-mixed-replace (a stream of pictures)",
            printable(&kind)
        ));
    }
    let coding = header(&response, "transfer-encoding").unwrap_or_default();
    let body = match coding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Body::Plain,
        "chunked" => Body::Chunked(Chunk::default()),
        other => {
            return Err(format!(
                "transfer coding `{}` is not supported",
                printable(other)
            ));
        }
    };
    Ok(Some((length, body)))
}

fn header(response: &httparse::Response<'_, '_>, name: &str) -> Option<String> {
    let found = response
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case(name));
    found.map(|h| String::from_utf8_lossy(h.value).into_owned())
}

/// The boundary itself isn't needed: the splitter finds each picture by its own markers, which also
/// shows it as soon as its last byte is there instead of with the next boundary.
fn is_stream(kind: &str) -> bool {
    let name = kind.split(';').next().unwrap_or_default().trim();
    [
        "multipart/x-mixed-replace",
        "video/x-motion-jpeg",
        "video/x-jpeg",
    ]
    .iter()
    .any(|known| name.eq_ignore_ascii_case(known))
}

/// What a stranger sent, fit for a log line.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(status: &str, headers: &str) -> Result<Option<(usize, Body)>, String> {
        parse(format!("HTTP/1.1 {status}\r\n{headers}\r\n").as_bytes())
    }

    const KIND: &str = "Content-Type: multipart/x-mixed-replace; boundary=frame\r\n";

    #[test]
    fn streams_are_recognised() {
        let (_, body) = head("200 OK", KIND).unwrap().unwrap();
        assert_eq!(body, Body::Plain);
        let chunked = format!("{KIND}Transfer-Encoding: Chunked\r\n");
        let (_, body) = head("200 OK", &chunked).unwrap().unwrap();
        assert!(matches!(body, Body::Chunked(_)));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-"), Ok(None));
    }

    #[test]
    fn other_answers_say_what_they_are() {
        for (status, headers, why) in [
            ("404 Not Found", "", "404 Not Found"),
            ("401 Unauthorized", "", "password"),
            ("302 Found", "Location: http://x/\r\n", "`http://x/`"),
            (
                "301 Moved Permanently",
                "Location: https://cam/s?key=SECRET\r\n",
                "`https://cam/s`",
            ),
            ("307 Elsewhere", "Location: /s?key=SECRET\r\n", "`/s`"),
            (
                "308 Elsewhere",
                "Location: //me:SECRET@cam/s\r\n",
                "`//…@cam/s`",
            ),
            (
                "200 OK",
                "Content-Type: image/jpeg\r\n",
                "`image/jpeg`, expected multipart",
            ),
            ("200 OK", "", "``, expected multipart"),
            (
                "200 OK",
                &format!("{KIND}Transfer-Encoding: gzip\r\n"),
                "`gzip`",
            ),
        ] {
            let error = head(status, headers).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
        assert!(
            parse(b"SSH-2.0-OpenSSH\r\n")
                .unwrap_err()
                .contains("no HTTP")
        );
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'a'; MAX_HEAD]].concat();
        assert!(parse(&endless).unwrap_err().contains("16384"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(noise: Vec<u8>) {
            let _ = parse(&noise);
            let _ = parse(&[b"HTTP/1.1 200 OK\r\n".to_vec(), noise].concat());
        }
    }
}
