//! Motion JPEG: JPEG pictures one after the other, as cameras and `ffmpeg -f mjpeg` deliver them.

use std::io::Read;

use super::split::{Found, Splitter};
use super::{CaptureError, Frame, MAX_PIXELS, Pace, Source, Step, jpeg};

/// A Motion JPEG stream.
#[derive(Debug)]
pub struct Mjpeg<R> {
    name: String,
    stream: R,
    splitter: Splitter,
    fps: f64,
    seq: u64,
    ended: bool,
}

impl<R: Read + Send> Mjpeg<R> {
    /// Reads pictures from `stream`; `fps` gives the timestamps, as the stream has none.
    pub fn new(name: &str, stream: R, fps: f64) -> Self {
        let splitter = Splitter::default();
        Self {
            name: name.to_owned(),
            stream,
            splitter,
            fps,
            seq: 0,
            ended: false,
        }
    }
}

impl<R: Read + Send> Source for Mjpeg<R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn pace(&self) -> Pace {
        Pace::Recorded
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Step, CaptureError> {
        let found = loop {
            match self.splitter.poll() {
                Found::More if self.ended => match self.splitter.finish() {
                    Found::More => return Ok(Step::End),
                    found => break found,
                },
                Found::More => {
                    let read = self.splitter.read_from(&mut self.stream);
                    self.ended = read.map_err(|e| CaptureError::io(&self.name, e))? == 0;
                }
                found => break found,
            }
        };
        frame.seq = self.seq;
        frame.t_ms = (self.seq as f64 * 1000.0 / self.fps) as u64;
        frame.file.clear();
        self.seq += 1;
        let range = match found {
            Found::Picture(range) => range,
            Found::Bad(why) => return Ok(Step::Bad(why.to_owned())),
            Found::More => return Ok(Step::End),
        };
        match jpeg::decode(&self.splitter.bytes()[range], MAX_PIXELS, frame) {
            Ok(_) => Ok(Step::Frame),
            Err(why) => Ok(Step::Bad(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::split::MAX_JPEG;
    use super::*;
    use proptest::prelude::*;
    use std::io::{self, Cursor};

    fn jpeg(value: u8) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = ::image::GrayImage::from_pixel(16, 8, [value].into());
        picture
            .write_to(&mut bytes, ::image::ImageFormat::Jpeg)
            .unwrap();
        bytes.into_inner()
    }

    /// Good frames (their first pixel) and the number of bad ones.
    fn read(bytes: &[u8]) -> (Vec<u8>, usize) {
        let mut video = Mjpeg::new("t", bytes, 25.0);
        let mut frame = Frame::default();
        let (mut good, mut bad) = (Vec::new(), 0);
        loop {
            match video.next(&mut frame).unwrap() {
                Step::Frame => good.push(frame.pixels[0]),
                Step::Bad(_) => bad += 1,
                Step::End => return (good, bad),
            }
        }
    }

    #[test]
    fn pictures_are_split_and_garbage_between_is_skipped() {
        let mut bytes = b"--boundary\r\n".to_vec();
        for value in [0, 128, 255] {
            bytes.extend(jpeg(value));
            bytes.extend(b"\r\n--boundary\xff\xd8\r\n");
        }
        assert_eq!(read(&bytes), (vec![0, 128, 255], 0));
    }

    #[test]
    fn a_cut_picture_costs_only_itself() {
        let whole = jpeg(255);
        let mut bytes = jpeg(0);
        bytes.extend(&whole[..whole.len() - 20]);
        bytes.extend(jpeg(128));
        bytes.extend(&whole[..whole.len() - 2]);
        assert_eq!(read(&bytes), (vec![0, 128], 2));
    }

    #[test]
    fn a_thumbnail_in_a_segment_does_not_end_the_picture() {
        let plain = jpeg(128);
        let thumbnail = jpeg(0);
        let mut bytes = plain[..2].to_vec();
        bytes.extend([0xff, 0xe1]);
        bytes.extend((thumbnail.len() as u16 + 2).to_be_bytes());
        bytes.extend(&thumbnail);
        bytes.extend(&plain[2..]);
        assert_eq!(read(&bytes), (vec![128], 0));
    }

    #[test]
    fn an_endless_picture_is_given_up() {
        let header = jpeg(0);
        let scan = header.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
        let start = header[..scan + 14].to_vec();
        let endless = start.chain(io::repeat(0x11).take(MAX_JPEG as u64 + 100_000));
        let mut bytes = Vec::new();
        Cursor::new(Vec::new())
            .chain(endless)
            .read_to_end(&mut bytes)
            .unwrap();
        bytes.extend(jpeg(255));
        assert_eq!(read(&bytes), (vec![255], 1));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(soup(), 0..600)) {
            read(&bytes);
        }

        #[test]
        fn one_changed_byte_never_loses_the_picture_before(at in 0usize..600, value: u8) {
            let mut middle = jpeg(128);
            let at = at % middle.len();
            middle[at] = value;
            let mut bytes = jpeg(0);
            bytes.extend(middle);
            bytes.extend(jpeg(255));
            let (good, _) = read(&bytes);
            prop_assert_eq!(good.first(), Some(&0));
        }
    }

    /// Bytes in which markers are frequent.
    fn soup() -> impl Strategy<Value = u8> {
        prop_oneof![
            Just(0xffu8),
            Just(0xd8),
            Just(0xd9),
            Just(0xda),
            Just(0),
            Just(2),
            any::<u8>()
        ]
    }
}
