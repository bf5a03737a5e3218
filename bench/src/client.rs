//! The load generator: closed loops over keep-alive connections that check every reply.
//!
//! **How.** One task per connection sends the next request when the last reply is complete. A reply
//! counts only when its status is 200 and its body is, byte for byte, the one that was expected; or, where
//! the answer has to be a failure, when it has that status.

use crate::Result;
use bytes::Bytes;
use hob_core::histogram::Histogram;
use http::StatusCode;
use http::header::CONNECTION;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Longest wait for one reply, under any load.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// What to ask, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) path: String,
    /// Sent with `POST`; an empty one is a `GET`.
    pub(crate) body: Bytes,
    pub(crate) expect: Expect,
}

/// What a right reply is.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// `200` with exactly these bytes.
    Body(Bytes),
    /// This status, with any body.
    Status(StatusCode),
}

impl Target {
    /// A `GET` that must bring this text.
    pub(crate) fn get(address: SocketAddr, host: &str, path: &str, expect: String) -> Self {
        let (host, path) = (host.to_owned(), path.to_owned());
        Self { address, host, path, body: Bytes::new(), expect: Expect::Body(expect.into()) }
    }

    /// A `POST` of these bytes that must bring them back.
    pub(crate) fn echo(address: SocketAddr, host: &str, path: &str, body: &Bytes) -> Self {
        let (host, path) = (host.to_owned(), path.to_owned());
        Self { address, host, path, body: body.clone(), expect: Expect::Body(body.clone()) }
    }

    /// The same request, which must end at the function's time limit.
    pub(crate) fn fails(self) -> Self {
        Self { expect: Expect::Status(StatusCode::GATEWAY_TIMEOUT), ..self }
    }

    /// What a right reply is, for a fingerprint.
    pub(crate) fn reply(&self) -> &[u8] {
        match &self.expect {
            Expect::Body(body) => body,
            Expect::Status(status) => status.as_str().as_bytes(),
        }
    }

    fn request(&self) -> Result<http::Request<Full<Bytes>>> {
        let request = match self.body.is_empty() {
            true => http::Request::get(&self.path),
            false => http::Request::post(&self.path).header("content-type", "application/octet-stream"),
        };
        Ok(request.header("host", &self.host).body(Full::new(self.body.clone()))?)
    }
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) latency: Histogram,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    /// In words, for a person who wants to know why.
    pub(crate) first_failure: Option<String>,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Counts one reply, and its latency when it is right.
    pub(crate) fn add(&mut self, started: Instant, reply: Result<()>) {
        match reply {
            Ok(()) => {
                self.correct += 1;
                self.latency.record(started.elapsed());
            }
            Err(error) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.latency.merge(&other.latency);
        self.correct += other.correct;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}

/// A connection; its other half runs until this is dropped.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The server has said that it ends the connection.
    ends: bool,
    _driver: JoinSet<()>,
}

impl Connection {
    async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { sender, ends: false, _driver: driver })
    }

    async fn ask(&mut self, target: &Target) -> Result<()> {
        if self.ends {
            *self = Self::open(target).await?;
        }
        let request = target.request()?;
        let reply = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let ends = response.headers().get(CONNECTION).is_some_and(|value| value == "close");
            let status = response.status();
            Ok::<_, hyper::Error>((ends, status, response.into_body().collect().await?.to_bytes()))
        };
        let (ends, status, body) = tokio::time::timeout(REPLY_TIMEOUT, reply).await??;
        self.ends = ends;
        let right = match &target.expect {
            Expect::Body(expected) => status == StatusCode::OK && body == expected,
            Expect::Status(expected) => status == *expected,
        };
        if right {
            return Ok(());
        }
        Err(format!("{status} with {:?}", String::from_utf8_lossy(&body[..body.len().min(300)])).into())
    }
}

/// One request on a connection of its own; the time includes connecting.
pub(crate) async fn once(target: &Target) -> Result<Duration> {
    let started = Instant::now();
    Connection::open(target).await?.ask(target).await?;
    Ok(started.elapsed())
}

/// `connections` loops for `time`; connecting is not counted.
pub(crate) async fn steady(target: &Arc<Target>, connections: usize, time: Duration) -> Result<Outcome> {
    let start = Arc::new(Barrier::new(connections));
    let mut loops = JoinSet::new();
    for _ in 0..connections {
        let (target, start) = (Arc::clone(target), Arc::clone(&start));
        loops.spawn(async move {
            let opened = Connection::open(&target).await;
            start.wait().await;
            one_loop(opened, &target, time).await
        });
    }
    join(loops).await
}

async fn one_loop(opened: Result<Connection>, target: &Target, time: Duration) -> Outcome {
    let begun = Instant::now();
    let mut outcome = Outcome::default();
    match opened {
        Err(error) => outcome.add(begun, Err(error)),
        Ok(mut connection) => {
            while begun.elapsed() < time {
                let started = Instant::now();
                let reply = connection.ask(target).await;
                let broken = reply.is_err();
                outcome.add(started, reply);
                if broken {
                    // What was half read cannot be used again; a failure shows in the table anyway.
                    match Connection::open(target).await {
                        Ok(fresh) => connection = fresh,
                        Err(_) => break,
                    }
                }
            }
        }
    }
    outcome.elapsed = begun.elapsed();
    outcome
}

/// One connection that asks every `pause` for `time`, or later when a reply took longer.
pub(crate) async fn paced(target: &Target, pause: Duration, time: Duration) -> Outcome {
    let begun = Instant::now();
    let mut outcome = Outcome::default();
    let mut connection = Connection::open(target).await;
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while begun.elapsed() < time {
        ticks.tick().await;
        let started = Instant::now();
        let reply = match &mut connection {
            Ok(open) => open.ask(target).await,
            Err(error) => Err(error.to_string().into()),
        };
        if reply.is_err() {
            connection = Connection::open(target).await;
        }
        outcome.add(started, reply);
    }
    outcome.elapsed = begun.elapsed();
    outcome
}

/// `connections` connections opened at once, one request each; the time includes connecting.
pub(crate) async fn burst(target: &Arc<Target>, connections: usize) -> Result<Outcome> {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..connections {
        let target = Arc::clone(target);
        calls.spawn(async move {
            let mut outcome = Outcome::default();
            let reply = once(&target).await.map(drop);
            outcome.add(begun, reply);
            outcome
        });
    }
    let mut outcome = join(calls).await?;
    outcome.elapsed = begun.elapsed();
    Ok(outcome)
}

/// What all loops saw together.
pub(crate) async fn join(mut tasks: JoinSet<Outcome>) -> Result<Outcome> {
    let mut all = Outcome::default();
    while let Some(outcome) = tasks.join_next().await {
        all.merge(outcome?);
    }
    Ok(all)
}
