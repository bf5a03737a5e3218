//! `${…}` of the Serverless Framework.
//!
//! **How.** Sources that the manifest itself or what was given can answer: `self`, `env`, `opt`, `sls`, `param`,
//! `strToBool`. Alternatives after commas are tried in order. Anything else (`file`, `ssm`, `cf`) becomes an
//! unknown value that keeps its reason. A variable that is the whole text may stand for a list or a map.

use crate::fault::Result;
use crate::foreign::tree::{Bounds, Entry, Node, Value, unreadable};
use crate::foreign::{Given, HIDDEN};

/// Variables in variables: more is a loop.
const NESTED_MAX: usize = 24;
/// The stage without `--set stage=…` and `provider.stage`.
const STAGE: &str = "dev";
/// The region without `--set region=…` and `provider.region`.
const REGION: &str = "us-east-1";
/// The account that AWS would know.
const ACCOUNT: &str = "123456789012";

/// Answers variables.
pub(super) struct Variables<'a> {
    root: &'a Node,
    given: &'a Given,
    file: &'a str,
    bounds: Bounds,
    line: usize,
}

/// A value, or why there is none.
type Answer = Result<Node, String>;

impl<'a> Variables<'a> {
    pub(super) fn of(root: &'a Node, given: &'a Given, file: &'a str) -> Self {
        Self { root, given, file, bounds: Bounds::default(), line: 1 }
    }

    /// A value with every variable answered.
    ///
    /// # Errors
    /// `HOB-0120` above a limit.
    pub(super) fn resolve(&mut self, node: &Node) -> Result<Node> {
        self.value(node, 0, 0).map_err(|why| unreadable(self.file, self.line, "the manifest", &why))
    }

    /// `nested` counts variables in variables, `depth` lists and maps.
    fn value(&mut self, node: &Node, nested: usize, depth: usize) -> Answer {
        self.line = node.line;
        self.bounds.value(depth)?;
        let value = match &node.value {
            Value::Scalar { text, .. } if text.contains("${") => {
                let answer = self.text(text, node.line, nested)?;
                // A function of CloudFormation comes after the variables in its argument.
                let tag = node.tag.clone().filter(|_| answer.unknown().is_none());
                return Ok(Node { tag: tag.or_else(|| answer.tag.clone()), ..answer });
            }
            Value::List(items) => {
                let all: Result<_, String> =
                    items.iter().map(|item| self.value(item, nested, depth + 1)).collect();
                Value::List(all?)
            }
            Value::Map(entries) => {
                let mut all = Vec::new();
                for Entry { key, line, value } in entries {
                    all.push(Entry {
                        key: key.clone(),
                        line: *line,
                        value: self.value(value, nested, depth + 1)?,
                    });
                }
                Value::Map(all)
            }
            other => {
                self.bounds.copy(node, depth)?;
                other.clone()
            }
        };
        Ok(Node { line: node.line, tag: node.tag.clone(), value })
    }

