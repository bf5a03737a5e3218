//! The JSON event format and its batches, both ways (CloudEvents JSON format 1.0.2).
//!
//! **Why.** It is the one format that everybody has to speak, and the one that people read.
//!
//! **How.** Members are found first and looked at one by one, so that `data` is never built as a value:
//! its text goes through as it came, with every digit of its numbers. `null` is absence (section 2.2),
//! except for `data` that is JSON, where it is a value (section 3.1.1).
//!
//! **Lenient:** `data_base64` may lack its padding, and may stand beside a `data` that is `null`.

use super::check::{malformed, shown, too_large};
use super::{Attribute, Event, Value, base64, media, scan};
use crate::fault::{Fault, Result};
use crate::limit::{EVENT_ATTRIBUTES_MAX, EVENT_BATCH_BYTES_MAX, EVENT_BATCH_MAX};
use bytes::Bytes;
use serde::de::IgnoredAny;

/// Members of one event that are looked at: every attribute may be there, and as many may be `null`.
const MEMBERS_MAX: usize = 2 * EVENT_ATTRIBUTES_MAX;

/// Reads one event.
///
/// # Errors
/// `HOB-0801` when it is none, `HOB-0802` when it is too large.
pub fn read(text: &[u8]) -> Result<Event> {
    event(fits(text)?)
}

/// Reads a batch: a list of events, which may be empty (section 4).
///
/// # Errors
/// `HOB-0801` when it is none, or one of its events is none; `HOB-0802` when it or one of them is too large.
pub fn read_batch(text: &[u8]) -> Result<Vec<Event>> {
    let text = fits(text)?;
    let items = scan::items(text, EVENT_BATCH_MAX)
        .ok_or_else(|| syntax(text, &format!("a batch of at most {EVENT_BATCH_MAX} events")))?;
    let events = items.into_iter().enumerate().map(|(index, item)| {
        event(item).map_err(|fault| fault.at(format!("event {} of the batch", index + 1)))
    });
    events.collect()
}

/// Writes one event; its media type is `application/cloudevents+json`. JSON data keeps its text, line
/// ends included.
pub fn write(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.bytes() * 4 / 3 + 128);
    write_to(&mut out, event);
    out
}

/// Writes a batch; its media type is `application/cloudevents-batch+json`.
pub fn write_batch(events: &[Event]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_to(&mut out, event);
    }
    out.push(b']');
    out
}

/// One event as a value, for answers that contain it. Numbers of the data are then as exact as those of
/// `serde_json`; data that it cannot hold, nested too deeply or with too large a number, is given as
/// `data_base64`.
pub fn to_value(event: &Event) -> serde_json::Value {
    let mut members = serde_json::Map::new();
    for (name, value) in event.attributes() {
        let value = match value {
            Value::Boolean(value) => value.into(),
            Value::Integer(value) => value.into(),
            Value::String(value) => value.into(),
        };
        members.insert(name.to_owned(), value);
    }
    let binary = |bytes: &[u8]| ("data_base64", base64::encode(bytes).into());
    let data = data(event).map(|data| match data {
        Data::Json(json) => serde_json::from_str(json)
            .map_or_else(|_| binary(json.as_bytes()), |value: serde_json::Value| ("data", value)),
        Data::Text(text) => ("data", text.into()),
        Data::Binary(bytes) => binary(bytes),
    });
    members.extend(data.map(|(name, value)| (name.to_owned(), value)));
    serde_json::Value::Object(members)
}

fn fits(text: &[u8]) -> Result<&str> {
    if text.len() > EVENT_BATCH_BYTES_MAX {
        return Err(too_large(format!(
            "the JSON has {} bytes, the limit is {EVENT_BATCH_BYTES_MAX}",
            text.len()
        )));
    }
    std::str::from_utf8(text).map_err(|error| malformed(format!("the JSON is not UTF-8: {error}")))
}

/// Why a text is not what it should be: it is no JSON at all, or something else.
fn syntax(text: &str, what: &str) -> Fault {
    let why = match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => format!("what was sent is not JSON: {error}"),
        Ok(_) => format!("the JSON is not {what}"),
    };
    malformed(why)
        .hint("send an object with `specversion`, `id`, `source` and `type`, or a list of such as a batch")
}

