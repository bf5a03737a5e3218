//! What the bench asks the control API: whether an instance still runs, and how far events are.

use crate::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

/// Longest wait for a function to scale to zero.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A node's control socket.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    socket: PathBuf,
}

impl Control {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// As `HOB_CONTROL` takes it.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Waits until a function has no instance.
    pub(crate) async fn until_idle(&self, app: &str, function: &str) -> Result<()> {
        let asked = Instant::now();
        while self.instances(app, function).await? > 0 {
            if asked.elapsed() > PATIENCE {
                return Err(format!("`{function}` never scaled to zero").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Instances of a function that are alive.
    pub(crate) async fn instances(&self, app: &str, function: &str) -> Result<u64> {
        let info = self.open().await?.get(&format!("/v1/apps/{app}")).await?;
        info["functions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| row["function"] == function)
            .and_then(|row| row["instances"].as_u64())
            .ok_or_else(|| format!("the node does not know `{function}`: {info}").into())
    }

    /// Tasks that are alive in the node, by its own account.
    pub(crate) async fn tasks(&self) -> Result<u64> {
        let (_, body) = self.open().await?.ask(http::Method::GET, "/metrics").await?;
        let text = String::from_utf8_lossy(&body);
        let tasks = text.lines().find_map(|line| line.strip_prefix("hob_tasks ")).ok_or("no `hob_tasks`")?;
        Ok(tasks.trim().split('.').next().unwrap_or_default().parse()?)
    }

    /// Events that a topic has ever taken; a topic that nobody has published to has taken none.
    pub(crate) async fn taken(&self, topic: &str) -> Result<u64> {
        let info = self.open().await?.get(&format!("/v1/topics/{topic}")).await?;
        match info["next"].as_u64() {
            Some(next) => Ok(next - 1),
            None if info["code"] == "HOB-0803" => Ok(0),
            None => Err(format!("the node does not know topic `{topic}`: {info}").into()),
        }
    }

    /// Pauses or resumes a subscription; the answer comes when that is on disk.
    pub(crate) async fn steer(&self, app: &str, subscription: &str, what: &str) -> Result<()> {
        let path = format!("/v1/apps/{app}/subscriptions/{subscription}/{what}");
        let (status, body) = self.open().await?.ask(http::Method::POST, &path).await?;
        match status.is_success() {
            true => Ok(()),
            false => Err(format!("`{path}`: {}", String::from_utf8_lossy(&body)).into()),
        }
    }

    /// A kept connection, for questions that follow each other fast.
    pub(crate) async fn open(&self) -> Result<Line> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        Ok(Line { sender, _driver: driver })
    }
}

/// A connection to the control API.
#[derive(Debug)]
pub(crate) struct Line {
    sender: SendRequest<Empty<Bytes>>,
    _driver: JoinSet<()>,
}

impl Line {
    async fn get(&mut self, path: &str) -> Result<Value> {
        let (_, body) = self.ask(http::Method::GET, path).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    async fn ask(&mut self, method: http::Method, path: &str) -> Result<(http::StatusCode, Bytes)> {
        let request = http::Request::builder().method(method).uri(path).header("host", "localhost");
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Empty::new())?).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    /// Events that a subscription has delivered and settled so far, and failed attempts.
    pub(crate) async fn delivered(&mut self, app: &str, subscription: &str) -> Result<(u64, u64)> {
        let info = self.get(&format!("/v1/apps/{app}/subscriptions/{subscription}")).await?;
        match (info["delivered"].as_u64(), info["failed"].as_u64()) {
            (Some(delivered), Some(failed)) => Ok((delivered, failed)),
            _ => Err(format!("the node does not know subscription `{subscription}`: {info}").into()),
        }
    }
}
