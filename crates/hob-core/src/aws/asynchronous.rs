//! Asynchronous calls as Lambda has them (Lambda developer guide, "How Lambda handles errors and retries with
//! asynchronous invocation").
//!
//! **How.** A call that failed is made again after one minute, and once more after two; what is given up goes to a
//! destination. In Hob these are a function's settings for its asynchronous calls.

use crate::code::Code;
use crate::event::timestamp;
use crate::fault::{Fault, Result};
use crate::spec::AsyncSpec;
use crate::trigger::RetrySpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Pause after the first failure; it doubles.
pub const RETRY_AFTER_MS: u64 = 60_000;
/// Attempts after the first one, and how old a call may be, in seconds, unless the function says otherwise.
const RETRIES: u32 = 2;
const AGE_S: u64 = 6 * 3600;

/// What becomes of the asynchronous calls of a function that says nothing of it.
pub fn default() -> AsyncSpec {
    AsyncSpec { retry: retry(RETRIES, AGE_S), ..AsyncSpec::default() }
}

/// The limits within which every call can have its own: no narrower than what any version or alias may say.
pub fn widest(retry: &RetrySpec) -> RetrySpec {
    let age_ms = retry.age_ms.map(|age_ms| age_ms.max(AGE_S * 1000));
    RetrySpec { attempts: retry.attempts.max(RETRIES + 1), age_ms, ..*retry }
}

/// What was configured for the asynchronous calls of one version or alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configured {
    /// When, milliseconds since the Unix epoch.
    pub modified_ms: u64,
    /// What becomes of a call.
    pub spec: AsyncSpec,
}

fn retry(retries: u32, age_s: u64) -> RetrySpec {
    RetrySpec {
        attempts: retries + 1,
        backoff_min_ms: RETRY_AFTER_MS,
        backoff_max_ms: RETRY_AFTER_MS * 2,
        age_ms: Some(age_s * 1000),
    }
}

/// The pause after the `attempt`-th failure, from 1.
pub fn pause_ms(attempt: u32) -> u64 {
    RETRY_AFTER_MS << attempt.saturating_sub(1).min(1)
}

/// What `PutFunctionEventInvokeConfig` and `UpdateFunctionEventInvokeConfig` have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "AWS documents its shapes")]
pub struct EventInvoke {
    pub maximum_retry_attempts: Option<u32>,
    pub maximum_event_age_in_seconds: Option<u64>,
    pub destination_config: Option<Destinations>,
}

/// Where records of ends go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "AWS documents its shapes")]
pub struct Destinations {
    pub on_success: Option<Destination>,
    pub on_failure: Option<Destination>,
}

/// One of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Destination {
    /// The ARN of a topic or a function.
    pub destination: Option<String>,
}

