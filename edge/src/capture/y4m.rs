//! Y4M (YUV4MPEG2): uncompressed video as `ffmpeg`, `mjpegtools` and GStreamer write it.
//!
//! A text header (`YUV4MPEG2 W320 H240 F30:1 C420jpeg`), then for each frame a line that starts with
//! `FRAME` and the planes. Only the luma plane is kept; the chroma planes are skipped.

use std::io::{self, BufRead, BufReader, Read};

use super::{CaptureError, Frame, Pace, Source, Step, check_size};

/// The first bytes of every Y4M stream.
pub const MAGIC: &[u8] = b"YUV4MPEG2";

/// Longest header line that is accepted, in bytes.
const MAX_LINE: u64 = 4096;

/// What the stream's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Frames per second as numerator and denominator.
    pub rate: (u32, u32),
    /// Bytes of luma in a frame.
    pub luma: usize,
    /// Bytes after the luma plane in a frame.
    pub rest: u64,
}

impl Header {
    /// Reads a header line, with or without its newline.
    ///
    /// # Errors
    /// Returns what is wrong: no size, an absurd size, a bad rate, or a pixel format that is not
    /// 8-bit planar.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "the Y4M header is not text")?;
        let mut words = line.split_ascii_whitespace();
        if words.next().map(str::as_bytes) != Some(MAGIC) {
            return Err("the Y4M header does not start with YUV4MPEG2".to_owned());
        }
        let (mut width, mut height, mut rate, mut format) = (None, None, (25, 1), "420");
        for word in words {
            let Some((key, value)) = word.split_at_checked(1) else {
                continue;
            };
            match key {
                "W" => width = Some(number("W", value)?),
                "H" => height = Some(number("H", value)?),
                "F" => rate = parse_rate(value)?,
                "C" => format = value,
                _ => {}
            }
        }
        let width = width.ok_or("the Y4M header has no width (W)")?;
        let height = height.ok_or("the Y4M header has no height (H)")?;
        let luma = check_size(width, height)?;
        let half = |n: u64| n.div_ceil(2);
        let rest = match format {
            "420" | "420jpeg" | "420mpeg2" | "420paldv" => 2 * half(width) * half(height),
            "411" => 2 * width.div_ceil(4) * height,
            "422" => 2 * half(width) * height,
            "444" => 2 * width * height,
            "444alpha" => 3 * width * height,
            "mono" => 0,
            other => {
                return Err(format!(
                    "Y4M pixel format `C{other}` is not supported (8-bit 420, 411, 422, 444 and \
                     mono are)"
                ));
            }
        };
        Ok(Self {
            width: width as usize,
            height: height as usize,
            rate,
            luma,
            rest,
        })
    }
}

fn number(key: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("the Y4M header's {key} is `{value}`, expected a number"))
}

fn parse_rate(value: &str) -> Result<(u32, u32), String> {
    let rate = value
        .split_once(':')
        .and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
    match rate {
        // 0:0 is how the format says "unknown".
        Some((0, 0)) => Ok((25, 1)),
        Some((n, d)) if n > 0 && d > 0 => Ok((n, d)),
        _ => Err(format!(
            "the Y4M header's F is `{value}`, expected a rate such as 30:1"
        )),
    }
}

/// A Y4M stream.
#[derive(Debug)]
pub struct Y4m<R> {
    name: String,
    reader: BufReader<R>,
    header: Header,
    line: Vec<u8>,
    seq: u64,
    ended: bool,
}

impl<R: Read + Send> Y4m<R> {
    /// Reads the header. `name` stands for the stream in messages and in the output.
    ///
    /// # Errors
    /// Returns an error when the stream can't be read or the header is wrong.
    pub fn new(name: &str, stream: R) -> Result<Self, CaptureError> {
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        let mut line = Vec::new();
        read_line(&mut reader, &mut line).map_err(|e| CaptureError::io(name, e))?;
        if line.last() != Some(&b'\n') {
            return Err(CaptureError::format(name, "the Y4M header has no end"));
        }
        let header = Header::parse(&line).map_err(|e| CaptureError::format(name, e))?;
        Ok(Self {
            name: name.to_owned(),
            reader,
            header,
            line,
            seq: 0,
            ended: false,
        })
    }

    /// What the header says.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn read_frame(&mut self, frame: &mut Frame) -> io::Result<Step> {
        read_line(&mut self.reader, &mut self.line)?;
        if self.line.is_empty() {
            return Ok(Step::End);
        }
        if !self.line.starts_with(b"FRAME") || self.line.last() != Some(&b'\n') {
            return Ok(Step::Bad(
                "no FRAME marker where one is due; the rest is lost".to_owned(),
            ));
        }
        let Header {
            width,
            height,
            rate,
            luma,
            rest,
        } = self.header;
        frame.width = width;
        frame.height = height;
        frame.file.clear();
        frame.seq = self.seq;
        frame.t_ms = (u128::from(self.seq) * 1000 * u128::from(rate.1) / u128::from(rate.0)) as u64;
        frame.pixels.resize(luma, 0);
        match self.reader.read_exact(&mut frame.pixels) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(truncated()),
            Err(e) => return Err(e),
        }
        let skipped = io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink())?;
        Ok(if skipped == rest {
            Step::Frame
        } else {
            truncated()
        })
    }
}

