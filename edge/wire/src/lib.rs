//! Emotions as frames on a serial line: what `fer-edge` sends and a microcontroller reads.
//!
//! ```text
//! line    00 | COBS( body ) | 00
//! body    version u8 | kind u8 | sequence u16 | payload, postcard | CRC-32 u32
//! ```
//!
//! Integers of fixed size are little-endian. The CRC is CRC-32/ISCSI (Castagnoli) over everything before
//! it. COBS (Cheshire and Baker, 1999) takes the zeros out of the body, so a zero is always the border
//! of a frame; with one at each end, boot-loader text or half a frame before a frame never costs the
//! frame itself. `docs/serial.md` describes the payloads byte by byte, with frames to test against.
//!
//! [`Encoder`] writes frames, [`Decoder`] finds them in a stream of bytes:
//!
//! ```
//! use fer_wire::{Decoder, Emotion, Encoder, MAX_FRAME, Message};
//!
//! let mut line = [0; MAX_FRAME];
//! let report = Emotion { t_ms: 1500, ..Emotion::default() };
//! let frame = Encoder::new().encode(&Message::Emotion(report), &mut line)?;
//!
//! let mut decoder: Decoder = Decoder::new();
//! let mut bytes = &*frame;
//! let mut seen = 0;
//! while let Some(received) = decoder.feed(&mut bytes) {
//!     assert_eq!(received?.message, Message::Emotion(report));
//!     seen += 1;
//! }
//! assert_eq!(seen, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Versions
//!
//! - The layout of line and body, and the order version, kind, sequence, …, CRC, never change.
//! - New kinds of message may come at any time. [`Decoder`] skips a kind that it doesn't know.
//! - New fields are only ever put at the end of a payload. A reader takes the fields that it knows and
//!   ignores what follows; a newer reader takes what an older writer leaves out as absent. Such a
//!   change raises [`REVISION`], which [`Hello`] carries for people to see.
//! - Anything else raises [`VERSION`], and a frame of another version is refused with
//!   [`DecodeError::Version`].
//!
//! No allocation, no `unsafe`, no standard library: a decoder of `N` bytes and the message itself are
//! all the memory it takes.
#![no_std]
#![forbid(unsafe_code)]

mod decoder;
mod encoder;
mod list;
mod message;
mod size;
mod unstuff;

pub use decoder::{DecodeError, Decoder, Frame};
pub use encoder::{EncodeError, Encoder};
pub use list::List;
pub use message::{Camera, Emotion, Face, Hello, Kind, Message, Score, Status};
pub use size::{MAX_BODY, MAX_EMOTION_BODY, MAX_FACES, MAX_FRAME, MAX_LABELS, MAX_NAME_BYTES};

/// Version of the protocol, the first byte of every body.
pub const VERSION: u8 = 1;

/// Additions within [`VERSION`] so far; see [`Hello::revision`].
pub const REVISION: u8 = 0;

/// CRC-32/ISCSI, also called CRC-32C: no error of up to five bits in frames of our length escapes it
/// (Koopman, "32-bit cyclic redundancy codes for Internet applications", 2002).
static CHECKSUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// Bytes of version, kind and sequence number.
const HEADER_BYTES: usize = 4;

/// Bytes of the CRC.
const CHECKSUM_BYTES: usize = 4;
