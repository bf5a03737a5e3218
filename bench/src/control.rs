//! The one question that the bench asks the control API: does an instance still run?

use crate::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
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

    async fn instances(&self, app: &str, function: &str) -> Result<u64> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        let request = http::Request::get(format!("/v1/apps/{app}"))
            .header("host", "localhost")
            .body(Empty::<Bytes>::new())?;
        let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        let info: serde_json::Value = serde_json::from_slice(&body)?;
        info["functions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| row["function"] == function)
            .and_then(|row| row["instances"].as_u64())
            .ok_or_else(|| format!("the node does not know `{function}`: {info}").into())
    }
}
