//! Delivered events in every shape.

use crate::contract::lambda::environment::Names;
use crate::contract::lambda::event::{Delivery, Shape, batch, event};
use crate::contract::lambda::tests::code;
use hob_core::aws::letter::Letter;
use hob_core::event::Event;
use serde_json::{Value, json};

fn made(kind: &str, data: &str) -> Event {
    let mut event = Event::new("7", "https://shop.example.com/orders", kind);
    event.subject = Some("a b/c".to_owned());
    event.time = Some("2026-01-02T03:04:05Z".to_owned());
    event.datacontenttype = Some("application/json".to_owned());
    event.data = Some(data.to_owned().into());
    event
}

fn of(shape: Shape, event_of: &Event, schedule: bool) -> Value {
    let names = Names::of(&code(|_| {}));
    let delivery = Delivery {
        event: event_of,
        names: &names,
        place: "orders",
        schedule,
        sequence: 12,
        attempt: 2,
        published_ms: 1_583_348_638_390,
    };
    serde_json::from_slice(&event(shape, &delivery)).unwrap()
}

/// Goal: these fields have these values.
fn check(found: &Value, expected: &[(&str, Value)]) {
    for (path, value) in expected {
        assert_eq!(found.pointer(path), Some(value), "{path} of {found}");
    }
}

