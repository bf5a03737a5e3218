//! A function for AWS Lambda with a runtime client of its own: the command `bootstrap`.
//!
//! **Why.** A client in another language would cost more than what is measured. This one does what
//! `lambda_runtime` does: it takes as many events at a time as the host allows, on a connection each, and parses each event.

use crate::{Result, runtime};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Where events are asked for (runtime API, 2018-06-01).
const INVOCATION: &str = "/2018-06-01/runtime/invocation";
/// The header of an event that names it.
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

/// What its handler answers with at a path.
pub(crate) fn text(path: &str) -> String {
    format!("hello from lambda {path}\n")
}

/// Answers events until it is killed.
pub(crate) fn serve() -> Result<()> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let concurrency = std::env::var("AWS_LAMBDA_MAX_CONCURRENCY");
    let concurrency: usize = concurrency.map_or(Ok(1), |text| text.parse())?;
    runtime()?.block_on(async {
        let mut workers = JoinSet::new();
        for _ in 0..concurrency {
            workers.spawn(worker(api.clone()));
        }
        match workers.join_next().await {
            Some(ended) => ended?,
            None => Ok(()),
        }
    })
}

async fn worker(api: String) -> Result<()> {
    let stream = TcpStream::connect(&api).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let request = |method, path: String, body| {
        Request::builder().method(method).uri(path).header("host", &api).body(Full::new(body))
    };
    loop {
        let next = request("GET", format!("{INVOCATION}/next"), Bytes::new())?;
        let event = sender.send_request(next).await?;
        let id = event.headers().get(REQUEST_ID).ok_or("an event without a name")?.to_str()?.to_owned();
        let event = event.into_body().collect().await?.to_bytes();
        let answer = Bytes::from(handler(&serde_json::from_slice(&event)?));
        let answer = request("POST", format!("{INVOCATION}/{id}/response"), answer)?;
        let taken = sender.send_request(answer).await?;
        taken.into_body().collect().await?;
        sender.ready().await?;
    }
}

/// The result of an event (payload format 2.0).
pub(crate) fn handler(event: &Value) -> String {
    let text = text(event["rawPath"].as_str().unwrap_or_default());
    json!({ "statusCode": 200, "headers": { "content-type": "text/plain" }, "body": text }).to_string()
}
