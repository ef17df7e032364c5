//! From a message to the bytes of a frame.

use core::fmt;

use crc::{Digest, Table};
use postcard::ser_flavors::{Cobs, Flavor, Slice};
use serde::Serialize;

use crate::message::{Kind, Message};
use crate::size::MAX_FRAME;
use crate::{CHECKSUM, VERSION};

/// Writes frames and numbers them.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    sequence: u16,
}

/// Why a message can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The frame is longer than the buffer, or than [`MAX_FRAME`]: a name in a
    /// [`Hello`](crate::Hello) is too long.
    TooLong,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                f,
                "the frame does not fit: the buffer is shorter than {MAX_FRAME} bytes, or a name is too long"
            ),
        }
    }
}

impl core::error::Error for EncodeError {}

impl Encoder {
    /// The next frame is number 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { sequence: 0 }
    }

    /// Writes a message into `out`, where [`MAX_FRAME`] bytes are enough for any, and returns the
    /// frame, both zeros included.
    ///
    /// # Errors
    /// When it doesn't fit. It takes no number then.
    pub fn encode<'b>(
        &mut self,
        message: &Message<'_>,
        out: &'b mut [u8],
    ) -> Result<&'b [u8], EncodeError> {
        match message {
            Message::Hello(hello) => self.write(Kind::Hello as u8, hello, out),
            Message::Emotion(emotion) => self.write(Kind::Emotion as u8, emotion, out),
            Message::Status(status) => self.write(Kind::Status as u8, status, out),
        }
    }

    /// Writes a frame with any kind and payload: kinds of your own, or what a newer sender might send.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_raw<'b>(
        &mut self,
        kind: u8,
        payload: &[u8],
        out: &'b mut [u8],
    ) -> Result<&'b [u8], EncodeError> {
        self.write(kind, &Raw(payload), out)
    }

    fn write<'b>(
        &mut self,
        kind: u8,
        payload: &impl Serialize,
        out: &'b mut [u8],
    ) -> Result<&'b [u8], EncodeError> {
        let end = out.len().min(MAX_FRAME);
        let (first, rest) = out[..end].split_first_mut().ok_or(EncodeError::TooLong)?;
        *first = 0;
        let stuffed = Body::new(rest)
            .and_then(|mut body| {
                body.try_extend(&[VERSION, kind])?;
                body.try_extend(&self.sequence.to_le_bytes())?;
                postcard::serialize_with_flavor(payload, body)
            })
            .map_err(|_| EncodeError::TooLong)?;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(&out[..1 + stuffed])
    }
}

/// Bytes as they are: postcard writes a tuple without a length in front.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

/// Takes the bytes of a body as postcard makes them, sums them up and stuffs them, in one pass and
/// without a second buffer.
struct Body<'b> {
    stuffed: Cobs<Slice<'b>>,
    digest: Digest<'static, u32, Table<1>>,
}

impl<'b> Body<'b> {
    fn new(out: &'b mut [u8]) -> postcard::Result<Self> {
        Ok(Self {
            stuffed: Cobs::try_new(Slice::new(out))?,
            digest: CHECKSUM.digest(),
        })
    }
}

impl Flavor for Body<'_> {
    /// How many bytes were written, the zero at the end included.
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.digest.update(&[byte]);
        self.stuffed.try_push(byte)
    }

    fn finalize(mut self) -> postcard::Result<usize> {
        let checksum = self.digest.finalize();
        self.stuffed.try_extend(&checksum.to_le_bytes())?;
        Ok(self.stuffed.finalize()?.len())
    }
}
