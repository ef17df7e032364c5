//! What a client can't do: reach files, fill the memory, hold a place.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::{Events, connect, get, post, read, send};
use crate::running::{settings, start};

#[test]
fn no_path_reaches_a_file() {
    let running = start(&settings());
    for target in [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/kiosk.css/../../etc/passwd",
        "/\\..\\etc\\passwd",
        "/kiosk.css%00.html",
        "/index.html",
        "file:///etc/passwd",
    ] {
        let answer = get(running.address, target, "");
        assert_eq!(answer.status, 404, "{target}: {}", answer.text());
        assert_eq!(answer.text(), "no such path\n", "{target}");
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_unread() {
    let running = start(&settings());
    let limit = settings().body_bytes;
    let head = |length: usize| {
        let address = running.address;
        format!("POST /v1/classify HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n")
    };
    let announced = send(running.address, head(limit + 1).as_bytes());
    assert_eq!(announced.status, 413);
    // The answer also reaches a client that sends without waiting.
    let mut stream = connect(running.address);
    stream.write_all(head(1 << 40).as_bytes()).unwrap();
    stream.write_all(&vec![0; 256 << 10]).unwrap();
    let answer = read(&mut stream);
    assert_eq!(answer.status, 413);
    assert!(
        answer.text().contains(&format!("at most {limit}")),
        "{}",
        answer.text()
    );
}

#[test]
fn a_head_beyond_the_limit_is_refused() {
    let running = start(&settings());
    let long = format!("X-Long: {}\r\n", "a".repeat(9000));
    assert_eq!(get(running.address, "/", &long).status, 431);
    assert_eq!(get(running.address, &"/a".repeat(9000), "").status, 431);
}

#[test]
fn bytes_that_are_no_http_are_refused_and_the_server_goes_on() {
    let running = start(&settings());
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"\0\0\0\0",
    ] {
        assert_eq!(send(running.address, bytes).status, 400, "{bytes:?}");
    }
    assert_eq!(get(running.address, "/healthz", "").text(), "alive\n");
}

#[test]
fn slow_clients_are_cut_off() {
    let mut settings = settings();
    settings.header_timeout_ms = 50;
    settings.body_timeout_ms = 50;
    let running = start(&settings);
    let address = running.address;
    let half_a_head = format!("GET / HTTP/1.1\r\nHost: {address}\r\n");
    assert_eq!(send(address, half_a_head.as_bytes()).status, 408);
    let half_a_body =
        format!("POST /v1/classify HTTP/1.1\r\nHost: {address}\r\nContent-Length: 10\r\n\r\nabc");
    assert_eq!(send(address, half_a_body.as_bytes()).status, 408);
    // Browsers open connections ahead of need; one that never asked is closed without a word.
    let mut idle = connect(address);
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_that_dribbles_gets_no_more_time() {
    let mut settings = settings();
    settings.header_timeout_ms = 200;
    let running = start(&settings);
    let mut stream = connect(running.address);
    let address = running.address;
    let head = format!("GET / HTTP/1.1\r\nHost: {address}\r\n");
    // Each byte comes in time, the whole does not: the server stops reading and the line breaks, long before the head is as
    // long as it may be.
    let fed: std::io::Result<()> = (0..settings.header_bytes / 4)
        .map(|i| head.as_bytes().get(i).copied().unwrap_or(b'a'))
        .try_for_each(|byte| dribble(&mut stream, byte));
    assert!(fed.is_err());
}

/// Sends a byte and leaves the server a moment to take it alone.
fn dribble(stream: &mut TcpStream, byte: u8) -> std::io::Result<()> {
    stream.write_all(&[byte])?;
    std::thread::sleep(std::time::Duration::from_millis(5));
    Ok(())
}

#[test]
fn connections_are_bounded_and_probes_get_through_beside_many_pages() {
    let mut settings = settings();
    settings.connections = 4;
    let running = start(&settings);
    let address = running.address;
    let pages: Vec<_> = (0..3).map(|_| Events::open(address)).collect();
    let fourth = get(address, "/events", "");
    assert_eq!(fourth.status, 503, "{}", fourth.text());
    assert_eq!(get(address, "/healthz", "").status, 200);
    // This one takes the last place and says nothing.
    let silent = connect(address);
    let refused = read(&mut connect(address));
    assert_eq!(
        (refused.status, refused.text()),
        (503, "too many connections\n")
    );
    drop((pages, silent));
}

#[test]
fn methods_and_unknown_lengths_are_refused() {
    let running = start(&settings());
    let address = running.address;
    let post = post(address, "/", b"");
    assert_eq!(post.status, 405);
    assert!(post.head.ends_with("\r\nAllow: GET, HEAD"), "{}", post.head);
    let get = get(address, "/v1/classify", "");
    assert_eq!(get.status, 405);
    assert!(get.head.ends_with("\r\nAllow: POST"), "{}", get.head);
    let chunked = format!(
        "POST /v1/classify HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    assert_eq!(send(address, chunked.as_bytes()).status, 411);
}

#[test]
fn a_head_request_has_no_body() {
    let running = start(&settings());
    let address = running.address;
    let head = send(
        address,
        format!("HEAD / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes(),
    );
    let whole = get(address, "/", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.head, whole.head);
}
