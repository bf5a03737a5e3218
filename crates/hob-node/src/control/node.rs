//! Operations on the node itself.

use super::{Ask, Control, Handled, Operation, Payload, json, openapi::openapi};
use crate::doctor;
use hob_core::access::{Need, Scope};
use hob_core::wire::{MachineFinding, NodeHealth, NodeInfo};
use hob_runtime::disk;
use http::StatusCode;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "node.get",
        method: Some("GET"),
        path: "/v1/node",
        summary: "Says which node answers.",
        needs: Need::Nothing,
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<NodeInfo>()),
        status: 200,
        handle: get,
    },
    Operation {
        id: "node.health",
        method: Some("GET"),
        path: "/v1/node/health",
        summary: "Says how the node is: its memory, its disk, and what the machine offers.",
        needs: Need::Node(Scope::Observe),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<NodeHealth>()),
        status: 200,
        handle: health,
    },
    Operation {
        id: "node.openapi",
        method: Some("GET"),
        path: "/v1/openapi.json",
        summary: "Describes this API.",
        needs: Need::Nothing,
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

fn health(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move {
        let space = disk::space(&control.data).ok();
        let (facts, facts_bytes) = control.telemetry.size().await?;
        let finding = |finding: doctor::Finding| MachineFinding {
            name: finding.name.to_owned(),
            found: finding.found,
            seen: finding.seen,
            effect: finding.effect.to_owned(),
        };
        let health = NodeHealth {
            data: control.data.display().to_string(),
            disk_free_bytes: space.map(|space| space.free_bytes),
            disk_bytes: space.map(|space| space.bytes),
            memory_bytes: doctor::memory_bytes(),
            facts,
            facts_bytes,
            facts_dropped: control.telemetry.dropped(),
            machine: doctor::examine().into_iter().map(finding).collect(),
        };
        json(StatusCode::OK, &health)
    })
}

fn describe(_control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &openapi()) })
}
