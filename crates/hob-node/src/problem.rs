//! Faults as HTTP responses: `application/problem+json` (RFC 9457) or plain text.
//!
//! **Why.** Whoever gets an error wants its code, its words, the next step and the id under which it can
//! be looked up, in the form they can read.
//!
//! **How.** [`respond`] is the only way in which a fault leaves the node. `hob-error` carries the code,
//! so that a program tells Hob's own answers from a function's.

use hob_core::code::Code;
use hob_core::fault::{Fault, FaultWire};
use hob_runtime::body::{self, Body};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Serialize;

/// The header that names the code of a fault.
pub(crate) const HOB_ERROR: &str = "hob-error";

/// The members of a problem document; `fault` brings `code`, `hint`, `place`, `owner` and `id`.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    detail: &'a str,
    #[serde(flatten)]
    fault: FaultWire,
}

/// Which form a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `application/problem+json`.
    Json,
    /// `text/plain`.
    Text,
}

impl Form {
    /// JSON for a client that names it in `Accept`; text for a person with a terminal or a browser.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let named = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("json"));
        if headers.get_all(ACCEPT).iter().any(named) { Self::Json } else { Self::Text }
    }
}

/// The response that says what went wrong.
pub(crate) fn respond(fault: &Fault, id: Option<String>, form: Form) -> Response<Body> {
    if fault.code() == Code::Internal {
        tracing::error!(%fault, ?id, "a request fails");
    } else if fault.detail_text().is_some() {
        tracing::debug!(%fault, ?id, "a request fails");
    }
    let (content_type, text) = match form {
        Form::Json => ("application/problem+json", json(fault, id)),
        Form::Text => ("text/plain; charset=utf-8", plain(fault, id)),
    };
    let mut response = Response::new(body::full(text));
    *response.status_mut() =
        StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HOB_ERROR, HeaderValue::from_static(fault.code().text()));
    if let Some(seconds) = fault.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(fault: &Fault, id: Option<String>) -> Vec<u8> {
    let problem = Problem {
        r#type: format!("urn:hob:error:{}", fault.code()),
        title: fault.code().summary(),
        detail: fault.message(),
        fault: fault.to_wire(id),
    };
    serde_json::to_vec(&problem).expect("a problem has text keys only")
}

fn plain(fault: &Fault, id: Option<String>) -> Vec<u8> {
    let mut text = format!("{}: {}\n", fault.code(), fault.message());
    let lines = [("where", fault.place()), ("hint", fault.hint_text()), ("invocation", id.as_deref())];
    for (name, value) in lines.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{Form, respond};
    use hob_core::code::Code;
    use hob_core::fault::Fault;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_fault_is_told_in_the_form_the_client_reads() {
        let fault = Fault::new(Code::QueueFull, "too many calls wait for `a`")
            .hint("raise `scale.max`")
            .detail("secret")
            .retry_after(2);
        for (form, expected) in [
            (
                Form::Json,
                r#"{"type":"urn:hob:error:HOB-0503","title":"too many calls are waiting for this function","detail":"too many calls wait for `a`","code":"HOB-0503","message":"too many calls wait for `a`","hint":"raise `scale.max`","owner":"limit","status":503,"id":"i1"}"#,
            ),
            (Form::Text, "HOB-0503: too many calls wait for `a`\nhint: raise `scale.max`\ninvocation: i1\n"),
        ] {
            let response = respond(&fault, Some("i1".into()), form);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["retry-after"]),
                (503, &"2".parse().unwrap())
            );
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(String::from_utf8_lossy(&body), expected);
        }
    }
}
