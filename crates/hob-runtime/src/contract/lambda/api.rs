//! The runtime API of one instance (2018-06-01) and what extensions ask there: HTTP/1.1 on loopback.
//!
//! **Why exact.** Clients compare status codes: the Python client dies of anything but 202 to `init/error`.
//! Header names are sent as Lambda writes them, and the media type of an event is exactly `application/json`,
//! since the Python client hands anything else to the handler as bytes.
//!
//! **How.** One task per instance accepts connections and drives them all. A request for the next event
//! costs a place in a queue until there is one.

use super::extension::IDENTIFIER;
use super::refusal::{Refusal, json_response};
use super::session::{Answer, Event, Failure, Session};
use super::stream::Streamed;
use super::telemetry::{Subscription, Telemetry};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hob_core::limit::{
    LAMBDA_CONNECTIONS_SPARE, LAMBDA_HEADER_BYTES_MAX, LAMBDA_RESPONSE_BYTES_MAX, LAMBDA_STREAM_BYTES_MAX,
};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long nothing is accepted after that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// The answer to every post that went well.
const TAKEN: &str = "{\"status\":\"OK\"}\n";
/// The header with the type of an error.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// The header that says whether an answer is streamed.
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// What an instance's requests are about.
pub(super) struct Api {
    pub(super) session: Arc<Session>,
    pub(super) telemetry: Arc<Telemetry>,
    /// What an extension is told of the function when it registers.
    pub(super) function: Value,
    /// Whether the session is over, told by dropping its other end.
    pub(super) closed: tokio::sync::watch::Receiver<()>,
}

