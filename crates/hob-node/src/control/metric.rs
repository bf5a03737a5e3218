//! Operations that measure: metrics for Prometheus, and usage.

use super::{Ask, Control, Handled, Operation, Payload, json, query};
use crate::telemetry::meter::Form;
use hob_core::access::{Need, Scope};
use hob_core::wire::{UsageQuery, UsageReport};
use hob_runtime::body;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use schemars::JsonSchema as _;
use std::sync::Arc;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "metrics.read",
        method: Some("GET"),
        path: "/v1/metrics",
        summary: "Tells all metrics in the text format of Prometheus, or in that of OpenMetrics if asked to.",
        needs: Need::Node(Scope::Observe),
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
        needs: Need::Node(Scope::Observe),
        query: None,
        request: Payload::None,
        response: Payload::Any,
        status: 200,
        handle: metrics,
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
        let accepted = ask.request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        let form = Form::accepted(accepted);
        let text = form.write(&control.scrape.metrics().await);
        let mut response = Response::new(body::full(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        Ok(response)
    })
}

fn usage(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let asked: UsageQuery = query::read(ask.request.uri())?;
        json(StatusCode::OK, &control.usage.report(&asked).await?)
    })
}
