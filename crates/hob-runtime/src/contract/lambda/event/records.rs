//! Events as records of a batch of one: queue, notifications, bucket, table (Lambda developer guide,
//! "Invoking Lambda with events from other AWS services").

use super::super::environment::ACCOUNT;
use super::arn;
use super::delivered::{Delivery, data, text};
use super::md5::md5;
use hob_core::aws::letter;
use hob_core::event::Event;
use serde_json::{Map, Value, json};

/// A message of a queue; the event's attributes are its attributes.
pub(super) fn sqs(delivery: &Delivery<'_>) -> Value {
    let (event, names) = (delivery.event, delivery.names);
    let body = text(event);
    let sent = delivery.published_ms.to_string();
    json!({ "Records": [{
        "messageId": event.id,
        "receiptHandle": format!("{}/{}", delivery.place, delivery.sequence),
        "md5OfBody": md5(body.as_bytes()),
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": delivery.attempt.to_string(),
            "SentTimestamp": sent,
            "SenderId": ACCOUNT,
            "ApproximateFirstReceiveTimestamp": sent,
        },
        "messageAttributes": attributes(event, |value, kind| json!({
            "stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": kind,
        })),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn(names, "sqs", delivery.place),
        "awsRegion": names.region,
    }] })
}

/// A notification of a topic.
pub(super) fn sns(delivery: &Delivery<'_>) -> Value {
    let (event, names) = (delivery.event, delivery.names);
    let topic = arn(names, "sns", delivery.place);
    json!({ "Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": format!("{topic}:{}", names.function),
        "Sns": {
            "Type": "Notification",
            "MessageId": event.id,
            "TopicArn": topic,
            "Subject": event.subject,
            "Message": text(event),
            "Timestamp": delivery.time(),
            "SignatureVersion": "1",
            "Signature": "",
            "SigningCertUrl": "",
            "UnsubscribeUrl": "",
            "MessageAttributes": attributes(event, |value, kind| json!({ "Type": kind, "Value": value })),
        },
    }] })
}

fn attributes(event: &Event, shape: impl Fn(&str, &str) -> Value) -> Map<String, Value> {
    let each = event.attributes().map(|(name, value)| {
        let (name, kind) = letter::attribute(event, name);
        (name.to_owned(), shape(&value.text(), kind))
    });
    each.collect()
}

/// A notification of a bucket. Data that is one already stays so; else bucket and key are taken from the data,
/// or from the event's source and subject.
pub(super) fn s3(delivery: &Delivery<'_>) -> Value {
    let (event, names) = (delivery.event, delivery.names);
    let data = data(event);
    if data["Records"].is_array() {
        return data;
    }
    let named = |paths: &[&str]| paths.iter().find_map(|path| data.pointer(path)).cloned();
    let word = |paths: &[&str]| named(paths).and_then(|value| value.as_str().map(str::to_owned));
    let bucket = word(&["/bucket/name", "/bucket"])
        .unwrap_or_else(|| event.source.rsplit(['/', '.', ':']).next().unwrap_or_default().to_owned());
    let key = word(&["/object/key", "/key"]).or_else(|| event.subject.clone()).unwrap_or_default();
    let what = event.kind.to_ascii_lowercase();
    let removed = ["delet", "remov"].iter().any(|word| what.contains(word));
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": names.region,
        "eventTime": delivery.time(),
        "eventName": if removed { "ObjectRemoved:Delete" } else { "ObjectCreated:Put" },
        "userIdentity": { "principalId": ACCOUNT },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": { "x-amz-request-id": event.id, "x-amz-id-2": event.id },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": delivery.place,
            "bucket": { "name": bucket, "ownerIdentity": { "principalId": ACCOUNT }, "arn": format!("arn:aws:s3:::{bucket}") },
            "object": {
                "key": form_encoded(&key),
                "size": named(&["/object/size", "/size"]).unwrap_or_else(|| json!(0)),
                "eTag": word(&["/object/etag", "/object/eTag", "/etag", "/eTag"]).unwrap_or_default(),
                "sequencer": format!("{:016X}", delivery.sequence),
            },
        },
    }] })
}

/// A text as a key of S3's notifications has it: percent-encoded, spaces as pluses, slashes as they are.
fn form_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'*' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// A record of a table's stream. Data with `keys`, `new` and `old` says what changed; other data is what is new.
pub(super) fn dynamodb(delivery: &Delivery<'_>) -> Value {
    let (event, names) = (delivery.event, delivery.names);
    let data = data(event);
    let apart = data.get("new").is_some() || data.get("old").is_some();
    let part = |name: &str| data.get(name).filter(|value| value.is_object()).cloned();
    let (new, old) = if apart { (part("new"), part("old")) } else { (Some(data.clone()), None) };
    let keys = part("keys").unwrap_or_else(|| match &event.subject {
        Some(subject) => json!({ "id": subject }),
        None => json!({}),
    });
    let name = match (&new, &old) {
        (Some(_), Some(_)) => "MODIFY",
        (None, Some(_)) => "REMOVE",
        _ => "INSERT",
    };
    let mut change = json!({
        "ApproximateCreationDateTime": delivery.published_ms / 1000,
        "Keys": attribute_map(&keys),
        "SequenceNumber": format!("{:021}", delivery.sequence),
        "SizeBytes": event.data.as_ref().map_or(0, bytes::Bytes::len),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    for (name, image) in [("NewImage", new), ("OldImage", old)] {
        if let Some(image) = image {
            change[name] = attribute_map(&image);
        }
    }
    json!({ "Records": [{
        "eventID": event.id,
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": names.region,
        "dynamodb": change,
        "eventSourceARN": arn(names, "dynamodb", &format!("table/{}/stream/1", delivery.place)),
    }] })
}

/// A JSON object as attributes of an item; what is no object has one attribute.
fn attribute_map(value: &Value) -> Value {
    match value.as_object() {
        Some(object) => {
            object.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
        }
        None => json!({ "value": attribute(value) }),
    }
}

/// A value with its type (DynamoDB API, `AttributeValue`).
fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(truth) => json!({ "BOOL": truth }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(items) => json!({ "L": items.iter().map(attribute).collect::<Vec<_>>() }),
        Value::Object(_) => json!({ "M": attribute_map(value) }),
    }
}

#[cfg(test)]
mod tests;