    fn text(&mut self, text: &str, line: usize, nested: usize) -> Answer {
        if nested > NESTED_MAX {
            return Ok(Node::unknown_at(line, "its variables name each other", None));
        }
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            done.push_str(before);
            let Some(end) = closing(after) else {
                done.push_str("${");
                rest = after;
                continue;
            };
            let inside = &after[..end];
            rest = &after[end + 1..];
            // Pseudo parameters are CloudFormation's.
            if inside.starts_with("AWS::") {
                done.push_str(&format!("${{{inside}}}"));
                continue;
            }
            let answer = self.variable(inside, line, nested + 1)?;
            if before.is_empty() && done.is_empty() && rest.is_empty() {
                return Ok(Node { line, ..answer });
            }
            match &answer.value {
                Value::Scalar { text, .. } => {
                    self.bounds.text(text.len())?;
                    done.push_str(text);
                }
                Value::Unknown(unknown) => return Ok(Node::unknown_at(line, unknown.why.clone(), None)),
                Value::List(_) | Value::Map(_) => {
                    return Ok(Node::unknown_at(line, format!("`${{{inside}}}` is no text"), None));
                }
            }
        }
        done.push_str(rest);
        self.bounds.text(done.len())?;
        Ok(Node { line, tag: None, value: Value::Scalar { text: done, plain: false } })
    }

    /// What stands between `${` and `}`.
    fn variable(&mut self, inside: &str, line: usize, nested: usize) -> Answer {
        let mut why = None;
        for alternative in alternatives(inside) {
            let alternative = alternative.trim();
            // Variables in a variable's address come first.
            let address = match alternative.contains("${") {
                true => self.text(alternative, line, nested)?,
                false => Node::text_at(line, alternative),
            };
            let answer = match &address.value {
                Value::Scalar { text, .. } => self.alternative(&text.clone(), line, nested)?,
                _ => address,
            };
            match &answer.value {
                Value::Unknown(unknown) => why = why.or_else(|| Some(unknown.why.clone())),
                _ if answer.is_null() => {}
                _ => return Ok(answer),
            }
        }
        let why = why.unwrap_or_else(|| format!("`${{{inside}}}` has no value"));
        Ok(Node::unknown_at(line, why, None))
    }

    fn alternative(&mut self, text: &str, line: usize, nested: usize) -> Answer {
        let literal = |text: &str| Ok(Node::text_at(line, text));
        for quote in ['\'', '"'] {
            if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
                return literal(inner);
            }
        }
        if matches!(text, "true" | "false" | "null") || text.parse::<f64>().is_ok() {
            return Ok(Node { line, tag: None, value: Value::Scalar { text: text.to_owned(), plain: true } });
        }
        if let Some(inner) = text.strip_prefix("strToBool(").and_then(|rest| rest.strip_suffix(')')) {
            let truth = !matches!(inner.trim(), "0" | "false" | "" | "null");
            return Ok(Node {
                line,
                tag: None,
                value: Value::Scalar { text: truth.to_string(), plain: true },
            });
        }
        let Some((source, address)) = text.split_once(':') else { return literal(text) };
        let missing = |what: String| Ok(Node::unknown_at(line, what, None));
        match source {
            "self" => match self.own(address, line) {
                Some(found) => self.value(&found, nested, 0).map(|found| Node { line, ..found }),
                None => missing(format!("`${{{text}}}` is not in the manifest")),
            },
            "env" => match self.given.environment.get(address) {
                Some(_) if self.given.hidden => literal(&format!("{HIDDEN}{address}")),
                Some(value) => literal(value),
                None => missing(format!("the environment has no `{address}`")),
            },
            "opt" => match self.given.values.get(address) {
                Some(value) => literal(value),
                None => missing(format!("it is an option; give it with `--set {address}=…`")),
            },
            "sls" if address == "stage" => self
                .own("provider.stage", line)
                .map_or_else(|| literal(STAGE), |found| self.value(&found, nested, 0)),
            "param" => {
                let stage = self.given.values.get("stage").cloned().unwrap_or_else(|| STAGE.to_owned());
                let params = |stage: &str| self.root.at(&["params", stage, address]).cloned();
                match (self.given.values.get(address), params(&stage).or_else(|| params("default"))) {
                    (Some(value), _) => literal(value),
                    (None, Some(found)) => self.value(&found, nested, 0),
                    (None, None) => missing(format!("it is a parameter; give it with `--set {address}=…`")),
                }
            }
            "aws" if address == "region" => self
                .own("provider.region", line)
                .map_or_else(|| literal(REGION), |found| self.value(&found, nested, 0)),
            "aws" if address == "accountId" => literal(ACCOUNT),
            other => missing(format!("`{}` is not read by Hob", other.split('(').next().unwrap_or(other))),
        }
    }

    /// A value of the manifest by its address, before its own variables are answered.
    fn own(&self, address: &str, line: usize) -> Option<Node> {
        let path: Vec<&str> = address.split('.').filter(|part| !part.is_empty()).collect();
        let mut node = Some(self.root);
        for part in &path {
            node = node.and_then(|node| match part.parse::<usize>().ok().zip(node.list()) {
                Some((at, items)) => items.get(at),
                None => node.get(part),
            });
        }
        // Options come before what the provider says, and defaults after it.
        let option = match path.as_slice() {
            ["provider", key @ ("stage" | "region")] => {
                self.given.values.get(*key).map(|value| Node::text_at(line, value))
            }
            _ => None,
        };
        let default = match path.as_slice() {
            ["provider", "stage"] => Some(Node::text_at(line, STAGE)),
            ["provider", "region"] => Some(Node::text_at(line, REGION)),
            _ => None,
        };
        option.or_else(|| node.cloned()).or(default)
    }
}

/// Where the `}` of a variable is, past those of variables in it.
fn closing(text: &str) -> Option<usize> {
    let (mut open, mut quote, mut before) = (0usize, None, ' ');
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') if before == '$' => open += 1,
            (None, '}') if open == 0 => return Some(at),
            (None, '}') => open -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

/// What commas separate, outside quotes and variables.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut open, mut quote, mut before) = (Vec::new(), 0, 0usize, None, ' ');
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') if before == '$' => open += 1,
            (None, '(') => open += 1,
            (None, '}' | ')') => open = open.saturating_sub(1),
            (None, ',') if open == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push(&text[from..]);
    parts
}
