//! How long things can become, for buffers of fixed size.

use crate::{CHECKSUM_BYTES, HEADER_BYTES};

/// Most faces in one report.
pub const MAX_FACES: usize = 8;

/// Most labels of a model.
pub const MAX_LABELS: usize = 16;

/// Longest name in a [`Hello`](crate::Hello), in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 32;

// What postcard needs at most: 7 bits of an integer a byte, one byte where it is a u8 or a bool.
const VARINT_16: usize = 3;
const VARINT_32: usize = 5;
const VARINT_64: usize = 10;
/// The length in front of a name or a list, all of which are shorter than 128.
const LENGTH: usize = 1;

const NAME: usize = LENGTH + MAX_NAME_BYTES;

/// `revision, firmware, model, labels`.
pub(crate) const HELLO: usize = 1 + NAME + NAME + LENGTH + MAX_LABELS * NAME;

/// `id, x, y, width, height, label, scores`.
const FACE: usize = VARINT_32 + 4 * VARINT_16 + 1 + LENGTH + MAX_LABELS;

/// `t_ms, unix, frame, dropped, seen, faces`.
pub(crate) const EMOTION: usize =
    VARINT_64 + (1 + VARINT_32) + VARINT_32 + VARINT_32 + 1 + LENGTH + MAX_FACES * FACE;

/// `uptime_ms, camera, captured, processed, dropped`.
pub(crate) const STATUS: usize = VARINT_64 + 1 + VARINT_64 + VARINT_64 + VARINT_32;

/// The longest body with its CRC, unstuffed: what a [`Decoder`](crate::Decoder) must hold to read
/// every message of this version.
pub const MAX_BODY: usize = HEADER_BYTES + max(HELLO, max(EMOTION, STATUS)) + CHECKSUM_BYTES;

/// The longest body of an [`Emotion`](crate::Emotion) or a [`Status`](crate::Status): enough for a
/// receiver that knows the labels and can do without [`Hello`](crate::Hello).
pub const MAX_EMOTION_BODY: usize = HEADER_BYTES + max(EMOTION, STATUS) + CHECKSUM_BYTES;

/// The longest frame on the line, both zeros included.
pub const MAX_FRAME: usize = 2 + stuffed(MAX_BODY);

/// COBS adds one byte, and one more for each full 254.
const fn stuffed(bytes: usize) -> usize {
    bytes + 1 + bytes / 254
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

// One byte holds the length of every list and name.
const _: () = assert!(MAX_FACES < 128 && MAX_LABELS < 128 && MAX_NAME_BYTES < 128);
