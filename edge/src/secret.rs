//! A password or token that neither a log nor `config show` can print.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};

/// Names the folder of the credentials, within the service only.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What is shown in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// Text that is only seen where it is asked for by [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Secret(String);

/// A secret as it is written. Serde's own error would show a number or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Other(IgnoredAny),
}

impl TryFrom<Written> for Secret {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Text(text) => Ok(Self(text)),
            Written::Other(_) => Err("expected a text in quotes"),
        }
    }
}

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the connection that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Where the file of a secret lies. A plain name is looked for among the credentials that systemd hands to a service,
/// because the service's user can't read files that only root may.
pub(crate) fn located(path: &Path) -> Cow<'_, Path> {
    let credential = std::env::var_os(CREDENTIALS)
        .map(|folder| PathBuf::from(folder).join(path))
        .filter(|file| is_plain(path) && file.exists());
    credential.map_or(Cow::Borrowed(path), Cow::Owned)
}

/// Whether a secret's file can only be one of systemd's credentials, which nobody but the service is given.
pub(crate) fn is_for_the_service(path: &Path) -> bool {
    is_plain(path) && !path.exists() && std::env::var_os(CREDENTIALS).is_none()
}

fn is_plain(path: &Path) -> bool {
    path.components().count() == 1 && path.is_relative()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn it_is_printed_redacted() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[redacted]\"");
        assert_eq!(secret.reveal(), "hunter2");
        let read: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert!(read == secret);
        let number = serde_json::from_str::<Secret>("12345678").unwrap_err();
        assert_eq!(number.to_string(), "expected a text in quotes");
    }
}
