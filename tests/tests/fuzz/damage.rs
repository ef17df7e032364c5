//! Altered copies of good inputs.

/// xorshift64: the same damage every time.
pub(crate) struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Dice {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        start..(start + self.below(32)).min(len)
    }

    /// Damages `bytes` in one of the ways in which transfers, authors and attackers do.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        const TELLING: [&[u8]; 10] = [
            b"\0",
            b"\xff",
            b"\n",
            b"\r\n\r\n",
            b"-1",
            b"99999999999999999999",
            b"1e999",
            b"\"",
            b"[[",
            b"\xff\xd8",
        ];
        let at = self.below(bytes.len() + 1);
        match self.below(8) {
            0 | 1 if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] ^= 1 << self.below(8);
            }
            2 if !bytes.is_empty() => {
                let at = at % bytes.len();
                bytes[at] = self.below(256) as u8;
            }
            3 => {
                let range = self.range(bytes.len());
                bytes.drain(range);
            }
            4 => {
                let range = self.range(bytes.len());
                let copy = bytes[range].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let telling = TELLING[self.below(TELLING.len())];
                bytes.splice(at..at, telling.iter().copied());
            }
            6 => {
                let other = &seeds[self.below(seeds.len())];
                let range = self.range(other.len());
                bytes.splice(at..at, other[range].iter().copied());
            }
            _ if self.below(8) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
}
