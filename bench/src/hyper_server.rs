//! The limit: one fixed reply through bare hyper, or the request's own body, with no function behind it.
//!
//! **Why.** The same hyper that Hob is built on shows what this machine can do at most. The same
//! program is also the `http` child that Hob starts, so that both sides answer alike.

use crate::{Result, report};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

/// What it answers, whatever the request.
pub(crate) const REPLY: &str = "hello from hyper\n";

/// The path at which a request's body comes back while it is read.
pub(crate) const ECHO: &str = "/echo";

/// What it answers to a `POST`, which stands for events that nobody keeps: as long as a real
/// acknowledgement of one event.
pub(crate) const ACKNOWLEDGEMENT: &str =
    r#"[{"topic":"bench","sequence":1000000,"duplicate":false,"durability":"none"}]"#;

/// As Hob listens, so that a burst meets the same queue in the kernel.
const BACKLOG: u32 = 4096;

/// Serves on `$PORT` (a free one without it) until it is killed; prints one line when it is ready.
pub(crate) async fn serve() -> Result<()> {
    let port: u16 = std::env::var("PORT").ok().map_or(Ok(0), |text| text.parse())?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    let listener = socket.listen(BACKLOG)?;
    report::line(&format!("ready http://{}", listener.local_addr()?));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream) {
    let service = service_fn(answer);
    // A broken connection is the client's to count.
    drop(stream.set_nodelay(true));
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(request: Request<Incoming>) -> Result<Response<Either<Full<Bytes>, Incoming>>> {
    if request.uri().path() == ECHO {
        return Ok(Response::new(Either::Right(request.into_body())));
    }
    let events = request.method() == Method::POST;
    let text = if events { ACKNOWLEDGEMENT } else { REPLY };
    let mut response = Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))));
    if events {
        request.into_body().collect().await?;
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    Ok(response)
}
