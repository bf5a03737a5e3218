//! One kept HTTP/1.1 connection of a load test.
//!
//! **How.** As in the control API's client, whoever waits for an answer also drives the connection, so nothing is
//! spawned and a call costs two wake-ups: to write, and to read.

use super::tally::Reply;
use super::{Ask, Target};
use crate::client::{Endpoint, connect_tls};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::Body as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

type Body = Full<Bytes>;
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// A connection to a target.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    driver: Driver,
    ended: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// A sentence for the report.
    pub(super) async fn open(target: &Target, longest: Duration) -> Result<Self, String> {
        let connected = async {
            match &target.endpoint {
                Endpoint::Unix(path) => Self::over(UnixStream::connect(path).await?).await,
                Endpoint::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    Self::over(stream).await
                }
                Endpoint::Tls(address) => Self::over(connect_tls(address).await?).await,
            }
        };
        match timeout(longest, connected).await {
            Ok(connected) => connected.map_err(|error| format!("cannot connect: {}", plain(&error))),
            Err(_) => Err("cannot connect: no answer in time".to_owned()),
        }
    }

    async fn over<S>(stream: S) -> std::io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        Ok(Self { sender, driver: Box::pin(connection), ended: false })
    }

    /// Sends the request and reads its answer to the end.
    ///
    /// # Errors
    /// A sentence for the report; the connection should be thrown away then.
    pub(super) async fn ask(
        &mut self,
        ask: &Ask,
        target: &Target,
        longest: Duration,
    ) -> Result<Reply, String> {
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = target.path.clone();
        request.headers_mut().clone_from(&target.headers);
        match timeout(longest, self.exchange(request)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(format!("no answer: {}", plain(&error))),
            Err(_) => Err(format!("no answer within {}", hob_core::unit::show_duration(longest))),
        }
    }

    async fn exchange(&mut self, request: Request<Body>) -> hyper::Result<Reply> {
        let Self { sender, driver, ended } = self;
        let mut work = pin!(async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let (head, mut body) = response.into_parts();
            let mut bytes = 0;
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
            }
            Ok(Reply { status: head.status, headers: head.headers, bytes })
        });
        poll_fn(|cx| {
            // The request is handed over, then written; an answer is read, then taken.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if !*ended {
                *ended = driver.as_mut().poll(cx).is_ready();
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// Whether no other call can be made on the connection behind this answer (RFC 9112, 9.6).
pub(super) fn closes(reply: &Result<Reply, String>) -> bool {
    let Ok(reply) = reply else { return true };
    let connection = reply.headers.get(http::header::CONNECTION);
    connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// What went wrong, without the layers around it, so that equal errors are counted together.
fn plain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
