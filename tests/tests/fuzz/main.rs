//! What comes from outside, damaged: the functions of all `fuzz/` folders, without libFuzzer, on altered copies of good
//! inputs. A few thousand each time; a million by
//!
//! ```sh
//! FER_FUZZ_RUNS=1000000 cargo test --workspace --test fuzz -- --nocapture
//! ```

use std::io::{Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fer_wire::{Camera, Encoder, Hello, List, MAX_FRAME, Message, Status};
use image::{DynamicImage, GrayImage, ImageFormat};

use damage::Dice;

#[path = "../../../edge/fuzz/targets/config.rs"]
mod config;
mod damage;
#[path = "../../../host/fuzz/targets/fer2013_csv.rs"]
mod fer2013_csv;
#[path = "../../../edge/fuzz/targets/http_request.rs"]
mod http_request;
#[path = "../../../edge/wire/fuzz/targets/line.rs"]
mod line;
#[path = "../../../models/fuzz/targets/manifest.rs"]
mod manifest;
#[path = "../../../host/fuzz/targets/torch_checkpoint.rs"]
mod torch_checkpoint;
#[path = "../../../edge/fuzz/targets/y4m_mjpeg.rs"]
mod y4m_mjpeg;

fn fuzz(name: &str, seeds: &[Vec<u8>], target: fn(&[u8])) {
    let runs = std::env::var("FER_FUZZ_RUNS").map_or(5000, |runs| runs.parse().expect("a number"));
    // beyond that, time goes into copying
    let longest = seeds.iter().map(Vec::len).max().unwrap_or(0) + 1000;
    let mut dice = Dice::default();
    for seed in seeds {
        target(seed);
    }
    for _ in 0..runs {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(6) {
            dice.damage(&mut bytes, seeds);
        }
        bytes.truncate(longest);
        let ran = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
        assert!(ran.is_ok(), "{name} panics on \"{}\"", bytes.escape_ascii());
    }
    let _ = writeln!(std::io::stderr().lock(), "{name}: {runs} runs, no panic");
}

fn picture(format: ImageFormat) -> Vec<u8> {
    let grey = GrayImage::from_fn(16, 12, |x, y| image::Luma([(x * 16 + y) as u8]));
    let picture = DynamicImage::from(grey).to_rgb8();
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn requests() {
    let post = |body: &[u8]| {
        let head = format!(
            "POST /v1/classify HTTP/1.1\r\nHost: kiosk.local\r\nAuthorization: Bearer 0123456789abcdef\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ];
    let mut seeds: Vec<Vec<u8>> = formats.map(|format| post(&picture(format))).into();
    seeds
        .push(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:8787\r\nOrigin: http://a.b\r\n\r\n".into());
    seeds.push(b"GET /?token=0123456789abcdef HTTP/1.0\r\nCookie: a=b\r\n\r\n".into());
    fuzz("http_request", &seeds, http_request::run);
}

#[test]
fn videos() {
    let y4m = |format: &str, luma: usize, rest: usize| {
        let frame = [b"FRAME\n".to_vec(), vec![7; luma + rest]].concat();
        let head = format!("YUV4MPEG2 W8 H6 F30:1 Ip A1:1 {format}\n");
        [head.into_bytes(), frame.clone(), frame].concat()
    };
    let jpeg = picture(ImageFormat::Jpeg);
    let seeds = [
        y4m("C420jpeg", 48, 24),
        y4m("Cmono", 48, 0),
        y4m("C444 XYSCSS=444", 48, 96),
        [jpeg.clone(), jpeg.clone()].concat(),
        jpeg,
    ];
    fuzz("y4m_mjpeg", &seeds, y4m_mjpeg::run);
}

#[test]
fn configurations() {
    use fer_edge::config::{Places, load};
    let default = load(&Places::default(), std::iter::empty()).unwrap();
    let variables =
        "\0FER_EDGE_MQTT_HOST=a.b\nFER_EDGE_VISION_REGION=[80, 40, 160, 160]\nPATH=/bin";
    let seeds = [
        default.show().into_bytes(),
        include_bytes!("../../../tools/packaging/fer-edge.toml").to_vec(),
        format!("[service]\nthreshold = 0.5\nid = \"a\"\n{variables}").into_bytes(),
        b"[http]\nenabled = true\nlisten = \"0.0.0.0:1\"\ntoken = \"0123456789abcdef\"\n".to_vec(),
        b"[mqtt]\nhost = \"h\"\nport = 1\n[serial]\nport = \"/dev/x\"\nbaud = 9600\n".to_vec(),
    ];
    fuzz("config", &seeds, config::run);
}

#[test]
fn lines() {
    let hello = Message::Hello(Hello {
        revision: 0,
        firmware: "fer-edge 0.1.0",
        model: "vgg19-slim",
        labels: List::first_of(["happy", "neutral"]),
    });
    let status = Message::Status(Status {
        uptime_ms: 2_500,
        camera: Camera::Online,
        captured: 61,
        processed: 60,
        dropped: 0,
    });
    let mut encoder = Encoder::new();
    let [hello, status] = [hello, status].map(|message| {
        let mut line = [0; MAX_FRAME];
        encoder.encode(&message, &mut line).unwrap().to_vec()
    });
    let seeds = [[&hello[..], &status].concat(), hello, status];
    fuzz("line", &seeds, line::run);
}

#[test]
fn manifests() {
    let seeds = [
        include_bytes!("../../../models/zoo/vgg19-lite/model.toml").to_vec(),
        include_bytes!("../../../models/zoo/vgg19-slim-int8/model.toml").to_vec(),
    ];
    fuzz("manifest", &seeds, manifest::run);
}

#[test]
fn csv_files() {
    const HEAD: &str = "emotion,pixels,Usage\n";
    let row = |label, usage| format!("{label},{}0,{usage}\n", "9 ".repeat(48 * 48 - 1));
    let rows = row(3, "Training") + &row(6, "PublicTest");
    // the first byte: 1 for the head in the file itself, 2 for going on behind wrong rows
    let seeds = [
        format!("\0{rows}"),
        format!("\u{1}{HEAD}{rows}"),
        format!("\u{2}{rows}7,1 2 3,Training\n"),
        format!("\u{3}{HEAD}{rows}"),
    ];
    fuzz(
        "fer2013_csv",
        &seeds.map(String::into_bytes),
        fer2013_csv::run,
    );
}

#[test]
fn checkpoints() {
    // the first byte 0: the file as it is
    let whole = |file: &[u8]| [b"\0", file].concat();
    let seeds = [
        whole(include_bytes!(
            "../../../host/tests/fixtures/torch/tiny-vgg11.t7"
        )),
        whole(include_bytes!(
            "../../../host/tests/fixtures/torch/tiny-vggnet.pth"
        )),
        b"\x01\x80\x02}q\0.\x80\x02]q\0.".to_vec(),
        b"\x02\x80\x02}q\0.".to_vec(),
    ];
    fuzz("torch_checkpoint", &seeds, torch_checkpoint::run);
}
