//! Which certificates are trusted: Mozilla's roots, and those of a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// TLS cannot be set up, so there is no client.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of extra roots cannot be read.
    #[error("the CA file {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file of extra roots holds no certificate.
    #[error("the CA file {path} holds no PEM certificate that can be a root")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refused its configuration.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// TLS for HTTP/2 or HTTP/1.1, as the service prefers.
pub(super) fn http_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut tls = tls_config(ca_file)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// A TLS configuration that trusts Mozilla's root certificates and those in `ca_file` (PEM), without ALPN protocols.
///
/// # Errors
/// [`TlsError`] when the file cannot be read or holds no certificate.
pub fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = ca_file {
        add_roots(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let read = |source| TlsError::Read {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read(path).map_err(read)?;
    let blocks = pem::parse_many(text).unwrap_or_default();
    let certificates = blocks
        .into_iter()
        .filter(|block| block.tag() == "CERTIFICATE");
    let (added, _) = roots
        .add_parsable_certificates(certificates.map(|c| CertificateDer::from(c.into_contents())));
    if added == 0 {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(())
}
