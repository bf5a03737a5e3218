//! Operations on dead letters and on asynchronous calls.

use super::{Ask, Control, Handled, Operation, Payload, json, query};
use crate::bus::dead::Deal;
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::TopicName;
use hob_core::wire::{
    CallInfo, DeadLetter, DeadLetterTopicInfo, DeadLettersQuery, LettersReply, LettersRequest,
};
use http::StatusCode;
use schemars::JsonSchema;
use std::sync::Arc;

/// Letters that are shown unless more are asked for.
const SHOWN: u64 = 100;
/// Letters that are shown at most, however small.
const SHOWN_MAX: u64 = 1000;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "letters.topics",
        method: Some("GET"),
        path: "/v1/dead-letters",
        summary: "Lists the topics that hold dead letters, by name.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<DeadLetterTopicInfo>>()),
        status: 200,
        handle: topics,
    },
    Operation {
        id: "letters.list",
        method: Some("GET"),
        path: "/v1/dead-letters/{topic}",
        summary: "Lists the dead letters of a topic that are not dealt with, the oldest first.",
        needs: Need::Space(Scope::Observe),
        query: Some(DeadLettersQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<DeadLetter>>()),
        status: 200,
        handle: list,
    },
    Operation {
        id: "letters.get",
        method: Some("GET"),
        path: "/v1/dead-letters/{topic}/{sequence}",
        summary: "Shows one dead letter.",
        needs: Need::Space(Scope::Observe),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<DeadLetter>()),
        status: 200,
        handle: get,
    },
    Operation {
        id: "letters.redrive",
        method: Some("POST"),
        path: "/v1/dead-letters/{topic}/redrive",
        summary: "Delivers dead letters once more, to the subscription that gave them up.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<LettersRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<LettersReply>()),
        status: 200,
        handle: |control, ask| Box::pin(deal(control, ask, Deal::Redrive)),
    },
    Operation {
        id: "letters.drop",
        method: Some("POST"),
        path: "/v1/dead-letters/{topic}/drop",
        summary: "Forgets dead letters.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<LettersRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<LettersReply>()),
        status: 200,
        handle: |control, ask| Box::pin(deal(control, ask, Deal::Drop)),
    },
    Operation {
        id: "calls.get",
        method: Some("GET"),
        path: "/v1/calls/{id}",
        summary: "Says how an asynchronous call is.",
        needs: Need::Space(Scope::Observe),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<CallInfo>()),
        status: 200,
        handle: call,
    },
];

fn topics(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &control.bus.letter_topics().await?) })
}

fn list(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let topic = ask.part::<TopicName>(0)?;
        let DeadLettersQuery { from, limit } = query::read(ask.request.uri())?;
        let most = usize::try_from(limit.unwrap_or(SHOWN).min(SHOWN_MAX)).unwrap_or(usize::MAX);
        json(StatusCode::OK, &control.bus.letters(&topic, from.unwrap_or(0), most).await?)
    })
}

fn get(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let topic = ask.part::<TopicName>(0)?;
        let sequence = ask.path.get(1).and_then(|text| text.parse().ok()).ok_or_else(|| {
            Fault::new(Code::ControlRequest, "a dead letter is named by its number")
                .hint("write for example `3`")
        })?;
        json(StatusCode::OK, &control.bus.letter(&topic, sequence).await?)
    })
}

async fn deal(
    control: Arc<Control>,
    ask: Ask,
    deal: Deal,
) -> Result<http::Response<hob_runtime::body::Body>> {
    let topic = ask.part::<TopicName>(0)?;
    let LettersRequest { sequences } = ask.json().await?;
    json(StatusCode::OK, &LettersReply { letters: control.bus.deal(&topic, &sequences, deal).await? })
}

fn call(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let id = ask.path.first().map_or("", String::as_str);
        json(StatusCode::OK, &control.calls.info(id).await?)
    })
}
