//! What comes from outside, damaged: the functions of `fuzz/`, without libFuzzer, on altered copies of good
//! inputs. A few thousand each time; a million by
//!
//! ```sh
//! FER_FUZZ_RUNS=1000000 cargo test --workspace --test fuzz -- --nocapture
//! ```

use std::io::{Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, GrayImage, ImageFormat};

#[path = "../fuzz/targets/config.rs"]
mod config;
#[path = "../fuzz/targets/http_request.rs"]
mod http_request;
#[path = "../fuzz/targets/y4m_mjpeg.rs"]
mod y4m_mjpeg;

/// Most bytes of an input: beyond that, time goes into copying.
const LONGEST: usize = 6000;

/// xorshift64: the same damage every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        start..(start + self.below(32)).min(len)
    }

    /// Damages `bytes` in one of the ways in which transfers, authors and attackers do.
    fn damage(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        const TELLING: [&[u8]; 10] = [
            b"\0",
            b"\xff",
            b"\n",
            b"\r\n\r\n",
            b"-1",
            b"99999999999999999999",
            b"1e999",
            b"\"",
            b"[[",
            b"\xff\xd8",
        ];
        let at = self.below(bytes.len() + 1);
        match self.below(8) {
            0 | 1 if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] ^= 1 << self.below(8);
            }
            2 if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] = self.below(256) as u8;
            }
            3 => {
                let range = self.range(bytes.len());
                bytes.drain(range);
            }
            4 => {
                let range = self.range(bytes.len());
                let copy = bytes[range].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let telling = TELLING[self.below(TELLING.len())];
                bytes.splice(at..at, telling.iter().copied());
            }
            6 => {
                let other = &seeds[self.below(seeds.len())];
                let range = self.range(other.len());
                bytes.splice(at..at, other[range].iter().copied());
            }
            _ if self.below(8) == 0 => bytes.truncate(at),
            _ => {}
        }
        bytes.truncate(LONGEST);
    }
}

fn fuzz(name: &str, seeds: &[Vec<u8>], target: fn(&[u8])) {
    let runs = std::env::var("FER_FUZZ_RUNS").map_or(5000, |runs| runs.parse().expect("a number"));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for seed in seeds {
        target(seed);
    }
    for _ in 0..runs {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(6) {
            dice.damage(&mut bytes, seeds);
        }
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
        include_bytes!("../../tools/packaging/fer-edge.toml").to_vec(),
        format!("[service]\nthreshold = 0.5\nid = \"a\"\n{variables}").into_bytes(),
        b"[http]\nenabled = true\nlisten = \"0.0.0.0:1\"\ntoken = \"0123456789abcdef\"\n".to_vec(),
        b"[mqtt]\nhost = \"h\"\nport = 1\n[serial]\nport = \"/dev/x\"\nbaud = 9600\n".to_vec(),
    ];
    fuzz("config", &seeds, config::run);
}
