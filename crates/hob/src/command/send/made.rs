//! An event from what stands on the command line.

use crate::command::moment::now_ms;
use hob_core::code::Code;
use hob_core::event::{Event, timestamp};
use hob_core::fault::{Fault, Result};
use serde::de::IgnoredAny;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Where events are from unless the command line says it.
const SOURCE: &str = "hob-cli";

/// The attributes of events that come as data.
#[derive(clap::Args)]
#[command(next_help_heading = "Attributes")]
pub(super) struct Made {
    /// What has happened, such as `order.placed`; needed unless whole events are given
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Where it happened, a URI or a path [default: hob-cli]
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// Unique for each event of the source; of lines the beginning, their number follows [default: a
    /// random one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// What it is about
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// The `partitionkey`: what keeps events in order
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Any other attribute; repeat for several
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Media type of the data [default: JSON, text or bytes, as it is]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

impl Made {
    /// Whether anything is said.
    pub(super) fn is_some(&self) -> bool {
        let texts = [&self.kind, &self.source, &self.id, &self.subject, &self.key, &self.content_type];
        texts.iter().any(|text| text.is_some()) || !self.set.is_empty()
    }

    /// Whether data becomes events.
    pub(super) fn has_type(&self) -> bool {
        self.kind.is_some()
    }

    /// The event of this data; `line` is its line among many.
    ///
    /// # Errors
    /// `HOB-0111` without a type, `HOB-0801` and `HOB-0802` for what no event may be.
    pub(super) fn event(&self, data: Option<Vec<u8>>, line: Option<u64>) -> Result<Event> {
        let kind = self.kind.as_deref().ok_or_else(|| {
            Fault::new(Code::Usage, "the event has no type")
                .hint("say what has happened, such as `--type order.placed`, or give a whole event with `--event FILE`")
        })?;
        let id = match (&self.id, line) {
            (Some(id), Some(line)) => format!("{id}-{line}"),
            (Some(id), None) => id.clone(),
            (None, _) => random_id(),
        };
        let mut event = Event::new(id, self.source.as_deref().unwrap_or(SOURCE), kind);
        event.subject.clone_from(&self.subject);
        event.time = Some(timestamp(now_ms()));
        event.datacontenttype = data
            .as_deref()
            .map(|data| self.content_type.clone().unwrap_or_else(|| media_of(data).to_owned()));
        event.data = data.map(Into::into);
        if let Some(key) = &self.key {
            event.set_extension("partitionkey", key.clone());
        }
        for (name, value) in &self.set {
            assign(&mut event, name, value)?;
        }
        event.check()?;
        Ok(event)
    }
}

fn assign(event: &mut Event, name: &str, value: &str) -> Result<()> {
    let value = value.to_owned();
    match name {
        "id" => event.id = value,
        "source" => event.source = value,
        "type" => event.kind = value,
        "subject" => event.subject = Some(value),
        "time" => event.time = Some(value),
        "dataschema" => event.dataschema = Some(value),
        "datacontenttype" => event.datacontenttype = Some(value),
        "specversion" if value == hob_core::event::SPECVERSION => {}
        "specversion" | "data" | "data_base64" => {
            return Err(Fault::new(Code::Usage, format!("`{name}` cannot be set"))
                .hint("data is an argument of its own; the version is always `1.0`"));
        }
        _ => event.set_extension(name, value),
    }
    Ok(())
}

/// What data is, by its bytes.
fn media_of(data: &[u8]) -> &'static str {
    if serde_json::from_slice::<IgnoredAny>(data).is_ok() {
        return "application/json";
    }
    if std::str::from_utf8(data).is_ok() { "text/plain" } else { "application/octet-stream" }
}

/// A random UUID (version 4; RFC 9562, 5.4). The standard library seeds its hashers from the system and
/// no two alike, which is as much chance as an id needs.
fn random_id() -> String {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    let bits = half() << 64 | half();
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is no attribute; write `NAME=VALUE`"))
}

#[cfg(test)]
mod tests {
    use super::{media_of, random_id};

    #[test]
    fn data_is_recognised_and_ids_differ() {
        for (data, media) in [
            (&b"{\"a\": 1}\n"[..], "application/json"),
            (b"17", "application/json"),
            (b"hello", "text/plain"),
            (b"", "text/plain"),
            (b"\xff\xfe", "application/octet-stream"),
        ] {
            assert_eq!(media_of(data), media, "{data:?}");
        }
        let id = random_id();
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        assert_ne!(id, random_id());
    }
}
