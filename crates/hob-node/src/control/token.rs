//! Operations on API tokens.

use super::{Ask, Control, Handled, Operation, Payload, json, nothing};
use hob_core::access::{Need, Scope};
use hob_core::name::SpaceName;
use hob_core::wire::{TokenInfo, TokenMade, TokenRequest};
use http::StatusCode;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "tokens.list",
        method: Some("GET"),
        path: "/v1/tokens",
        summary: "Lists the API tokens that were not revoked, without their secrets.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<TokenInfo>>()),
        status: 200,
        handle: |control, _| Box::pin(async move { json(StatusCode::OK, &control.tokens.list()) }),
    },
    Operation {
        id: "tokens.create",
        method: Some("POST"),
        path: "/v1/tokens",
        summary: "Makes an API token; this answer is the only one that shows it.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<TokenRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<TokenMade>()),
        status: 201,
        handle: create,
    },
    Operation {
        id: "tokens.revoke",
        method: Some("DELETE"),
        path: "/v1/tokens/{id}",
        summary: "Revokes an API token; it is refused from then on.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: revoke,
    },
];

fn create(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (caller, keeper) = (ask.caller.clone(), ask.keeper()?);
        let there = |space: &SpaceName| keeper.known(space);
        let made = control.tokens.create(ask.json().await?, &caller, there).await?;
        json(StatusCode::CREATED, &made)
    })
}

fn revoke(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        control.tokens.revoke(ask.path.first().map_or("", String::as_str)).await?;
        Ok(nothing())
    })
}
