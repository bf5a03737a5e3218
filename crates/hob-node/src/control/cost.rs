//! Operations on money and what is watched: costs, prices, budgets, alerts.

use super::{Ask, Control, Handled, Operation, Payload, json, query};
use crate::clock::now_ms;
use hob_core::access::{Need, Scope};
use hob_core::bill;
use hob_core::code::Code;
use hob_core::fact::{About, FactQuery};
use hob_core::fault::{Fault, Result};
use hob_core::limit::FACTS_LISTED_MAX;
use hob_core::trace::TraceId;
use hob_core::wire::{AlertInfo, BudgetInfo, CostQuery, CostReport, Prices, UsageQuery, WatchQuery};
use http::StatusCode;
use schemars::JsonSchema;
use std::sync::Arc;

/// Time for which costs are added up, unless somebody says otherwise.
const WEEK_MS: u64 = 7 * 24 * 3_600_000;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "cost.get",
        method: Some("GET"),
        path: "/v1/cost",
        summary: "Adds up what was used and says what it costs, here or elsewhere.",
        needs: Need::Space(Scope::Observe),
        query: Some(CostQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<CostReport>()),
        status: 200,
        handle: cost,
    },
    Operation {
        id: "prices.get",
        method: Some("GET"),
        path: "/v1/prices",
        summary: "Shows every price sheet, and what the machine has.",
        needs: Need::Space(Scope::Read),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Prices>()),
        status: 200,
        handle: |control, _| Box::pin(async move { json(StatusCode::OK, control.alerts.prices()) }),
    },
    Operation {
        id: "budgets.list",
        method: Some("GET"),
        path: "/v1/budgets",
        summary: "Lists budgets and how they stand, by app.",
        needs: Need::Space(Scope::Read),
        query: Some(WatchQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<BudgetInfo>>()),
        status: 200,
        handle: |control, ask| {
            Box::pin(async move {
                let asked: WatchQuery = query::read(ask.request.uri())?;
                json(StatusCode::OK, &control.alerts.budgets(asked.app.as_ref()))
            })
        },
    },
    Operation {
        id: "alerts.list",
        method: Some("GET"),
        path: "/v1/alerts",
        summary: "Lists alert rules and how they stand, the node's own first.",
        needs: Need::Space(Scope::Read),
        query: Some(WatchQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<AlertInfo>>()),
        status: 200,
        handle: |control, ask| {
            Box::pin(async move {
                let asked: WatchQuery = query::read(ask.request.uri())?;
                json(StatusCode::OK, &control.alerts.list(asked.app.as_ref()))
            })
        },
    },
];

fn cost(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: CostQuery = query::read(ask.request.uri())?;
        let report = match &asked.trace {
            Some(trace) => of_trace(&control, &asked, trace).await?,
            None => of_usage(&control, asked).await?,
        };
        json(StatusCode::OK, &report)
    })
}

async fn of_usage(control: &Control, asked: CostQuery) -> Result<CostReport> {
    let (sheet, machine) = control.alerts.sheet(asked.at);
    let since_ms = asked.since_ms.unwrap_or_else(|| now_ms().saturating_sub(WEEK_MS));
    let usage = UsageQuery {
        app: asked.app.clone(),
        since_ms: Some(since_ms),
        until_ms: asked.until_ms,
        by: asked.by.clone(),
    };
    let report = control.usage.report(&usage).await?;
    // The machine has been there for as long as anything was counted on it, whatever is asked for.
    let first = UsageQuery { app: None, by: None, ..usage };
    let counted_ms = report.until_ms.saturating_sub(control.usage.report(&first).await?.since_ms);
    bill::of_usage(&sheet, machine, &report, counted_ms, asked.free_tier)
}

async fn of_trace(control: &Control, asked: &CostQuery, trace: &str) -> Result<CostReport> {
    let id = TraceId::parse(trace).ok_or_else(|| {
        Fault::new(Code::ControlRequest, format!("`{trace}` is no trace id"))
            .hint("a trace id has 32 hexadecimal digits")
    })?;
    let (sheet, machine) = control.alerts.sheet(asked.at);
    let wanted = FactQuery {
        about: About::Trace(id),
        kinds: vec!["call"],
        failed: false,
        since_ms: 0,
        until_ms: 0,
        limit: FACTS_LISTED_MAX,
    };
    let facts = control.telemetry.find(wanted).await?;
    let report = bill::of_calls(&sheet, machine, &facts)?;
    if report.rows.is_empty() {
        return Err(Fault::new(Code::ControlRequest, format!("no call of trace `{trace}` is kept"))
            .with_status(404)
            .hint("ask with the id that an answer's `traceparent` or `hob logs` shows; old traces are forgotten"));
    }
    Ok(report)
}
