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
use super::{Attribute, Event, Value, base64, media};
use crate::fault::{Fault, Result};
use crate::limit::{EVENT_ATTRIBUTES_MAX, EVENT_BATCH_BYTES_MAX, EVENT_BATCH_MAX};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Members of one event that are looked at: every attribute may be there, and as many may be `null`.
const MEMBERS_MAX: usize = 2 * EVENT_ATTRIBUTES_MAX;

/// Reads one event.
///
/// # Errors
/// `HOB-0801` when it is none, `HOB-0802` when it is too large.
pub fn read(text: &[u8]) -> Result<Event> {
    fits(text)?;
    event(serde_json::from_slice(text).map_err(|error| syntax("an event", &error))?)
}

/// Reads a batch: a list of events, which may be empty (section 4).
///
/// # Errors
/// `HOB-0801` when it is none, or one of its events is none; `HOB-0802` when it or one of them is too large.
pub fn read_batch(text: &[u8]) -> Result<Vec<Event>> {
    fits(text)?;
    let Batch(items) = serde_json::from_slice(text).map_err(|error| syntax("a batch of events", &error))?;
    let events = items.into_iter().enumerate().map(|(index, item)| {
        let members = serde_json::from_str(item.get()).map_err(|error| syntax("an event", &error));
        members.and_then(event).map_err(|fault| fault.at(format!("event {} of the batch", index + 1)))
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
/// `serde_json`; data that is nested too deeply for it is given as `data_base64`.
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
        Data::Json(raw) => serde_json::from_str(raw.get())
            .map_or_else(|_| binary(raw.get().as_bytes()), |value: serde_json::Value| ("data", value)),
        Data::Text(text) => ("data", text.into()),
        Data::Binary(bytes) => binary(bytes),
    });
    members.extend(data.map(|(name, value)| (name.to_owned(), value)));
    serde_json::Value::Object(members)
}

/// The members of an object, each with the text of its value.
struct Members<'a>(Vec<(String, &'a RawValue)>);

/// The items of a list.
struct Batch<'a>(Vec<&'a RawValue>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'a> Visitor<'a> for Object {
            type Value = Members<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = Vec::with_capacity(12);
                while let Some((name, value)) = map.next_entry::<String, &'a RawValue>()? {
                    if members.len() == MEMBERS_MAX {
                        return Err(A::Error::custom(format!("more than {MEMBERS_MAX} members")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Deserialize<'a> for Batch<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'a> Visitor<'a> for List {
            type Value = Batch<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Batch<'a>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element::<&'a RawValue>()? {
                    if items.len() == EVENT_BATCH_MAX {
                        return Err(A::Error::custom(format!("more than {EVENT_BATCH_MAX} events")));
                    }
                    items.push(item);
                }
                Ok(Batch(items))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

fn fits(text: &[u8]) -> Result<()> {
    if text.len() <= EVENT_BATCH_BYTES_MAX {
        return Ok(());
    }
    Err(too_large(format!("the JSON has {} bytes, the limit is {EVENT_BATCH_BYTES_MAX}", text.len())))
}

fn syntax(what: &str, error: &serde_json::Error) -> Fault {
    malformed(format!("the JSON is not {what}: {}", shown(&error.to_string())))
        .hint("send one object with `specversion`, `id`, `source` and `type`, or a list of such as a batch")
}

fn event(Members(members): Members<'_>) -> Result<Event> {
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
                version |= name == "specversion" && value.get() != "null";
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
        (Some(data), Some(_)) if data.get() != "null" => {
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
fn attribute(name: &str, value: &RawValue) -> Result<Option<Attribute>> {
    let text = value.get();
    Ok(Some(match text.as_bytes() {
        [b'n', ..] => return Ok(None),
        [b't', ..] => Attribute::Boolean(true),
        [b'f', ..] => Attribute::Boolean(false),
        [b'"', ..] => Attribute::String(string(name, value)?),
        [b'-' | b'0'..=b'9', ..] => Attribute::Integer(text.parse().map_err(|_| {
            malformed(format!("attribute `{}` is `{}`, which is no 32-bit integer", shown(name), shown(text)))
                .hint("send other numbers as strings")
        })?),
        _ => {
            return Err(malformed(format!("attribute `{}` is an object or a list", shown(name)))
                .hint("send a string, an integer or a boolean, and everything else in `data`"));
        }
    }))
}

/// The text of a member that has to be one; `None` for `null`.
fn text_of(name: &str, value: &RawValue) -> Result<Option<String>> {
    match value.get().as_bytes() {
        [b'n', ..] => Ok(None),
        [b'"', ..] => string(name, value).map(Some),
        _ => Err(malformed(format!("the member `{}` is not a string", shown(name)))),
    }
}

fn string(name: &str, value: &RawValue) -> Result<String> {
    serde_json::from_str(value.get())
        .map_err(|error| malformed(format!("the string `{}` is not valid: {error}", shown(name))))
}

/// The bytes of `data`, by its media type (section 3.1.2).
fn read_data(event: &Event, value: &RawValue) -> Result<Option<Bytes>> {
    if event.is_json() {
        return Ok(Some(Bytes::copy_from_slice(value.get().as_bytes())));
    }
    let text = text_of("data", value).map_err(|fault| {
        fault.hint("send `data` as a string, or set `datacontenttype` to `application/json`")
    });
    Ok(text?.map(Bytes::from))
}

/// The data in the form that its media type asks for (section 3.1.1).
enum Data<'a> {
    Json(&'a RawValue),
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
        _ => serde_json::from_slice(data).ok().map(Data::Json),
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
        Some(Data::Json(raw)) => {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(raw.get().as_bytes());
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
