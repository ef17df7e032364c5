//! Layers of settings, one over the other, and which of them set what.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    BuiltIn,
    /// A configuration file.
    File(Arc<Path>),
    /// An environment variable.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The settings that were made, later ones over earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    table: Table,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    /// Sets one key, such as `mqtt.port`.
    pub fn set(&mut self, key: &str, value: Value, origin: Origin) {
        let mut table = &mut self.table;
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        for outer in tables.split('.').filter(|outer| !outer.is_empty()) {
            let entry = table.entry(outer).or_insert_with(|| Table::new().into());
            // A value where a table belongs gives way: the type of what is left is checked later.
            if !entry.is_table() {
                *entry = Table::new().into();
            }
            let Value::Table(inner) = entry else { return };
            table = inner;
        }
        table.insert(name.to_owned(), value);
        self.origins.insert(key.to_owned(), origin);
    }

    /// Sets everything that a file says.
    ///
    /// # Errors
    /// Returns what is wrong with its syntax.
    pub fn add_file(&mut self, path: PathBuf, text: &str) -> Result<(), toml::de::Error> {
        let origin = Origin::File(path.into());
        self.add_table("", text.parse()?, &origin);
        Ok(())
    }

    fn add_table(&mut self, prefix: &str, table: Table, origin: &Origin) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                Value::Table(inner) if !inner.is_empty() => self.add_table(&key, inner, origin),
                // An empty table changes nothing, unless its name is wrong: then it is to be seen.
                Value::Table(_) if self.origins.keys().any(|known| inside(known, &key)) => {}
                value => self.set(&key, value, origin.clone()),
            }
        }
    }

    /// Where a key's value comes from: where it, or the nearest key around or in it, was set.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        let mut outer = Some(key);
        while let Some(key) = outer {
            if let Some(origin) = self.origins.get(key) {
                return origin.clone();
            }
            outer = key.rsplit_once('.').map(|(outer, _)| outer);
        }
        let within = self.origins.iter().find(|(known, _)| inside(known, key));
        within.map_or(Origin::BuiltIn, |(_, origin)| origin.clone())
    }

    /// Every key that was set, with its origin, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.origins
            .iter()
            .map(|(key, origin)| (key.as_str(), origin))
    }

    /// The merged settings.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }
}

/// Whether `key` lies in the table `outer`.
fn inside(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer)
        .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Origin {
        Origin::File(PathBuf::from(name).into())
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let mut layers = Layers::default();
        layers
            .add_file("a".into(), "[mqtt]\nhost = 'a'\nport = 1\n[http]\n")
            .unwrap();
        layers
            .add_file("b".into(), "[mqtt]\nport = 2\n[mqtt.tls]\nca = 'x'")
            .unwrap();
        layers.set("mqtt.host", "env".into(), Origin::Variable("HOST"));
        let expected: Table = "[mqtt]\nhost='env'\nport=2\ntls={ca='x'}\n[http]"
            .parse()
            .unwrap();
        assert_eq!(*layers.table(), expected);
        for (key, origin) in [
            ("mqtt.host", Origin::Variable("HOST")),
            ("mqtt.port", file("b")),
            ("mqtt.tls.ca", file("b")),
            ("mqtt.tls", file("b")),
            ("http.token", file("a")),
            ("serial.path", Origin::BuiltIn),
        ] {
            assert_eq!(layers.origin(key), origin, "{key}");
        }
    }

    #[test]
    fn a_value_and_a_table_of_one_name_do_not_mix() {
        let mut layers = Layers::default();
        layers.add_file("a".into(), "mqtt = 3").unwrap();
        layers
            .add_file("b".into(), "[mqtt]\nhost = 'b'\n[mqtt.tls]")
            .unwrap();
        let expected: Table = "mqtt = {host = 'b', tls = {}}".parse().unwrap();
        assert_eq!(*layers.table(), expected);
    }

    #[test]
    fn an_empty_table_does_not_undo_a_full_one() {
        let mut layers = Layers::default();
        layers.add_file("a".into(), "[mqtt]\nhost = 'a'").unwrap();
        layers.add_file("b".into(), "[mqtt]").unwrap();
        assert_eq!(layers.table()["mqtt"]["host"].as_str(), Some("a"));
    }
}
