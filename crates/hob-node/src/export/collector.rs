//! One collector: requests to it, and patience with it.
//!
//! **How.** A request that a collector cannot take now (429, 502, 503, 504, or no answer at all; OTLP/HTTP, "Retryable
//! Response Codes") is sent again, after what it asks for (`Retry-After`) or a pause that doubles. Any other
//! refusal is final. The first failure of a row is said in the node's log, and so is its end.

use super::pipe::Counts;
use crate::settings::Otlp;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    OTLP_ANSWER_BYTES_MAX, OTLP_BACKOFF_MAX, OTLP_BACKOFF_MIN, OTLP_GIVE_UP, OTLP_TIMEOUT,
};
use hob_core::otlp::{Attributes, Encoding, Partial, Signal};
use hob_core::random::mix;
use hob_runtime::body;
use hob_runtime::outbound::external::External;
use http::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Where telemetry goes.
pub(super) struct Collector {
    external: External,
    endpoint: String,
    headers: HeaderMap,
    resource: Attributes,
    closing: CancellationToken,
    /// The last request failed, and that was said.
    failing: AtomicBool,
    tries: AtomicU64,
}

/// What a collector said to one request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken(Partial),
    /// Not now.
    Later(Option<Duration>, String),
    Refused(String),
}

impl Collector {
    /// # Errors
    /// `HOB-0111` for an endpoint or a header that cannot be used.
    pub(super) fn new(settings: &Otlp, external: External, closing: CancellationToken) -> Result<Self> {
        let endpoint = settings.endpoint.trim_end_matches('/').to_owned();
        let address: Option<Uri> = endpoint.parse().ok();
        let whole = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        if !address.as_ref().is_some_and(whole) {
            return Err(Fault::new(Code::Usage, format!("`{endpoint}` is no address of a collector"))
                .hint("write the base URL for OTLP over HTTP, such as `http://localhost:4318`"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("hob/", env!("CARGO_PKG_VERSION"))));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Encoding::Protobuf.media_type()));
        for (name, value) in &settings.headers {
            let pair =
                HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
            let (name, mut value) = pair.ok_or_else(|| {
                Fault::new(Code::Usage, format!("`{name}` cannot be a header for the collector"))
                    .hint("write `OTEL_EXPORTER_OTLP_HEADERS` as `name=value,name=value`")
            })?;
            value.set_sensitive(name == AUTHORIZATION);
            headers.insert(name, value);
        }
        let resource =
            settings.resource.iter().map(|(name, value)| (name.clone().into(), value.as_str().into()));
        Ok(Self {
            external,
            endpoint,
            headers,
            resource: resource.collect(),
            closing,
            failing: AtomicBool::new(false),
            tries: AtomicU64::new(0),
        })
    }

    /// What is said of everything that this node exports.
    pub(super) fn resource(&self) -> &Attributes {
        &self.resource
    }

    /// Sends a request until it is taken, refused, or too old; counts what became of its items.
    pub(super) async fn deliver(&self, signal: Signal, body: Vec<u8>, items: u64, counts: &Counts) {
        let (body, began) = (Bytes::from(body), Instant::now());
        let mut pause = OTLP_BACKOFF_MIN;
        loop {
            let (asked, why) = match self.post(signal, body.clone()).await {
                Answer::Taken(partial) => {
                    let rejected = partial.rejected.min(items);
                    counts.exported.fetch_add(items - rejected, Ordering::Relaxed);
                    counts.rejected.fetch_add(rejected, Ordering::Relaxed);
                    return self.works(signal, &partial);
                }
                Answer::Refused(why) => {
                    counts.rejected.fetch_add(items, Ordering::Relaxed);
                    return self.fails(signal, &why);
                }
                Answer::Later(asked, why) => (asked, why),
            };
            self.fails(signal, &why);
            if self.closing.is_cancelled() || began.elapsed() >= OTLP_GIVE_UP {
                counts.dropped.fetch_add(items, Ordering::Relaxed);
                return;
            }
            let wait = asked.unwrap_or_else(|| self.jittered(pause)).min(OTLP_BACKOFF_MAX);
            pause = (pause * 2).min(OTLP_BACKOFF_MAX);
            tokio::select! {
                () = sleep(wait) => {}
                // Once more at once, then it is over.
                () = self.closing.cancelled() => {}
            }
        }
    }

    async fn post(&self, signal: Signal, body: Bytes) -> Answer {
        let request =
            Request::builder().method(Method::POST).uri(format!("{}{}", self.endpoint, signal.path()));
        let mut request = match request.body(body::full(body)) {
            Ok(request) => request,
            Err(error) => return Answer::Refused(error.to_string()),
        };
        request.headers_mut().extend(self.headers.clone());
        let exchange = async {
            let reply = self.external.send(request).await.map_err(|fault| fault.to_string())?;
            let (head, body) = reply.into_parts();
            let body = Limited::new(body, OTLP_ANSWER_BYTES_MAX).collect().await;
            Ok((head, body.map(|body| body.to_bytes()).unwrap_or_default()))
        };
        match timeout(OTLP_TIMEOUT, exchange).await {
            Ok(Ok((head, body))) => read(head.status.as_u16(), &head.headers, &body),
            Ok(Err(why)) => Answer::Later(None, why),
            Err(_) => Answer::Later(None, format!("no answer within {} s", OTLP_TIMEOUT.as_secs())),
        }
    }

    /// Between half of a pause and all of it, so that nodes do not come back together.
    fn jittered(&self, pause: Duration) -> Duration {
        let number = mix(self.tries.fetch_add(1, Ordering::Relaxed) ^ crate::clock::now_ms());
        let half = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 2;
        Duration::from_millis(half + number % half.max(1))
    }

    fn fails(&self, signal: Signal, why: &str) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            let (signal, endpoint) = (signal.word(), &self.endpoint);
            tracing::warn!(signal, endpoint, why, "the collector does not take telemetry");
        }
    }

    fn works(&self, signal: Signal, partial: &Partial) {
        let signal = signal.word();
        if !partial.message.is_empty() {
            tracing::warn!(
                signal,
                rejected = partial.rejected,
                why = partial.message,
                "the collector complains"
            );
        }
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::warn!(signal, endpoint = self.endpoint, "the collector takes telemetry again");
        }
    }
}

