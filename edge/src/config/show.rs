//! The configuration in force, as TOML with the origin of each value; secrets stay hidden.

use std::fmt::Write;

use toml::Value;

use super::variables::VARIABLES;
use super::{Config, Loaded};
use crate::secret::REDACTED;

/// Column of the origins.
const ORIGIN: usize = 40;

impl Loaded {
    /// All settings by table, each with where it was set. What has no value is a comment.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = String::new();
        let mut table = "";
        for (_, key, _) in VARIABLES {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            if section != table {
                let gap = if table.is_empty() { "" } else { "\n" };
                // Writing to a string can't fail.
                let _ = writeln!(text, "{gap}[{section}]");
                table = section;
            }
            let setting = match value(&self.config, key) {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} ="),
            };
            let _ = writeln!(text, "{setting:<ORIGIN$} # {}", self.layers.origin(key));
        }
        text
    }
}

/// The value of a key in the effective configuration.
fn value(config: &Config, key: &str) -> Option<Value> {
    let mut value = Value::try_from(config).ok()?;
    for part in key.split('.') {
        value = value.as_table_mut()?.remove(part)?;
    }
    Some(shortened(value))
}

/// Settings have single precision, TOML has double: 0.1 is not to appear as 0.10000000149011612.
fn shortened(value: Value) -> Value {
    match value {
        Value::Float(number) => {
            let short = (number as f32).to_string().parse();
            Value::Float(short.unwrap_or(number))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(shortened).collect()),
        other => other,
    }
}

/// The keys whose values are secrets.
pub(super) fn secrets(config: &Config) -> Vec<String> {
    let hidden = |key: &str| value(config, key).is_some_and(|v| v.as_str() == Some(REDACTED));
    let keys = VARIABLES.iter().map(|(_, key, _)| (*key).to_owned());
    keys.filter(|key| hidden(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Places, load};

    #[test]
    fn what_is_shown_says_the_same_when_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fer-edge.toml");
        let text = "[vision]\nregion = [1, 2, 30, 40]\n[service]\nname = 'a \"b\"'";
        std::fs::write(&file, text).unwrap();
        let read = || {
            let places = Places {
                file: Some(file.clone()),
                ..Places::default()
            };
            load(&places, std::iter::empty()).unwrap()
        };
        let first = read();
        let shown = first.show();
        assert!(shown.contains("# detector ="), "{shown}");
        assert!(shown.contains("margin = 0.1 "), "{shown}");
        std::fs::write(&file, &shown).unwrap();
        assert_eq!(read().config, first.config);
    }

    #[test]
    fn the_key_of_a_camera_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fer-edge.toml");
        std::fs::write(&file, "[camera]\ndevice = 'http://cam/s?key=hunter2'").unwrap();
        let places = Places {
            file: Some(file),
            ..Places::default()
        };
        let shown = load(&places, std::iter::empty()).unwrap().show();
        assert!(
            shown.contains("device = \"http://cam/s?[redacted]\""),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
