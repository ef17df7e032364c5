//! Sizes on two axes. In a file they are one number where all are equal, as the first checkpoints wrote them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pixels that a window may reach beyond a map on each side.
///
/// Sides may differ: TensorFlow's `SAME` adds the odd pixel below and to the right, and so does a pooling that
/// rounds its output size up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Border {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Border {
    /// No border.
    pub const NONE: Self = Self::all(0);

    /// The same on every side.
    pub const fn all(pixels: usize) -> Self {
        Self::sides(pixels, pixels)
    }

    /// As many rows above as below, as many columns left as right.
    pub const fn sides(rows: usize, columns: usize) -> Self {
        Self {
            top: rows,
            left: columns,
            bottom: rows,
            right: columns,
        }
    }

    /// Rows above and columns to the left.
    pub const fn before(self) -> [usize; 2] {
        [self.top, self.left]
    }

    /// Rows below and columns to the right.
    pub const fn after(self) -> [usize; 2] {
        [self.bottom, self.right]
    }

    /// Top, left, bottom, right: the order of ONNX.
    pub const fn list(self) -> [usize; 4] {
        [self.top, self.left, self.bottom, self.right]
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOr<T> {
    One(usize),
    Each(T),
}

impl Serialize for Border {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = if *self == Self::all(self.top) {
            OneOr::One(self.top)
        } else {
            OneOr::Each(self.list())
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Border {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match OneOr::<[usize; 4]>::deserialize(deserializer)? {
            OneOr::One(pixels) => Self::all(pixels),
            OneOr::Each([top, left, bottom, right]) => Self {
                top,
                left,
                bottom,
                right,
            },
        })
    }
}

/// Height and width of a kernel in a file.
pub(super) mod side {
    use super::{Deserialize, Deserializer, OneOr, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        size: &[usize; 2],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match *size {
            [h, w] if h == w => OneOr::<[usize; 2]>::One(h),
            each => OneOr::Each(each),
        }
        .serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[usize; 2], D::Error> {
        Ok(match OneOr::deserialize(deserializer)? {
            OneOr::One(side) => [side; 2],
            OneOr::Each(each) => each,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Conv2d, Pool};
    use super::*;

    #[test]
    fn what_the_first_checkpoints_wrote_is_read_and_written_again() {
        let conv =
            r#"{"inputs":3,"outputs":4,"kernel":3,"stride":1,"padding":1,"groups":1,"bias":false}"#;
        let read: Conv2d = serde_json::from_str(conv).unwrap();
        assert_eq!(read, Conv2d::square(3, 4, 3));
        assert_eq!(serde_json::to_string(&read).unwrap(), conv);
        let pool = r#"{"kernel":2,"stride":2,"padding":0}"#;
        let read: Pool = serde_json::from_str(pool).unwrap();
        assert_eq!(read, Pool::new(2, 2));
        assert_eq!(serde_json::to_string(&read).unwrap(), pool);
    }

    #[test]
    fn unequal_sides_survive_a_file() {
        let conv = Conv2d {
            kernel: [1, 7],
            padding: Border {
                top: 0,
                left: 3,
                bottom: 1,
                right: 4,
            },
            dilation: 2,
            ..Conv2d::square(3, 4, 1)
        };
        let text = serde_json::to_string(&conv).unwrap();
        assert!(text.contains(r#""kernel":[1,7]"#) && text.contains(r#""padding":[0,3,1,4]"#));
        assert_eq!(serde_json::from_str::<Conv2d>(&text).unwrap(), conv);
    }
}
