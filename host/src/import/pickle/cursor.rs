//! Bounded reading: a length is compared with what is left before anything is done with it.

use super::Problem;

/// Longest module or class name that is looked at.
const MAX_LINE: usize = 256;

/// A position in a pickle.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// The next `length` bytes of `what`.
    pub(super) fn take(&mut self, length: u64, what: &'static str) -> Result<&'a [u8], Problem> {
        if length > self.left() {
            return Err(Problem::Truncated(what));
        }
        let start = self.at;
        self.at += length as usize;
        Ok(&self.bytes[start..self.at])
    }

    /// The next `N` bytes of `what`.
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Problem> {
        let bytes = self.take(N as u64, what)?;
        Ok(bytes.try_into().expect("as many as were taken"))
    }

    /// The next byte.
    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, Problem> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// A length of one, four or eight bytes, and as many bytes after it.
    pub(super) fn counted(&mut self, width: u64, what: &'static str) -> Result<&'a [u8], Problem> {
        let mut length = [0; 8];
        let bytes = self.take(width, what)?;
        length[..bytes.len()].copy_from_slice(bytes);
        self.take(u64::from_le_bytes(length), what)
    }

    /// The text up to the next line break, which is dropped.
    pub(super) fn line(&mut self, what: &'static str) -> Result<&'a str, Problem> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(MAX_LINE + 1)];
        let Some(length) = window.iter().position(|&b| b == b'\n') else {
            return Err(if rest.len() > MAX_LINE {
                Problem::Malformed {
                    what,
                    found: format!("longer than {MAX_LINE} bytes"),
                }
            } else {
                Problem::Truncated(what)
            });
        };
        self.at += length + 1;
        utf8(&rest[..length], what)
    }
}

/// Bytes as text.
pub(super) fn utf8<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, Problem> {
    std::str::from_utf8(bytes).map_err(|_| Problem::Malformed {
        what,
        found: "not UTF-8".into(),
    })
}
