//! Operations on what runs right now: reports of it, and stopping what is idle.

use super::{Ask, Control, Handled, Operation, Payload, json, query, stream};
use crate::clock::now_ms;
use crate::top::Top;
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::cost::Place;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{TOP_INTERVAL, TOP_WINDOW_MAX, TOP_WINDOW_MIN};
use hob_core::name::{AppName, FunctionName};
use hob_core::unit::millis;
use hob_core::wire::{Cooled, TopQuery, TopReport};
use http::StatusCode;
use schemars::JsonSchema;
use std::sync::Arc;
use tokio::time::{MissedTickBehavior, interval_at, sleep};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "top.read",
        method: Some("GET"),
        path: "/v1/top",
        summary: "Measures what functions do right now, and goes on with a report each second if asked to.",
        needs: Need::Space(Scope::Observe),
        query: Some(TopQuery::json_schema),
        request: Payload::None,
        response: Payload::Lines(|schemas| schemas.subschema_for::<TopReport>()),
        status: 200,
        handle: read,
    },
    Operation {
        id: "functions.cool",
        method: Some("POST"),
        path: "/v1/apps/{app}/functions/{function}/cool",
        summary: "Stops the idle instances of a function of the current revision, so that the next call is a cold one.",
        needs: Need::Space(Scope::Operate),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Cooled>()),
        status: 200,
        handle: cool,
    },
];

fn read(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: TopQuery = query::read(ask.request.uri())?;
        asked.window_ms.map_or(Ok(()), within)?;
        if let Some(app) = &asked.app {
            control.apps.get(app)?;
        }
        let follow = asked.follow;
        let mut top = Top::new(&control.live, &control.telemetry, control.alerts.sheet(Place::Own), asked);
        let (lines, response) = stream::lines();
        control.tasks.start("top", async move {
            let first = top.look(now_ms());
            if follow {
                tokio::select! {
                    () = go_on(&lines, top, first) => {}
                    () = lines.closed() => {}
                }
                return;
            }
            tokio::select! {
                () = sleep(top.window()) => {
                    lines.send(&top.look(now_ms())).await;
                }
                () = lines.closed() => {}
            }
        });
        Ok(response)
    })
}

/// Whether what runs now can be measured over so long.
fn within(window_ms: u64) -> Result<()> {
    let (least, most) = (millis(TOP_WINDOW_MIN), millis(TOP_WINDOW_MAX));
    if (least..=most).contains(&window_ms) {
        return Ok(());
    }
    Err(Fault::new(Code::ControlRequest, format!("`window_ms` is {window_ms}"))
        .hint(format!("ask for {least} to {most} milliseconds")))
}

/// Writes reports until the client goes or the node stops. A slow client gets fewer, not older ones.
async fn go_on(lines: &stream::Lines, mut top: Top, first: TopReport) {
    let mut ticks = interval_at(tokio::time::Instant::now() + TOP_INTERVAL, TOP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut report = first;
    while lines.send(&report).await {
        ticks.tick().await;
        report = top.look(now_ms());
    }
}

fn cool(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (app, function) = (ask.part::<AppName>(0)?, ask.part::<FunctionName>(1)?);
        let (stopped, instances) = control.dispatcher.current(&app, &function)?.pool.cool();
        json(StatusCode::OK, &Cooled { stopped, instances })
    })
}
