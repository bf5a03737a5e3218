//! TOML, and JSON with comments, to the same tree as YAML.
//!
//! **How.** `toml` has the places of its values. JSON is read by hand in a few lines, since no reader of it
//! that keeps places is among the dependencies: comments and commas before a closing bracket are allowed
//! (JSONC), the text inside quotes is left to `serde_json`.

use super::tree::{Bounds, Entry, Node, Value, unreadable};
use crate::fault::{Fault, Result};
use std::collections::HashSet;
use toml::de::{DeTable, DeValue};

/// Reads TOML.
///
/// # Errors
/// `HOB-0120` with the line.
pub(super) fn toml(text: &str, file: &str) -> Result<Node> {
    let lines = Lines::of(text);
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.of_byte(span.start));
        let why = error.message().lines().collect::<Vec<_>>().join(", ");
        unreadable(file, line, "the TOML", &why)
    })?;
    let mut reader = Toml { lines, bounds: Bounds::default() };
    reader.table(1, root.get_ref(), 0).map_err(|(line, why)| unreadable(file, line, "the TOML", &why))
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(ends).collect())
    }

    fn of_byte(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }
}

struct Toml {
    lines: Lines,
    bounds: Bounds,
}

impl Toml {
    fn table(&mut self, line: usize, table: &DeTable<'_>, depth: usize) -> Result<Node, (usize, String)> {
        self.bounds.value(depth).map_err(|why| (line, why))?;
        let mut entries = Vec::new();
        for (key, value) in table {
            let at = key.span().start;
            let line = self.lines.of_byte(at);
            let value =
                self.value(self.lines.of_byte(value.span().start).max(line), value.get_ref(), depth + 1)?;
            entries.push((at, Entry { key: key.get_ref().to_string(), line, value }));
        }
        entries.sort_by_key(|(at, _)| *at);
        Ok(Node::map_at(line, entries.into_iter().map(|(_, entry)| entry).collect()))
    }

    fn value(&mut self, line: usize, value: &DeValue<'_>, depth: usize) -> Result<Node, (usize, String)> {
        self.bounds.value(depth).map_err(|why| (line, why))?;
        let plain = |text: String| Node { line, tag: None, value: Value::Scalar { text, plain: true } };
        Ok(match value {
            DeValue::String(text) => Node::text_at(line, text.to_string()),
            DeValue::Integer(number) => plain(
                i64::from_str_radix(number.as_str(), number.radix())
                    .map_or_else(|_| number.to_string(), |n| n.to_string()),
            ),
            DeValue::Float(number) => plain(number.to_string()),
            DeValue::Boolean(value) => plain(value.to_string()),
            DeValue::Datetime(date) => Node::text_at(line, date.to_string()),
            DeValue::Table(table) => self.table(line, table, depth)?,
            DeValue::Array(items) => {
                let mut nodes = Vec::new();
                for item in items {
                    nodes.push(self.value(
                        self.lines.of_byte(item.span().start),
                        item.get_ref(),
                        depth + 1,
                    )?);
                }
                Node { line, tag: None, value: Value::List(nodes) }
            }
        })
    }
}

/// Reads JSON with comments.
///
/// # Errors
/// `HOB-0120` with the line.
pub(super) fn json(text: &str, file: &str) -> Result<Node> {
    let mut reader = Json { text, at: 0, line: 1, bounds: Bounds::default() };
    let read = |reader: &mut Json<'_>| {
        let node = reader.value(0)?;
        reader.space()?;
        if reader.at < text.len() { Err("something follows the end".to_owned()) } else { Ok(node) }
    };
    read(&mut reader).map_err(|why| -> Fault { unreadable(file, reader.line, "the JSON", &why) })
}

struct Json<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    bounds: Bounds,
}

impl Json<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self, bytes: usize) {
        self.line += self.text[self.at..self.at + bytes].bytes().filter(|byte| *byte == b'\n').count();
        self.at += bytes;
    }

    /// Skips white space and comments.
    fn space(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{feff}']).len();
            if blank > 0 {
                self.skip(blank);
            } else if rest.starts_with("//") {
                self.skip(rest.find('\n').unwrap_or(rest.len()));
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let end = comment.find("*/").ok_or("a comment has no end")?;
                self.skip(end + 4);
            } else {
                return Ok(());
            }
        }
    }

    fn sign(&mut self, sign: char) -> Result<bool, String> {
        self.space()?;
        let there = self.rest().starts_with(sign);
        if there {
            self.skip(sign.len_utf8());
        }
        Ok(there)
    }

    fn value(&mut self, depth: usize) -> Result<Node, String> {
        self.space()?;
        self.bounds.value(depth)?;
        let line = self.line;
        if self.sign('{')? {
            let (mut entries, mut keys) = (Vec::<Entry>::new(), HashSet::new());
            while !self.sign('}')? {
                if !entries.is_empty() && (!self.sign(',')? || self.rest_closes('}')?) {
                    self.closed('}')?;
                    break;
                }
                self.space()?;
                let (line, key) = (self.line, self.string()?);
                if !self.sign(':')? {
                    return Err(format!("`:` is missing after `{key}`"));
                }
                if !keys.insert(key.clone()) {
                    return Err(format!("`{key}` is there twice"));
                }
                entries.push(Entry { key, line, value: self.value(depth + 1)? });
            }
            return Ok(Node::map_at(line, entries));
        }
        if self.sign('[')? {
            let mut items: Vec<Node> = Vec::new();
            while !self.sign(']')? {
                if !items.is_empty() && (!self.sign(',')? || self.rest_closes(']')?) {
                    self.closed(']')?;
                    break;
                }
                items.push(self.value(depth + 1)?);
            }
            return Ok(Node { line, tag: None, value: Value::List(items) });
        }
        if self.rest().starts_with('"') {
            return Ok(Node::text_at(line, self.string()?));
        }
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '+'))
            .unwrap_or(rest.len());
        let word = rest[..end].to_owned();
        if !matches!(word.as_str(), "true" | "false" | "null") && word.parse::<f64>().is_err() {
            return Err("a value is expected".to_owned());
        }
        self.skip(end);
        Ok(Node { line, tag: None, value: Value::Scalar { text: word, plain: true } })
    }

    /// Whether what was open closes here; the sign is left.
    fn rest_closes(&mut self, sign: char) -> Result<bool, String> {
        self.space()?;
        Ok(self.rest().starts_with(sign))
    }

    fn closed(&mut self, sign: char) -> Result<(), String> {
        if self.sign(sign)? { Ok(()) } else { Err(format!("`,` or `{sign}` is missing")) }
    }

    fn string(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let mut escaped = false;
        let inside = rest.strip_prefix('"').ok_or("a text in double quotes is expected")?;
        let end = inside
            .bytes()
            .position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            })
            .ok_or("a text has no end")?;
        let literal = &rest[..end + 2];
        let text = serde_json::from_str(literal).map_err(|_| format!("{literal} is no text of JSON"))?;
        self.skip(end + 2);
        Ok(text)
    }
}
