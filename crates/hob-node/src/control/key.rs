//! Operations on access keys of the Lambda API.

use super::{Ask, Control, Handled, Operation, Payload, json, nothing};
use crate::keys::Keys;
use hob_core::access::{Need, Scope};
use hob_core::aws::name::REGION;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::wire::{AccessKey, AccessKeyInfo, LambdaAccess};
use http::StatusCode;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "keys.list",
        method: Some("GET"),
        path: "/v1/keys",
        summary: "Lists the access keys of the Lambda API, without their secrets.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<AccessKeyInfo>>()),
        status: 200,
        handle: list,
    },
    Operation {
        id: "keys.create",
        method: Some("POST"),
        path: "/v1/keys",
        summary: "Makes an access key of the Lambda API.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<LambdaAccess>()),
        status: 201,
        handle: create,
    },
    Operation {
        id: "keys.get",
        method: Some("GET"),
        path: "/v1/keys/{id}",
        summary: "Shows an access key with its secret, and where the Lambda API answers.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<LambdaAccess>()),
        status: 200,
        handle: get,
    },
    Operation {
        id: "keys.remove",
        method: Some("DELETE"),
        path: "/v1/keys/{id}",
        summary: "Removes an access key; what is signed with it is refused from then on.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: remove,
    },
];

/// The keys of a node that has the API, and where it answers.
fn keys(control: &Control) -> Result<(&Keys, &str)> {
    let access = control.lambda.as_ref().map(|(keys, endpoint)| (&**keys, endpoint.as_str()));
    access.ok_or_else(|| {
        Fault::new(Code::AwsOff, "the node has no Lambda API")
            .hint("start it with `hob serve --lambda 127.0.0.1:9001`")
    })
}

fn access(endpoint: &str, key: AccessKey) -> LambdaAccess {
    LambdaAccess { endpoint: endpoint.to_owned(), region: REGION.to_owned(), key }
}

fn id(ask: &Ask) -> &str {
    ask.path.first().map_or("", String::as_str)
}

fn list(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move {
        let all = keys(&control)?.0.list().into_iter();
        let all = all.map(|AccessKey { id, created_ms, .. }| AccessKeyInfo { id, created_ms });
        json(StatusCode::OK, &all.collect::<Vec<_>>())
    })
}

fn create(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move {
        let (keys, endpoint) = keys(&control)?;
        json(StatusCode::CREATED, &access(endpoint, keys.create()?))
    })
}

fn get(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (keys, endpoint) = keys(&control)?;
        json(StatusCode::OK, &access(endpoint, keys.get(id(&ask))?))
    })
}

fn remove(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        keys(&control)?.0.remove(id(&ask))?;
        Ok(nothing())
    })
}
