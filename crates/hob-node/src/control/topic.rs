//! Operations on topics: list, publish, read, follow, purge, replay.

use super::{Ask, Control, Handled, Operation, Payload, json, query, stream};
use crate::bus::Placed;
use crate::bus::position::Key;
use crate::delivery::{replay, topic_not_found};
use hob_core::access::{Need, Scope};
use hob_core::event::json as format;
use hob_core::fault::Result;
use hob_core::name::TopicName;
use hob_core::port::{ReadLimit, TopicState};
use hob_core::trigger::TopicSpec;
use hob_core::wire::{
    CauseInfo, EventsQuery, PublishQuery, Published, PurgeQuery, Removed, ReplayEvent, ReplayRequest,
    StoredEvent, TopicInfo,
};
use http::StatusCode;
use schemars::JsonSchema;
use std::sync::Arc;

/// Events that are read at a time.
const PAGE: ReadLimit = ReadLimit { records: 256, bytes: 4 << 20 };

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "topics.list",
        method: Some("GET"),
        path: "/v1/topics",
        summary: "Lists every topic, by name.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<TopicInfo>>()),
        status: 200,
        handle: list,
    },
    Operation {
        id: "topics.get",
        method: Some("GET"),
        path: "/v1/topics/{topic}",
        summary: "Shows one topic.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<TopicInfo>()),
        status: 200,
        handle: get,
    },
    Operation {
        id: "events.publish",
        method: Some("POST"),
        path: "/v1/topics/{topic}/events",
        summary: "Publishes CloudEvents: one in binary or structured mode, or a batch.",
        needs: Need::Space(Scope::Publish),
        query: Some(PublishQuery::json_schema),
        request: Payload::Any,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<Published>>()),
        status: 202,
        handle: publish,
    },
    Operation {
        id: "events.read",
        method: Some("GET"),
        path: "/v1/topics/{topic}/events",
        summary: "Reads a topic's events, and goes on with new ones if asked to.",
        needs: Need::Space(Scope::Observe),
        query: Some(EventsQuery::json_schema),
        request: Payload::None,
        response: Payload::Lines(|schemas| schemas.subschema_for::<StoredEvent>()),
        status: 200,
        handle: read,
    },
    Operation {
        id: "events.purge",
        method: Some("DELETE"),
        path: "/v1/topics/{topic}/events",
        summary: "Removes a topic's events, delivered or not.",
        needs: Need::Space(Scope::Operate),
        query: Some(PurgeQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Removed>()),
        status: 200,
        handle: purge,
    },
    Operation {
        id: "events.replay",
        method: Some("POST"),
        path: "/v1/topics/{topic}/replay",
        summary: "Delivers old events once more, to a chosen function or revision.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<ReplayRequest>()),
        response: Payload::Lines(|schemas| schemas.subschema_for::<ReplayEvent>()),
        status: 200,
        handle: again,
    },
];

fn list(control: Arc<Control>, _ask: Ask) -> Handled {
    Box::pin(async move {
        let topics = control.bus.log().topics().await?;
        let all: Vec<TopicInfo> =
            topics.into_iter().map(|(topic, state)| info(&control, topic, state)).collect();
        json(StatusCode::OK, &all)
    })
}

fn get(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let topic = ask.part::<TopicName>(0)?;
        let state = state(&control, &topic).await?;
        json(StatusCode::OK, &info(&control, topic, state))
    })
}

async fn state(control: &Control, topic: &TopicName) -> Result<TopicState> {
    control.bus.log().topic(topic).await?.ok_or_else(|| topic_not_found(topic))
}

fn info(control: &Control, topic: TopicName, state: TopicState) -> TopicInfo {
    let settings = control.bus.settings(&topic);
    let table = control.live.load();
    let mut subscriptions: Vec<String> = table
        .apps()
        .values()
        .flat_map(|app| {
            let all = app.current.spec.triggers.subscriptions.iter();
            let on = all.filter(|(_, spec)| spec.topic == topic);
            on.map(|(name, _)| Key::new(&app.name, name).to_string()).collect::<Vec<_>>()
        })
        .collect();
    subscriptions.sort_unstable();
    TopicInfo {
        first: state.first,
        next: state.next,
        events: state.next - state.first,
        bytes: state.bytes,
        oldest_ms: state.oldest_ms,
        newest_ms: state.newest_ms,
        keeps: TopicSpec {
            age_ms: settings.age_ms,
            bytes: settings.bytes,
            events: Some(settings.records).filter(|records| *records < u64::MAX),
            dedup_ms: settings.dedup_ms,
        },
        subscriptions,
        damage: state.damage,
        topic,
    }
}

