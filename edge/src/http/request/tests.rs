use std::io::{Cursor, Read};

use proptest::prelude::*;

use super::*;

fn head(text: &str) -> Result<Head, Cut> {
    read_head(&mut text.as_bytes(), 8192).map(|(head, _)| head)
}

fn status(result: Result<impl std::fmt::Debug, Cut>) -> Status {
    match result.unwrap_err() {
        Cut::Refused(refusal) => refusal.status,
        Cut::Gone => panic!("gone"),
    }
}

/// Gives one byte a call, then says that time is up.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

#[test]
fn a_head_gives_its_fields_and_what_follows() {
    let text = "POST /v1/classify?x HTTP/1.1\r\nHost: kiosk:1\r\nORIGIN: http://a\r\n\
                content-length: 12\r\nAuthorization: Bearer t\r\nExpect: 100-Continue\r\n\r\nabc";
    let (head, rest) = read_head(&mut text.as_bytes(), 8192).unwrap();
    assert_eq!(head.method, Method::Post);
    assert_eq!(head.target, "/v1/classify?x");
    assert_eq!(head.host, "kiosk:1");
    assert_eq!(head.origin.as_deref(), Some("http://a"));
    assert_eq!(head.authorization.as_deref(), Some("Bearer t"));
    assert_eq!((head.body, head.waits, head.foreign), (12, true, false));
    assert_eq!(rest, b"abc");
}

#[test]
fn a_page_from_elsewhere_is_told_from_a_followed_link() {
    let get = |lines| head(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    assert!(
        get("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n")
            .unwrap()
            .foreign
    );
    assert!(
        !get("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n")
            .unwrap()
            .foreign
    );
    assert!(!get("Sec-Fetch-Site: same-origin\r\n").unwrap().foreign);
}

#[test]
fn what_can_be_read_two_ways_is_refused() {
    for lines in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "Host: a\r\nContent-Length: +1\r\n",
        "Host: a\r\nContent-Length: 99999999999999999999\r\n",
        "Host: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n",
        "Host : a\r\n",
    ] {
        let result = head(&format!("GET / HTTP/1.1\r\n{lines}\r\n"));
        assert_eq!(status(result), Status::BadRequest, "{lines}");
    }
    let chunked = head("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(status(chunked), Status::LengthRequired);
    assert_eq!(status(head("PRI * HTTP/2.0\r\n\r\n")), Status::BadRequest);
}

#[test]
fn heads_are_bounded_in_length_lines_and_time() {
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000));
    assert_eq!(status(head(&long)), Status::HeaderTooLarge);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
    assert_eq!(status(head(&many)), Status::HeaderTooLarge);
    let slow = read_head(&mut Dribble(b"GET / HTTP/1.1\r\nHost"), 8192);
    assert_eq!(status(slow), Status::Timeout);
    let idle = read_head(&mut Dribble(b""), 8192);
    assert!(matches!(idle, Err(Cut::Gone)));
}

#[test]
fn bodies_are_bounded_in_length_and_time() {
    let mut rest: &[u8] = b"cdefg";
    let body = read_body(&mut rest, b"ab".to_vec(), 4).unwrap();
    assert_eq!((body.as_slice(), rest), (&b"abcd"[..], &b"efg"[..]));
    assert_eq!(body_length(4, 4), Ok(4));
    for large in [5, u64::MAX] {
        assert_eq!(body_length(large, 4).unwrap_err().status, Status::TooLarge);
    }
    let slow = read_body(&mut Dribble(b"a"), Vec::new(), 2);
    assert_eq!(status(slow), Status::Timeout);
    let short = read_body(&mut &b"a"[..], Vec::new(), 2);
    assert!(matches!(short, Err(Cut::Gone)));
}

/// Bytes that look a little like HTTP, so that the parser gets further than the first line.
fn almost_http() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"GET "[..]),
        Just(&b"POST /v1/classify"[..]),
        Just(&b" HTTP/1.1\r\n"[..]),
        Just(&b"Host: a\r\n"[..]),
        Just(&b"Content-Length: 7\r\n"[..]),
        Just(&b"Content-Length: 18446744073709551616\r\n"[..]),
        Just(&b"Origin:"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\0\xff\xfe"[..]),
    ];
    let noise = prop::collection::vec(any::<u8>(), 0..8);
    prop::collection::vec((piece, noise), 0..24).prop_map(|pieces| {
        let bytes = pieces.into_iter().flat_map(|(piece, mut noise)| {
            // mostly clean, or hardly any head would parse
            noise.truncate(noise.first().map_or(0, |n| usize::from(n % 8 == 0)));
            [piece.to_vec(), noise].concat()
        });
        bytes.collect()
    })
}

proptest! {
    // PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(4096)))]

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop_oneof![almost_http(), prop::collection::vec(any::<u8>(), 0..512)], limit in 0usize..600) {
        let mut stream = Cursor::new(&bytes);
        if let Ok((head, started)) = read_head(&mut stream, limit) {
            prop_assert!(stream.position() as usize <= limit);
            if let Ok(length) = body_length(head.body, limit)
                && let Ok(body) = read_body(&mut stream, started, length)
            {
                prop_assert_eq!(body.len(), length);
            }
        }
    }

    #[test]
    fn a_head_is_the_same_however_it_is_cut(bytes in almost_http()) {
        let whole = read_head(&mut &bytes[..], 8192).ok().map(|(head, _)| head);
        let dribbled = read_head(&mut Dribble(&bytes), 8192).ok().map(|(head, _)| head);
        prop_assert_eq!(whole, dribbled);
    }
}
