//! Triage: says of an event what it is about, how urgent it is, and why. A WASI 0.2 component.
//!
//! **How.** It answers an event with an event, `desk.triaged`, which the platform publishes. The id is
//! the one of the event that it is about, so trying again makes no second one.
//!
//! **Not here:** the decision (`verdict`).

mod verdict;

use serde_json::{Value, json};
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Triage);

struct Triage;

impl wasip2::exports::http::incoming_handler::Guest for Triage {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        // `com.github.issues.opened`: the third word is the kind.
        let kind = header(&request, "ce-type");
        let event = kind.split('.').nth(2).unwrap_or_default();
        let (id, source) = (header(&request, "ce-id"), header(&request, "ce-source"));
        match serde_json::from_slice::<Value>(&read(&request)) {
            Ok(payload) => {
                let verdict = verdict::of(event, &payload);
                let body = json!({
                    "label": verdict.label,
                    "priority": verdict.priority,
                    "reason": verdict.reason,
                });
                let triaged = [
                    ("ce-specversion", "1.0"),
                    ("ce-id", &id),
                    ("ce-source", "/desk/triage"),
                    ("ce-type", "desk.triaged"),
                    ("ce-partitionkey", &source),
                ];
                respond(response_out, 200, &triaged, &body);
            }
            Err(error) => respond(response_out, 400, &[], &json!({ "error": error.to_string() })),
        }
    }
}

/// The first value of a header, or nothing.
fn header(request: &IncomingRequest, name: &str) -> String {
    let value = request.headers().get(name).into_iter().next().unwrap_or_default();
    String::from_utf8_lossy(&value).into_owned()
}

/// The whole body; what came before a caller broke off, which then is no JSON.
fn read(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.blocking_read(64 << 10) {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

/// Answers with JSON, which is far below the 4096 bytes that one write may carry.
fn respond(response_out: ResponseOutparam, status: u16, event: &[(&str, &str)], body: &Value) {
    let headers = Fields::new();
    for (name, value) in event {
        headers.append(name, value.as_bytes()).expect("what came in a header fits into one");
    }
    headers.append("content-type", b"application/json").expect("the field is allowed");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("the status is a number of HTTP");
    let out = response.body().expect("the body is taken once");
    ResponseOutparam::set(response_out, Ok(response));
    let stream = out.write().expect("the stream is taken once");
    // A caller that has gone is no fault of ours.
    let _ = stream.blocking_write_and_flush(format!("{body}\n").as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(out, None);
}
