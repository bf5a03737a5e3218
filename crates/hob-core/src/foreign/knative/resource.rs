//! One document of Kubernetes: kind, name, annotations; and the quantities that it writes.

use crate::foreign::fields::{Fields, met};
use crate::foreign::note::Notes;
use crate::foreign::tree::{Entry, Node};
use std::time::Duration;

/// A document.
pub(super) struct Resource<'a> {
    pub(super) line: usize,
    group: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) node: &'a Node,
}

/// Whether a document is of one of these groups of the API.
pub(super) fn any(documents: &[Node], groups: &[&str]) -> bool {
    let of = |document: &Node| {
        document
            .get("apiVersion")
            .and_then(Node::text)
            .is_some_and(|version| groups.iter().any(|group| version.split('/').next() == Some(group)))
    };
    documents.iter().any(of)
}

impl<'a> Resource<'a> {
    /// Reads what every document has; what is none is refused.
    pub(super) fn of(node: &'a Node, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(node, "", notes);
        let version = fields.text("apiVersion", notes)?;
        let kind = fields.text("kind", notes)?;
        let Some(metadata) = fields.take("metadata") else {
            notes.refuse(node.line, "metadata", "it is needed");
            return None;
        };
        let mut own = Fields::of(&metadata.value, "metadata", notes);
        let name = own.text("name", notes)?;
        let all = [met("namespace"), met("labels"), met("annotations"), met("generation"), met("uid")];
        let made = [met("resourceVersion"), met("creationTimestamp"), met("selfLink"), met("generateName")];
        own.end(&[&all, &made], notes);
        fields.end(
            &[&[met("spec"), met("status"), met("data"), met("stringData"), met("type"), met("immutable")]],
            notes,
        );
        let group = version.value.split('/').next().unwrap_or_default().to_owned();
        Some(Self { line: kind.line, group, kind: kind.value, name: name.value, node })
    }

    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// Annotations or labels, here or below a path.
    pub(super) fn marks(&self, path: &[&str]) -> &'a [Entry] {
        self.node.at(path).and_then(Node::entries).unwrap_or_default()
    }
}

/// A quantity such as `512Mi`, `1G` or `128974848` in bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    match number.split_once('.') {
        None => number.parse::<u64>().ok()?.checked_mul(factor),
        Some((whole, tenths)) => {
            let tenth = tenths.chars().next()?.to_digit(10)?;
            let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
            Some(whole + u64::from(tenth) * factor / 10)
        }
    }
}

/// A time as Go writes it (`1m30s`, `0s`) or ISO 8601 does (`PT0.5S`).
pub(super) fn time(text: &str) -> Option<Duration> {
    if text.starts_with('P') {
        return text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    }
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        total = total.checked_add(crate::unit::parse_duration(&rest[..unit]).ok()?)?;
        rest = &rest[unit..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::{bytes, time};
    use std::time::Duration;

    #[test]
    fn quantities_and_times_of_kubernetes() {
        for (text, value) in [
            ("512Mi", Some(512 << 20)),
            ("1G", Some(1_000_000_000)),
            ("1.5Gi", Some(3 << 29)),
            ("7", Some(7)),
            ("1Ti", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), value, "{text}");
        }
        for (text, value) in [
            ("1m30s", Some(90_000)),
            ("0s", Some(0)),
            ("PT0.5S", Some(500)),
            ("PT1M", Some(60_000)),
            ("5", None),
            ("-1s", None),
        ] {
            assert_eq!(time(text), value.map(Duration::from_millis), "{text}");
        }
    }
}
