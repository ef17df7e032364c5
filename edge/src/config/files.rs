//! The configuration files: which there are, and who may read them.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::layers::{Layers, Origin};
use super::{Config, ConfigError, Loaded, Places, show};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "/etc/fer/fer-edge.toml";

/// The folder beside the file whose `*.toml` are read after it, in the order of their names.
pub const DROP_INS: &str = "conf.d";

/// Takes in the file and its drop-ins; returns those that were read.
///
/// # Errors
/// Returns an error for a file that can't be read or is no TOML. [`DEFAULT_FILE`] and the folder may
/// be missing, and unreadable where `places` say so.
pub(super) fn add(
    layers: &mut Layers,
    places: &Places,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let main = places.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    let folder = main.with_file_name(DROP_INS);
    let mut paths = vec![main.to_owned()];
    match drop_ins(&folder) {
        Ok(found) => paths.extend(found),
        Err(error) => warnings.extend(passed_over(&folder, error, places)?),
    }
    let mut read = Vec::new();
    for path in paths {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                warnings.extend(passed_over(&path, error, places)?);
                continue;
            }
        };
        layers.add_file(path.clone(), &text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.as_bytes().iter().take(start);
            ConfigError::Syntax {
                path: path.clone(),
                line: 1 + before.filter(|&&byte| byte == b'\n').count(),
                problem: error.message().to_owned(),
            }
        })?;
        read.push(path);
    }
    Ok(read)
}

/// What to warn of, if anything, where what can't be read is not needed.
fn passed_over(
    path: &Path,
    error: io::Error,
    places: &Places,
) -> Result<Option<String>, ConfigError> {
    let named = places.file.is_some();
    match error.kind() {
        ErrorKind::NotFound if !named => Ok(None),
        ErrorKind::PermissionDenied if !named && places.skip_unreadable => {
            Ok(Some(format!("{}: not read: {error}", path.display())))
        }
        _ => Err(ConfigError::Read {
            path: path.to_owned(),
            error,
        }),
    }
}

fn drop_ins(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Says which files with secrets in them everybody on this machine can read.
pub(super) fn exposed_secrets(loaded: &Loaded) -> Vec<String> {
    let mut warnings = Vec::new();
    let Config { mqtt, http, .. } = &loaded.config;
    for (key, path) in [
        ("mqtt.password_file", &mqtt.password_file),
        ("mqtt.tls_client_key", &mqtt.tls_client_key),
        ("http.token_file", &http.token_file),
    ] {
        if let Some(path) = path.as_deref().filter(|path| is_exposed(path)) {
            warnings.push(format!(
                "{key}: {} can be read by everybody; {}",
                path.display(),
                advice(path)
            ));
        }
    }
    for key in show::secrets(&loaded.config) {
        if let Origin::File(path) = loaded.layers.origin(&key)
            && is_exposed(&path)
        {
            warnings.push(format!(
                "{}: holds {key} and can be read by everybody; {}",
                path.display(),
                advice(&path)
            ));
        }
    }
    warnings
}

/// What keeps a file to its owner and the service. The mode alone would shut the service out of a file of root's.
fn advice(path: &Path) -> String {
    let path = path.display();
    format!("chgrp fer-edge {path} && chmod 640 {path}")
}

fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    /// The service ran without what its file or a drop-in said, such as its broker, and a reload closed it.
    #[test]
    fn files_that_may_not_be_read_are_an_error_but_for_who_does_without_them() {
        let path = Path::new("/etc/fer/conf.d/a.toml");
        let became = |kind: ErrorKind, places: &Places| passed_over(path, kind.into(), places);
        let service = Places::default();
        let looked = Places {
            skip_unreadable: true,
            ..Places::default()
        };
        let named = Places {
            file: Some(path.to_owned()),
            ..looked.clone()
        };
        for places in [&service, &named] {
            let error = became(ErrorKind::PermissionDenied, places).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("/etc/fer/conf.d/a.toml: "), "{text}");
        }
        let warning = became(ErrorKind::PermissionDenied, &looked).unwrap();
        assert!(warning.is_some_and(|w| w.contains("a.toml: not read")));
        for places in [&service, &looked] {
            assert_eq!(became(ErrorKind::NotFound, places).unwrap(), None);
        }
        assert!(became(ErrorKind::NotFound, &named).is_err());
    }

    /// The mode alone was advised, which shut the service out of a file of root's.
    #[test]
    fn a_token_file_that_everybody_can_read_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let file = folder.path().join("fer-edge.toml");
        fs::write(&token, "0123456789abcdef\n").unwrap();
        fs::write(&file, format!("[http]\ntoken_file = {token:?}\n")).unwrap();
        let warnings = |mode: u32| {
            fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
            let places = Places {
                file: Some(file.clone()),
                ..Places::default()
            };
            load(&places, std::iter::empty()).unwrap().warnings
        };
        let exposed = warnings(0o644);
        assert_eq!(exposed.len(), 1, "{exposed:?}");
        assert!(exposed[0].starts_with("http.token_file: "), "{exposed:?}");
        let path = token.display();
        let advice = format!("; chgrp fer-edge {path} && chmod 640 {path}");
        assert!(exposed[0].ends_with(&advice), "{exposed:?}");
        assert_eq!(warnings(0o640), [""; 0]);
    }
}
