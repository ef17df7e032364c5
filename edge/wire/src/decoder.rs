//! From a stream of bytes to messages.

use core::fmt;

use crate::message::{Kind, Message};
use crate::size::MAX_BODY;
use crate::unstuff::{End, Unstuff};
use crate::{CHECKSUM, CHECKSUM_BYTES, HEADER_BYTES, VERSION};

/// Finds frames in a stream of bytes, whatever else is in it.
///
/// `N` is the longest body that it can hold, [`MAX_BODY`] for every message of this version. Longer
/// frames are thrown away up to the next zero and reported.
#[derive(Debug, Clone)]
pub struct Decoder<const N: usize = MAX_BODY> {
    unstuff: Unstuff<N>,
    /// Number of the last good frame.
    last: Option<u16>,
}

/// A frame that came in whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The sender's number of the frame, modulo 2¹⁶.
    pub sequence: u16,
    /// Frames between the last good one and this that never came, or came damaged.
    pub missed: u16,
    /// What it says.
    pub message: Message<'a>,
}

/// Why what stood between two zeros is no frame. Nothing is lost by it but that frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than the decoder's buffer.
    Overlong,
    /// Bytes are missing.
    CutOff,
    /// The checksum disagrees.
    Checksum,
    /// A version of the protocol that this decoder can't read.
    Version(u8),
    /// The payload is not that of its kind, though the checksum agrees: the sender is at fault.
    Payload(Kind),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlong => f.write_str("frame longer than the receiver's buffer"),
            Self::CutOff => f.write_str("frame cut off"),
            Self::Checksum => f.write_str("frame with a wrong checksum"),
            Self::Version(found) => {
                write!(f, "frame of protocol version {found}, expected {VERSION}")
            }
            Self::Payload(kind) => write!(f, "{kind:?} frame with a payload that makes no sense"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A body whose checksum and version are right, of a kind that is known.
#[derive(Clone, Copy)]
struct Checked {
    kind: Kind,
    sequence: u16,
    missed: u16,
    /// Bytes of the body before the checksum.
    len: usize,
}

impl<const N: usize> Decoder<N> {
    /// Waits for the first frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            unstuff: Unstuff::new(),
            last: None,
        }
    }

    /// Takes one byte from the line; returns the frame that it completes.
    ///
    /// # Errors
    /// Inside the option, when what it completes is no frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame<'_>, DecodeError>> {
        let checked = self.step(byte)?;
        Some(checked.and_then(|checked| self.frame(checked)))
    }

    /// Takes bytes off the front of `bytes` up to the end of the first frame and returns that; `None`
    /// once `bytes` is used up. Call it until then.
    ///
    /// # Errors
    /// Inside the option, when what was found is no frame.
    pub fn feed(&mut self, bytes: &mut &[u8]) -> Option<Result<Frame<'_>, DecodeError>> {
        let checked = loop {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            if let Some(checked) = self.step(byte) {
                break checked;
            }
        };
        Some(checked.and_then(|checked| self.frame(checked)))
    }

    /// Frames of a kind that is not known pass without a word.
    fn step(&mut self, byte: u8) -> Option<Result<Checked, DecodeError>> {
        match self.unstuff.push(byte)? {
            End::Overlong => Some(Err(DecodeError::Overlong)),
            End::CutOff => Some(Err(DecodeError::CutOff)),
            End::Body(len) => self.check(len).transpose(),
        }
    }

    fn check(&mut self, len: usize) -> Result<Option<Checked>, DecodeError> {
        let (rest, checksum) = self
            .unstuff
            .body(len)
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(DecodeError::CutOff)?;
        if CHECKSUM.checksum(rest) != u32::from_le_bytes(*checksum) {
            return Err(DecodeError::Checksum);
        }
        let &[version, kind, low, high] = rest.first_chunk().ok_or(DecodeError::CutOff)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let len = rest.len();
        let sequence = u16::from_le_bytes([low, high]);
        let kind = Kind::known(kind);
        let missed = match self.last {
            // a sender that starts again says hello first
            Some(_) if sequence == 0 && kind == Some(Kind::Hello) => 0,
            Some(last) => sequence.wrapping_sub(last).wrapping_sub(1),
            None => 0,
        };
        self.last = Some(sequence);
        Ok(kind.map(|kind| Checked {
            kind,
            sequence,
            missed,
            len,
        }))
    }

    fn frame(&self, checked: Checked) -> Result<Frame<'_>, DecodeError> {
        let payload = &self.unstuff.body(checked.len)[HEADER_BYTES..];
        // `from_bytes` ignores what follows: fields that a newer sender has put at the end
        let message = match checked.kind {
            Kind::Hello => postcard::from_bytes(payload).map(Message::Hello),
            Kind::Emotion => postcard::from_bytes(payload).map(Message::Emotion),
            Kind::Status => postcard::from_bytes(payload).map(Message::Status),
        };
        Ok(Frame {
            sequence: checked.sequence,
            missed: checked.missed,
            message: message.map_err(|_| DecodeError::Payload(checked.kind))?,
        })
    }
}

impl<const N: usize> Default for Decoder<N> {
    fn default() -> Self {
        Self::new()
    }
}