/// What an answer means.
fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
    let named = headers.get(CONTENT_TYPE).and_then(|value| Encoding::of(value.to_str().ok()?));
    match status {
        200..=299 => Answer::Taken(Partial::read(named.unwrap_or(Encoding::Protobuf), body)),
        429 | 502 | 503 | 504 => {
            let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            Answer::Later(after.map(Duration::from_secs), format!("it answered {status}"))
        }
        _ => {
            let text: String =
                String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(200).collect();
            Answer::Refused(format!("it answered {status}: {text}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, read};
    use hob_core::otlp::{Encoding, Partial, Signal};
    use http::{HeaderMap, HeaderValue};
    use std::time::Duration;

    #[test]
    fn answers_are_final_or_not() {
        let partial = Partial { rejected: 2, message: "old".to_owned() };
        let said = partial.write(Signal::Traces, Encoding::Protobuf);
        let said_json = partial.write(Signal::Traces, Encoding::Json);
        let later = |seconds: Option<u64>, status: u16| {
            Answer::Later(seconds.map(Duration::from_secs), format!("it answered {status}"))
        };
        for (status, header, body, expected) in [
            (200, None, &b""[..], Answer::Taken(Partial::default())),
            (200, Some(("content-type", "application/x-protobuf")), &said, Answer::Taken(partial.clone())),
            (202, Some(("content-type", "application/json")), &said_json, Answer::Taken(partial.clone())),
            (429, Some(("retry-after", "7")), b"", later(Some(7), 429)),
            (503, Some(("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")), b"", later(None, 503)),
            (502, None, b"", later(None, 502)),
            (504, None, b"", later(None, 504)),
            (400, None, b"bad\x07 span", Answer::Refused("it answered 400: bad span".to_owned())),
            (404, None, b"", Answer::Refused("it answered 404: ".to_owned())),
            (500, None, b"", Answer::Refused("it answered 500: ".to_owned())),
        ] {
            let mut headers = HeaderMap::new();
            if let Some((name, value)) = header {
                headers.insert(name, HeaderValue::from_static(value));
            }
            assert_eq!(read(status, &headers, body), expected, "{status} {header:?}");
        }
    }
}
