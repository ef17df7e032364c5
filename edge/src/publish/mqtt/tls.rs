//! Certificates and keys for an encrypted connection, checked by rustls with ring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::settings::Settings;

/// Where Debian, Raspberry Pi OS and Ubuntu keep the authorities that the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why the connection can't be encrypted as asked.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable or not PEM.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// A file holds nothing of what is looked for in it.
    #[error("{}: no certificate in PEM format in it", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate or key can't be used.
    #[error("{}: {error}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: rustls::Error,
    },
}

/// What rustls needs to know, read from the files that the settings name.
pub(super) fn config(settings: &Settings) -> Result<Arc<ClientConfig>, TlsError> {
    let authorities = settings.tls_ca.as_deref();
    let authorities = authorities.unwrap_or(Path::new(SYSTEM_AUTHORITIES));
    let mut roots = RootCertStore::empty();
    // The system's bundle may hold a few that are too old for the parser; our own file may not.
    if settings.tls_ca.is_some() {
        for certificate in certificates(authorities)? {
            roots
                .add(certificate)
                .map_err(|error| unusable(authorities, error))?;
        }
    } else {
        roots.add_parsable_certificates(certificates(authorities)?);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(authorities, error))?
        .with_root_certificates(roots);
    let config = match (&settings.tls_client_cert, &settings.tls_client_key) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| unusable(certificate, error))?,
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| file(path, error))?;
    if all.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(all)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| file(path, error))
}

fn file(path: &Path, error: pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        error,
    }
}

fn unusable(path: &Path, error: rustls::Error) -> TlsError {
    TlsError::Unusable {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_missing_or_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str, text: Option<&str>| {
            let path = folder.path().join(name);
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            let settings = Settings {
                tls: true,
                tls_ca: Some(path),
                ..Settings::default()
            };
            let error = config(&settings).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        };
        refused("missing.pem", None);
        refused("empty.pem", Some("not a certificate"));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        refused("garbage.pem", Some(garbage));
    }
}
