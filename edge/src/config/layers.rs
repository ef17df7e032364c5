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

    /// Takes a key back out, as if nobody had set it; returns its value.
    pub(super) fn forget(&mut self, key: &str) -> Option<Value> {
        self.origins.remove(key);
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &mut self.table;
        for outer in tables.split('.').filter(|outer| !outer.is_empty()) {
            table = table.get_mut(outer)?.as_table_mut()?;
        }
        table.remove(name)
    }

    /// Where a key's value comes from: where it, the value that it is part of, or a key in it was set.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        if let Some(origin) = self.origins.get(key) {
            return origin.clone();
        }
        let mut inner = key;
        while let Some((outer, _)) = inner.rsplit_once('.') {
            // An empty table has an origin too, but sets nothing.
            if let Some(origin) = self.origins.get(outer)
                && self.value(outer).is_some_and(|value| !value.is_table())
            {
                return origin.clone();
            }
            inner = outer;
        }
        let within = self.origins.iter().find(|(known, _)| inside(known, key));
        within.map_or(Origin::BuiltIn, |(_, origin)| origin.clone())
    }

    fn value(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let outermost = self.table.get(parts.next()?)?;
        parts.try_fold(outermost, |value, part| value.get(part))
    }

    /// Whether somebody wrote this table, be it without a key.
    #[must_use]
    pub fn has_table(&self, table: &str) -> bool {
        self.iter()
            .any(|(key, _)| key == table || inside(key, table))
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
            ("serial.path", Origin::BuiltIn),
        ] {
            assert_eq!(layers.origin(key), origin, "{key}");
        }
    }

    #[test]
    fn an_empty_table_is_there_but_sets_nothing_in_it() {
        let mut layers = Layers::default();
        let text = "[camera]\n[http]\nenabled = true\n[vision]\nregion = [1, 'x']";
        layers.add_file("a".into(), text).unwrap();
        for (key, origin) in [
            ("camera", file("a")),
            ("camera.device", Origin::BuiltIn),
            ("http.token", Origin::BuiltIn),
            ("vision.region.1", file("a")),
        ] {
            assert_eq!(layers.origin(key), origin, "{key}");
        }
        for (table, is_there) in [("camera", true), ("http", true), ("cam", false)] {
            assert_eq!(layers.has_table(table), is_there, "{table}");
        }
    }

    #[test]
    fn what_is_forgotten_was_never_set() {
        let mut layers = Layers::default();
        layers
            .add_file("a".into(), "[http]\nenabled = true\n[mqtt]\nport = 1")
            .unwrap();
        assert_eq!(layers.forget("http.enabled"), Some(Value::Boolean(true)));
        for absent in ["http.enabled", "serial.port", "mqtt.port.x"] {
            assert_eq!(layers.forget(absent), None, "{absent}");
        }
        assert_eq!(layers.origin("http.enabled"), Origin::BuiltIn);
        assert_eq!(layers.origin("mqtt.port"), file("a"));
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
