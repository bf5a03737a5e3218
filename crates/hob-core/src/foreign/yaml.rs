//! YAML 1.2 to a tree: several documents, anchors, merge keys, tags; bounded.
//!
//! **How.** `granit-parser` gives events with their place; this puts them together. An alias is a copy, and
//! copies are counted before they are made. Merge keys (`<<`) come after what is written beside them.

use super::tree::{Bounds, Entry, Node, Value, unreadable};
use crate::fault::{Fault, Result};
use crate::limit::FOREIGN_DEPTH_MAX;
use granit_parser::{Event, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// Reads every document of a text. Empty documents are left out.
///
/// # Errors
/// `HOB-0120` with the line for what is not YAML, a key twice, and what is above a limit.
pub(super) fn read(text: &str, file: &str) -> Result<Vec<Node>> {
    let mut builder =
        Builder { file, line: 1, bounds: Bounds::default(), open: Vec::new(), anchors: BTreeMap::new() };
    let mut documents = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| builder.refuse(error.marker().line(), &error.info()))?;
        builder.line = span.start.line();
        if let Some(done) = builder.take(event)? {
            documents.push(done);
        }
    }
    documents.retain(|document| !document.is_null());
    Ok(documents)
}

/// A list or map whose end has not come.
struct Open {
    node: Node,
    anchor: usize,
    /// The keys so far, to find one that is there twice.
    keys: HashSet<String>,
    /// The key that waits for its value.
    key: Option<(String, usize)>,
    /// Maps behind `<<`.
    merged: Vec<Node>,
}

struct Builder<'a> {
    file: &'a str,
    line: usize,
    bounds: Bounds,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
}

impl Builder<'_> {
    /// One event; a document when it ends one.
    fn take(&mut self, event: Event<'_>) -> Result<Option<Node>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                let node = self.node(value, tag)?;
                self.done(node, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => self.begin(Value::List(Vec::new()), anchor, tag),
            Event::MappingStart(_, anchor, tag) => self.begin(Value::Map(Vec::new()), anchor, tag),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, keys, merged, .. }) => {
                    let node = self.merge(node, keys, merged)?;
                    self.done(node, anchor)
                }
                None => Ok(None),
            },
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(self.refuse(self.line, "an alias stands inside of what it is an alias of"));
                };
                self.bounds.copy(node, self.open.len()).map_err(|why| refuse(self.file, self.line, &why))?;
                let node = node.clone();
                self.done(node, 0)
            }
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn node(&mut self, value: Value, tag: Option<Cow<'_, Tag>>) -> Result<Node> {
        self.bounds.value(self.open.len()).map_err(|why| self.refuse(self.line, &why))?;
        let own = tag.filter(|tag| !tag.is_yaml_core_schema());
        Ok(Node { line: self.line, tag: own.map(|tag| tag.suffix().into()), value })
    }

    fn begin(&mut self, value: Value, anchor: usize, tag: Option<Cow<'_, Tag>>) -> Result<Option<Node>> {
        let node = self.node(value, tag)?;
        if self.open.len() >= FOREIGN_DEPTH_MAX {
            let why = format!("lists and maps are nested more than {FOREIGN_DEPTH_MAX} deep");
            return Err(self.refuse(self.line, &why));
        }
        self.open.push(Open { node, anchor, keys: HashSet::new(), key: None, merged: Vec::new() });
        Ok(None)
    }

    /// A value is whole: into what is open, or the document is at its end.
    fn done(&mut self, node: Node, anchor: usize) -> Result<Option<Node>> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        let line = node.line;
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(_), None) => match node.value {
                Value::Scalar { text, .. } => open.key = Some((text, line)),
                _ => return Err(self.refuse(line, "a key is a list or a map")),
            },
            (Value::Map(_), Some((key, _))) if key == "<<" => open.merged.push(node),
            (Value::Map(entries), Some((key, line))) => {
                if !open.keys.insert(key.clone()) {
                    return Err(self.refuse(line, &format!("`{key}` is there twice")));
                }
                entries.push(Entry { key, line, value: node });
            }
            (Value::Scalar { .. } | Value::Unknown(_), _) => {}
        }
        Ok(None)
    }

    fn merge(&self, mut node: Node, mut keys: HashSet<String>, merged: Vec<Node>) -> Result<Node> {
        let Value::Map(entries) = &mut node.value else { return Ok(node) };
        for source in merged {
            let sources = match source.value {
                Value::List(items) => items,
                _ => vec![source],
            };
            for source in sources {
                let Value::Map(more) = source.value else {
                    return Err(self.refuse(source.line, "`<<` takes a map or a list of maps"));
                };
                entries.extend(more.into_iter().filter(|entry| keys.insert(entry.key.clone())));
            }
        }
        Ok(node)
    }

    fn refuse(&self, line: usize, why: &str) -> Fault {
        refuse(self.file, line, why)
    }
}

fn refuse(file: &str, line: usize, why: &str) -> Fault {
    unreadable(file, line, "the YAML", why)
}