#[test]
fn events_are_what_the_services_send() {
    let order = made("order.placed", r#"{"total":7}"#);
    check(
        &of(Shape::EventBridge, &order, false),
        &[(
            "",
            json!({
                "version": "0", "id": "7", "detail-type": "order.placed", "source": "https://shop.example.com/orders",
                "account": "000000000000", "time": "2026-01-02T03:04:05Z", "region": "us-east-1", "resources": ["a b/c"],
                "detail": { "total": 7 },
            }),
        )],
    );
    check(
        &of(Shape::Sqs, &order, false),
        &[
            ("/Records/0/messageId", json!("7")),
            ("/Records/0/body", json!(r#"{"total":7}"#)),
            ("/Records/0/md5OfBody", json!("a56eb5d58dd484077cfb927035fd241b")),
            ("/Records/0/attributes/ApproximateReceiveCount", json!("2")),
            ("/Records/0/attributes/SentTimestamp", json!("1583348638390")),
            ("/Records/0/messageAttributes/type/stringValue", json!("order.placed")),
            ("/Records/0/eventSource", json!("aws:sqs")),
            ("/Records/0/eventSourceARN", json!("arn:aws:sqs:us-east-1:000000000000:orders")),
        ],
    );
    check(
        &of(Shape::Sns, &order, false),
        &[
            ("/Records/0/EventSource", json!("aws:sns")),
            ("/Records/0/Sns/Message", json!(r#"{"total":7}"#)),
            ("/Records/0/Sns/Subject", json!("a b/c")),
            ("/Records/0/Sns/MessageAttributes/type", json!({ "Type": "String", "Value": "order.placed" })),
        ],
    );
    check(&of(Shape::Data, &order, false), &[("", json!({ "total": 7 }))]);
    check(
        &of(Shape::CloudEvent, &order, false),
        &[("/specversion", json!("1.0")), ("/data/total", json!(7))],
    );
}

#[test]
fn buckets_and_tables_are_read_from_the_data() {
    let order = made("order.placed", r#"{"total":7}"#);
    let file = made("com.amazonaws.s3.objectRemoved.Delete", r#"{"bucket":"photos","size":9,"etag":"e"}"#);
    check(
        &of(Shape::S3, &file, false),
        &[
            ("/Records/0/eventName", json!("ObjectRemoved:Delete")),
            ("/Records/0/s3/bucket/name", json!("photos")),
            ("/Records/0/s3/object/key", json!("a+b/c")),
            ("/Records/0/s3/object/size", json!(9)),
            ("/Records/0/s3/object/eTag", json!("e")),
        ],
    );
    let change =
        made("row.changed", r#"{"keys":{"id":1},"new":{"id":1,"tags":["x",null,true]},"old":{"id":1}}"#);
    check(
        &of(Shape::DynamoDb, &change, false),
        &[
            ("/Records/0/eventName", json!("MODIFY")),
            ("/Records/0/dynamodb/Keys", json!({ "id": { "N": "1" } })),
            (
                "/Records/0/dynamodb/NewImage/tags",
                json!({ "L": [{ "S": "x" }, { "NULL": true }, { "BOOL": true }] }),
            ),
            ("/Records/0/dynamodb/OldImage", json!({ "id": { "N": "1" } })),
        ],
    );
    check(
        &of(Shape::DynamoDb, &order, false),
        &[
            ("/Records/0/eventName", json!("INSERT")),
            ("/Records/0/dynamodb/Keys", json!({ "id": { "S": "a b/c" } })),
            ("/Records/0/dynamodb/NewImage/total", json!({ "N": "7" })),
        ],
    );
}

#[test]
fn a_schedule_is_a_scheduled_event_or_its_input() {
    let input = made("dev.hob.schedule.fired", r#"{"job":"clean"}"#);
    assert_eq!(of(Shape::EventBridge, &input, true), json!({ "job": "clean" }));
    let mut bare = input;
    bare.data = None;
    check(
        &of(Shape::EventBridge, &bare, true),
        &[
            ("/detail-type", json!("Scheduled Event")),
            ("/source", json!("aws.events")),
            ("/resources/0", json!("arn:aws:events:us-east-1:000000000000:rule/orders")),
            ("/detail", json!({})),
        ],
    );
}

#[test]
fn several_events_are_records_or_a_list() {
    let (one, other) = (made("order.placed", r#"{"total":7}"#), made("order.paid", r#"{"total":8}"#));
    let names = Names::of(&code(|_| {}));
    let delivery = |event, sequence, attempt| Delivery {
        event,
        names: &names,
        place: "orders",
        schedule: false,
        sequence,
        attempt,
        published_ms: 5,
    };
    let deliveries = [delivery(&one, 12, 1), delivery(&other, 13, 2)];
    for (shape, expected) in [
        (
            Shape::Sqs,
            &[
                ("/Records/0/body", json!(r#"{"total":7}"#)),
                ("/Records/1/body", json!(r#"{"total":8}"#)),
                ("/Records/1/receiptHandle", json!("orders/13")),
                ("/Records/1/attributes/ApproximateReceiveCount", json!("2")),
            ][..],
        ),
        (Shape::DynamoDb, &[("/Records/1/dynamodb/SequenceNumber", json!("000000000000000000013"))]),
        (Shape::Data, &[("", json!([{ "total": 7 }, { "total": 8 }]))]),
        (Shape::CloudEvent, &[("/0/type", json!("order.placed")), ("/1/type", json!("order.paid"))]),
        (Shape::EventBridge, &[("/1/detail/total", json!(8))]),
    ] {
        check(&serde_json::from_slice(&batch(shape, &deliveries)).unwrap(), expected);
    }
}

#[test]
fn dead_letters_have_the_attributes_that_lambda_gives_them() {
    let letter = Letter {
        source: "/apps/a/functions/f".to_owned(),
        request_id: "i".to_owned(),
        code: None,
        said: "no such thing",
        payload: "{}".into(),
    };
    let letter = letter.event();
    check(
        &of(Shape::Sqs, &letter, false),
        &[
            ("/Records/0/body", json!("{}")),
            ("/Records/0/messageAttributes/RequestID/stringValue", json!("i")),
            ("/Records/0/messageAttributes/ErrorCode/stringValue", json!("200")),
            ("/Records/0/messageAttributes/ErrorCode/dataType", json!("Number")),
            ("/Records/0/messageAttributes/ErrorMessage/stringValue", json!("no such thing")),
        ],
    );
    let attribute = json!({ "Type": "String", "Value": "i" });
    check(&of(Shape::Sns, &letter, false), &[("/Records/0/Sns/MessageAttributes/RequestID", attribute)]);
}
