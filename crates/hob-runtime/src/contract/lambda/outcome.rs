//! What a runtime posted, as the answer of a call or the reason why there is none.
//!
//! **Two readers.** An HTTP caller gets what an HTTP API or function URL of Lambda would give: the response
//! that the result describes, or the result itself (payload format 2.0, "response"). Whoever calls raw, or
//! delivers an event, gets the result as it is.

use super::session::Failure;
use crate::hop;
use crate::invocation::Reply;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::event::base64;
use hob_core::fault::Fault;
use hob_core::name::{AppName, FunctionName};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What an error says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    error_type: Option<String>,
    error_message: Option<String>,
}

/// A response that a function describes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    #[serde(default)]
    status_code: Option<Value>,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    multi_value_headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default, borrow)]
    body: Option<Text<'a>>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// A string that is copied only where it holds escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The response that a result describes, or that is the result.
///
/// # Errors
/// In words, when it describes none that there can be.
pub(super) fn respond(result: &Bytes) -> Result<Reply, String> {
    let described: Described<'_> = match serde_json::from_slice(result) {
        Ok(described) => described,
        Err(_) => {
            let value: Value = serde_json::from_slice(result).map_err(|_| "it is not JSON")?;
            if value.get("statusCode").is_some() {
                return Err("`headers`, `cookies` or `body` have the wrong type".to_owned());
            }
            return Ok(inferred(result.clone()));
        }
    };
    if described.status_code.is_none() {
        return Ok(inferred(result.clone()));
    }
    let body = match (&described.body, described.is_base64_encoded) {
        (None, _) => Bytes::new(),
        (Some(Text(text)), Some(true)) => {
            base64::decode(text).ok_or("`body` is not base64, which `isBase64Encoded` says")?.into()
        }
        (Some(Text(text)), _) => Bytes::copy_from_slice(text.as_bytes()),
    };
    let mut response = head(described)?;
    *response.body_mut() = crate::body::full(body);
    Ok(response)
}

/// The head of a response that is streamed; its media type is a prelude's.
///
/// # Errors
/// In words, when it describes none that there can be.
pub(super) fn prelude(text: &[u8]) -> Result<Reply, String> {
    let mut described: Described<'_> =
        serde_json::from_slice(text).map_err(|_| "its prelude is not what it should be")?;
    described.status_code.get_or_insert_with(|| Value::from(200));
    head(described)
}

fn head(described: Described<'_>) -> Result<Reply, String> {
    let status = described.status_code.as_ref().and_then(Value::as_u64);
    let status = status.and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let mut response = Response::new(crate::body::empty());
    *response.status_mut() =
        status.filter(|status| status.as_u16() >= 200).ok_or("`statusCode` is not that of an answer")?;
    let headers = response.headers_mut();
    for (name, value) in described.headers.iter().flatten() {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    for (name, values) in described.multi_value_headers.iter().flatten() {
        let values = values.as_array().ok_or_else(|| format!("`multiValueHeaders.{name}` is no list"))?;
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no name of a header"))?;
        // Who says a header in both ways means it once.
        headers.remove(&name);
        for value in values {
            let (name, value) = header(name.as_str(), value)?;
            headers.append(name, value);
        }
    }
    for cookie in described.cookies.iter().flatten() {
        headers.append(SET_COOKIE, cookie.parse().map_err(|_| "a cookie is no value of a header")?);
    }
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    hop::strip(headers);
    headers.remove(CONTENT_LENGTH);
    Ok(response)
}

fn header(name: &str, value: &Value) -> Result<(HeaderName, HeaderValue), String> {
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Number(_) | Value::Bool(_) => Cow::Owned(value.to_string()),
        _ => return Err(format!("the header `{name}` is no text")),
    };
    let parsed = name.parse().map_err(|_| format!("`{name}` is no name of a header"))?;
    let value = HeaderValue::from_bytes(text.as_bytes());
    Ok((parsed, value.map_err(|_| format!("the header `{name}` has control characters"))?))
}

