//! The control API's listeners and the way of one request through the table.
//!
//! **How.** Who asks, then in which space (the header `hob-space`, for who is bound to none), then what is asked for, then
//! whether he may; then the operation, which sees that space's objects only. All of it is told to the audit log
//! ([`crate::audit`]): a change before it is answered, and whether or not anybody waits for that answer.

use super::auth::Peer;
use super::{Ask, Control, Guard, Keeper, Operation, find, secret};
use crate::audit::Action;
use crate::caller::{self, Caller};
use crate::clock::now_ms;
use crate::gateway::body;
use crate::identity;
use crate::listener::{self, Connection, Listener, Open, Place};
use crate::problem::{self, Form};
use crate::task::Tasks;
use crate::wire::{self, Exchange, Strict};
use bytes::BytesMut;
use hob_core::access::audit::Act;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::HEADER_TIMEOUT;
use hob_core::name::SpaceName;
use hob_runtime::body::Body;
use http::header::HeaderValue;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The header that names the space that a request is about.
pub(crate) const HOB_SPACE: &str = "hob-space";

/// Begins to serve one listener until `closing`.
pub(crate) fn serve(
    (control, keeper): (&Arc<Control>, &Arc<dyn Keeper>),
    (listener, tls): (Listener, Option<TlsAcceptor>),
    guard: Guard,
    closing: CancellationToken,
    tasks: &Arc<Tasks>,
) {
    let shared = Arc::new(Entrance { control: Arc::clone(control), keeper: Arc::clone(keeper), guard, tls });
    let each = move |connection, place| {
        let shared = Arc::clone(&shared);
        async move {
            drive(shared, connection, &place).await;
            drop(place);
        }
    };
    tasks.start("control API", listener::accept(listener, Open::new(), closing, Arc::clone(tasks), each));
}

/// One listener of the control API.
struct Entrance {
    /// Of `default`.
    control: Arc<Control>,
    keeper: Arc<dyn Keeper>,
    guard: Guard,
    tls: Option<TlsAcceptor>,
}

type Shared = Arc<Entrance>;

async fn drive(shared: Shared, connection: Connection, place: &Place) {
    match connection {
        Connection::Tcp(stream, from) => {
            let peer = Peer::Address(from.ip());
            let Some(tls) = shared.tls.clone() else { return speak(shared, stream, peer).await };
            match wire::in_time(place, HEADER_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => speak(shared, stream, peer).await,
                Ok(Err(error)) | Err(error) => {
                    tracing::debug!(%error, %from, "a connection to the control API ends before it is one");
                }
            }
        }
        Connection::Unix(stream) => match stream.peer_cred() {
            Ok(peer) => speak(shared, stream, Peer::User(peer.uid())).await,
            Err(error) => tracing::warn!(%error, "the system does not say who connects to the control API"),
        },
    }
}

/// Answers the requests of one connection.
async fn speak<S>(shared: Shared, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let exchange: Arc<Exchange> = Arc::default();
    let socket = Strict::new(stream, BytesMut::new(), false, HEADER_TIMEOUT, Arc::clone(&exchange));
    let service = service_fn(move |mut request| {
        let good = wire::check_without_upgrades(false, &exchange, &mut request);
        let shared = Arc::clone(&shared);
        async move {
            let (id, asked) = (identity::invocation(), asked(&request));
            let answered = match good {
                Ok(()) => admit(&shared, id, peer, request).await,
                Err(fault) => Err((Arc::clone(&shared.control), fault)),
            };
            Ok::<_, Infallible>(answered.unwrap_or_else(|(told, fault)| {
                let id = told.tell_refused(&fault, id, asked);
                problem::respond(&fault, Some(id), Form::Json)
            }))
        }
    });
    let connection = wire::http1_with_idle_timeout().serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the control API ends");
    }
}

fn asked<B>(request: &Request<B>) -> (http::Method, String) {
    (request.method().clone(), secret::told_path(request.uri().path()).into_owned())
}

