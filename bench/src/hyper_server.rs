//! The limit: one fixed reply through bare hyper, with no function behind it.
//!
//! **Why.** The same hyper that Hob is built on shows what this machine can do at most. The same
//! program is also the `http` child that Hob starts, so that both sides answer alike.

use crate::{Result, report};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::{TcpSocket, TcpStream};

/// What it answers, whatever the request.
pub(crate) const REPLY: &str = "hello from hyper\n";

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
    let service = service_fn(async |_request| {
        let body = Full::new(Bytes::from_static(REPLY.as_bytes()));
        Ok::<_, Infallible>(http::Response::new(body))
    });
    // A broken connection is the client's to count.
    drop(stream.set_nodelay(true));
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}