/// A result that describes no response: it is the body.
pub(super) fn inferred(result: Bytes) -> Reply {
    let mut response = Response::new(crate::body::full(result));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A result as it is, with the media type that the runtime gave it.
pub(super) fn as_it_is(content_type: Option<HeaderValue>, result: Bytes) -> Reply {
    let mut response = inferred(result);
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

/// The head of a streamed answer without a prelude.
pub(super) fn streamed(headers: &HeaderMap) -> Reply {
    let mut response = Response::new(crate::body::empty());
    let octets = HeaderValue::from_static("application/octet-stream");
    let content_type = headers.get(CONTENT_TYPE).cloned().unwrap_or(octets);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Whether a batch of one record has failed (`ReportBatchItemFailures`): the result names some.
pub(super) fn item_failed(result: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Batch {
        #[serde(default)]
        batch_item_failures: Option<Vec<Value>>,
    }
    let batch = serde_json::from_slice::<Batch>(result).ok();
    batch.and_then(|batch| batch.batch_item_failures).is_some_and(|failures| !failures.is_empty())
}

/// The fault of a call whose handler failed. What the error says is the function's affair: the log and
/// `hob why` have it, a caller does not.
pub(super) fn function_error(app: &AppName, name: &FunctionName, failure: &Failure) -> Fault {
    Fault::new(Code::FunctionError, format!("`{name}` answered with an error"))
        .hint(format!("see `hob logs {app}/{name}` for what went wrong"))
        .detail(summary(failure))
}

/// The fault of an instance that says that it cannot work.
pub(super) fn init_failed(app: &AppName, name: &FunctionName, failure: &Failure) -> Fault {
    Fault::new(Code::InitFailed, format!("`{name}` could not be initialised"))
        .hint(format!("see `hob logs {app}/{name}` for what went wrong"))
        .detail(summary(failure))
}

/// The fault of a streamed answer that failed in the middle.
pub(super) fn stream_failed(kind: &str, body: &str) -> Fault {
    let failure = Failure { kind: Some(kind.to_owned()), body: Bytes::copy_from_slice(body.as_bytes()) };
    Fault::new(Code::FunctionError, "the function failed in the middle of its answer")
        .detail(summary(&failure))
}

/// `ValueError: no such thing`, as far as that is said.
fn summary(failure: &Failure) -> String {
    let told: Told = serde_json::from_slice(&failure.body).unwrap_or_default();
    let kind = told.error_type.or_else(|| failure.kind.clone()).unwrap_or_else(|| "Unknown".to_owned());
    match told.error_message.as_deref() {
        Some("") | None => kind,
        Some(message) => format!("{kind}: {message}"),
    }
}

/// A function may answer with anything.
pub(crate) fn fuzz(bytes: &[u8]) {
    let result = Bytes::copy_from_slice(bytes);
    for reply in [respond(&result), prelude(bytes)].into_iter().flatten() {
        assert!((100..1000).contains(&reply.status().as_u16()));
    }
    let _ = item_failed(bytes);
}

#[cfg(test)]
mod tests {
    use super::{item_failed, prelude, respond};
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use http_body_util::BodyExt as _;

    /// Status, headers and body in one line, or why there is none.
    fn shown(reply: Result<crate::invocation::Reply, String>) -> String {
        let reply = match reply {
            Ok(reply) => reply,
            Err(why) => return why,
        };
        let (head, body) = reply.into_parts();
        let mut headers: Vec<String> =
            head.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        headers.sort();
        let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
        format!("{} {} {}", head.status.as_u16(), headers.join(","), String::from_utf8_lossy(&body))
    }

    #[test]
    fn results_become_responses_as_an_http_api_makes_them() {
        for (result, expected) in [
            (
                r#"{"statusCode":201,"headers":{"content-type":"text/plain","x-n":7,"x-b":true},"body":"hi"}"#,
                "201 content-type=text/plain,x-b=true,x-n=7 hi",
            ),
            (r#"{"statusCode":200,"body":"\u00e9\n"}"#, "200 content-type=application/json é\n"),
            (r#"{"statusCode":204}"#, "204 content-type=application/json "),
            (
                r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
                "200 content-type=application/json hi",
            ),
            (
                r#"{"statusCode":200,"cookies":["a=1; Path=/","b=2"],"body":null}"#,
                "200 content-type=application/json,set-cookie=a=1; Path=/,set-cookie=b=2 ",
            ),
            (
                r#"{"statusCode":200,"headers":{"x-a":"1"},"multiValueHeaders":{"x-a":["1","2"]},"body":""}"#,
                "200 content-type=application/json,x-a=1,x-a=2 ",
            ),
            (
                r#"{"statusCode":200,"headers":{"content-length":"99","transfer-encoding":"chunked"},"body":"x"}"#,
                "200 content-type=application/json x",
            ),
            (r#""text""#, "200 content-type=application/json \"text\""),
            ("12", "200 content-type=application/json 12"),
            (r#"{"body":7}"#, "200 content-type=application/json {\"body\":7}"),
            (r#"{"message":"hi"}"#, "200 content-type=application/json {\"message\":\"hi\"}"),
            (r#"{"statusCode":"200"}"#, "`statusCode` is not that of an answer"),
            (r#"{"statusCode":101}"#, "`statusCode` is not that of an answer"),
            (r#"{"statusCode":99999}"#, "`statusCode` is not that of an answer"),
            (r#"{"statusCode":200,"body":{"a":1}}"#, "`headers`, `cookies` or `body` have the wrong type"),
            (r#"{"statusCode":200,"headers":{"x y":"1"}}"#, "`x y` is no name of a header"),
            (r#"{"statusCode":200,"headers":{"x":"a\nb"}}"#, "the header `x` has control characters"),
            (
                r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
                "`body` is not base64, which `isBase64Encoded` says",
            ),
            ("{", "it is not JSON"),
            ("", "it is not JSON"),
        ] {
            assert_eq!(shown(respond(&Bytes::from_static(result.as_bytes()))), expected, "{result}");
        }
        let text = br#"{"statusCode":201,"headers":{"content-type":"text/event-stream"},"cookies":["a=1"]}"#;
        assert_eq!(shown(prelude(text)), "201 content-type=text/event-stream,set-cookie=a=1 ");
        assert_eq!(shown(prelude(b"{}")), "200 content-type=application/json ");
    }

    #[test]
    fn a_batch_fails_when_it_names_a_record() {
        for (result, failed) in [
            (r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#, true),
            (r#"{"batchItemFailures":[]}"#, false),
            (r#"{"batchItemFailures":null}"#, false),
            ("null", false),
            ("{}", false),
        ] {
            assert_eq!(item_failed(result.as_bytes()), failed, "{result}");
        }
    }
}