impl EventInvoke {
    /// The retries of a function whose settings were `before`.
    ///
    /// # Errors
    /// `HOB-0622` for a value that Lambda does not take.
    pub fn retry(&self, before: &RetrySpec) -> Result<RetrySpec> {
        let refuse = |what: String| Err(Fault::new(Code::AwsRequest, what));
        let retries = self.maximum_retry_attempts.unwrap_or_else(|| before.attempts.saturating_sub(1));
        if retries > RETRIES {
            return refuse(format!("`MaximumRetryAttempts` is {retries}: use 0 to {RETRIES}"));
        }
        let age_s =
            self.maximum_event_age_in_seconds.unwrap_or_else(|| before.age_ms.map_or(AGE_S, |ms| ms / 1000));
        if !(60..=AGE_S).contains(&age_s) {
            return refuse(format!("`MaximumEventAgeInSeconds` is {age_s}: use 60 to {AGE_S}"));
        }
        Ok(retry(retries, age_s))
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// When, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The id that its caller got.
    pub request_id: &'a str,
    /// The function as it was called.
    pub arn: &'a str,
    /// The version that was called.
    pub version: &'a str,
    /// `Success`, `RetriesExhausted` or `EventAgeExceeded`.
    pub condition: &'a str,
    /// Attempts.
    pub attempts: u32,
    /// What it was called with.
    pub request: &'a [u8],
    /// What it answered last, if it did.
    pub response: Option<&'a [u8]>,
}

/// The record that destinations get (Lambda developer guide, "Destinations for asynchronous invocation").
pub fn record(end: &End<'_>) -> Value {
    let failed = end.condition != "Success";
    let mut record = json!({
        "version": "1.0",
        "timestamp": timestamp(end.now_ms),
        "requestContext": {
            "requestId": end.request_id,
            "functionArn": end.arn,
            "condition": end.condition,
            "approximateInvokeCount": end.attempts,
        },
        "requestPayload": json_or_text(end.request),
    });
    if let Some(response) = end.response {
        let mut context = json!({ "statusCode": 200, "executedVersion": end.version });
        if failed {
            context["functionError"] = "Unhandled".into();
        }
        record["responseContext"] = context;
        record["responsePayload"] = json_or_text(response);
    }
    record
}

fn json_or_text(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
}

/// `EventInvokeConfig`, but for the destinations.
pub fn shown(arn: &str, modified_ms: u64, retry: &RetrySpec) -> Map<String, Value> {
    #[expect(clippy::cast_precision_loss, reason = "a time of this century")]
    let modified = modified_ms as f64 / 1000.0;
    let shown = [
        ("LastModified", json!(modified)),
        ("FunctionArn", json!(arn)),
        ("MaximumRetryAttempts", json!(retry.attempts.saturating_sub(1))),
        ("MaximumEventAgeInSeconds", json!(retry.age_ms.unwrap_or(AGE_S * 1000) / 1000)),
    ];
    shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::{End, EventInvoke, default, pause_ms, record, widest};
    use crate::trigger::RetrySpec;

    #[test]
    fn settings_are_lambdas() {
        let before = default().retry;
        assert_eq!((before.attempts, before.age_ms), (3, Some(21_600_000)));
        for (retries, age, expected) in [
            (None, None, Some((3, 21_600))),
            (Some(0), Some(60), Some((1, 60))),
            (Some(2), None, Some((3, 21_600))),
            (Some(3), None, None),
            (None, Some(59), None),
            (None, Some(21_601), None),
        ] {
            let asked = EventInvoke {
                maximum_retry_attempts: retries,
                maximum_event_age_in_seconds: age,
                destination_config: None,
            };
            let found = asked.retry(&before).ok().map(|retry| (retry.attempts, retry.age_ms.unwrap() / 1000));
            assert_eq!(found, expected, "{retries:?} {age:?}");
        }
        assert_eq!([1, 2, 3].map(pause_ms), [60_000, 120_000, 120_000]);
        for (attempts, age_ms, expected) in [
            (1, Some(60_000), (3, Some(21_600_000))),
            (9, None, (9, None)),
            (3, Some(u64::MAX), (3, Some(u64::MAX))),
        ] {
            let wide = widest(&RetrySpec { attempts, age_ms, ..before });
            assert_eq!((wide.attempts, wide.age_ms, wide.backoff_min_ms), (expected.0, expected.1, 60_000));
        }
    }

    #[test]
    fn records_say_what_lambdas_say() {
        let end = End {
            now_ms: 0,
            request_id: "i",
            arn: "a:$LATEST",
            version: "$LATEST",
            condition: "RetriesExhausted",
            attempts: 3,
            request: b"{\"n\":1}",
            response: Some(b"{\"errorMessage\":\"no\"}"),
        };
        let failed = record(&end);
        assert_eq!(failed["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(
            (&failed["requestPayload"]["n"], &failed["responsePayload"]["errorMessage"]),
            (&1.into(), &"no".into())
        );
        assert_eq!(failed["responseContext"]["functionError"], "Unhandled");
        let good = record(&End { condition: "Success", response: Some(b"text"), ..end });
        assert_eq!(
            (&good["responsePayload"], good["responseContext"].get("functionError")),
            (&"text".into(), None)
        );
        assert!(record(&End { response: None, ..end }).get("responseContext").is_none());
    }
}
