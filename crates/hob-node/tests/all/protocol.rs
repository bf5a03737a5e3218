//! HTTP/2 with and without TLS, beside HTTP/1.1 on the same port.

use crate::support::{PATIENCE, TestNode, node};
use bytes::Bytes;
use hob_node::Tls;
use hob_node::task::Tasks;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/tls").join(name)
}

#[derive(Clone)]
struct OnTasks(Arc<Tasks>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for OnTasks {
    fn execute(&self, future: F) {
        self.0.start("test client", future);
    }
}

/// Two requests at a time over one HTTP/2 connection: status, code and protocol of each.
async fn over_http2<S>(node: &TestNode, stream: S, scheme: &str) -> Vec<String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let executor = OnTasks(Arc::clone(&node.tasks));
    let (sender, connection) = http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
    node.tasks.start("test connection", async move {
        let _ = connection.await;
    });
    let ask = |method: &'static str, target: &'static str, host: Option<&'static str>| {
        let mut sender = sender.clone();
        let uri = format!("{scheme}://{target}");
        async move {
            let mut request = http::Request::builder().method(method).uri(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            match tokio::time::timeout(PATIENCE, sender.send_request(request)).await.unwrap() {
                Ok(response) => {
                    let code =
                        response.headers().get("hob-error").map(|code| code.to_str().unwrap().to_owned());
                    let status = response.status().as_u16();
                    response.into_body().collect().await.unwrap();
                    format!("{status} {}", code.unwrap_or_default())
                }
                Err(error) => format!("{error}"),
            }
        }
    };
    let (first, second, third, fourth) = tokio::join!(
        ask("GET", "a.localhost/", None),
        ask("GET", "a.localhost/", Some("a.localhost")),
        ask("GET", "a.localhost/", Some("b.localhost")),
        ask("CONNECT", "a.localhost/", None),
    );
    vec![first, second, third, fourth]
}

/// The last one fails in the client or is refused by the node, as the client's version has it.
fn check(answers: &[String]) {
    assert_eq!(answers[..3], ["404 HOB-0408", "404 HOB-0408", "400 HOB-0406"]);
    assert!(!answers[3].starts_with("404"), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_without_tls_by_prior_knowledge() {
    let node = node(|_| ()).await;
    let stream = TcpStream::connect(node.address).await.unwrap();
    check(&over_http2(&node, stream, "http").await);
    node.tasks.stop().await;
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_offers_both_protocols() {
    let node = node(|settings| {
        settings.tls = Some(Tls { certificate: fixture("certificate.pem"), key: fixture("key.pem") });
    })
    .await;
    assert!(node.node.url().starts_with("https://"));
    for protocol in ["h2", "http/1.1"] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(fixture("certificate.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(node.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        if protocol == "h2" {
            check(&over_http2(&node, stream, "https").await);
        } else {
            let request = b"GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            // A missing close_notify after `Connection: close` is no fault of the answer.
            let _ = stream.read_to_string(&mut answer).await;
            assert!(answer.contains("hob-error: HOB-0408"), "{answer}");
        }
    }
    node.tasks.stop().await;
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_cannot_be_used_is_named() {
    for (certificate, key, code) in [
        (fixture("missing.pem"), fixture("key.pem"), "HOB-0108"),
        (fixture("certificate.pem"), fixture("certificate.pem"), "HOB-0103"),
    ] {
        let (mut settings, _data) = crate::support::settings();
        settings.tls = Some(Tls { certificate, key });
        let refused = hob_node::Node::start(settings).await.err().unwrap();
        assert_eq!(refused.code().text(), code, "{refused}");
    }
}
