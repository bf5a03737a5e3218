//! Requests to the world outside, as far as a function's egress list allows.
//!
//! **Why.** See [`hob_core::egress`]: a name may lead anywhere, so the address is judged after it is
//! resolved, and the judged address is the one that is connected.
//!
//! **How.** One HTTP client with a connector of its own, which judges the name and goes the one `way`.
//! Connections are kept for each app and egress list apart: a connection that one list allowed must
//! not serve a function whose list does not. Redirects are answers like any other; whoever follows
//! them is judged again. `Host` always is the host that was judged: a server of many names must not be asked for
//! another one.
//!
//! **Not here:** deadlines of calls (the dispatcher knows them); calls between functions.

use super::way::{Resolve, System, Way};
use crate::body::Body;
use crate::code::FunctionCode;
use crate::executor::Executor;
use crate::hop;
use crate::invocation::Reply;
use arc_swap::ArcSwap;
use hob_core::code::Code;
use hob_core::egress::{Doors, Policy, Reach, Refusal};
use hob_core::fault::{Fault, Result};
use hob_core::limit;
use hob_core::name::AppName;
use hob_core::port::{BoxFuture, Spawn};
use http::Uri;
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use tokio::net::TcpStream;

type Listed = Option<Vec<String>>;
type Outside = Client<HttpsConnector<Connector>, Body>;

/// The way to outside addresses.
pub struct External {
    tls: rustls::ClientConfig,
    way: Arc<Way>,
    /// Whether its functions are those of a space beside the operator's.
    strangers: bool,
    spawn: Arc<dyn Spawn>,
    clients: Mutex<HashMap<(AppName, Listed), Outside>>,
    /// For what the node itself sends.
    own: OnceLock<Outside>,
}

/// How a client speaks TLS with whoever has a certificate that the roots of Mozilla vouch for.
///
/// # Errors
/// `HOB-0901`, when the cryptography cannot do what TLS needs.
pub fn public_tls() -> Result<rustls::ClientConfig> {
    use hyper_rustls::ConfigBuilderExt;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Fault::internal)?;
    Ok(config.with_webpki_roots().with_no_client_auth())
}

impl External {
    /// Without any connection. Certificates are judged by the roots of Mozilla.
    ///
    /// # Errors
    /// `HOB-0901` when TLS cannot be set up.
    pub fn new(spawn: Arc<dyn Spawn>) -> Result<Self> {
        Self::with(spawn, Arc::new(System::default()))
    }

    /// The same with a resolver of names that others use as well.
    ///
    /// # Errors
    /// As [`External::new`].
    pub fn with(spawn: Arc<dyn Spawn>, resolver: Arc<dyn Resolve>) -> Result<Self> {
        let tls = public_tls()?;
        let way = Arc::new(Way::new(resolver));
        Ok(Self { tls, way, strangers: false, spawn, clients: Mutex::default(), own: OnceLock::new() })
    }

    /// For strangers: whatever their lists say, they reach public addresses only.
    #[must_use]
    pub fn of_strangers(self, strangers: bool) -> Self {
        Self { strangers, ..self }
    }

    /// Where the node itself listens: no function reaches that, listed or not. The first word counts.
    pub fn close(&self, doors: Doors) {
        self.close_as(Arc::new(ArcSwap::from_pointee(doors)));
    }

    /// The same for a node that opens further sockets while it runs.
    pub fn close_as(&self, doors: Arc<ArcSwap<Doors>>) {
        self.way.close(doors);
    }

    /// Sends a request with an absolute `http` or `https` URI for a function.
    ///
    /// # Errors
    /// `HOB-0507` when the function may not reach the address, `HOB-0510` when it does not answer
    /// properly, `HOB-0406` when the URI is not absolute.
    pub async fn call(&self, code: &FunctionCode, mut request: http::Request<Body>) -> Result<Reply> {
        let (host, port) = destination(request.uri())?;
        self.admit(code, &host, port)?;
        hop::strip(request.headers_mut());
        // The client writes it anew from the URI.
        request.headers_mut().remove(HOST);
        let sent = self.client(code).request(request).await;
        sent.map(answer).map_err(|error| blame(code, failure(&host, &error)))
    }

    /// Sends a request of the node itself, to an address that its owner has named: any address may be
    /// reached.
    ///
    /// # Errors
    /// `HOB-0510` when it does not answer properly, `HOB-0406` when the URI is not absolute.
    pub async fn send(&self, request: http::Request<Body>) -> Result<Reply> {
        let (host, _) = destination(request.uri())?;
        let client = self.own.get_or_init(|| self.open(None, Allowed::Anything)).clone();
        client.request(request).await.map(answer).map_err(|error| failure(&host, &error))
    }

    /// Connects to `host:port` for a function that speaks for itself (`CONNECT`).
    ///
    /// # Errors
    /// As [`External::call`].
    pub async fn connect(&self, code: &FunctionCode, to: &Authority) -> Result<TcpStream> {
        let malformed = || Fault::new(Code::RequestMalformed, format!("`{to}` is not `host:port`"));
        let port = to.port_u16().ok_or_else(malformed)?;
        let reach = self.admit(code, to.host(), port)?;
        self.way.connect(Some(&code.app), to.host(), port, reach).await.map_err(|fault| blame(code, fault))
    }

