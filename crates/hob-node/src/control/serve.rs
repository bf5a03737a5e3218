//! The control API's listeners and the way of one request through the table.
//!
//! **How.** The header `hob-space` says whose objects an operation sees; without it these are those of `default`.

use super::{Ask, Control, Guard, Keeper, find};
use crate::gateway::body;
use crate::listener::{self, Connection, Listener, Open};
use crate::problem::{self, Form};
use crate::task::Tasks;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::SpaceName;
use hob_runtime::body::Body;
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// The header that names a space.
const SPACE: &str = "hob-space";

/// Begins to serve one listener until `closing`.
pub(crate) fn serve(
    (control, keeper): (&Arc<Control>, &Arc<dyn Keeper>),
    listener: Listener,
    guard: Guard,
    closing: CancellationToken,
    tasks: &Arc<Tasks>,
) {
    let shared = Arc::new(Entrance { control: Arc::clone(control), keeper: Arc::clone(keeper), guard });
    let each = move |connection, place| {
        let shared = Arc::clone(&shared);
        async move {
            drive(shared, connection).await;
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
}

impl Entrance {
    /// The objects that a request sees.
    ///
    /// # Errors
    /// `HOB-0704` for a header that names no space, and those of [`Keeper::control`].
    fn control(&self, headers: &HeaderMap) -> Result<Arc<Control>> {
        match headers.get(SPACE) {
            Some(named) => self.keeper.control(&space_name(named)?),
            None => Ok(Arc::clone(&self.control)),
        }
    }
}

type Shared = Arc<Entrance>;

async fn drive(shared: Shared, connection: Connection) {
    match connection {
        Connection::Tcp(stream, _) => speak(shared, stream, Ok(())).await,
        Connection::Unix(stream) => {
            let admitted = shared.guard.admit(&stream);
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
            // What a space is refused, that space is told, and no other.
            let told = shared.control(request.headers()).unwrap_or_else(|_| Arc::clone(&shared.control));
            let answered = match admitted {
                Ok(()) => admit(&shared, request).await,
                Err(fault) => Err(fault),
            };
            Ok::<_, Infallible>(answered.unwrap_or_else(|fault| {
                let id = told.tell_refused(&fault, asked);
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

async fn admit(entrance: &Entrance, mut request: Request<Incoming>) -> Result<Response<Body>> {
    entrance.guard.check(request.headers())?;
    let control = entrance.control(request.headers())?;
    // No function should ever see it.
    request.headers_mut().remove(SPACE);
    let keeper = Some(Arc::clone(&entrance.keeper));
    answer_with(&control, keeper, request.map(body::incoming)).await
}

/// The space that a header names.
///
/// # Errors
/// `HOB-0704` when it is none.
fn space_name(value: &HeaderValue) -> Result<SpaceName> {
    let text = value.to_str().unwrap_or_default();
    SpaceName::new(text).map_err(|fault| {
        let what = format!("header `{SPACE}` names no space: {}", fault.message());
        Fault::new(Code::ControlRequest, what).hint("`hob space ls` lists the spaces")
    })
}

/// Answers a request from somebody who may ask: of a listener, or of the dashboard in this process.
///
/// # Errors
/// Those of the operation, and `HOB-0704` when there is none.
pub(crate) async fn answer(control: &Arc<Control>, request: Request<Body>) -> Result<Response<Body>> {
    answer_with(control, None, request).await
}

/// The same; with a keeper for the node's operator.
async fn answer_with(
    control: &Arc<Control>,
    keeper: Option<Arc<dyn Keeper>>,
    request: Request<Body>,
) -> Result<Response<Body>> {
    let (operation, path) = find(request.method().as_str(), request.uri().path())?;
    let mut response = (operation.handle)(Arc::clone(control), Ask { path, request, keeper }).await?;
    if response.status() == StatusCode::OK
        && let Ok(status) = StatusCode::from_u16(operation.status)
    {
        *response.status_mut() = status;
    }
    Ok(response)
}
