//! Operations on the node itself.

use super::{Ask, Control, Handled, Operation, Payload, json, openapi::openapi};
use hob_core::wire::NodeInfo;
use http::StatusCode;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "node.get",
        method: Some("GET"),
        path: "/v1/node",
        summary: "Says which node answers.",
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<NodeInfo>()),
        status: 200,
        handle: get,
    },
    Operation {
        id: "node.openapi",
        method: Some("GET"),
        path: "/v1/openapi.json",
        summary: "Describes this API.",
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<serde_json::Value>()),
        status: 200,
        handle: describe,
    },
];

fn get(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &control.node) })
}

fn describe(_control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &openapi()) })
}
