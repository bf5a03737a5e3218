//! Operations that measure: metrics for Prometheus, and usage.

use super::{Ask, Control, Handled, Operation, Payload, json, query};
use crate::scrape;
use crate::telemetry::meter::{Form, Metric};
use hob_core::access::{Need, Scope};
use hob_core::wire::{UsageQuery, UsageReport};
use hob_runtime::body::{self, Body};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use schemars::JsonSchema as _;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "metrics.read",
        method: Some("GET"),
        path: "/v1/metrics",
        summary: "Tells all metrics of a space in the text format of Prometheus, or in that of OpenMetrics if asked to.",
        needs: Need::Space(Scope::Observe),
        query: None,
        request: Payload::None,
        response: Payload::Any,
        status: 200,
        handle: metrics,
    },
    Operation {
        id: "metrics.scrape",
        method: Some("GET"),
        path: "/metrics",
        summary: "The same, where Prometheus looks for it.",
        needs: Need::Space(Scope::Observe),
        query: None,
        request: Payload::None,
        response: Payload::Any,
        status: 200,
        handle: metrics,
    },
    Operation {
        id: "metrics.all",
        method: Some("GET"),
        path: "/v1/metrics/all",
        summary: "Tells the metrics of every space and of the machine, for the node's operator.",
        needs: Need::Node(Scope::Observe),
        query: None,
        request: Payload::None,
        response: Payload::Any,
        status: 200,
        handle: all,
    },
    Operation {
        id: "usage.read",
        method: Some("GET"),
        path: "/v1/usage",
        summary: "Adds up what apps used: calls, time, processor time, memory, bytes.",
        needs: Need::Space(Scope::Observe),
        query: Some(UsageQuery::json_schema),
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<UsageReport>()),
        status: 200,
        handle: usage,
    },
];

fn metrics(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let metrics = control.scrape.metrics().await;
        Ok(written(&ask, &metrics))
    })
}

fn all(_: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let keeper = ask.keeper()?;
        let open = keeper.open().into_iter().map(|control| (control.space(), Arc::clone(&control.scrape)));
        let open: Vec<_> = open.collect();
        let metrics = scrape::all::metrics(&open, &keeper.list().await?).await;
        Ok(written(&ask, &metrics))
    })
}

/// Metrics in the form that was asked for.
fn written(ask: &Ask, metrics: &[Metric]) -> Response<Body> {
    let accepted = ask.request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let form = Form::accepted(accepted);
    let mut response = Response::new(body::full(form.write(metrics)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    response
}

fn usage(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: UsageQuery = query::read(ask.request.uri())?;
        json(StatusCode::OK, &control.usage.report(&asked).await?)
    })
}
