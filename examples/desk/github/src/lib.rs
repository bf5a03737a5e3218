//! The desk's door: takes GitHub's webhooks, checks who sent them, and asks the other functions.
//!
//! **How.** A delivery is trusted only when its `X-Hub-Signature-256` is the HMAC-SHA256 of the
//! body under the shared secret. Then `triage` and `summary` (and `notes`, for a release) are
//! called by name, at the same time; what they say goes to `stats` and into the answer.
//!
//! **Not here:** HTTP as WASI 0.3 has it (`http`), checking (`delivery`).

mod delivery;
mod http;

use crate::delivery::{Delivery, Refusal};
use crate::http::{Answer, Caller};
use futures_util::future::join3;
use serde_json::{Value, json};
use wasip3::http::types::{ErrorCode, Method, Request, Response};

wasip3::http::service::export!(Github);

struct Github;

impl wasip3::exports::http::handler::Guest for Github {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let answer = match receive(request).await {
            Ok(answer) => answer,
            Err(refusal) => {
                Answer { status: refusal.status, body: json!({ "error": refusal.reason }) }
            }
        };
        Ok(http::respond(&answer))
    }
}

/// Checks a delivery and passes it round.
async fn receive(request: Request) -> Result<Answer, Refusal> {
    if !matches!(request.get_method(), Method::Post) {
        return Err(Refusal { status: 405, reason: "webhooks are sent with POST".to_owned() });
    }
    let caller = Caller::of(&request);
    let body = http::read(request).await;
    let secret = http::environment("WEBHOOK_SECRET").ok_or_else(|| Refusal {
        status: 500,
        reason: "set `WEBHOOK_SECRET` in the function's `env`".to_owned(),
    })?;
    let delivery = delivery::check(|name| caller.header(name), body, secret.as_bytes())?;
    pass_round(&delivery).await.map_err(|reason| Refusal { status: 502, reason })
}

/// Asks the functions that have something to say, tells `stats`, and answers.
async fn pass_round(delivery: &Delivery) -> Result<Answer, String> {
    let (triage, summary, notes) = join3(
        ask("triage", delivery),
        ask("summary", delivery),
        release_notes(delivery),
    )
    .await;
    let (triage, summary, notes) = (triage?, summary?, notes?);

    let mut item = json!({
        "id": delivery.id,
        "event": delivery.event,
        "action": delivery.payload["action"],
        "repository": delivery.payload["repository"]["full_name"],
        "sender": delivery.payload["sender"]["login"],
        "label": triage["label"],
        "priority": triage["priority"],
        "reason": triage["reason"],
        "summary": summary["summary"],
    });
    if let Some(notes) = notes {
        item["notes"] = notes;
    }
    http::post("stats", "/events", &delivery.event, item.to_string().into_bytes()).await?;
    Ok(Answer { status: 200, body: answer(item) })
}

/// What GitHub is told: the item without the text that only the page needs.
fn answer(mut item: Value) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|name, _| {
            matches!(name.as_str(), "id" | "event" | "action" | "label" | "priority" | "summary")
        });
    }
    item
}

/// Sends the whole payload to a function and reads the JSON that it answers.
async fn ask(function: &str, delivery: &Delivery) -> Result<Value, String> {
    let answer = http::post(function, "/", &delivery.event, delivery.body.clone()).await?;
    serde_json::from_slice(&answer).map_err(|error| format!("`{function}` answered no JSON: {error}"))
}

/// The text of a release; `None` when the delivery tells of none that can be had.
async fn release_notes(delivery: &Delivery) -> Result<Option<Value>, String> {
    let Some(release) = delivery.release() else { return Ok(None) };
    let text = http::post("notes", "/", &delivery.event, release.lines().into_bytes()).await?;
    Ok(Some(json!({
        "repository": release.repository,
        "tag": release.tag,
        "text": String::from_utf8_lossy(&text),
    })))
}