/// Answers, or says what is wrong and which space is told of it: what a space is refused, no other is told.
async fn admit(
    entrance: &Entrance,
    id: InvocationId,
    peer: Peer,
    mut request: Request<Incoming>,
) -> std::result::Result<Response<Body>, (Arc<Control>, Fault)> {
    let first = &entrance.control;
    let caller = entrance.guard.check(request.headers(), peer, &first.tokens).map_err(|fault| {
        let (from, space) = (peer.to_string(), SpaceName::default_space());
        let act = caller::stranger(from, caller::CONTROL, meant(&request), None, space);
        count(first, act, &fault, id);
        (Arc::clone(first), fault)
    })?;
    // No function should ever see the header.
    let named = request.headers_mut().remove(HOB_SPACE);
    let found = space(named.as_ref(), &caller).and_then(|space| entrance.keeper.control(&space));
    let control = found.map_err(|fault| {
        count(first, caller.act(meant(&request), None, SpaceName::default_space()), &fault, id);
        (Arc::clone(first), fault)
    })?;
    let keeper = caller.principal.space.is_none().then(|| Arc::clone(&entrance.keeper));
    let answered = answer_with(&control, keeper, &caller, id, request.map(body::incoming)).await;
    answered.map_err(|fault| (control, fault))
}

/// How the operation that a request means is called.
fn meant<B>(request: &Request<B>) -> &'static str {
    find(request.method().as_str(), request.uri().path()).map_or("none", |(operation, _)| operation.id)
}

/// Counts what was refused in the audit log.
fn count(control: &Control, act: Act, fault: &Fault, id: InvocationId) {
    control.audit.count(Act { outcome: fault.code().text().to_owned(), ..act }, Some(id.to_string()));
}

/// Answers a request from somebody who is known: at a listener, or at the dashboard in this process.
///
/// # Errors
/// Those of the operation, `HOB-0704` when there is none, those of [`hob_core::access::Principal::may`] for who may not.
pub(crate) async fn answer(
    control: &Arc<Control>,
    caller: &Caller,
    id: InvocationId,
    request: Request<Body>,
) -> Result<Response<Body>> {
    answer_with(control, None, caller, id, request).await
}

/// The same; with a keeper of all spaces for who is bound to none.
async fn answer_with(
    control: &Arc<Control>,
    keeper: Option<Arc<dyn Keeper>>,
    caller: &Caller,
    id: InvocationId,
    request: Request<Body>,
) -> Result<Response<Body>> {
    let (operation, path) = find(request.method().as_str(), request.uri().path())?;
    let told = secret::told_path(request.uri().path());
    let on = if told == request.uri().path() { on(operation, &path) } else { Some(told.into_owned()) };
    let space = control.space();
    if let Err(fault) = caller.principal.may(operation.needs, &space, now_ms()) {
        count(control, caller.act(operation.id, on, space), &fault, id);
        return Err(fault);
    }
    let act = caller.act(operation.id, on, space);
    let action = Action::begin(&control.audit, act, id.to_string(), operation.weight()).await?;
    let ask = Ask { operation, path, request, keeper, caller: caller.clone(), action: action.clone() };
    let handled = (operation.handle)(Arc::clone(control), ask);
    let mut response = action.run(handled, |fault| fault).await?;
    if response.status() == StatusCode::OK
        && let Ok(status) = StatusCode::from_u16(operation.status)
    {
        *response.status_mut() = status;
    }
    Ok(response)
}

/// The space that a request is about.
///
/// # Errors
/// `HOB-0704` when the header is no name, `HOB-0723` when it names another space than the caller's.
fn space(named: Option<&HeaderValue>, caller: &Caller) -> Result<SpaceName> {
    let Some(named) = named else { return caller.principal.space(None) };
    let text = named.to_str().unwrap_or_default();
    let named = SpaceName::new(text).map_err(|fault| {
        let what = format!("header `{HOB_SPACE}` names no space: {}", fault.message());
        Fault::new(Code::ControlRequest, what).hint("`hob space ls` lists the spaces")
    })?;
    caller.principal.space(Some(&named))
}

/// What an operation is done to: the parts of its path that are names.
fn on(operation: &Operation, path: &[String]) -> Option<String> {
    let rest = operation.path.contains("{*");
    let named = &path[..path.len() - usize::from(rest)];
    (!named.is_empty()).then(|| named.join("/"))
}