fn truncated() -> Step {
    Step::Bad("the last frame is cut short".to_owned())
}

/// Reads up to and with the next newline, at most [`MAX_LINE`] bytes; empty at the end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    reader.take(MAX_LINE).read_until(b'\n', line).map(|_| ())
}

impl<R: Read + Send> Source for Y4m<R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn pace(&self) -> Pace {
        Pace::Recorded
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        if self.ended {
            return Ok(Step::End);
        }
        let step = self
            .read_frame(frame)
            .map_err(|e| CaptureError::io(&self.name, e))?;
        self.seq += 1;
        // Y4M has no marker to find again after bytes are lost.
        self.ended = step != Step::Frame;
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(format: &str, chroma: usize, frames: u8) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W3 H2 F10:1 Ip {format}\n").into_bytes();
        for n in 0..frames {
            bytes.extend_from_slice(b"FRAME Ip\n");
            bytes.extend((0..6).map(|i| n * 10 + i));
            bytes.extend(std::iter::repeat_n(128, chroma));
        }
        bytes
    }

    #[test]
    fn every_format_yields_the_luma_plane() {
        for (format, chroma) in [
            ("", 4),
            ("C420jpeg", 4),
            ("C420mpeg2", 4),
            ("C411", 4),
            ("C422", 8),
            ("C444", 12),
            ("C444alpha", 18),
            ("Cmono", 0),
        ] {
            let bytes = stream(format, chroma, 2);
            let mut video = Y4m::new("t", bytes.as_slice()).unwrap();
            let mut frame = Frame::default();
            assert_eq!(video.next(&mut frame).unwrap(), Step::Frame, "{format}");
            assert_eq!(video.next(&mut frame).unwrap(), Step::Frame, "{format}");
            assert_eq!(frame.pixels, [10, 11, 12, 13, 14, 15], "{format}");
            assert_eq!((frame.seq, frame.t_ms), (1, 100));
            assert_eq!(video.next(&mut frame).unwrap(), Step::End, "{format}");
        }
    }

    #[test]
    fn a_cut_frame_is_bad_and_the_last() {
        let bytes = stream("C420", 4, 2);
        for cut in [1, 5, 12] {
            let mut video = Y4m::new("t", &bytes[..bytes.len() - cut]).unwrap();
            let mut frame = Frame::default();
            assert_eq!(video.next(&mut frame).unwrap(), Step::Frame);
            assert!(
                matches!(video.next(&mut frame).unwrap(), Step::Bad(_)),
                "cut {cut}"
            );
            assert_eq!(video.next(&mut frame).unwrap(), Step::End);
        }
    }

    #[test]
    fn bad_headers_say_why() {
        for (header, why) in [
            ("YUV4MPEG2 H2\n", "no width"),
            ("YUV4MPEG2 W2 Hx\n", "`x`"),
            ("YUV4MPEG2 W99999999 H9\n", "65535 pixels a side"),
            ("YUV4MPEG2 W60000 H60000\n", "64 million"),
            ("YUV4MPEG2 W0 H2\n", "no pixels"),
            ("YUV4MPEG2 W2 H2 C420p10\n", "`C420p10`"),
            ("YUV4MPEG2 W2 H2 F30:0\n", "30:0"),
            ("YUV4MPEG2 W2 H2", "no end"),
        ] {
            let error = Y4m::new("t", header.as_bytes())
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{header:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(bytes: Vec<u8>) {
            drain(&bytes);
            let mut with_header = b"YUV4MPEG2 W5 H3 F1:3 C422\nFRAME\n".to_vec();
            with_header.extend_from_slice(&bytes);
            drain(&with_header);
        }

        #[test]
        fn any_header_text_is_judged(text in "[ -~]{0,60}") {
            let line = format!("YUV4MPEG2 {text}\n");
            if let Ok(header) = Header::parse(line.as_bytes()) {
                prop_assert_eq!(header.luma, header.width * header.height);
            }
        }
    }

    fn drain(bytes: &[u8]) {
        if let Ok(mut video) = Y4m::new("t", bytes) {
            let mut frame = Frame::default();
            let mut steps = 0;
            while video.next(&mut frame).unwrap() != Step::End {
                steps += 1;
                assert!(steps <= bytes.len() + 2);
            }
        }
    }
}
