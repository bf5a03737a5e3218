//! What functions tell of themselves: spans and log records over the OpenTelemetry protocol.
//!
//! **Why.** An instrumented function says more of a call than the node can see. It needs to know nothing of Hob for
//! that: its SDK is told in the environment where to send, and sends there.
//!
//! **How.** Two ways lead here: `http://telemetry.internal/v1/…` ([`crate::dispatcher`]) and, for SDKs that use no
//! proxy, `/<instance>-<secret>/v1/…` at the proxy's own port ([`crate::proxy`]). Spans become facts,
//! log records go the way of every other line. Whoever tells is known from the way it came, so a function can
//! speak for nobody else. What is above the limits is rejected, and the answer says how much
//! (`partial_success`).
//!
//! **Not here:** the messages themselves ([`hob_core::otlp`]); metrics of functions, which nothing here reads.

use crate::clock::now_ms;
use crate::sync::lock;
use crate::telemetry::{Budget, Telemetry};
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{FUNCTIONS_PER_APP_MAX, OTLP_DECODED_MAX, OTLP_SPANS_PER_SECOND};
use hob_core::name::{AppName, FunctionName};
use hob_core::otlp::{self, Encoding, Limits, Log, Partial, Received, Signal, Span};
use hob_core::port::{FactSink, LogRecord, LogSink, Stream};
use hob_runtime::body::{self, Body};
use hob_runtime::code::FunctionCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Functions whose budgets are remembered before all are forgotten.
const BUDGETS_MAX: usize = 4 * FUNCTIONS_PER_APP_MAX;

/// Takes what functions tell.
pub(crate) struct Intake {
    telemetry: Arc<Telemetry>,
    logs: Arc<dyn LogSink>,
    budgets: Mutex<HashMap<(AppName, FunctionName), Arc<Budget>>>,
    /// Requests that may be decoded at a time: a small message can be a large value.
    decoding: Semaphore,
}

/// A request that was understood as far as its head.
pub(crate) struct Telling {
    signal: Signal,
    encoding: Encoding,
}

impl Telling {
    /// What a request at `path` is.
    ///
    /// # Errors
    /// `HOB-0401` for another path, `HOB-0402` for another method, `HOB-0406` for an encoding that OTLP over
    /// HTTP does not have, or that is compressed.
    pub(crate) fn of(method: &Method, path: &str, headers: &HeaderMap) -> Result<Self> {
        let signal = Signal::of_path(path).ok_or_else(|| {
            Fault::new(Code::RouteNotFound, format!("`{path}` takes no telemetry"))
                .hint("send to `/v1/traces` or `/v1/logs`")
        })?;
        if *method != Method::POST {
            let what = format!("telemetry is not taken with method `{method}`");
            return Err(Fault::new(Code::MethodNotAllowed, what).hint("use POST"));
        }
        let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let unsupported = |what: String, hint: &str| {
            Fault::new(Code::RequestMalformed, what).with_status(415).hint(hint.to_owned())
        };
        let encoding = Encoding::of(named).ok_or_else(|| {
            unsupported(
                format!("telemetry is not taken as `{named}`"),
                "set `OTEL_EXPORTER_OTLP_PROTOCOL` to `http/protobuf` or `http/json`",
            )
        })?;
        match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity" | b"") => Ok(Self { signal, encoding }),
            Some(_) => Err(unsupported(
                "telemetry is not taken compressed".to_owned(),
                "set `OTEL_EXPORTER_OTLP_COMPRESSION` to `none`: it does not leave the machine",
            )),
        }
    }
}

impl Intake {
    pub(crate) fn new(telemetry: Arc<Telemetry>, logs: Arc<dyn LogSink>) -> Self {
        let decoding = Semaphore::new(OTLP_DECODED_MAX);
        Self { telemetry, logs, budgets: Mutex::default(), decoding }
    }

    /// Takes what a function tells; `instance` is the instance that does, where it is known.
    pub(crate) async fn take(
        &self,
        code: &FunctionCode,
        instance: Option<u64>,
        telling: Telling,
        body: Bytes,
    ) -> Response<Body> {
        let Telling { signal, encoding } = telling;
        let taken = match signal {
            Signal::Traces => self.decode(body, move |body| otlp::read_spans(encoding, body, Limits::default())).await
                .map(|received| self.take_spans(code, received)),
            Signal::Logs => self.decode(body, move |body| otlp::read_logs(encoding, body, Limits::default())).await
                .map(|received| self.take_logs(code, instance, received)),
            Signal::Metrics => Ok(Partial {
                rejected: 0,
                message: "Hob keeps no metrics of functions; name a collector of your own in `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`"
                    .to_owned(),
            }),
        };
        let (status, bytes) = match taken {
            Ok(partial) => (StatusCode::OK, partial.write(signal, encoding)),
            Err(why) => (StatusCode::BAD_REQUEST, Partial::refusal(&why, encoding)),
        };
        let mut response = Response::new(body::full(bytes));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
        response
    }

