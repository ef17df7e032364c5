//! A Motion JPEG server with faults, in this process.

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use fer_edge::capture::Frame;
use fer_edge::capture::camera::http::HttpCamera;
use fer_edge::capture::camera::{Address, Driver, Got};
use fer_edge::health::Camera::{Offline, Online, Opening, Stalled};
use fer_tests::program::{Ran, program};

use crate::rig::{Rig, settings};

/// What the server does to one client after three good pictures.
#[derive(Debug, Clone, Copy)]
enum Fault {
    NotFound,
    /// Accepts and says nothing.
    Silent,
    /// Says the head a byte at a time, for ever.
    Slow,
    Closes,
    /// Closes after the first picture already.
    ClosesAfterOne,
    ClosesInPicture,
    Hangs,
    Garbage,
    Frozen,
    /// No fault.
    None,
    /// No fault, and the body in small chunks.
    Chunked,
    /// One picture in small chunks, and the last chunk.
    ChunkedOne,
}

impl Fault {
    fn is_chunked(self) -> bool {
        matches!(self, Fault::Chunked | Fault::ChunkedOne)
    }
}

/// Serves the faults in turn, one a client, and the last one for ever.
fn server(faults: &'static [Fault]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for turn in 0.. {
            let Ok((client, _)) = listener.accept() else {
                return;
            };
            let fault = faults[turn.min(faults.len() - 1)];
            // A client that leaves is an error here and the end of this connection.
            thread::spawn(move || serve(client, fault));
        }
    });
    address
}

/// A picture unlike the one before.
fn jpeg() -> Vec<u8> {
    static SHADE: AtomicU8 = AtomicU8::new(0);
    let shade = SHADE.fetch_add(16, Relaxed);
    let picture = image::RgbImage::from_pixel(64, 48, [shade, 128, 128].into());
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}

fn serve(mut client: TcpStream, fault: Fault) -> std::io::Result<()> {
    let mut request = BufReader::new(client.try_clone()?).lines();
    let first = request.next().unwrap_or(Ok(String::new()))?;
    assert_eq!(first, "GET /stream?x=1 HTTP/1.1");
    while request
        .next()
        .is_some_and(|line| line.is_ok_and(|l| !l.is_empty()))
    {}
    match fault {
        Fault::NotFound => return client.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n"),
        Fault::Silent => return wait_for_end(client),
        Fault::Slow => loop {
            client.write_all(b"H")?;
            pause();
        },
        _ => {}
    }
    let coding = match fault.is_chunked() {
        true => "Transfer-Encoding: chunked\r\n",
        false => "",
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=\"b\"\r\n{coding}\r\n"
    );
    client.write_all(head.as_bytes())?;
    let good = match fault {
        Fault::None | Fault::Chunked => usize::MAX,
        Fault::ClosesAfterOne | Fault::ChunkedOne => 1,
        _ => 3,
    };
    for _ in 0..good {
        send(&mut client, &jpeg(), fault)?;
        pause();
    }
    let last = jpeg();
    match fault {
        Fault::ClosesInPicture => client.write_all(&last[..last.len() / 2]),
        Fault::Hangs => wait_for_end(client),
        Fault::Garbage => loop {
            client.write_all(b"\r\n--b\r\n\xff\xd8\xff\x00 no picture \xff\xd9")?;
            pause();
        },
        Fault::Frozen => loop {
            send(&mut client, &last, fault)?;
            pause();
        },
        Fault::ChunkedOne => client.write_all(b"0\r\n\r\n"),
        _ => Ok(()),
    }
}

fn send(client: &mut TcpStream, picture: &[u8], fault: Fault) -> std::io::Result<()> {
    let part = [b"--b\r\nContent-Type: image/jpeg\r\n\r\n", picture, b"\r\n"].concat();
    if !fault.is_chunked() {
        return client.write_all(&part);
    }
    for piece in part.chunks(100) {
        write!(client, "{:x}\r\n", piece.len())?;
        client.write_all(piece)?;
        client.write_all(b"\r\n")?;
    }
    Ok(())
}

/// The server's frame rate.
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

fn wait_for_end(client: TcpStream) -> std::io::Result<()> {
    BufReader::new(client).lines().next();
    Ok(())
}

fn camera(address: SocketAddr) -> HttpCamera {
    let url = format!("http://{address}/stream?x=1");
    let Ok(Address::Http(url)) = url.parse() else {
        panic!("{url}")
    };
    HttpCamera {
        url,
        patience: Duration::from_millis(500),
    }
}

#[test]
fn plain_and_chunked_streams_are_read() {
    for faults in [&[Fault::None], &[Fault::Chunked]] {
        let mut rig = Rig::new(&settings(), camera(server(faults)));
        let mut frame = Frame::default();
        for _ in 0..10 {
            rig.step(&mut frame);
            assert_eq!((frame.width, frame.height), (64, 48));
        }
        assert_eq!(rig.seen.health.reconnects(), 0);
    }
}

#[test]
fn every_fault_ends_in_pictures_again() {
    static FAULTS: [Fault; 9] = [
        Fault::NotFound,
        Fault::Silent,
        Fault::Slow,
        Fault::Closes,
        Fault::ClosesInPicture,
        Fault::Hangs,
        Fault::Garbage,
        Fault::Frozen,
        Fault::None,
    ];
    let mut rig = Rig::new(&settings(), camera(server(&FAULTS)));
    rig.until_back(8, 3);
    rig.seen.passed(&[
        // Refused thrice, closed twice.
        Opening, Offline, Opening, Offline, Opening, Offline, Opening, Online, Offline, Opening,
        Online, Offline, // Silent, garbage, frozen.
        Opening, Online, Stalled, Offline, Opening, Online, Stalled, Offline, Opening, Online,
        Stalled, Offline, Opening, Online,
    ]);
    rig.seen
        .paused_at_most(Duration::from_millis(settings().retry_max_ms));
}

#[test]
fn the_last_picture_is_delivered_before_the_end() {
    for fault in [Fault::ClosesAfterOne, Fault::ChunkedOne] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || serve(listener.accept()?.0, fault));
        let mut feed = camera(address).open().unwrap();
        // All has come, the end too.
        server.join().unwrap().unwrap();
        let mut frame = Frame::default();
        let mut next = || feed.next(&mut frame, Duration::from_secs(30));
        assert_eq!(next().unwrap(), Got::Picture, "{fault:?}");
        let error = next().unwrap_err().to_string();
        assert!(error.contains("ended"), "{fault:?}: {error}");
    }
}

#[test]
fn a_region_outside_the_pictures_is_a_wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fer-edge.toml");
    let address = server(&[Fault::None]);
    let text = format!(
        "[camera]\ndevice = 'http://{address}/stream?x=1'\n[vision]\nregion = [640, 0, 80, 80]\n"
    );
    fs::write(&file, text).unwrap();
    let mut run = program("fer-edge");
    run.args(["run", "--frames", "9", "--config"]).arg(file);
    Ran::of(&mut run).refused(78, &["vision.region", "64x48"]);
}

#[test]
fn refusals_say_why() {
    let open = |fault: &'static [Fault]| {
        let mut camera = camera(server(fault));
        camera.open().map(|_| ()).unwrap_err().to_string()
    };
    assert!(open(&[Fault::NotFound]).contains("404 Not Found"));
    assert!(open(&[Fault::Silent]).contains("no answer in time"));
    assert!(open(&[Fault::Slow]).contains("no HTTP answer"));
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = camera(nobody).open().map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains(&nobody.to_string()) && error.contains("refused"),
        "{error}"
    );
}
