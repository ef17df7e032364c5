//! Takes the COBS stuffing out of a stream, byte by byte.

/// The body of one frame as it comes in.
#[derive(Debug, Clone)]
pub(crate) struct Unstuff<const N: usize> {
    bytes: [u8; N],
    len: usize,
    /// Bytes to come before the next code byte.
    left: u8,
    /// Whether a zero was taken out before the next code byte.
    zero_due: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing since the last zero.
    Empty,
    Filling,
    /// More than `N` bytes: all is thrown away up to the next zero.
    Overlong,
}

/// What a zero on the line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A body of this many bytes.
    Body(usize),
    /// Half a body: bytes are missing.
    CutOff,
    /// A body of more than `N` bytes.
    Overlong,
}

impl<const N: usize> Unstuff<N> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
            left: 0,
            zero_due: false,
            state: State::Empty,
        }
    }

    /// The bytes of the body that [`Unstuff::push`] reported last.
    pub(crate) fn body(&self, len: usize) -> &[u8] {
        &self.bytes[..len]
    }

    /// Takes a byte from the line.
    pub(crate) fn push(&mut self, byte: u8) -> Option<End> {
        if byte == 0 {
            return self.end();
        }
        if self.state == State::Overlong {
            return None;
        }
        self.state = State::Filling;
        if self.left > 0 {
            self.left -= 1;
            self.store(byte);
        } else {
            if self.zero_due {
                self.store(0);
            }
            self.left = byte - 1;
            // 0xff stands for 254 bytes without a zero after them
            self.zero_due = byte != 0xff;
        }
        None
    }

    fn store(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        } else {
            self.state = State::Overlong;
        }
    }

    fn end(&mut self) -> Option<End> {
        let end = match self.state {
            State::Empty => None,
            State::Overlong => Some(End::Overlong),
            State::Filling if self.left > 0 => Some(End::CutOff),
            State::Filling => Some(End::Body(self.len)),
        };
        self.len = 0;
        self.left = 0;
        self.zero_due = false;
        self.state = State::Empty;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Unstuff};

    fn unstuffed<'a, const N: usize>(
        unstuff: &'a mut Unstuff<N>,
        line: &[u8],
    ) -> Result<&'a [u8], End> {
        let (last, rest) = line.split_last().unwrap();
        for &byte in rest {
            assert_eq!(unstuff.push(byte), None);
        }
        match unstuff.push(*last).unwrap() {
            End::Body(len) => Ok(unstuff.body(len)),
            other => Err(other),
        }
    }

    /// The examples of the Wikipedia article on COBS, which other implementations test against too.
    #[test]
    fn known_pairs() {
        for (line, body) in [
            (&[1, 1, 0][..], &[0][..]),
            (&[1, 1, 1, 0], &[0, 0]),
            (&[3, 0x11, 0x22, 2, 0x33, 0], &[0x11, 0x22, 0, 0x33]),
            (&[2, 0x11, 1, 1, 1, 0], &[0x11, 0, 0, 0]),
        ] {
            assert_eq!(unstuffed(&mut Unstuff::<8>::new(), line), Ok(body));
        }
    }

    #[test]
    fn a_full_block_takes_no_zero() {
        let mut line = [7; 258];
        line[0] = 0xff;
        (line[255], line[256], line[257]) = (2, 9, 0);
        let mut unstuff = Unstuff::<255>::new();
        let body = unstuffed(&mut unstuff, &line).unwrap();
        assert_eq!((body.len(), body[253], body[254]), (255, 7, 9));
    }

    #[test]
    fn damage_is_told_apart_and_forgotten_at_the_zero() {
        let mut unstuff = Unstuff::<3>::new();
        assert_eq!(unstuff.push(0), None);
        assert_eq!(unstuffed(&mut unstuff, &[3, 9, 0]), Err(End::CutOff));
        assert_eq!(
            unstuffed(&mut unstuff, &[5, 1, 2, 3, 4, 1, 1, 0]),
            Err(End::Overlong)
        );
        assert_eq!(
            unstuffed(&mut unstuff, &[4, 1, 2, 3, 0]),
            Ok(&[1, 2, 3][..])
        );
    }
}
