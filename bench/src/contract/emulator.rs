//! HTTP in front of a bare runtime API: the command `emulator`, a Lambda function as a server of its own.
//!
//! **Why.** Calls reach Hob over HTTP. What Hob adds to that is seen beside the least that can be between an HTTP request and a
//! bootstrap, in a process of its own on the servers' processor; AWS's runtime interface emulator is such a thing.

use super::runtime_api::{EVENT_PATH, Queue, serve_alone};
use crate::server::command;
use crate::{Result, report};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves until it is killed, with a bootstrap that takes so many events at a time; prints one line when it is ready.
pub(crate) async fn serve(concurrency: usize) -> Result<()> {
    let mut connections = JoinSet::new();
    // Its own processor is the one that its starter has chosen.
    let bootstrap = command(&std::env::current_exe()?, false);
    let (queue, _program) = serve_alone(bootstrap, concurrency, &mut connections).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    report::line(&format!("ready http://{}", listener.local_addr()?));
    while let Ok((stream, _)) = listener.accept().await {
        drop(stream.set_nodelay(true));
        let queue = queue.clone();
        let service = service_fn(move |_: Request<Incoming>| answer(queue.clone()));
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move { drop(serving.await) });
    }
    Ok(())
}

/// One request, whatever it is, as a call of the function at [`EVENT_PATH`].
async fn answer(queue: Queue) -> Result<Response<Full<Bytes>>> {
    let result: Value = serde_json::from_slice(&queue.call().await?)?;
    let body = result["body"].as_str().ok_or_else(|| format!("no answer for {EVENT_PATH}: {result}"))?;
    let mut response =
        Response::builder().status(u16::try_from(result["statusCode"].as_u64().unwrap_or(502))?);
    for (name, value) in result["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    Ok(response.body(Full::new(Bytes::from(body.to_owned())))?)
}
