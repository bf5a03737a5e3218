//! The control API's listeners and the way of one request through the table.
//!
//! **How.** Who asks, then what is asked for, then whether he may; then the operation. All of it is told to the audit
//! log ([`crate::audit`]): a change before it is answered.

use super::auth::Peer;
use super::{Ask, Control, Guard, Operation, find};
use crate::audit::Action;
use crate::caller::{self, Caller};
use crate::clock::now_ms;
use crate::gateway::body;
use crate::identity;
use crate::listener::{self, Connection, Listener, Open};
use crate::problem::{self, Form};
use crate::task::Tasks;
use hob_core::access::audit::Act;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::name::SpaceName;
use hob_runtime::body::Body;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// The header that names the space that a request is about.
pub(crate) const HOB_SPACE: &str = "hob-space";

/// Begins to serve one listener until `closing`.
pub(crate) fn serve(
    control: &Arc<Control>,
    listener: Listener,
    guard: Guard,
    closing: CancellationToken,
    tasks: &Arc<Tasks>,
) {
    let shared = Arc::new((Arc::clone(control), guard));
    let each = move |connection, place| {
        let shared = Arc::clone(&shared);
        async move {
            drive(shared, connection).await;
            drop(place);
        }
    };
    tasks.start("control API", listener::accept(listener, Open::new(), closing, Arc::clone(tasks), each));
}

type Shared = Arc<(Arc<Control>, Guard)>;

async fn drive(shared: Shared, connection: Connection) {
    match connection {
        Connection::Tcp(stream, peer) => speak(shared, stream, Peer::Address(peer.ip())).await,
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
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move {
            let (id, asked) = (identity::invocation(), asked(&request));
            let answered = admit(&shared, id, peer, request).await;
            Ok::<_, Infallible>(answered.unwrap_or_else(|fault| {
                let id = shared.0.tell_refused(&fault, id, asked);
                problem::respond(&fault, Some(id), Form::Json)
            }))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(hob_core::limit::CONNECTION_IDLE_TIMEOUT);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the control API ends");
    }
}

fn asked<B>(request: &Request<B>) -> (http::Method, String) {
    (request.method().clone(), request.uri().path().to_owned())
}

async fn admit(
    (control, guard): &(Arc<Control>, Guard),
    id: InvocationId,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<Body>> {
    match guard.check(request.headers(), peer, &control.tokens) {
        Ok(caller) => answer(control, &caller, id, request.map(body::incoming)).await,
        Err(fault) => {
            let found = find(request.method().as_str(), request.uri().path());
            let operation = found.map_or("none", |(operation, _)| operation.id);
            let (who, from) = ("nobody".to_owned(), peer.to_string());
            let act = caller::act(who, from, caller::CONTROL, operation, None, SpaceName::default_space());
            control.audit.count(Act { outcome: fault.code().text().to_owned(), ..act }, Some(id.to_string()));
            Err(fault)
        }
    }
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
    let (operation, path) = find(request.method().as_str(), request.uri().path())?;
    let on = on(operation, &path);
    let space = space(request.headers(), caller);
    let judged = space.and_then(|space| {
        caller.principal.may(operation.needs, &space, now_ms())?;
        Ok(space)
    });
    let space = match judged {
        Ok(space) => space,
        Err(fault) => {
            let act = caller.act(operation.id, on, SpaceName::default_space());
            control.audit.count(Act { outcome: fault.code().text().to_owned(), ..act }, Some(id.to_string()));
            return Err(fault);
        }
    };
    let act = caller.act(operation.id, on, space);
    let action = Action::begin(&control.audit, act, id.to_string(), operation.is_change()).await?;
    let ask = Ask { path, request, caller: caller.clone(), action: action.clone() };
    let answered = (operation.handle)(Arc::clone(control), ask).await;
    action.answered(answered.as_ref().err()).await?;
    let mut response = answered?;
    if response.status() == StatusCode::OK
        && let Ok(status) = StatusCode::from_u16(operation.status)
    {
        *response.status_mut() = status;
    }
    Ok(response)
}

/// The space that a request is about.
fn space(headers: &HeaderMap, caller: &Caller) -> Result<SpaceName> {
    let Some(named) = headers.get(HOB_SPACE) else { return caller.principal.space(None) };
    let named =
        named.to_str().map_err(|_| Fault::new(Code::NameInvalid, "the header `hob-space` is no name"))?;
    caller.principal.space(Some(&SpaceName::new(named)?))
}

/// What an operation is done to: the parts of its path that are names.
fn on(operation: &Operation, path: &[String]) -> Option<String> {
    let rest = operation.path.contains("{*");
    let named = &path[..path.len() - usize::from(rest)];
    (!named.is_empty()).then(|| named.join("/"))
}
