//! A bare runtime API of AWS Lambda in this process, and a bootstrap that asks it: a function without Hob.
//! With an HTTP server in front it is [`super::emulator`].
//!
//! **How.** A call is put into a queue, from which whoever asks for the next event takes it. The result that is
//! posted ends the call. It is hyper's server, as Hob's is, and does nothing that a function could do without: no
//! HTTP request in front, no deadline, no log, no extension. The event is as long as one of Hob's.

use super::bootstrap::handler;
use crate::Result;
use crate::client::{Outcome, join};
use crate::plan::Plan;
use crate::server::Program;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// The payload of every event, of format 2.0.
const EVENT: &str = r#"{"version":"2.0","routeKey":"$default","rawPath":"/lambda","rawQueryString":"","headers":{"host":"contracts.localhost","x-forwarded-for":"127.0.0.1","x-forwarded-port":"8080","x-forwarded-proto":"http","x-amzn-trace-id":"Root=1-65f0c0de-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"},"requestContext":{"accountId":"000000000000","apiId":"contracts","domainName":"contracts.localhost","domainPrefix":"contracts","http":{"method":"GET","path":"/lambda","protocol":"HTTP/1.1","sourceIp":"127.0.0.1","userAgent":""},"requestId":"01234567-89ab-cdef-0123-456789abcdef","routeKey":"$default","stage":"$default","time":"12/Mar/2026:19:03:58 +0000","timeEpoch":1773342238390},"isBase64Encoded":false}"#;
/// The path in it.
pub(crate) const EVENT_PATH: &str = "/lambda";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call that waits for its result.
type Waiting = oneshot::Sender<Bytes>;

/// Where calls wait for the bootstrap.
#[derive(Clone)]
pub(crate) struct Queue(mpsc::UnboundedSender<Waiting>);

/// The API with its bootstrap. Dropping it ends both.
pub(crate) struct RuntimeApi {
    queue: Queue,
    program: Program,
    /// What every result has to be.
    expect: Bytes,
    _serving: JoinSet<()>,
}

/// What connections share.
struct Shared {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Waiting>>,
    /// Calls under way, by the number that stands in their request ids.
    under_way: Mutex<(u64, HashMap<u64, Waiting>)>,
}

impl RuntimeApi {
    /// Listens, and starts the bootstrap.
    pub(crate) async fn start(plan: &Plan, concurrency: usize) -> Result<Self> {
        let command = plan.server_command(&std::env::current_exe()?);
        let mut serving = JoinSet::new();
        let (queue, program) = serve_alone(command, concurrency, &mut serving).await?;
        let expect = Bytes::from(handler(&serde_json::from_str(EVENT)?));
        Ok(Self { queue, program, expect, _serving: serving })
    }

    /// Processor time of the bootstrap.
    pub(crate) fn cpu(&self) -> Duration {
        self.program.cpu()
    }

    /// One call; also the first one, which waits for the bootstrap.
    pub(crate) async fn once(&self) -> Result<()> {
        call(&self.queue, &self.expect).await
    }

    /// That many loops for `time`.
    pub(crate) async fn steady(&self, calls: usize, time: Duration) -> Result<Outcome> {
        let mut loops = JoinSet::new();
        for _ in 0..calls {
            let (queue, expect) = (self.queue.clone(), self.expect.clone());
            loops.spawn(async move {
                let begun = Instant::now();
                let mut outcome = Outcome::default();
                while begun.elapsed() < time {
                    let started = Instant::now();
                    outcome.add(started, call(&queue, &expect).await);
                }
                outcome.elapsed = begun.elapsed();
                outcome
            });
        }
        join(loops).await
    }
}

/// Listens, and starts the bootstrap with this command: its calls come from the queue. The API ends with `serving`.
pub(super) async fn serve_alone(
    mut command: Command,
    concurrency: usize,
    serving: &mut JoinSet<()>,
) -> Result<(Queue, Program)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let (queue, taken) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared { queue: tokio::sync::Mutex::new(taken), under_way: Mutex::default() });
    serving.spawn(serve(listener, shared));
    command.arg("bootstrap");
    command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    command.env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string());
    Ok((Queue(queue), Program::start(command)?))
}

impl Queue {
    /// One call; also the first one, which waits for the bootstrap.
    pub(super) async fn call(&self) -> Result<Bytes> {
        let (waiting, result) = oneshot::channel();
        self.0.send(waiting).map_err(|_| "the runtime API has ended")?;
        Ok(tokio::time::timeout(PATIENCE, result).await??)
    }
}

async fn call(queue: &Queue, expect: &Bytes) -> Result<()> {
    let result = queue.call().await?;
    if result == *expect {
        return Ok(());
    }
    Err(format!("the result was {:?}", String::from_utf8_lossy(&result)).into())
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        drop(stream.set_nodelay(true));
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move { drop(serving.await) });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path();
    if request.method() == Method::GET && path.ends_with("/next") {
        return shared.next().await;
    }
    let id = path.strip_suffix("/response").and_then(|path| path.rsplit_once('/'));
    let number = id.and_then(|(_, id)| id.rsplit_once('-')).map(|(_, number)| number.parse());
    let waiting = match number {
        Some(Ok(number)) => shared.under_way.lock().map_err(|_| "a call panicked")?.1.remove(&number),
        _ => None,
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}\n")));
    match waiting {
        Some(waiting) => {
            drop(waiting.send(request.into_body().collect().await?.to_bytes()));
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

impl Shared {
    async fn next(&self) -> Result<Response<Full<Bytes>>> {
        let waiting = self.queue.lock().await.recv().await.ok_or("the bench has ended")?;
        let number = {
            let mut under_way = self.under_way.lock().map_err(|_| "a call panicked")?;
            under_way.0 += 1;
            let number = under_way.0;
            under_way.1.insert(number, waiting);
            number
        };
        Ok(Response::builder()
            .header("lambda-runtime-aws-request-id", format!("01234567-89ab-cdef-0123-{number:012}"))
            .header("lambda-runtime-deadline-ms", "1773342268390")
            .header("lambda-runtime-trace-id", "Root=1-65f0c0de-0123456789abcdef01234567")
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:0:function:hello")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(EVENT.as_bytes())))?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap;
    use super::{EVENT, EVENT_PATH, handler};

    #[test]
    fn the_result_of_the_event_is_known() {
        let result: serde_json::Value =
            serde_json::from_str(&handler(&serde_json::from_str(EVENT).unwrap())).unwrap();
        assert_eq!(result["body"], bootstrap::text(EVENT_PATH));
    }
}
