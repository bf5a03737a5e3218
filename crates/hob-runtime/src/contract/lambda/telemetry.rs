//! What extensions that subscribed are told of the instance (telemetry API 2022-07-01, logs API 2020-08-15).
//!
//! **How.** Records go into a bounded queue per subscription; its task sends them in lists, as many or as
//! late as the subscription asks for. What there is no room for is dropped, and the next list says how many.
//! Without a subscription a record costs one look.

use crate::wall::{Dial, Loopback};
use bytes::Bytes;
use hob_core::event::timestamp;
use hob_core::limit::{LAMBDA_TELEMETRY_QUEUED_MAX, LAMBDA_TELEMETRY_TIMEOUT};
use hob_core::port::{LogRecord, LogSink, Spawn};
use hob_core::unit::unix_ms;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

/// The subscriptions of an instance.
pub(super) struct Telemetry {
    spawn: Arc<dyn Spawn>,
    /// The way to the extensions' ports, where they have a network of their own.
    dial: OnceLock<Arc<dyn Dial>>,
    any: AtomicBool,
    /// Records in queues, and those that are being sent.
    untold: Arc<AtomicU64>,
    subscribers: Mutex<Vec<Subscriber>>,
}

struct Subscriber {
    kinds: Vec<Kind>,
    queue: mpsc::Sender<Value>,
    dropped: Arc<AtomicU64>,
}

/// What a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// What happens to the instance and its calls.
    Platform,
    /// What the runtime prints.
    Function,
    /// What extensions print.
    Extension,
}

/// A subscription as it was asked for.
#[derive(Debug)]
pub(super) struct Subscription {
    kinds: Vec<Kind>,
    items_max: usize,
    bytes_max: usize,
    pause: Duration,
    port: u16,
    path: String,
}

#[derive(Deserialize)]
struct Wanted {
    types: Vec<Kind>,
    #[serde(default)]
    buffering: Buffering,
    destination: Destination,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Buffering {
    max_items: usize,
    max_bytes: usize,
    timeout_ms: u64,
}

impl Default for Buffering {
    fn default() -> Self {
        Self { max_items: 10_000, max_bytes: 256 << 10, timeout_ms: 1000 }
    }
}

#[derive(Deserialize)]
struct Destination {
    protocol: String,
    #[serde(rename = "URI", default)]
    uri: String,
}

impl Subscription {
    /// Reads one. Its destination is a port of this machine, whatever name the URI gives it.
    ///
    /// # Errors
    /// In words, when it cannot be honoured.
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        let wanted: Wanted = serde_json::from_slice(body).map_err(|_| "the subscription cannot be read")?;
        if !wanted.destination.protocol.eq_ignore_ascii_case("http") {
            return Err("the destination's protocol is not HTTP");
        }
        let uri: http::Uri = wanted.destination.uri.parse().map_err(|_| "the destination is no URI")?;
        let port = uri.port_u16().ok_or("the destination has no port")?;
        let Buffering { max_items, max_bytes, timeout_ms } = wanted.buffering;
        Ok(Self {
            kinds: wanted.types,
            items_max: max_items.clamp(1, LAMBDA_TELEMETRY_QUEUED_MAX),
            bytes_max: max_bytes.clamp(1, 1 << 20),
            pause: Duration::from_millis(timeout_ms.clamp(1, 30_000)),
            port,
            path: uri.path().to_owned(),
        })
    }
}

impl Telemetry {
    /// Without subscriptions.
    pub(super) fn new(spawn: Arc<dyn Spawn>) -> Arc<Self> {
        let (dial, untold) = (OnceLock::new(), Arc::default());
        Arc::new(Self { spawn, dial, any: AtomicBool::new(false), untold, subscribers: Mutex::default() })
    }

    /// Extensions are reached this way from here on.
    pub(super) fn reach(&self, dial: Arc<dyn Dial>) {
        let _ = self.dial.set(dial);
    }

    /// Whether anybody is told anything.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether everything has been sent that was to be told.
    pub(super) fn is_told(&self) -> bool {
        self.untold.load(Ordering::Relaxed) == 0
    }

