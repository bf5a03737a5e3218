//! The desk's door: takes GitHub's webhooks, checks who sent them, and publishes each as an event.
//!
//! **How.** A delivery is trusted only when its `X-Hub-Signature-256` is the HMAC-SHA256 of the
//! body under the shared secret. Then it is posted to the topic `github` at `bus.internal`; once the
//! bus says that it is on disk, GitHub gets its 200. Who does what with it is not this function's concern.
//!
//! **Not here:** HTTP as WASI 0.3 has it (`http`), checking (`delivery`), the event (`event`).

mod delivery;
mod event;
mod http;

use crate::delivery::{Delivery, Refusal};
use crate::http::{Answer, Caller};
use serde_json::{Value, json};
use wasip3::http::types::{ErrorCode, Method, Request, Response};

wasip3::http::service::export!(Github);

/// The platform's bus; the path names the topic.
const BUS: &str = "bus.internal";
const TOPIC: &str = "/github";

struct Github;

impl wasip3::exports::http::handler::Guest for Github {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let answer = match receive(request).await {
            Ok(answer) => answer,
            Err(refusal) => Answer { status: refusal.status, body: json!({ "error": refusal.reason }) },
        };
        Ok(http::respond(&answer))
    }
}

/// Checks a delivery and publishes it.
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
    let mut delivery = delivery::check(|name| caller.header(name), body, secret.as_bytes())?;
    let published = publish(&mut delivery).await.map_err(|reason| Refusal { status: 502, reason })?;
    let body = json!({
        "id": delivery.id,
        "event": delivery.event,
        "action": delivery.payload["action"],
        "published": published,
    });
    Ok(Answer { status: 200, body })
}

/// Publishes the delivery; the result says where it is in the topic.
async fn publish(delivery: &mut Delivery) -> Result<Value, String> {
    let body = std::mem::take(&mut delivery.body);
    let (status, answer) = http::post(BUS, TOPIC, event::headers(delivery), body).await?;
    if status != 202 {
        return Err(format!("the bus answered {status}: {}", String::from_utf8_lossy(&answer).trim()));
    }
    let mut places: Value =
        serde_json::from_slice(&answer).map_err(|error| format!("the bus answered no JSON: {error}"))?;
    Ok(places[0].take())
}