    fn admit(&self, code: &FunctionCode, host: &str, port: u16) -> Result<Reach> {
        let refused = |refusal| blame(code, refusal_fault(refusal, host, port));
        Policy::new(code.spec.egress.as_deref())
            .of_stranger(self.strangers)
            .admits(host, port)
            .map_err(refused)
    }

    fn client(&self, code: &FunctionCode) -> Outside {
        let key = (code.app.clone(), code.spec.egress.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return client.clone();
        }
        if clients.len() >= limit::EGRESS_CLIENTS_MAX {
            // Their connections end with the calls that use them.
            clients.clear();
        }
        let client =
            self.open(Some(code.app.clone()), Allowed::Listed(Arc::new(key.1.clone()), self.strangers));
        clients.entry(key).or_insert(client).clone()
    }

    fn open(&self, app: Option<AppName>, allowed: Allowed) -> Outside {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.clone())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Connector { way: Arc::clone(&self.way), app, allowed });
        Client::builder(Executor::new(&self.spawn, "outbound-connection"))
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limit::EGRESS_IDLE_TIMEOUT)
            .pool_max_idle_per_host(limit::EGRESS_IDLE_CONNECTIONS_MAX)
            .http1_max_buf_size(limit::HEADER_BYTES_MAX)
            .http1_max_headers(limit::HEADER_COUNT_MAX)
            .http2_max_header_list_size(u32::try_from(limit::HEADER_BYTES_MAX).unwrap_or(u32::MAX))
            .build(connector)
    }
}

fn answer(mut reply: http::Response<hyper::body::Incoming>) -> Reply {
    hop::strip(reply.headers_mut());
    reply.map(|body| {
        let broke_off = |error: hyper::Error| {
            Fault::new(Code::DependencyFailed, "the answer from outside broke off").detail(error)
        };
        body.map_err(broke_off).boxed_unsync()
    })
}

fn failure(host: &str, error: &Error) -> Fault {
    let (mut words, mut cause) = (Vec::new(), error.source());
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return fault.clone();
        }
        words.push(error.to_string());
        cause = error.source();
    }
    Fault::new(Code::DependencyFailed, format!("`{host}` did not answer properly")).detail(words.join(": "))
}

fn blame(code: &FunctionCode, fault: Fault) -> Fault {
    match fault.code() {
        Code::EgressDenied => Fault::new(
            Code::EgressDenied,
            format!("function `{}` may not reach {}", code.name, fault.message()),
        )
        .hint(fault.hint_text().unwrap_or_default().to_owned()),
        _ => fault,
    }
}

fn destination(uri: &Uri) -> Result<(String, u16)> {
    let malformed = || Fault::new(Code::RequestMalformed, format!("`{uri}` is not an absolute URL"));
    let port = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        Some(scheme) if *scheme == Scheme::HTTPS => 443,
        _ => return Err(malformed()),
    };
    let host = uri.host().ok_or_else(malformed)?;
    Ok((host.to_owned(), uri.port_u16().unwrap_or(port)))
}

/// What may not be reached; [`blame`] makes a sentence of it.
fn refusal_fault(refusal: Refusal, host: &str, port: u16) -> Fault {
    match refusal {
        Refusal::Malformed => Fault::new(
            Code::EgressDenied,
            format!("`{host}`, which is neither a name nor an address in its usual form"),
        )
        .hint("write the host as a DNS name or a plain address"),
        Refusal::Unlisted => Fault::new(Code::EgressDenied, format!("`{host}:{port}`"))
            .hint(format!("add `\"{host}:{port}\"` to `egress` in the function's section of the manifest")),
        Refusal::NotPublic => {
            Fault::new(Code::EgressDenied, format!("`{host}:{port}`, which is no public address"))
                .hint("apps of space `default` may be allowed to; ask the node's operator")
        }
    }
}

/// Resolves, judges and connects.
#[derive(Clone)]
struct Connector {
    way: Arc<Way>,
    app: Option<AppName>,
    allowed: Allowed,
}

/// What a client may reach.
#[derive(Clone)]
enum Allowed {
    /// What an egress list says, and whether it is a stranger's.
    Listed(Arc<Listed>, bool),
    /// Whatever the node's owner names.
    Anything,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { way, app, allowed } = self.clone();
        Box::pin(async move {
            let (host, port) = destination(&uri)?;
            let reach = match allowed {
                Allowed::Anything => Reach::Any,
                Allowed::Listed(listed, stranger) => Policy::new(listed.as_deref())
                    .of_stranger(stranger)
                    .admits(&host, port)
                    .map_err(|refusal| refusal_fault(refusal, &host, port))?,
            };
            way.connect(app.as_ref(), &host, port, reach).await.map(TokioIo::new)
        })
    }
}

#[cfg(test)]
mod tests;