/// Serves until the instance is gone.
pub(super) async fn serve(listener: TcpListener, api: Arc<Api>) {
    let mut connections = FuturesUnordered::new();
    let most = api.session.concurrency() + LAMBDA_CONNECTIONS_SPARE;
    let mut closed = api.closed.clone();
    loop {
        tokio::select! {
            Some(()) = connections.next() => {}
            accepted = listener.accept(), if connections.len() < most => {
                let Ok((stream, _)) = accepted else {
                    // Out of files: it is tried again when some may be free.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                // A connection without it is slower, and no worse.
                let _ = stream.set_nodelay(true);
                let api = Arc::clone(&api);
                let service = service_fn(move |request| {
                    let api = Arc::clone(&api);
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                let connection = http1::Builder::new()
                    .auto_date_header(false)
                    .header_read_timeout(None)
                    .title_case_headers(true)
                    .max_buf_size(LAMBDA_HEADER_BYTES_MAX)
                    .serve_connection(TokioIo::new(stream), service);
                // How a connection ends tells nothing: the runtime opens another, or ends.
                connections.push(async move { drop(connection.await) });
            }
            _ = closed.changed() => return,
        }
    }
}

impl Api {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let mut body = Some(body);
        let answer = self.route(&head, &mut body).await;
        // A connection on which something is left to read would be closed.
        if let Some(body) = body {
            drop(read(body, 0).await);
        }
        answer.unwrap_or_else(Refusal::response)
    }

    async fn route(
        &self,
        head: &http::request::Parts,
        body: &mut Option<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let path = head.uri.path();
        let runtime = path.strip_prefix("/2018-06-01/");
        let (method, rest) = match (runtime, path.strip_prefix("/2020-01-01/extension/")) {
            (Some(rest), _) => (&head.method, rest.strip_prefix("runtime/").unwrap_or(rest)),
            (None, Some(rest)) => return self.extension(head, rest, body).await,
            (None, None) if matches!(path, "/2022-07-01/telemetry" | "/2020-08-15/logs") => {
                return self.subscribe(head, body).await;
            }
            (None, None) => return Err(Refusal::NotFound),
        };
        match (method, rest) {
            (&Method::GET, "invocation/next") => self.next().await,
            (&Method::GET, "ping") => Ok(text("pong")),
            (&Method::POST, "init/error") => {
                let failure = failure(&head.headers, body).await?;
                self.session.init_failed(failure).map(|()| taken())
            }
            (&Method::POST, rest) => {
                match rest.strip_prefix("invocation/").and_then(|rest| rest.split_once('/')) {
                    Some((id, "response")) => self.response(&head.headers, id, body).await,
                    Some((id, "error")) => self.error(&head.headers, id, body).await,
                    _ => Err(Refusal::NotFound),
                }
            }
            (_, "invocation/next" | "init/error") => Err(Refusal::Method),
            _ => Err(Refusal::NotFound),
        }
    }

    async fn next(&self) -> Result<Event, Refusal> {
        let given = self.session.next()?;
        // Dropped only when the instance ends, and the connection with it.
        given.await.map_err(|_| Refusal::State("the instance ends"))
    }

    async fn response(
        &self,
        headers: &HeaderMap,
        id: &str,
        body: &mut Option<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let streamed = match headers.get(RESPONSE_MODE).map(|mode| mode.as_bytes()) {
            None => false,
            Some(mode) if mode.eq_ignore_ascii_case(b"streaming") => true,
            Some(_) => return Err(Refusal::Mode),
        };
        let (id, answer) = self.session.answers(id)?;
        let _done = Done { session: &self.session, id };
        if streamed {
            let (body, rest) = Streamed::new(body.take().ok_or(Refusal::Truncated)?);
            // Whoever has gone drops the body, and the rest comes back.
            drop(answer.send(Answer::Streamed(headers.clone(), body)));
            if let Ok(Some(rest)) = rest.await {
                read(rest, 0).await?;
            }
            return Ok(taken());
        }
        let (outcome, told) = match whole(body, LAMBDA_RESPONSE_BYTES_MAX).await {
            Ok((body, size)) if size > LAMBDA_RESPONSE_BYTES_MAX => {
                drop(body);
                (Err(Refusal::TooLarge), Answer::TooLarge(size))
            }
            Ok((body, _)) => (Ok(taken()), Answer::Whole(headers.get(CONTENT_TYPE).cloned(), body)),
            Err(refusal) => (Err(refusal), Answer::Broken),
        };
        drop(answer.send(told));
        outcome
    }

    async fn error(
        &self,
        headers: &HeaderMap,
        id: &str,
        body: &mut Option<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let (id, answer) = self.session.answers(id)?;
        let _done = Done { session: &self.session, id };
        match failure(headers, body).await {
            Ok(failure) => {
                drop(answer.send(Answer::Failed(failure)));
                Ok(taken())
            }
            Err(refusal) => {
                drop(answer.send(Answer::Broken));
                Err(refusal)
            }
        }
    }

    async fn extension(
        &self,
        head: &http::request::Parts,
        rest: &str,
        body: &mut Option<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let id = header(&head.headers, IDENTIFIER);
        match (&head.method, rest) {
            (&Method::POST, "register") => self.register(&head.headers, body).await,
            (&Method::GET, "event/next") => {
                let given = self.session.extensions(|all| all.next(id))?;
                let event = given.await.map_err(|_| Refusal::State("the instance ends"))?;
                let mut response = json_response(StatusCode::OK, event.to_string());
                let event_id = super::session::show_id(super::unlikely(0));
                response.headers_mut().extend(event_id.parse().ok().map(|id| (EVENT_IDENTIFIER.clone(), id)));
                Ok(response)
            }
            (&Method::POST, "init/error" | "exit/error") => {
                self.session.extensions(|all| all.check(id))?;
                let mut failure = failure(&head.headers, body).await?;
                failure.kind = Some(header(&head.headers, "lambda-extension-function-error-type").to_owned());
                if self.session.init_failed(failure).is_err() {
                    self.session.close();
                }
                Ok(accepted())
            }
            (_, "register" | "event/next" | "init/error" | "exit/error") => Err(Refusal::Method),
            _ => Err(Refusal::NotFound),
        }
    }

    async fn register(
        &self,
        headers: &HeaderMap,
        body: &mut Option<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let (body, _) = whole(body, LAMBDA_RESPONSE_BYTES_MAX).await?;
        let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
        let events: Vec<String> = serde_json::from_value(wanted["events"].clone()).unwrap_or_default();
        let registered = self.session.register(header(headers, "lambda-extension-name"), &events)?;
        let mut function = self.function.clone();
        if !header(headers, "lambda-extension-accept-feature").contains("accountId") {
            function.as_object_mut().map(|function| function.remove("accountId"));
        }
        let mut response = json_response(StatusCode::OK, function.to_string());
        let id = registered.id.parse().ok();
        response.headers_mut().extend(id.map(|id| (IDENTIFIER_NAME.clone(), id)));
        Ok(response)
    }

    /// Telemetry API 2022-07-01, and the logs API 2020-08-15 before it.
    async fn subscribe(
        &self,
        head: &http::request::Parts,
        body: &mut Option<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        if head.method != Method::PUT {
            return Err(Refusal::Method);
        }
        let id = header(&head.headers, IDENTIFIER);
        self.session.extensions(|all| all.check(id))?;
        let (body, _) = whole(body, LAMBDA_RESPONSE_BYTES_MAX).await?;
        let subscription = Subscription::read(&body);
        let subscription = subscription.map_err(|why| Refusal::Extension("ValidationError", why))?;
        self.telemetry.subscribe(subscription, header(&head.headers, "lambda-extension-name"));
        Ok(text("\"OK\""))
    }
}

static EVENT_IDENTIFIER: http::HeaderName =
    http::HeaderName::from_static("lambda-extension-event-identifier");
static IDENTIFIER_NAME: http::HeaderName = http::HeaderName::from_static(IDENTIFIER);

/// Ends an answer, also one whose connection broke off.
struct Done<'a> {
    session: &'a Session,
    id: u128,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.session.done(self.id);
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn taken() -> Response<Full<Bytes>> {
    accepted()
}

fn accepted() -> Response<Full<Bytes>> {
    json_response(StatusCode::ACCEPTED, TAKEN)
}

fn text(text: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from_static(text.as_bytes())))
}

