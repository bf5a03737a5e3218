//! The HTTP proxy through which child processes call other functions and the world (RFC 9110, 7.3.3).
//!
//! **Why.** A program needs no library of ours to call another function: it honours `http_proxy`, as
//! nearly every HTTP client does, and the node does the rest.
//!
//! **How.** It listens on loopback and asks for the instance's secret (`Proxy-Authorization`). Requests in
//! absolute form go to [`Dispatcher`]; `CONNECT` is a tunnel, if the function's egress list allows it. Some
//! clients use a tunnel for plain HTTP too: one to a name inside of the node ends here, and the
//! requests in it are taken as if they had come in absolute form. Exporters of telemetry use no proxy, so their
//! requests come in origin form, with the secret in the path ([`crate::intake`]).
//!
//! An instance behind walls has a listener of its own in its own network, through which nobody else comes: there the connection
//! says who calls, and neither secret is asked for.

use crate::dispatcher::{self, Dispatcher};
use crate::entrance::{Entrance, Entrances, Keeper};
use crate::gateway::body;
use crate::intake::Telling;
use crate::listener::{self, Connection, Listener, Open};
use crate::problem::{self, Form};
use crate::task::Tasks;
use crate::through;
use hob_core::code::Code;
use hob_core::event::base64;
use hob_core::fault::{Fault, Result};
use hob_core::limit::CONNECTIONS_MAX;
use hob_core::port::BoxFuture;
use hob_runtime::body::Body;
use hob_runtime::code::FunctionCode;
use hob_runtime::outbound::{Caller, Gate, Outbound};
use http::header::{HeaderMap, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The proxy of one node.
pub(crate) struct Proxy {
    dispatcher: Arc<Dispatcher>,
    entrances: Arc<Entrances>,
    tasks: Arc<Tasks>,
}

/// Begins to serve; the node ends it with its tasks, after the functions have stopped.
pub(crate) fn serve(
    listener: Listener,
    dispatcher: Arc<Dispatcher>,
    entrances: Arc<Entrances>,
    tasks: &Arc<Tasks>,
) {
    let proxy = Arc::new(Proxy { dispatcher, entrances, tasks: Arc::clone(tasks) });
    proxy.entrances.keep(keeper(Arc::downgrade(&proxy)));
    let each = move |connection, place| {
        let proxy = Arc::clone(&proxy);
        async move {
            proxy.drive(connection, None).await;
            drop(place);
        }
    };
    let never = CancellationToken::new();
    // All of them are the node's own functions, at one address.
    let open = Open::with(CONNECTIONS_MAX, usize::MAX);
    tasks.start("proxy", listener::accept(listener, open, never, Arc::clone(tasks), each));
}

/// Serves what instances with a network of their own connect to, as long as the proxy is there.
fn keeper(proxy: Weak<Proxy>) -> Keeper {
    Box::new(move |gate, own| {
        let Some(proxy) = proxy.upgrade() else { return };
        let (listener, through) = match gate {
            Gate::Names(socket) => return proxy.tasks.start("names", through::names(own, socket)),
            Gate::Proxy(listener) => (listener, false),
            Gate::Through(listener) => (listener, true),
        };
        let (tasks, closed) = (Arc::clone(&proxy.tasks), own.closed());
        let each = move |connection, place| {
            let (proxy, own) = (Arc::clone(&proxy), Arc::clone(&own));
            async move {
                let closed = own.closed();
                let served = async {
                    match connection {
                        Connection::Tcp(stream, _) if through => proxy.through(stream, own).await,
                        connection => proxy.drive(connection, Some(own)).await,
                    }
                };
                tokio::select! {
                    () = served => {}
                    () = closed.cancelled() => {}
                }
                drop(place);
            }
        };
        let open = Open::with(through::OPEN_MAX, usize::MAX);
        let accept = listener::accept(Listener::Tcp(listener), open, closed, Arc::clone(&tasks), each);
        tasks.start("entrance", accept);
    })
}

/// Where a request comes from, if the connection says it.
type Own = Option<Arc<Entrance>>;

impl Proxy {
    async fn drive(self: Arc<Self>, connection: Connection, own: Own) {
        let Connection::Tcp(socket, _) = connection else { return };
        let service = service_fn(move |request| {
            let (proxy, own) = (Arc::clone(&self), own.clone());
            async move { Ok::<_, Infallible>(proxy.answer(request, own).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(socket), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a function's connection to the proxy ends");
        }
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>, own: Own) -> Response<Body> {
        let form = Form::of(request.headers());
        if let Some((instance, code, path)) = self.teller(request.uri(), own.as_deref()) {
            let telling = Telling::of(request.method(), &path, request.headers());
            let body = body::incoming(request.into_body());
            let told = self.dispatcher.tell(&code, Some(instance), telling, body).await;
            return told.unwrap_or_else(|fault| problem::respond(&fault, None, form));
        }
        let Some(caller) = self.caller(request.headers(), own.as_deref()) else {
            let fault = Fault::new(Code::Unauthorized, "the proxy needs the instance's own name and secret")
                .with_status(407)
                .hint("use `http_proxy` as the function's environment has it");
            let mut response = problem::respond(&fault, None, form);
            response
                .headers_mut()
                .insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"hob\""));
            return response;
        };
        let id = caller.context.as_ref().map(|context| context.id.to_string());
        let answered = if *request.method() == Method::CONNECT {
            self.tunnel(caller, request, own).await
        } else {
            self.forward(caller, request).await
        };
        answered.unwrap_or_else(|fault| problem::respond(&fault, id, form))
    }

    /// Who tells its telemetry with a request in origin form, since its exporter uses no proxy.
    fn teller(&self, uri: &Uri, own: Option<&Entrance>) -> Option<(u64, Arc<FunctionCode>, String)> {
        if let Some(own) = own {
            let (instance, code) = own.teller();
            return uri.authority().is_none().then(|| (instance, code, uri.path().to_owned()));
        }
        let (instance, code, path) =
            self.entrances.teller(uri.path()).filter(|_| uri.authority().is_none())?;
        Some((instance, code, path.to_owned()))
    }

    fn caller(&self, headers: &HeaderMap, own: Option<&Entrance>) -> Option<Caller> {
        if let Some(own) = own {
            return Some(own.caller(headers));
        }
        let (instance, secret) = credentials(headers.get(PROXY_AUTHORIZATION)?)?;
        self.entrances.caller(instance, &secret, headers)
    }

    /// Serves a connection to any address.
    async fn through(self: Arc<Self>, stream: TcpStream, own: Arc<Entrance>) {
        let Some(to) = through::meant(&own, &stream) else {
            let _ = stream.set_zero_linger();
            return;
        };
        if !dispatcher::is_inside(to.host()) {
            return through::carry(&self.dispatcher, &own, stream, &to).await;
        }
        self.serve_stream((None, Some(own)), to, TokioIo::new(stream)).await;
    }

    /// Serves a tunnel to a name inside of the node, for whoever sent it: with credentials, or by the way it came.
    fn serve_inside(
        self: Arc<Self>,
        (who, own): (Option<HeaderValue>, Own),
        to: Authority,
        upgrade: OnUpgrade,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Ok(inside) = upgrade.await {
                self.serve_stream((who, own), to, inside).await;
            }
        })
    }

    fn serve_stream(
        self: Arc<Self>,
        (who, own): (Option<HeaderValue>, Own),
        to: Authority,
        inside: impl hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    ) -> BoxFuture<'static, ()> {
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (proxy, who, own, to) = (Arc::clone(&self), who.clone(), own.clone(), to.clone());
            async move {
                request.headers_mut().extend(who.map(|who| (PROXY_AUTHORIZATION, who)));
                let mut uri = std::mem::take(request.uri_mut()).into_parts();
                (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(to));
                *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
                Ok::<_, Infallible>(proxy.answer(request, own).await)
            }
        });
        Box::pin(async move {
            let mut builder = http1::Builder::new();
            if let Err(error) = builder.timer(TokioTimer::new()).serve_connection(inside, service).await {
                tracing::debug!(%error, "a function's tunnel to a name inside ends");
            }
        })
    }

    async fn forward(&self, caller: Caller, request: Request<Incoming>) -> Result<Response<Body>> {
        if request.uri().authority().is_none() {
            return Err(Fault::new(Code::RequestMalformed, "a proxy takes requests for whole URLs only")
                .hint("use this address as `http_proxy`, not as a server"));
        }
        self.dispatcher.call(caller, request.map(body::incoming)).await
    }

    async fn tunnel(
        self: &Arc<Self>,
        caller: Caller,
        request: Request<Incoming>,
        own: Own,
    ) -> Result<Response<Body>> {
        let to = request
            .uri()
            .authority()
            .cloned()
            .ok_or_else(|| Fault::new(Code::RequestMalformed, "`CONNECT` needs `host:port`"))?;
        let who = request.headers().get(PROXY_AUTHORIZATION).cloned();
        if dispatcher::is_inside(to.host()) && to.port_u16() == Some(80) {
            let serve = Arc::clone(self).serve_inside((who, own), to, hyper::upgrade::on(request));
            self.tasks.start("tunnel inside", serve);
            return Ok(Response::new(hob_runtime::body::empty()));
        }
        let mut outside = self.dispatcher.connect(&caller, &to).await?;
        let upgrade = hyper::upgrade::on(request);
        self.tasks.start("tunnel", async move {
            let Ok(inside) = upgrade.await else { return };
            // Either end may go at any time; neither is a fault of the node.
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(inside), &mut outside).await;
        });
        let mut response = Response::new(hob_runtime::body::empty());
        *response.status_mut() = StatusCode::OK;
        Ok(response)
    }
}

/// Name and secret of `Basic` credentials (RFC 7617, 2).
fn credentials(value: &HeaderValue) -> Option<(u64, String)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    let text = String::from_utf8(base64::decode(encoded.trim())?)
        .ok()
        .filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (name, secret) = text.split_once(':')?;
    Some((name.parse().ok()?, secret.to_owned()))
}

/// Who a child says that it is.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let _ = credentials(&value);
    }
}

#[cfg(test)]
mod tests {
    use super::credentials;
    use http::HeaderValue;

    #[test]
    fn credentials_are_a_number_and_a_secret() {
        for (value, expected) in [
            ("Basic Nzphc2VjcmV0", Some((7, "asecret"))),
            ("basic NzphOmI=", Some((7, "a:b"))),
            ("Basic MTI6", Some((12, ""))),
            ("Bearer Nzphc2VjcmV0", None),
            ("Basic bmFtZTph", None),
            ("Basic !!", None),
            ("Basic", None),
        ] {
            let found = credentials(&HeaderValue::from_static(value));
            assert_eq!(found, expected.map(|(name, secret)| (name, secret.to_owned())), "{value}");
        }
    }
}
