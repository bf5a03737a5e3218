//! TLS of the node's sockets: one given certificate chain and key; and the client's end of it, for the control API.

use crate::settings::Tls;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_runtime::outbound::external::public_tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What the gateway, the dashboard and the Lambda API speak.
pub(crate) const HTTP2_OR_1: &[&[u8]] = &[b"h2", b"http/1.1"];
/// What the control API speaks.
pub(crate) const HTTP1: &[&[u8]] = &[b"http/1.1"];

/// Reads certificate and key, for a socket that speaks these protocols.
///
/// # Errors
/// `HOB-0108` when a file cannot be read, `HOB-0103` when its content is not what it should be.
pub(crate) fn acceptor(tls: &Tls, protocols: &[&[u8]]) -> Result<TlsAcceptor> {
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
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Speaks TLS as a client, to a node that calls itself `host` (a name, or an address as URLs have it). It is judged by the
/// certificates in the file `roots`, else by the roots of Mozilla.
///
/// # Errors
/// When the other end has no certificate of that name that they vouch for, or the file cannot be read.
pub async fn connect_tls<S>(stream: S, host: &str, roots: Option<&Path>) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut config = match roots {
        None => public_tls().map_err(io::Error::other)?,
        Some(file) => trusting(file).map_err(io::Error::other)?,
    };
    config.alpn_protocols = HTTP1.iter().map(|protocol| protocol.to_vec()).collect();
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// A client that trusts the certificates of a file and no others.
fn trusting(file: &Path) -> Result<ClientConfig> {
    let chain =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable(file, "certificates", &error))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Fault::internal)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
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

#[cfg(test)]
mod tests {
    use super::{HTTP1, acceptor, connect_tls};
    use crate::settings::Tls;
    use std::path::PathBuf;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_client_takes_the_certificate_that_it_trusts_and_no_other() {
        let fixture =
            |name: &str| PathBuf::from(format!("{}/tests/all/tls/{name}", env!("CARGO_MANIFEST_DIR")));
        let tls = Tls { certificate: fixture("certificate.pem"), key: fixture("key.pem") };
        for (host, roots, good) in [
            ("localhost", Some(fixture("certificate.pem")), true),
            ("elsewhere.example", Some(fixture("certificate.pem")), false),
            ("[::1]", Some(fixture("certificate.pem")), false),
            ("localhost", Some(fixture("none.pem")), false),
            ("localhost", None, false),
        ] {
            let (own, far) = tokio::io::duplex(1 << 16);
            let acceptor = acceptor(&tls, HTTP1).unwrap();
            let serve = async {
                if let Ok(mut stream) = acceptor.accept(far).await {
                    stream.write_all(b"hello").await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            };
            let ask = async {
                let mut stream = connect_tls(own, host, roots.as_deref()).await?;
                let mut text = String::new();
                stream.read_to_string(&mut text).await.map(|_| text)
            };
            let ((), asked) = tokio::join!(serve, ask);
            assert_eq!(asked.is_ok_and(|text| text == "hello"), good, "{host} {roots:?}");
        }
    }
}
