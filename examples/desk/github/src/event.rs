//! The event that a delivery becomes (CloudEvents 1.0.2, HTTP binding, binary mode).
//!
//! **How.** The delivery's id is the event's: when GitHub delivers again, it is the same event, and the
//! topic takes it once. The type tells kind and action, which is what filters look at.

use crate::delivery::Delivery;
use serde_json::Value;

/// Where what has a number keeps it.
const NUMBERED: &[&str] = &["issue", "pull_request", "discussion"];

/// The headers of the request that publishes it; the body is the delivery's.
pub fn headers(delivery: &Delivery) -> Vec<(&'static str, String)> {
    let mut kind = format!("com.github.{}", delivery.event);
    if let Some(action) = delivery.payload["action"].as_str() {
        kind.push('.');
        kind.push_str(action);
    }
    let mut headers = vec![
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", encode(&delivery.id)),
        ("ce-source", encode(&source(&delivery.payload))),
        ("ce-type", encode(&kind)),
        ("content-type", "application/json".to_owned()),
    ];
    headers.extend(subject(&delivery.payload).map(|subject| ("ce-subject", encode(&subject))));
    headers
}

/// The repository's address; that of the organization, or GitHub's, for what is of no repository.
fn source(payload: &Value) -> String {
    let place =
        payload["repository"]["full_name"].as_str().or_else(|| payload["organization"]["login"].as_str());
    place.map_or_else(|| "https://github.com".to_owned(), |place| format!("https://github.com/{place}"))
}

/// The number of an issue, pull request or discussion, the tag of a release, or a branch.
fn subject(payload: &Value) -> Option<String> {
    if let Some(number) = NUMBERED.iter().find_map(|name| payload[*name]["number"].as_u64()) {
        return Some(number.to_string());
    }
    let name = payload["release"]["tag_name"].as_str().or_else(|| payload["ref"].as_str())?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// A value as a header may hold it: all but visible ASCII is percent-encoded, and `"` and `%` are
/// (CloudEvents HTTP binding 1.0.2, section 3.1.3.2).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