/// Reads the body of a request, once.
async fn whole(body: &mut Option<Incoming>, kept: u64) -> Result<(Bytes, u64), Refusal> {
    read(body.take().ok_or(Refusal::Truncated)?, kept).await
}

/// Reads a body to its end, however long it is, since a connection is of no use before; keeps it if it has at
/// most `kept` bytes. And how many bytes there were.
async fn read(mut body: Incoming, kept: u64) -> Result<(Bytes, u64), Refusal> {
    let (mut first, mut rest, mut size) = (Bytes::new(), BytesMut::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Truncated)?.into_data() else { continue };
        size += data.len() as u64;
        if size > LAMBDA_STREAM_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        match (size > kept, first.is_empty() && rest.is_empty()) {
            (true, _) => (first, rest) = (Bytes::new(), BytesMut::new()),
            // Most answers come in one piece, which is not copied.
            (false, true) => first = data,
            (false, false) => {
                rest.extend_from_slice(&std::mem::take(&mut first));
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok((if rest.is_empty() { first } else { rest.freeze() }, size))
}

/// The error that a runtime posts. One with a cause is told without it (its media type is
/// `application/vnd.aws.lambda.error.cause+json`).
async fn failure(headers: &HeaderMap, body: &mut Option<Incoming>) -> Result<Failure, Refusal> {
    let (mut body, size) = whole(body, LAMBDA_RESPONSE_BYTES_MAX).await?;
    if size > LAMBDA_RESPONSE_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    if header(headers, CONTENT_TYPE.as_str()).contains("error.cause+json")
        && let Ok(Value::Object(mut error)) = serde_json::from_slice::<Value>(&body)
    {
        error.remove("cause");
        body = json!(error).to_string().into();
    }
    let kind = header(headers, ERROR_TYPE);
    Ok(Failure { kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()), body })
}
