//! Operations on subscriptions and schedules: list, pause, resume, seek, fire.

use super::{Ask, Control, Handled, Operation, Payload, json, nothing, query};
use crate::bus::position::Key;
use hob_core::access::{Need, Scope};
use hob_core::fault::Result;
use hob_core::name::{AppName, TriggerName};
use hob_core::wire::{Published, ScheduleInfo, SeekRequest, SubscriptionInfo, TriggersQuery};
use http::StatusCode;
use schemars::JsonSchema;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "subscriptions.list",
        method: Some("GET"),
        path: "/v1/subscriptions",
        summary: "Lists subscriptions to topics, by app and name.",
        needs: Need::Space(Scope::Read),
        query: Some(TriggersQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<SubscriptionInfo>>()),
        status: 200,
        handle: subscriptions,
    },
    Operation {
        id: "subscriptions.get",
        method: Some("GET"),
        path: "/v1/apps/{app}/subscriptions/{name}",
        summary: "Shows one subscription and how far it is.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<SubscriptionInfo>()),
        status: 200,
        handle: subscription,
    },
    Operation {
        id: "subscriptions.pause",
        method: Some("POST"),
        path: "/v1/apps/{app}/subscriptions/{name}/pause",
        summary: "Delivers nothing for a subscription until it is resumed.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: |control, ask| {
            Box::pin(async move {
                control.delivery.pause(&key(&ask)?).await?;
                Ok(nothing())
            })
        },
    },
    Operation {
        id: "subscriptions.resume",
        method: Some("POST"),
        path: "/v1/apps/{app}/subscriptions/{name}/resume",
        summary: "Goes on with a paused subscription.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: |control, ask| {
            Box::pin(async move {
                control.delivery.resume(&key(&ask)?).await?;
                Ok(nothing())
            })
        },
    },
    Operation {
        id: "subscriptions.seek",
        method: Some("POST"),
        path: "/v1/apps/{app}/subscriptions/{name}/seek",
        summary: "Goes to another place of the topic: forward skips events, back delivers them again.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<SeekRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<SubscriptionInfo>()),
        status: 200,
        handle: seek,
    },
    Operation {
        id: "schedules.list",
        method: Some("GET"),
        path: "/v1/schedules",
        summary: "Lists schedules with their next runs, by app and name.",
        needs: Need::Space(Scope::Read),
        query: Some(TriggersQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<ScheduleInfo>>()),
        status: 200,
        handle: schedules,
    },
    Operation {
        id: "schedules.get",
        method: Some("GET"),
        path: "/v1/apps/{app}/schedules/{name}",
        summary: "Shows one schedule with its next runs.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<ScheduleInfo>()),
        status: 200,
        handle: schedule,
    },
    Operation {
        id: "schedules.fire",
        method: Some("POST"),
        path: "/v1/apps/{app}/schedules/{name}/fire",
        summary: "Runs a schedule now.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Published>()),
        status: 202,
        handle: fire,
    },
    Operation {
        id: "schedules.pause",
        method: Some("POST"),
        path: "/v1/apps/{app}/schedules/{name}/pause",
        summary: "Leaves a schedule's runs out until it is resumed.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: |control, ask| Box::pin(pause(control, ask, true)),
    },
    Operation {
        id: "schedules.resume",
        method: Some("POST"),
        path: "/v1/apps/{app}/schedules/{name}/resume",
        summary: "Goes on with a paused schedule.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: |control, ask| Box::pin(pause(control, ask, false)),
    },
];

fn key(ask: &Ask) -> Result<Key> {
    Ok(Key::new(&ask.part::<AppName>(0)?, &ask.part::<TriggerName>(1)?))
}

fn subscriptions(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let TriggersQuery { app, topic } = query::read(ask.request.uri())?;
        let mut all = control.delivery.list().await;
        all.retain(|one| app.as_ref().is_none_or(|app| one.app == *app));
        all.retain(|one| topic.as_ref().is_none_or(|topic| one.spec.topic == *topic));
        json(StatusCode::OK, &all)
    })
}

fn subscription(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &control.delivery.get(&key(&ask)?).await?) })
}

fn seek(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let key = key(&ask)?;
        let SeekRequest { to } = ask.json().await?;
        control.delivery.seek(&key, to).await?;
        json(StatusCode::OK, &control.delivery.get(&key).await?)
    })
}

fn schedules(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let TriggersQuery { app, topic } = query::read(ask.request.uri())?;
        let mut all = control.schedules.list().await?;
        all.retain(|one| topic.is_none() && app.as_ref().is_none_or(|app| one.app == *app));
        json(StatusCode::OK, &all)
    })
}

fn schedule(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::OK, &control.schedules.get(&key(&ask)?).await?) })
}

fn fire(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move { json(StatusCode::ACCEPTED, &control.schedules.fire(&key(&ask)?).await?) })
}

async fn pause(
    control: Arc<Control>,
    ask: Ask,
    pause: bool,
) -> Result<http::Response<hob_runtime::body::Body>> {
    control.schedules.pause(&key(&ask)?, pause).await?;
    Ok(nothing())
}
