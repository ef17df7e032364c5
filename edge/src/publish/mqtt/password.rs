//! Where the password comes from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::settings::Settings;
use crate::secret::{self, Secret};

/// The password's file can't be read.
#[derive(Debug, thiserror::Error)]
#[error("mqtt.password_file: {}: {error}", path.display())]
pub struct PasswordError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// User name and password, if there are any.
pub(super) fn credentials(settings: &Settings) -> Result<Option<(String, Secret)>, PasswordError> {
    let Some(user) = &settings.username else {
        return Ok(None);
    };
    let password = match (&settings.password, &settings.password_file) {
        (Some(password), _) => password.clone(),
        (None, Some(path)) => read(path)?,
        (None, None) => return Ok(None),
    };
    Ok(Some((user.clone(), password)))
}

/// The file's first line.
fn read(path: &Path) -> Result<Secret, PasswordError> {
    let path = secret::located(path);
    let text = fs::read_to_string(&path).map_err(|error| PasswordError {
        path: path.into_owned(),
        error,
    })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_its_file_and_a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "hunter2\nnotes\n").unwrap();
        let settings = |path: PathBuf| Settings {
            username: Some("kiosk".to_owned()),
            password_file: Some(path),
            ..Settings::default()
        };
        let (user, password) = credentials(&settings(file)).unwrap().unwrap();
        assert_eq!((user.as_str(), password.reveal()), ("kiosk", "hunter2"));
        let error = credentials(&settings(folder.path().join("none"))).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
        assert!(credentials(&Settings::default()).unwrap().is_none());
    }
}
