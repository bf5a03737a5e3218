//! What a handler gets: the event that Lambda would make of the same call.
//!
//! **How.** An HTTP request becomes a payload of an HTTP API or REST API (`http`). What a trigger delivers
//! becomes what the service would send from which such events come to Lambda (`delivered`, `records`).
//!
//! **Not here:** what becomes of the result (`outcome`).

mod delivered;
mod http;
mod md5;
mod records;

pub(super) use delivered::{Delivery, batch, event};
pub(super) use http::{Called, v1, v2};

use super::environment::Names;

/// The form of an event that a trigger delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As EventBridge sends it; a schedule's run as its scheduled event.
    EventBridge,
    /// A batch of messages of a queue.
    Sqs,
    /// A notification of a topic.
    Sns,
    /// A notification of a bucket.
    S3,
    /// A record of a table's stream.
    DynamoDb,
    /// The CloudEvent itself (JSON format).
    CloudEvent,
    /// The event's data alone.
    Data,
}

/// Every shape by the word for it.
const SHAPES: &[(&str, Shape)] = &[
    ("eventbridge", Shape::EventBridge),
    ("sqs", Shape::Sqs),
    ("sns", Shape::Sns),
    ("s3", Shape::S3),
    ("dynamodb", Shape::DynamoDb),
    ("cloudevent", Shape::CloudEvent),
    ("data", Shape::Data),
];

impl Shape {
    /// The shape that a word names.
    pub(super) fn parse(word: &str) -> Option<Self> {
        SHAPES.iter().find(|(known, _)| *known == word).map(|(_, shape)| *shape)
    }

    /// All words.
    pub(super) fn words() -> Vec<&'static str> {
        SHAPES.iter().map(|(word, _)| *word).collect()
    }
}

/// `arn:aws:<service>:<region>:<account>:<resource>`.
fn arn(names: &Names, service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{}:{}:{resource}", names.region, super::environment::ACCOUNT)
}
