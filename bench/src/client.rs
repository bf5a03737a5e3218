//! The load generator: closed loops over keep-alive connections that check every reply.
//!
//! **How.** One task per connection sends the next request when the last reply is complete. A reply
//! counts only when its status is 200 and its body is, byte for byte, the one that was expected.

use crate::Result;
use bytes::Bytes;
use hob_core::histogram::Histogram;
use http_body_util::{BodyExt, Empty};
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
    pub(crate) expect: String,
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
    sender: SendRequest<Empty<Bytes>>,
    _driver: JoinSet<()>,
}

impl Connection {
    async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { sender, _driver: driver })
    }

    async fn ask(&mut self, target: &Target) -> Result<()> {
        let request = http::Request::get(&target.path).header("host", &target.host).body(Empty::new())?;
        let reply = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(REPLY_TIMEOUT, reply).await??;
        if status == http::StatusCode::OK && body == target.expect.as_bytes() {
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
