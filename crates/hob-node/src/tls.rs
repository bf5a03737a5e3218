//! TLS for the gateway: one given certificate chain and key, HTTP/2 and HTTP/1.1.

use crate::settings::Tls;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Reads certificate and key.
///
/// # Errors
/// `HOB-0108` when a file cannot be read, `HOB-0103` when its content is not what it should be.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(&tls.certificate, "certificates", &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| unreadable(&tls.key, "a private key", &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Fault::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| {
            Fault::new(Code::ManifestValue, "the TLS certificate and key do not fit together")
                .hint("give the chain of the certificate whose key this is, leaf first")
                .at(tls.certificate.display().to_string())
                .detail(error)
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// From when to when the certificate is valid, milliseconds since the Unix epoch; `None` where it does not say.
pub(crate) fn validity_ms(tls: &Tls) -> Option<(u64, u64)> {
    let leaf = CertificateDer::pem_file_iter(&tls.certificate).ok()?.next()?.ok()?;
    hob_core::certificate::validity_ms(&leaf)
}

fn unreadable(path: &Path, what: &str, error: &rustls::pki_types::pem::Error) -> Fault {
    let code = match error {
        rustls::pki_types::pem::Error::Io(_) => Code::FileMissing,
        _ => Code::ManifestValue,
    };
    Fault::new(code, format!("`{}` cannot be read as PEM with {what}", path.display()))
        .hint("give a readable PEM file")
        .detail(error)
}
