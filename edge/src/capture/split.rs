//! Cuts a stream of bytes into JPEG pictures.
//!
//! There is no container, so the splitter walks each picture's marker segments (ITU-T T.81, annex B)
//! from SOI to EOI: that way a thumbnail inside a metadata segment doesn't end the picture early.
//! Bytes between pictures, such as multipart headers, are skipped.

use std::io::{self, Read};
use std::ops::Range;

/// Largest picture that is accepted, in bytes; also bounds the splitter's memory.
pub const MAX_JPEG: usize = 16 << 20;

const CHUNK: usize = 64 << 10;

/// What the splitter found in the bytes that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A whole picture; the range is into [`Splitter::bytes`] and holds until the next call.
    Picture(Range<usize>),
    /// The start of a picture that doesn't go on like one.
    Bad(&'static str),
    /// Nothing more without further bytes.
    More,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Looking for SOI.
    Seek,
    /// At a marker.
    Marker,
    /// Inside entropy-coded data.
    Entropy,
}

/// Cuts a stream of bytes into JPEG pictures. Does no I/O.
#[derive(Debug)]
pub struct Splitter {
    buffer: Vec<u8>,
    /// Start of the current picture, or of the bytes not looked at yet.
    start: usize,
    /// Where the walk goes on; may lie beyond the buffer's end while a segment is still coming.
    at: usize,
    phase: Phase,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            at: 0,
            phase: Phase::Seek,
        }
    }
}

impl Splitter {
    /// The bytes that [`Found::Picture`] points into.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Adds bytes after the ones given before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.forget();
        self.buffer.extend_from_slice(bytes);
    }

    /// Adds what one `read` brings, at most 64 KiB; returns its length, 0 at the end.
    ///
    /// # Errors
    /// Returns the reader's error.
    pub fn read_from(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        self.forget();
        let end = self.buffer.len();
        self.buffer.resize(end + CHUNK, 0);
        let result = loop {
            match reader.read(&mut self.buffer[end..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer
            .truncate(end + result.as_ref().copied().unwrap_or(0));
        result
    }

    /// Drops the bytes before the current picture.
    fn forget(&mut self) {
        self.buffer.drain(..self.start);
        self.at -= self.start;
        self.start = 0;
    }

    /// Looks for the next picture in the bytes given so far.
    pub fn poll(&mut self) -> Found {
        loop {
            let step = match self.phase {
                Phase::Seek => self.seek(),
                Phase::Marker => self.marker(),
                Phase::Entropy => self.entropy(),
            };
            if let Some(found) = step {
                return found;
            }
            if self.phase != Phase::Seek && self.at - self.start > MAX_JPEG {
                return self.give_up(self.start + 2, "a picture is larger than 16 MiB");
            }
        }
    }

    /// Says that no more bytes will come. Call it after `poll` has returned [`Found::More`]: an
    /// unfinished picture is reported, and the bytes after its start are searched once more.
    pub fn finish(&mut self) -> Found {
        if self.phase == Phase::Seek {
            return Found::More;
        }
        self.give_up(self.start + 2, "a picture is cut short")
    }

    fn give_up(&mut self, resume: usize, why: &'static str) -> Found {
        self.start = resume;
        self.at = resume;
        self.phase = Phase::Seek;
        Found::Bad(why)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.buffer.get(at).copied()
    }

    fn seek(&mut self) -> Option<Found> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        if let Some(offset) = rest.windows(3).position(|w| w == [0xff, 0xd8, 0xff]) {
            self.start += offset;
            self.at = self.start + 2;
            self.phase = Phase::Marker;
            return None;
        }
        // The last two bytes may be the beginning of an SOI.
        self.start = self.start.max(self.buffer.len().saturating_sub(2));
        self.at = self.start;
        Some(Found::More)
    }

    fn marker(&mut self) -> Option<Found> {
        let (Some(lead), Some(code)) = (self.byte(self.at), self.byte(self.at + 1)) else {
            return Some(Found::More);
        };
        if lead != 0xff {
            return Some(self.give_up(self.start + 2, "a picture's segments are damaged"));
        }
        match code {
            0xff => self.at += 1,
            0x00 => return Some(self.give_up(self.start + 2, "a picture's segments are damaged")),
            0xd8 => return Some(self.give_up(self.at, "a picture is cut short")),
            0xd9 => return Some(self.picture()),
            0x01 | 0xd0..=0xd7 => self.at += 2,
            _ => {
                let (Some(high), Some(low)) = (self.byte(self.at + 2), self.byte(self.at + 3))
                else {
                    return Some(Found::More);
                };
                let length = usize::from(u16::from_be_bytes([high, low]));
                if length < 2 {
                    return Some(self.give_up(self.start + 2, "a picture's segments are damaged"));
                }
                self.at += 2 + length;
                if code == 0xda {
                    self.phase = Phase::Entropy;
                }
            }
        }
        None
    }

    fn entropy(&mut self) -> Option<Found> {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let Some(offset) = rest.iter().position(|&b| b == 0xff) else {
            self.at = self.at.max(self.buffer.len());
            return Some(self.unless_too_long());
        };
        self.at += offset;
        match self.byte(self.at + 1) {
            None => return Some(self.unless_too_long()),
            Some(0x00 | 0xd0..=0xd7) => self.at += 2,
            Some(0xff) => self.at += 1,
            Some(_) => self.phase = Phase::Marker,
        }
        None
    }

    fn unless_too_long(&mut self) -> Found {
        if self.at - self.start > MAX_JPEG {
            return self.give_up(self.start + 2, "a picture is larger than 16 MiB");
        }
        Found::More
    }

    fn picture(&mut self) -> Found {
        let range = self.start..self.at + 2;
        self.start = range.end;
        self.at = range.end;
        self.phase = Phase::Seek;
        Found::Picture(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn jpeg(value: u8) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = ::image::GrayImage::from_pixel(16, 8, [value].into());
        picture
            .write_to(&mut bytes, ::image::ImageFormat::Jpeg)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn chunking_does_not_matter() {
        let mut bytes = jpeg(1);
        bytes.extend(jpeg(200));
        let mut splitter = Splitter::default();
        let mut pictures = 0;
        for byte in &bytes {
            splitter.push(&[*byte]);
            while let Found::Picture(range) = splitter.poll() {
                assert!(splitter.bytes()[range].ends_with(&[0xff, 0xd9]));
                pictures += 1;
            }
        }
        assert_eq!(pictures, 2);
    }
}
