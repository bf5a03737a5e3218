//! The API's listener and the way of one request.

use super::answer::{Answered, Refusal, identify, refuse};
use super::records::Records;
use super::{Lambda, Parts, find_operation};
use crate::clock::now_ms;
use crate::identity;
use crate::listener::{self, Connection, Listener, Open};
use crate::task::StreamExecutor;
use crate::telemetry::Budget;
use hob_core::fact::{Failure, Refused, What};
use hob_core::id::InvocationId;
use hob_core::limit::{
    CONNECTION_IDLE_TIMEOUT, FACTS_REFUSED_PER_SECOND, H2_STREAMS_MAX, HEADER_BYTES_MAX, HEADER_TIMEOUT,
};
use hob_runtime::body::Body;
use http::header::{HOST, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Begins to serve one listener until `closing`.
pub(crate) fn serve(parts: Parts, listener: Listener, closing: CancellationToken) {
    let Parts { control, state, keys, tls, loopback } = parts;
    let tasks = Arc::clone(&control.tasks);
    let private = loopback || tls.is_some();
    let (records, refused) = (Records::new(state), Budget::new(FACTS_REFUSED_PER_SECOND));
    let lambda = Arc::new(Lambda { control, keys, records, private, refused });
    let each = move |connection, place| {
        let (lambda, tls) = (Arc::clone(&lambda), tls.clone());
        async move {
            drive(lambda, tls, connection).await;
            drop(place);
        }
    };
    tasks.start("Lambda API", listener::accept(listener, Open::new(), closing, Arc::clone(&tasks), each));
}

async fn drive(lambda: Arc<Lambda>, tls: Option<TlsAcceptor>, connection: Connection) {
    let Connection::Tcp(socket, _) = connection else { return };
    match tls {
        None => speak(lambda, socket).await,
        Some(tls) => match timeout(HEADER_TIMEOUT, tls.accept(socket)).await {
            Ok(Ok(socket)) => speak(lambda, socket).await,
            _ => tracing::debug!("a connection to the Lambda API ends before it has begun"),
        },
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(lambda: Arc<Lambda>, socket: S) {
    let mut builder = auto::Builder::new(StreamExecutor(Arc::clone(&lambda.control.tasks)));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_IDLE_TIMEOUT)
        .max_buf_size(2 * HEADER_BYTES_MAX);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(H2_STREAMS_MAX);
    let service = service_fn(move |request| {
        let lambda = Arc::clone(&lambda);
        async move { Ok::<_, Infallible>(answer(&lambda, request).await) }
    });
    if let Err(error) = builder.serve_connection(TokioIo::new(socket), service).await {
        tracing::debug!(error, "a connection to the Lambda API ends");
    }
}

/// Answers one request, whatever it is.
async fn answer(lambda: &Arc<Lambda>, mut request: Request<Incoming>) -> Response<Body> {
    // HTTP/2 names the host in the address (RFC 9113, 8.3.1).
    if let Some(host) = request.uri().authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    let id = identity::invocation();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let asked = (request.method().clone(), request.uri().path().to_owned(), host.to_owned());
    let mut response = match handle(lambda, id, request).await {
        Ok(response) => response,
        Err(refusal) => {
            lambda.tell_refused(&refusal, id, asked);
            refuse(&refusal)
        }
    };
    identify(&mut response, id);
    response
}

async fn handle(lambda: &Arc<Lambda>, id: InvocationId, request: Request<Incoming>) -> Answered {
    let (operation, path) = find_operation(request.method().as_str(), request.uri().path())?;
    let ask = lambda.admit(operation, path, request).await?;
    tracing::debug!(%id, operation = operation.name, "a request to the Lambda API");
    (operation.handle)(Arc::clone(lambda), super::Ask { id, ..ask }).await
}

impl Lambda {
    /// That a request was not granted, so that its id can be asked for.
    fn tell_refused(&self, refusal: &Refusal, id: InvocationId, asked: (Method, String, String)) {
        // Strangers can cause as many as they like.
        if !self.refused.spend(now_ms()) {
            return;
        }
        let (method, path, host) = asked;
        let refused = Refused {
            id,
            control: true,
            app: None,
            method: method.to_string(),
            path,
            host,
            failure: Failure::from(&refusal.fault),
        };
        self.control.telemetry.now(None, What::Refused(Box::new(refused)));
    }
}