    /// Decodes on a thread that may take its time.
    async fn decode<T: Send + 'static>(
        &self,
        body: Bytes,
        read: impl FnOnce(&[u8]) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        // Neither fails before the node is gone.
        let _place = self.decoding.acquire().await.map_err(|error| error.to_string())?;
        tokio::task::spawn_blocking(move || read(&body)).await.map_err(|error| error.to_string())?
    }

    fn take_spans(&self, code: &FunctionCode, received: Received<Span>) -> Partial {
        let budget = self.budget(code);
        let mut rejected = received.rejected;
        for told in &received.told {
            for span in &told.items {
                if budget.spend(now_ms()) {
                    self.telemetry.tell(otlp::told_span(span, &told.scope, &code.app, &code.name));
                } else {
                    rejected += 1;
                }
            }
        }
        let message = format!(
            "a request has at most {} spans with valid ids, and a function at most {OTLP_SPANS_PER_SECOND} in a second",
            Limits::default().items
        );
        partial(rejected, message)
    }

    fn take_logs(&self, code: &FunctionCode, instance: Option<u64>, received: Received<Log>) -> Partial {
        let origin = LogRecord {
            time_ms: now_ms(),
            app: code.app.clone(),
            revision: code.revision,
            function: code.name.clone(),
            instance: instance.unwrap_or(0),
            invocation: None,
            trace: None,
            span: None,
            stream: Stream::Otlp,
            level: None,
            text: String::new(),
            fields: BTreeMap::new(),
        };
        for told in &received.told {
            for log in &told.items {
                self.logs.record(otlp::record_of(log, &told.scope, origin.clone()));
            }
        }
        let message = format!("a request has at most {} log records", Limits::default().items);
        partial(received.rejected, message)
    }

    fn budget(&self, code: &FunctionCode) -> Arc<Budget> {
        let mut budgets = lock(&self.budgets);
        if budgets.len() >= BUDGETS_MAX {
            // Those in use come again; at worst a second has two budgets.
            budgets.clear();
        }
        let key = (code.app.clone(), code.name.clone());
        Arc::clone(budgets.entry(key).or_insert_with(|| Arc::new(Budget::new(OTLP_SPANS_PER_SECOND))))
    }
}

fn partial(rejected: u64, message: String) -> Partial {
    if rejected == 0 { Partial::default() } else { Partial { rejected, message } }
}

#[cfg(test)]
mod tests {
    use super::Telling;
    use http::{HeaderMap, HeaderValue, Method};

    #[test]
    fn only_telemetry_is_taken() {
        for (method, path, media, coding, expected) in [
            ("POST", "/v1/traces", "application/x-protobuf", None, "200"),
            ("POST", "/v1/logs", "application/json; charset=utf-8", Some("identity"), "200"),
            ("POST", "/v1/metrics", "application/json", None, "200"),
            ("POST", "/v1/profiles", "application/json", None, "404 HOB-0401"),
            ("GET", "/v1/traces", "application/json", None, "405 HOB-0402"),
            ("POST", "/v1/traces", "text/plain", None, "415 HOB-0406"),
            ("POST", "/v1/traces", "", None, "415 HOB-0406"),
            ("POST", "/v1/traces", "application/x-protobuf", Some("gzip"), "415 HOB-0406"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(media));
            headers.extend(
                coding
                    .map(|coding| ("content-encoding".parse().unwrap(), HeaderValue::from_static(coding)))
                    .into_iter()
                    .map(|(name, value): (http::HeaderName, _)| (name, value)),
            );
            let method: Method = method.parse().unwrap();
            let outcome = match Telling::of(&method, path, &headers) {
                Ok(_) => "200".to_owned(),
                Err(fault) => format!("{} {}", fault.status(), fault.code()),
            };
            assert_eq!(outcome, expected, "{method} {path} {media} {coding:?}");
        }
    }
}
