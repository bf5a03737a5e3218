//! The operation that says why.

use super::{Ask, Control, Handled, Operation, Payload, json, query};
use hob_core::access::{Need, Scope};
use hob_core::wire::{Story, WhyQuery};
use http::StatusCode;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "why.ask",
    method: Some("GET"),
    path: "/v1/why",
    summary: "Says why something did or did not happen: by an id, or by what somebody expected.",
    needs: Need::Space(Scope::Observe),
    query: Some(<WhyQuery as schemars::JsonSchema>::json_schema),
    request: Payload::None,
    response: Payload::Json(|schemas| schemas.subschema_for::<Story>()),
    status: 200,
    handle: ask,
}];

fn ask(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: WhyQuery = query::read(ask.request.uri())?;
        // Events and answers are kept as they came; what is told of them is not.
        let story = control.why.ask(asked).await?;
        json(StatusCode::OK, &control.secrets.redaction().story(story))
    })
}
