//! Operations on the audit log.

use super::{Ask, Control, Handled, Operation, Payload, json, query, stream};
use hob_core::access::audit::Noted;
use hob_core::access::{Need, Scope};
use hob_core::wire::{AuditCheckQuery, AuditEntry, AuditQuery, AuditReport};
use http::StatusCode;
use schemars::JsonSchema;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "audit.list",
        method: Some("GET"),
        path: "/v1/audit",
        summary: "Lists what people and programs did to the node, oldest first.",
        needs: Need::Node(Scope::Admin),
        query: Some(AuditQuery::json_schema),
        request: Payload::None,
        response: Payload::Lines(|schemas| schemas.subschema_for::<AuditEntry>()),
        status: 200,
        handle: list,
    },
    Operation {
        id: "audit.verify",
        method: Some("GET"),
        path: "/v1/audit/verify",
        summary: "Reads the whole audit log and says whether a line was changed or removed.",
        needs: Need::Node(Scope::Admin),
        query: Some(AuditCheckQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<AuditReport>()),
        status: 200,
        handle: verify,
    },
];

fn list(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: AuditQuery = query::read(ask.request.uri())?;
        let found = control.audit.list(asked).await?;
        let (lines, response) = stream::lines();
        control.tasks.start("audit reader", async move {
            for entry in found {
                if !lines.send(&entry).await {
                    return;
                }
            }
        });
        Ok(response)
    })
}

fn verify(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let AuditCheckQuery { noted } = query::read(ask.request.uri())?;
        let noted = noted.as_deref().map(Noted::parse).transpose().map_err(|why| query::refuse(&why))?;
        json(StatusCode::OK, &control.audit.check(noted.unwrap_or_default()).await?)
    })
}
