//! Undoes HTTP's chunked transfer coding (RFC 9112, section 7.1). Does no I/O.

/// Longest line of a chunk's size and extensions, in bytes.
const MAX_LINE: usize = 1024;

/// How the body of an answer is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// Not at all: it ends with the connection.
    Plain,
    /// In chunks.
    Chunked(Chunk),
}

/// Where in a chunk the stream is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Chunk {
    /// The line with the size, as far as it has come.
    line: Vec<u8>,
    /// Bytes left of the chunk's data.
    data: u64,
    /// Bytes left of the line end after the data.
    end: u8,
    /// The last chunk has come.
    finished: bool,
}

impl Body {
    /// Calls `take` with the content in `bytes`; returns false once the body is complete.
    ///
    /// # Errors
    /// Returns what is wrong with the coding.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool, &'static str> {
        match self {
            Self::Plain => {
                take(bytes);
                Ok(true)
            }
            Self::Chunked(chunk) => chunk.decode(bytes, take),
        }
    }
}

impl Chunk {
    fn decode(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool, &'static str> {
        while !bytes.is_empty() && !self.finished {
            if self.data > 0 {
                let length = usize::try_from(self.data)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let (data, rest) = bytes.split_at(length);
                take(data);
                self.data -= length as u64;
                bytes = rest;
            } else if self.end > 0 {
                let length = usize::from(self.end).min(bytes.len());
                bytes = &bytes[length..];
                self.end -= length as u8;
            } else {
                bytes = self.size(bytes)?;
            }
        }
        Ok(!self.finished)
    }

    /// Reads as much of a size line as is there; returns the rest.
    fn size<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], &'static str> {
        let newline = bytes.iter().position(|&b| b == b'\n');
        let (line, rest) = bytes.split_at(newline.map_or(bytes.len(), |at| at + 1));
        self.line.extend_from_slice(line);
        if self.line.len() > MAX_LINE {
            return Err("a chunk's size is a line without end");
        }
        if newline.is_some() {
            let text = self.line.split(|b| b";\r\n \t".contains(b)).next();
            let text = text.and_then(|t| std::str::from_utf8(t).ok());
            let size = text
                .filter(|t| !t.starts_with('+'))
                .and_then(|t| u64::from_str_radix(t, 16).ok());
            self.data = size.ok_or("a chunk's size is no hexadecimal number")?;
            self.end = 2;
            self.finished = self.data == 0;
            self.line.clear();
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), &'static str> {
        let mut body = Body::Chunked(Chunk::default());
        let (mut content, mut open) = (Vec::new(), true);
        for piece in pieces {
            open = body.decode(piece, |bytes| content.extend_from_slice(bytes))?;
        }
        Ok((content, open))
    }

    #[test]
    fn chunks_are_joined() {
        let whole = b"4\r\nWiki\r\nB;x=\"y\"\r\npedia in ch\r\n";
        assert_eq!(decode(&[whole]), Ok((b"Wikipedia in ch".to_vec(), true)));
        let (content, open) = decode(&[whole, b"0\r\n\r\nnever"]).unwrap();
        assert_eq!((content.as_slice(), open), (&b"Wikipedia in ch"[..], false));
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [
            &b"x\r\n"[..],
            b"\r\n",
            b"+4\r\n",
            b"11111111111111111\r\n",
            &[b'1'; 2000],
        ] {
            assert!(decode(&[bytes]).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn splitting_does_not_matter_and_nothing_panics(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            noise: Vec<u8>, cut in 0usize..300,
        ) {
            let mut coded = Vec::new();
            for part in &parts {
                coded.extend(format!("{:x}\r\n", part.len()).into_bytes());
                coded.extend(part);
                coded.extend(b"\r\n");
            }
            let cut = cut.min(coded.len());
            let (content, open) = decode(&[&coded[..cut], &coded[cut..]]).unwrap();
            prop_assert!(open);
            prop_assert_eq!(content, parts.concat());
            let _ = decode(&[&noise]);
            let _ = decode(&[b"5\r\n", &noise, &noise]);
        }
    }
}
