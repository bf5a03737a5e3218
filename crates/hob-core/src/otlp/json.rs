//! Requests of guests, read from JSON (OTLP 1.x, "JSON Protobuf Encoding"): names in lowerCamelCase, ids in
//! hexadecimal, enums as numbers, whole numbers of 64 bits as text or numbers; what is unknown is ignored.

use super::read::Pairs;
use super::{Attributes, Kind, Limits, Log, Received, Span, Told, Value};
use crate::event::base64;
use crate::trace::{SpanId, TraceId};
use serde_json::Value as Json;

type Read<T> = Result<T, String>;

pub(super) fn spans(body: &[u8], limits: Limits) -> Read<Received<Span>> {
    request(body, ["resourceSpans", "scopeSpans", "spans"], limits, span)
}

pub(super) fn logs(body: &[u8], limits: Limits) -> Read<Received<Log>> {
    request(body, ["resourceLogs", "scopeLogs", "logRecords"], limits, |json, limits| {
        log(json, limits).map(Some)
    })
}

/// A span of nothing yet.
pub(super) fn empty_span() -> Span {
    Span {
        trace: TraceId(0),
        span: SpanId(0),
        parent: None,
        name: String::new(),
        kind: Kind::Internal,
        start_ns: 0,
        end_ns: 0,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        failed: None,
    }
}

fn request<T>(
    body: &[u8],
    [resources, scopes, items]: [&str; 3],
    limits: Limits,
    item: fn(&Json, Limits) -> Read<Option<T>>,
) -> Read<Received<T>> {
    let json: Json = serde_json::from_slice(body).map_err(|error| format!("it is no JSON: {error}"))?;
    if !json.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    let mut received = Received { told: Vec::new(), rejected: 0 };
    let mut left = limits.items;
    for of_resource in list(&json, resources) {
        for of_scope in list(of_resource, scopes) {
            let scope = text(&of_scope["scope"], "name");
            let mut told = Told { resource: Vec::new(), scope, items: Vec::new() };
            for json in list(of_scope, items) {
                match if left > 0 { item(json, limits)? } else { None } {
                    Some(one) => {
                        told.items.push(one);
                        left -= 1;
                    }
                    None => received.rejected += 1,
                }
            }
            if !told.items.is_empty() {
                received.told.push(told);
            }
        }
    }
    Ok(received)
}

fn span(json: &Json, limits: Limits) -> Read<Option<Span>> {
    let trace = TraceId::parse(&text(json, "traceId"));
    let id = SpanId::parse(&text(json, "spanId"));
    let Some((trace, span)) = trace.zip(id) else { return Ok(None) };
    let mut events = Vec::new();
    for event in list(json, "events").take(limits.attributes) {
        events.push((text(event, "name"), number(event, "timeUnixNano"), attributes(event, limits)?));
    }
    let mut links = Vec::new();
    for link in list(json, "links").take(limits.attributes) {
        let ids = TraceId::parse(&text(link, "traceId")).zip(SpanId::parse(&text(link, "spanId")));
        if let Some((trace, span)) = ids {
            links.push((trace, span, attributes(link, limits)?));
        }
    }
    Ok(Some(Span {
        trace,
        span,
        parent: SpanId::parse(&text(json, "parentSpanId")),
        name: text(json, "name"),
        kind: Kind::of_number(i64::try_from(number(json, "kind")).unwrap_or(0)),
        start_ns: number(json, "startTimeUnixNano"),
        end_ns: number(json, "endTimeUnixNano"),
        attributes: attributes(json, limits)?,
        events,
        links,
        failed: (number(&json["status"], "code") == 2).then(|| text(&json["status"], "message")),
    }))
}

fn log(json: &Json, limits: Limits) -> Read<Log> {
    Ok(Log {
        time_ns: number(json, "timeUnixNano"),
        observed_ns: number(json, "observedTimeUnixNano"),
        severity: u8::try_from(number(json, "severityNumber")).unwrap_or(0),
        severity_text: text(json, "severityText"),
        body: value(&json["body"], limits.depth)?,
        attributes: attributes(json, limits)?,
        trace: TraceId::parse(&text(json, "traceId")),
        span: SpanId::parse(&text(json, "spanId")),
        event: text(json, "eventName"),
    })
}

fn list<'a>(json: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    json.get(name).and_then(Json::as_array).into_iter().flatten()
}

fn text(json: &Json, name: &str) -> String {
    json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// A number, or a text that is one.
fn number(json: &Json, name: &str) -> u64 {
    let found = json.get(name);
    let number = found.and_then(Json::as_u64);
    number.or_else(|| found?.as_str()?.parse().ok()).unwrap_or(0)
}

fn attributes(json: &Json, limits: Limits) -> Read<Attributes> {
    let mut pairs = Pairs::new(limits);
    for pair in list(json, "attributes") {
        pairs.push(text(pair, "key"), || value(&pair["value"], limits.depth))?;
    }
    Ok(pairs.done())
}

fn value(json: &Json, depth: usize) -> Read<Value> {
    let deeper = depth.checked_sub(1).ok_or_else(|| "a value is nested too deeply".to_owned())?;
    let Some((kind, inner)) = json.as_object().and_then(|object| object.iter().next()) else {
        return Ok(Value::None);
    };
    Ok(match kind.as_str() {
        "stringValue" => Value::Text(inner.as_str().unwrap_or_default().to_owned()),
        "boolValue" => Value::Bool(inner.as_bool().unwrap_or_default()),
        "intValue" => {
            let number = inner.as_i64().or_else(|| inner.as_str()?.parse().ok());
            Value::Int(number.unwrap_or_default())
        }
        "doubleValue" => {
            let number = inner.as_f64().or_else(|| inner.as_str()?.parse().ok());
            Value::Double(number.unwrap_or_default())
        }
        "bytesValue" => Value::Bytes(base64::decode(inner.as_str().unwrap_or_default()).unwrap_or_default()),
        "arrayValue" => {
            Value::List(list(inner, "values").map(|item| value(item, deeper)).collect::<Read<_>>()?)
        }
        "kvlistValue" => {
            let pairs = list(inner, "values");
            Value::Map(
                pairs
                    .map(|pair| Ok((text(pair, "key"), value(&pair["value"], deeper)?)))
                    .collect::<Read<_>>()?,
            )
        }
        _ => Value::None,
    })
}