fn publish(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let topic = ask.part::<TopicName>(0)?;
        let PublishQuery { durability } = query::read(ask.request.uri())?;
        control.bus.take(&topic, ask.request, None, durability, None).await
    })
}

fn purge(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let topic = ask.part::<TopicName>(0)?;
        let PurgeQuery { before } = query::read(ask.request.uri())?;
        let state = state(&control, &topic).await?;
        let removed = control.bus.log().trim(&topic, before.unwrap_or(state.next).min(state.next)).await?;
        json(StatusCode::OK, &Removed { removed })
    })
}

fn read(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let topic = ask.part::<TopicName>(0)?;
        let asked: EventsQuery = query::read(ask.request.uri())?;
        let state = control.bus.log().topic(&topic).await?;
        if state.is_none() && !asked.follow {
            return Err(topic_not_found(&topic));
        }
        let (first, next) = state.map_or((1, 1), |state| (state.first, state.next));
        let from = match (asked.from, asked.since_ms, asked.tail) {
            (Some(from), ..) => from,
            (None, Some(since_ms), _) => control.bus.log().seek(&topic, since_ms).await?,
            (None, None, Some(tail)) => next.saturating_sub(tail).max(first),
            (None, None, None) => first,
        };
        let (lines, response) = stream::lines();
        let tasks = Arc::clone(&control.tasks);
        tasks.start("event reader", async move {
            tokio::select! {
                () = write(&control, &topic, from, &asked, &lines) => {}
                () = lines.closed() => {}
            }
        });
        Ok(response)
    })
}

/// Writes events until there are no more or enough.
async fn write(
    control: &Control,
    topic: &TopicName,
    mut from: u64,
    asked: &EventsQuery,
    lines: &stream::Lines,
) {
    let mut arrivals = control.bus.arrivals(topic);
    let mut left = asked.limit.unwrap_or(u64::MAX);
    loop {
        arrivals.mark_unchanged();
        let page = match control.bus.read(topic, from, PAGE).await {
            Ok(page) => page,
            Err(fault) => {
                tracing::error!(%fault, %topic, "a topic cannot be read");
                return lines.fail(fault).await;
            }
        };
        let at_the_end = page.is_end(from);
        from = page.next;
        for placed in page.events {
            if left == 0 || !lines.send(&shown(topic, &placed)).await {
                return;
            }
            left -= 1;
        }
        if at_the_end && (!asked.follow || left == 0 || arrivals.changed().await.is_err()) {
            return;
        }
    }
}

fn shown(topic: &TopicName, placed: &Placed) -> StoredEvent {
    let stored = &placed.stored;
    StoredEvent {
        topic: topic.clone(),
        sequence: placed.sequence,
        published_ms: placed.published_ms,
        hops: stored.hops,
        cause: stored.cause.as_ref().map(|cause| CauseInfo {
            app: cause.app.clone(),
            revision: cause.revision,
            invocation: cause.invocation.map(|id| id.to_string()),
        }),
        only: stored.only.as_ref().map(|only| format!("{}/{}", only.app, only.trigger)),
        event: format::to_value(&stored.event),
    }
}

fn again(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let topic = ask.part::<TopicName>(0)?;
        let action = ask.action.clone();
        let asked: ReplayRequest = ask.json().await?;
        let prepared = control.delivery.replay(&topic, &asked).await?;
        let (lines, response) = stream::lines();
        let action = action.later();
        control.tasks.start("replay", async move {
            let told = replay(&prepared, |event| {
                let lines = lines.clone();
                async move { lines.send(&event).await }
            });
            let told = told.await;
            if let Err(fault) = &told {
                tracing::error!(%fault, "a replay ends early");
            }
            if let Err(fault) = action.end(told.as_ref().err()).await {
                tracing::error!(%fault, "a replay cannot be written into the audit log");
            }
        });
        Ok(response)
    })
}
