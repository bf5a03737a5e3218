//! What a trigger delivers, as the event that would come to Lambda.

use super::super::environment::{ACCOUNT, Names};
use super::{Shape, arn, records};
use hob_core::event::{Event, base64, json, timestamp};
use serde_json::{Value, json};

/// One delivery of an event.
pub(in super::super) struct Delivery<'a> {
    pub(in super::super) event: &'a Event,
    pub(in super::super) names: &'a Names,
    /// The topic, or the name of the schedule.
    pub(in super::super) place: &'a str,
    /// Whether a schedule brings it.
    pub(in super::super) schedule: bool,
    /// Its number in the topic.
    pub(in super::super) sequence: u64,
    /// Which attempt it is, from 1.
    pub(in super::super) attempt: u32,
    /// When it was published, milliseconds since the Unix epoch.
    pub(in super::super) published_ms: u64,
}

/// The event of a shape.
pub(in super::super) fn event(shape: Shape, delivery: &Delivery<'_>) -> Vec<u8> {
    let value = match shape {
        Shape::EventBridge => event_bridge(delivery),
        Shape::Sqs => records::sqs(delivery),
        Shape::Sns => records::sns(delivery),
        Shape::S3 => records::s3(delivery),
        Shape::DynamoDb => records::dynamodb(delivery),
        Shape::CloudEvent => return json::write(delivery.event),
        Shape::Data => match &delivery.event.data {
            Some(data) if delivery.event.is_json() => return data.to_vec(),
            _ => data(delivery.event),
        },
    };
    value.to_string().into_bytes()
}

/// The event of a shape that brings several: their records together, or a list of what has no records.
pub(in super::super) fn batch(shape: Shape, deliveries: &[Delivery<'_>]) -> Vec<u8> {
    let each = deliveries.iter().map(|delivery| event(shape, delivery));
    if !matches!(shape, Shape::Sqs | Shape::Sns | Shape::S3 | Shape::DynamoDb) {
        let mut list = each.collect::<Vec<_>>().join(&b',');
        list.insert(0, b'[');
        list.push(b']');
        return list;
    }
    let records = each.filter_map(|event| match serde_json::from_slice(&event).ok()? {
        Value::Object(mut event) => event.remove("Records"),
        _ => None,
    });
    let all: Vec<Value> =
        records.flat_map(|records| records.as_array().cloned().unwrap_or_default()).collect();
    json!({ "Records": all }).to_string().into_bytes()
}

/// The data of an event as a JSON value: itself if it is JSON, text, or base64 of what is neither.
pub(super) fn data(event: &Event) -> Value {
    let Some(data) = &event.data else { return Value::Null };
    let parsed = if event.is_json() { serde_json::from_slice(data).ok() } else { None };
    parsed.unwrap_or_else(|| Value::from(text(event)))
}

/// The data of an event as text.
pub(super) fn text(event: &Event) -> String {
    let Some(data) = &event.data else { return String::new() };
    std::str::from_utf8(data).map_or_else(|_| base64::encode(data), str::to_owned)
}

impl Delivery<'_> {
    /// When it was made.
    pub(super) fn time(&self) -> String {
        self.event.time.clone().unwrap_or_else(|| timestamp(self.published_ms))
    }
}

/// EventBridge's envelope. A schedule with data gives the data alone, as a rule with constant input does.
fn event_bridge(delivery: &Delivery<'_>) -> Value {
    let (event, names) = (delivery.event, delivery.names);
    let envelope = |kind: &str, source: &str, resources: Value, detail: Value| {
        json!({
            "version": "0", "id": event.id, "detail-type": kind, "source": source, "account": ACCOUNT,
            "time": delivery.time(), "region": names.region, "resources": resources, "detail": detail,
        })
    };
    if !delivery.schedule {
        let resources: Vec<&str> = event.subject.as_deref().into_iter().collect();
        return envelope(&event.kind, &event.source, json!(resources), data(event));
    }
    if event.data.is_some() {
        return data(event);
    }
    let rule = arn(names, "events", &format!("rule/{}", delivery.place));
    envelope("Scheduled Event", "aws.events", json!([rule]), json!({}))
}
