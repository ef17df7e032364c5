//! The configuration files: which there are, and who may read them.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::layers::{Layers, Origin};
use super::{Config, ConfigError, Loaded, show};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "/etc/fer/fer-edge.toml";

/// The folder beside the file whose `*.toml` are read after it, in the order of their names.
pub const DROP_INS: &str = "conf.d";

/// Takes in the file and its drop-ins; returns those that were read.
///
/// # Errors
/// Returns an error for a file that can't be read or is no TOML. [`DEFAULT_FILE`] and the folder may
/// be missing.
pub(super) fn add(
    layers: &mut Layers,
    named: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let main = named.unwrap_or(Path::new(DEFAULT_FILE));
    let mut paths = vec![main.to_owned()];
    paths.extend(drop_ins(&main.with_file_name(DROP_INS))?);
    let mut read = Vec::new();
    for path in paths {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => continue,
            // The daemon's file holds secrets; somebody who looks at a picture doesn't need it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && named.is_none() => {
                warnings.push(format!("{}: not read: {error}", path.display()));
                continue;
            }
            Err(error) => return Err(ConfigError::Read { path, error }),
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

fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
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
    };
    match list() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        listed => listed.map_err(|error| ConfigError::Read {
            path: folder.to_owned(),
            error,
        }),
    }
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
            let path = path.display();
            warnings.push(format!(
                "{key}: {path} can be read by everybody; chmod 640 {path}"
            ));
        }
    }
    for key in show::secrets(&loaded.config) {
        if let Origin::File(path) = loaded.layers.origin(&key)
            && is_exposed(&path)
        {
            let path = path.display();
            warnings.push(format!(
                "{path}: holds {key} and can be read by everybody; chmod 640 {path}"
            ));
        }
    }
    warnings
}

fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::super::{Places, load};
    use super::*;

    #[test]
    fn a_token_file_that_everybody_can_read_is_named() {
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
        assert_eq!(warnings(0o640), [""; 0]);
    }
}
