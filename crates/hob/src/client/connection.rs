//! One HTTP/1.1 request over a unix socket, TCP or TLS, and its answer as it comes.
//!
//! **Why.** A command makes a handful of requests; a pool of connections would be machinery for
//! nothing. And nothing is spawned: whoever waits for the answer also drives the connection.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Any request body.
pub(crate) type Payload = UnsyncBoxBody<Bytes, Infallible>;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
    /// The same with TLS.
    Tls(String),
}

impl Endpoint {
    /// What a request names as its host.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Unix(_) => "localhost",
            Self::Tcp(address) | Self::Tls(address) => address,
        }
    }
}

/// Connects to a node that speaks TLS. It is judged by the certificates in the file that `SSL_CERT_FILE` names, as other
/// programs do it, else by the roots of Mozilla.
pub(crate) async fn connect_tls(
    address: &str,
) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    let roots = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    hob_node::connect_tls(stream, host, roots.as_deref()).await
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
            Self::Tls(address) => write!(f, "https://{address}"),
        }
    }
}

/// An answer whose body is still to come.
pub(crate) struct Answer {
    /// Status and headers.
    pub(crate) head: http::response::Parts,
    body: Incoming,
    driver: Driver,
}

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Answer {
    /// The next bytes of the body, or `None` at its end.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Self { body, driver, .. } = self;
        loop {
            let frame = drive(driver, poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await;
            match frame.transpose().map_err(io::Error::other)?.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
            }
        }
    }

    /// The whole body, at most `limit` bytes of it.
    pub(crate) async fn bytes(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > limit {
                return Err(io::Error::other(format!("the answer has more than {limit} bytes")));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

/// Connects, sends the request, and returns the answer once its head has come.
pub(crate) async fn send(endpoint: &Endpoint, request: http::Request<Payload>) -> io::Result<Answer> {
    match endpoint {
        Endpoint::Unix(path) => exchange(UnixStream::connect(path).await?, request).await,
        Endpoint::Tcp(address) => exchange(TcpStream::connect(address).await?, request).await,
        Endpoint::Tls(address) => exchange(connect_tls(address).await?, request).await,
    }
}

async fn exchange<S>(stream: S, request: http::Request<Payload>) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let mut driver: Driver = Box::pin(connection);
    let answer = drive(&mut driver, sender.send_request(request)).await.map_err(io::Error::other)?;
    let (head, body) = answer.into_parts();
    Ok(Answer { head, body, driver })
}

/// Waits for `work` and moves the connection on meanwhile. When the connection ends first, `work`
/// learns it from its own channel to it.
async fn drive<T>(driver: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut ended = false;
    poll_fn(|cx| {
        if !ended {
            ended = driver.as_mut().poll(cx).is_ready();
        }
        work.as_mut().poll(cx)
    })
    .await
}
