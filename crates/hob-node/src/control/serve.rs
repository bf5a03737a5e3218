//! The control API's listeners and the way of one request through the table.

use super::{Ask, Control, Guard, find};
use crate::gateway::body;
use crate::listener::{self, Connection, Listener, Open};
use crate::problem::{self, Form};
use crate::task::Tasks;
use hob_core::fault::Result;
use hob_runtime::body::Body;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

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
        Connection::Tcp(stream, _) => speak(shared, stream, Ok(())).await,
        Connection::Unix(stream) => {
            let admitted = shared.1.admit(&stream);
            speak(shared, stream, admitted).await;
        }
    }
}

/// Answers the requests of one connection; one that was not admitted is told so by each answer.
async fn speak<S>(shared: Shared, stream: S, admitted: Result<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let (shared, admitted) = (Arc::clone(&shared), admitted.clone());
        async move {
            let asked = (request.method().clone(), request.uri().path().to_owned());
            let answered = match admitted {
                Ok(()) => admit(&shared, request).await,
                Err(fault) => Err(fault),
            };
            Ok::<_, Infallible>(answered.unwrap_or_else(|fault| {
                let id = shared.0.tell_refused(&fault, asked);
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

async fn admit(shared: &(Arc<Control>, Guard), request: Request<Incoming>) -> Result<Response<Body>> {
    let (control, guard) = shared;
    guard.check(request.headers())?;
    answer(control, request.map(body::incoming)).await
}

/// Answers a request from somebody who may ask: of a listener, or of the dashboard in this process.
///
/// # Errors
/// Those of the operation, and `HOB-0704` when there is none.
pub(crate) async fn answer(control: &Arc<Control>, request: Request<Body>) -> Result<Response<Body>> {
    let (operation, path) = find(request.method().as_str(), request.uri().path())?;
    let mut response = (operation.handle)(Arc::clone(control), Ask { path, request }).await?;
    if response.status() == StatusCode::OK
        && let Ok(status) = StatusCode::from_u16(operation.status)
    {
        *response.status_mut() = status;
    }
    Ok(response)
}