    /// Adds a subscription of the extension with that name.
    pub(super) fn subscribe(&self, subscription: Subscription, name: &str) {
        let (queue, records) = mpsc::channel(LAMBDA_TELEMETRY_QUEUED_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let kinds = subscription.kinds.clone();
        let told = json!({ "name": name, "state": "Subscribed", "types": kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>() });
        let subscriber = Subscriber { kinds, queue, dropped: Arc::clone(&dropped) };
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(subscriber);
        self.any.store(true, Ordering::Relaxed);
        let counts = (dropped, Arc::clone(&self.untold));
        let dial = self.dial.get().map_or_else(|| Arc::new(Loopback) as Arc<dyn Dial>, Arc::clone);
        self.spawn.spawn("lambda telemetry", Box::pin(send_all(dial, subscription, records, counts)));
        self.tell(Kind::Platform, "platform.telemetrySubscription", told);
    }

    /// Tells of something.
    pub(super) fn tell(&self, kind: Kind, what: &str, record: impl Into<Value>) {
        if !self.any() {
            return;
        }
        let time = timestamp(unix_ms(SystemTime::now()));
        let record = json!({ "time": time, "type": what, "record": record.into() });
        for one in self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if !one.kinds.contains(&kind) {
                continue;
            }
            match one.queue.try_send(record.clone()) {
                Ok(()) => self.untold.fetch_add(1, Ordering::Relaxed),
                Err(_) => one.dropped.fetch_add(1, Ordering::Relaxed),
            };
        }
    }

    /// A sink for the lines of a program: they go to the log, and to whoever subscribed to their kind.
    pub(super) fn lines(self: &Arc<Self>, kind: Kind, log: &Arc<dyn LogSink>) -> Arc<dyn LogSink> {
        Arc::new(Lines { telemetry: Arc::clone(self), kind, log: Arc::clone(log) })
    }

    /// Ends all subscriptions; what is in their queues is still sent.
    pub(super) fn end(&self) {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

struct Lines {
    telemetry: Arc<Telemetry>,
    kind: Kind,
    log: Arc<dyn LogSink>,
}

impl LogSink for Lines {
    fn record(&self, record: LogRecord) {
        if self.telemetry.any() {
            self.telemetry.tell(self.kind, self.kind.word(), record.text.as_str());
        }
        self.log.record(record);
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Function => "function",
            Self::Extension => "extension",
        }
    }
}

/// Sends records until there will be no more.
async fn send_all(
    dial: Arc<dyn Dial>,
    subscription: Subscription,
    mut records: mpsc::Receiver<Value>,
    (dropped, untold): (Arc<AtomicU64>, Arc<AtomicU64>),
) {
    let mut connection = None;
    while let Some(first) = records.recv().await {
        let until = tokio::time::Instant::now() + subscription.pause;
        let (mut list, mut bytes) = (vec![first], 0);
        while list.len() < subscription.items_max && bytes < subscription.bytes_max {
            let Ok(Some(record)) = tokio::time::timeout_at(until, records.recv()).await else { break };
            bytes += record.to_string().len();
            list.push(record);
        }
        let told = list.len() as u64;
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let time = timestamp(unix_ms(SystemTime::now()));
            let record = json!({ "droppedRecords": lost, "droppedBytes": 0, "reason": "the queue is full" });
            list.push(json!({ "time": time, "type": "platform.logsDropped", "record": record }));
        }
        let post = post(dial.as_ref(), &subscription, &list, &mut connection);
        let sent = tokio::time::timeout(LAMBDA_TELEMETRY_TIMEOUT, post);
        if !matches!(sent.await, Ok(Ok(()))) {
            connection = None;
            dropped.fetch_add(list.len() as u64, Ordering::Relaxed);
        }
        untold.fetch_sub(told, Ordering::Relaxed);
    }
}

type Connection = (http1::SendRequest<Full<Bytes>>, hob_core::port::BoxFuture<'static, hyper::Result<()>>);

/// Sends one list, on the connection of the last one if that is there.
async fn post(
    dial: &dyn Dial,
    subscription: &Subscription,
    list: &[Value],
    connection: &mut Option<Connection>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, mut driver): Connection =
        match connection.take().filter(|(sender, _)| !sender.is_closed()) {
            Some(open) => open,
            None => {
                let stream = dial.connect(subscription.port).await?;
                let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
                (sender, Box::pin(driver))
            }
        };
    let request = Request::post(&subscription.path)
        .header("host", "sandbox.localdomain")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(list)?)))?;
    let exchange = async {
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        http_body_util::BodyExt::collect(response.into_body()).await?;
        Ok::<_, hyper::Error>(())
    };
    tokio::select! {
        done = exchange => done?,
        ended = &mut driver => ended?,
    }
    *connection = Some((sender, driver));
    Ok(())
}