fn event(text: &str) -> Result<Event> {
    let members = scan::members(text, MEMBERS_MAX)
        .ok_or_else(|| syntax(text, &format!("an object of at most {MEMBERS_MAX} members")))?;
    let mut event = Event::new("", "", "");
    let (mut data, mut binary, mut version) = (None, None, false);
    for (index, (name, value)) in members.iter().enumerate() {
        if members[..index].iter().any(|(other, _)| other == name) {
            return Err(malformed(format!("the member `{}` is there twice", shown(name))));
        }
        match name.as_str() {
            "data" => data = Some(*value),
            "data_base64" => binary = text_of(name, value)?,
            _ => {
                version |= name == "specversion" && *value != "null";
                if let Some(value) = attribute(name, value)? {
                    event.assign(name, value)?;
                }
            }
        }
    }
    if !version {
        return Err(malformed("the event has no `specversion`").hint("set `specversion` to `1.0`"));
    }
    event.data = match (data, binary) {
        (Some(data), Some(_)) if data != "null" => {
            return Err(malformed("the event has both `data` and `data_base64`").hint("send one of them"));
        }
        (_, Some(text)) => Some(
            base64::decode(&text)
                .ok_or_else(|| {
                    malformed("`data_base64` is not base64").hint("use the alphabet of RFC 4648, section 4")
                })?
                .into(),
        ),
        (Some(data), None) => read_data(&event, data)?,
        (None, None) => None,
    };
    event.check()?;
    Ok(event)
}

/// The value of a member that is an attribute; `None` for `null`.
fn attribute(name: &str, value: &str) -> Result<Option<Attribute>> {
    Ok(Some(match value.as_bytes() {
        [b'n', ..] => return Ok(None),
        [b't', ..] => Attribute::Boolean(true),
        [b'f', ..] => Attribute::Boolean(false),
        [b'"', ..] => Attribute::String(string(name, value)?),
        [b'-' | b'0'..=b'9', ..] => Attribute::Integer(value.parse().map_err(|_| {
            malformed(format!(
                "attribute `{}` is `{}`, which is no 32-bit integer",
                shown(name),
                shown(value)
            ))
            .hint("send other numbers as strings")
        })?),
        _ => {
            return Err(malformed(format!("attribute `{}` is an object or a list", shown(name)))
                .hint("send a string, an integer or a boolean, and everything else in `data`"));
        }
    }))
}

/// The text of a member that has to be one; `None` for `null`.
fn text_of(name: &str, value: &str) -> Result<Option<String>> {
    match value.as_bytes() {
        [b'n', ..] => Ok(None),
        [b'"', ..] => string(name, value).map(Some),
        _ => Err(malformed(format!("the member `{}` is not a string", shown(name)))),
    }
}

fn string(name: &str, value: &str) -> Result<String> {
    serde_json::from_str(value)
        .map_err(|error| malformed(format!("the string `{}` is not valid: {error}", shown(name))))
}

/// The bytes of `data`, by its media type (section 3.1.2).
fn read_data(event: &Event, value: &str) -> Result<Option<Bytes>> {
    if event.is_json() {
        return Ok(Some(Bytes::copy_from_slice(value.as_bytes())));
    }
    let text = text_of("data", value).map_err(|fault| {
        fault.hint("send `data` as a string, or set `datacontenttype` to `application/json`")
    });
    Ok(text?.map(Bytes::from))
}

/// The data in the form that its media type asks for (section 3.1.1).
enum Data<'a> {
    Json(&'a str),
    Text(&'a str),
    Binary(&'a [u8]),
}

/// Data that is not what its media type says is written as bytes, since nothing is to be lost.
fn data(event: &Event) -> Option<Data<'_>> {
    let data: &[u8] = event.data.as_ref()?;
    let form = match &event.datacontenttype {
        Some(media) if !media::is_json(media) => {
            let text = media::is_text(media) && !media::is_foreign_charset(media);
            text.then(|| std::str::from_utf8(data).ok()).flatten().map(Data::Text)
        }
        _ => scan::value(data).map(Data::Json),
    };
    Some(form.unwrap_or(Data::Binary(data)))
}

/// Whether the data is JSON, not only by its name.
pub(super) fn has_json(event: &Event) -> bool {
    matches!(data(event), Some(Data::Json(_)))
}

fn write_to(out: &mut Vec<u8>, event: &Event) {
    let mut separator = b'{';
    for (name, value) in event.attributes() {
        out.push(separator);
        separator = b',';
        write_string(out, name);
        out.push(b':');
        match value {
            Value::String(text) => write_string(out, text),
            Value::Boolean(_) | Value::Integer(_) => out.extend_from_slice(value.text().as_bytes()),
        }
    }
    match data(event) {
        Some(Data::Json(json)) => {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(json.as_bytes());
        }
        Some(Data::Text(text)) => {
            out.extend_from_slice(br#","data":"#);
            write_string(out, text);
        }
        Some(Data::Binary(bytes)) => {
            out.extend_from_slice(br#","data_base64":""#);
            out.extend_from_slice(base64::encode(bytes).as_bytes());
            out.push(b'"');
        }
        None => {}
    }
    out.push(b'}');
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is written to memory");
}
