//! A list of bounded length that needs no allocator.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Up to `N` items, at most 255; a slice of them by dereference.
#[derive(Clone, Copy)]
pub struct List<T, const N: usize> {
    items: [T; N],
    len: u8,
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    const FITS: () = assert!(N <= 255, "the length is one byte");

    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        let () = Self::FITS;
        Self {
            items: [T::default(); N],
            len: 0,
        }
    }

    /// Adds an item; returns whether there was room for it.
    pub fn push(&mut self, item: T) -> bool {
        let Some(place) = self.items.get_mut(usize::from(self.len)) else {
            return false;
        };
        *place = item;
        self.len += 1;
        true
    }

    /// Takes as many items as there is room for.
    #[must_use]
    pub fn first_of(items: impl IntoIterator<Item = T>) -> Self {
        let mut list = Self::new();
        for item in items.into_iter().take(N) {
            list.push(item);
        }
        list
    }

    /// Takes out all items.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..usize::from(self.len)]
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq, const N: usize> PartialEq for List<T, N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq, const N: usize> Eq for List<T, N> {}

impl<T: Serialize, const N: usize> Serialize for List<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T, const N: usize> Deserialize<'de> for List<T, N>
where
    T: Copy + Default + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T, const N: usize>(PhantomData<T>);

impl<'de, T, const N: usize> Visitor<'de> for Items<T, N>
where
    T: Copy + Default + Deserialize<'de>,
{
    type Value = List<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {N} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = List::new();
        while let Some(item) = seq.next_element()? {
            if !list.push(item) {
                return Err(Error::invalid_length(N + 1, &self));
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn a_full_list_takes_no_more() {
        let mut list = List::<u8, 2>::new();
        assert!(list.is_empty());
        assert!(list.push(1) && list.push(2) && !list.push(3));
        assert_eq!(*list, [1, 2]);
        list.clear();
        assert!(list.is_empty() && list.push(4));
        assert_eq!(list, List::first_of([4]));
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_not_cut() {
        let mut buffer = [0; 8];
        let three = postcard::to_slice(&List::<u8, 3>::first_of([7; 3]), &mut buffer).unwrap();
        assert_eq!(three, [3, 7, 7, 7]);
        assert_eq!(
            postcard::from_bytes(three),
            Ok(List::<u8, 3>::first_of([7; 3]))
        );
        assert!(postcard::from_bytes::<List<u8, 2>>(three).is_err());
    }
}
