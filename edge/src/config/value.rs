//! Typed settings out of TOML values, with errors that name the key.
//!
//! The values come from several files and the environment, so the line numbers of one text would
//! say nothing: an error carries the path of its key instead, and the caller knows where that
//! key was set.

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use toml::Value;

use super::nearest::nearest;

/// What is wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError {
    /// The key's path, such as `mqtt.port`; empty for the document itself.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

impl KeyError {
    /// An error about `key`.
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }

    /// The same error, seen from the table around `outer`.
    pub(super) fn within(mut self, outer: &str) -> Self {
        self.key = if self.key.is_empty() {
            outer.to_owned()
        } else {
            format!("{outer}.{}", self.key)
        };
        self
    }
}

impl Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl std::error::Error for KeyError {}

impl de::Error for KeyError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new("", message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let hint = match nearest(field, expected.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known are {}", expected.join(", ")),
        };
        Self::new(field, format!("unknown key; {hint}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let expected = expected.join(", ");
        Self::new("", format!("is `{variant}`, expected one of {expected}"))
    }
}

/// Reads a typed value.
///
/// # Errors
/// Returns the first key that is unknown or has the wrong type.
pub(super) fn typed<T: de::DeserializeOwned>(value: Value) -> Result<T, KeyError> {
    T::deserialize(Node(value))
}

/// A TOML value as serde reads it.
struct Node(Value);

impl<'de> IntoDeserializer<'de, KeyError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = KeyError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(flag) => visitor.visit_bool(flag),
            Value::Datetime(date) => visitor.visit_string(date.to_string()),
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter().enumerate())),
            Value::Table(table) => visitor.visit_map(Entries {
                rest: table.into_iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, KeyError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, KeyError> {
        match self.0 {
            Value::Table(_) => self.deserialize_any(visitor),
            other => Err(KeyError::new(
                "",
                format!("is of type {}, expected a table", other.type_str()),
            )),
        }
    }

    /// Choices are names.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, KeyError> {
        match self.0 {
            Value::String(text) => {
                let name_only: StringDeserializer<KeyError> = text.into_deserializer();
                name_only.deserialize_enum(name, variants, visitor)
            }
            other => Err(KeyError::new(
                "",
                format!(
                    "is of type {}, expected one of {}",
                    other.type_str(),
                    variants.join(", ")
                ),
            )),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items(std::iter::Enumerate<std::vec::IntoIter<Value>>);

impl<'de> de::SeqAccess<'de> for Items {
    type Error = KeyError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, KeyError> {
        let next = self.0.next();
        next.map(|(i, item)| {
            seed.deserialize(Node(item))
                .map_err(|error| error.within(&i.to_string()))
        })
        .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries {
    rest: toml::map::IntoIter<String, Value>,
    value: Option<(String, Value)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = KeyError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, KeyError> {
        self.value = self.rest.next();
        self.value
            .as_ref()
            .map(|(key, _)| seed.deserialize(key.as_str().into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, KeyError> {
        let (key, value) = self
            .value
            .take()
            .ok_or_else(|| KeyError::new("", "a value was asked for before its key"))?;
        seed.deserialize(Node(value))
            .map_err(|error| error.within(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        number: u16,
        ratio: f32,
        maybe: Option<String>,
        choice: Choice,
        list: Vec<u8>,
        secret: Option<Secret>,
        inner: Inner,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Choice {
        #[default]
        Left,
        Right,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        host: String,
    }

    fn parse(text: &str) -> Result<Outer, String> {
        typed(Value::Table(text.parse().unwrap())).map_err(|e| e.to_string())
    }

    #[test]
    fn every_kind_of_setting_is_read() {
        let text = "number = 7\nratio = 1\nmaybe = 'x'\nchoice = 'right'\nlist = [1, 2]\n\
                    secret = 's'\n[inner]\nhost = 'h'";
        let read = parse(text).unwrap();
        let expected = Outer {
            number: 7,
            ratio: 1.0,
            maybe: Some("x".into()),
            choice: Choice::Right,
            list: vec![1, 2],
            secret: Some(Secret::new("s")),
            inner: Inner { host: "h".into() },
        };
        assert_eq!(read, expected);
        assert_eq!(parse(""), Ok(Outer::default()));
    }

    #[test]
    fn errors_name_the_key_by_its_path() {
        for (text, expected) in [
            (
                "inner.hosst = 'h'",
                "inner.hosst: unknown key; did you mean `host`?",
            ),
            (
                "colour = 1",
                "colour: unknown key; known are number, ratio, maybe, choice, list, secret, inner",
            ),
            (
                "number = 70000",
                "number: invalid value: integer `70000`, expected u16",
            ),
            (
                "number = 'x'",
                "number: invalid type: string \"x\", expected u16",
            ),
            (
                "list = [1, 300]",
                "list.1: invalid value: integer `300`, expected u8",
            ),
            (
                "choice = 'up'",
                "choice: is `up`, expected one of left, right",
            ),
            (
                "choice = 3",
                "choice: is of type integer, expected one of left, right",
            ),
            ("inner = 3", "inner: is of type integer, expected a table"),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected);
        }
    }
}
