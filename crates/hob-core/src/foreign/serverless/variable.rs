//! `${…}` of the Serverless Framework.
//!
//! **How.** Sources that the manifest itself, files beside it or what was given can answer: `self`, `file`, `env`, `opt`,
//! `sls`, `param`, `strToBool`. Alternatives after commas are tried in order. What AWS keeps (`ssm`, `cf`, `s3`) becomes
//! an unknown value with its reason, and what it keeps secret one that can be a secret of Hob. A variable that is
//! the whole text may stand for a list or a map. A file that was not given is asked for.

use crate::fault::Result;
use crate::foreign::source::{Lines, moved};
use crate::foreign::tree::{Bounds, Entry, Node, Value, unreadable};
use crate::foreign::{Given, HIDDEN};
use std::collections::{BTreeMap, BTreeSet};

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
    lines: Lines,
    bounds: Bounds,
    line: usize,
    /// Files that were read, or why they were not.
    read: BTreeMap<String, Result<Node, String>>,
    /// Files that are needed and were not given.
    pub(super) wanted: BTreeSet<String>,
}

/// A value, or why there is none.
type Answer = Result<Node, String>;

impl<'a> Variables<'a> {
    pub(super) fn of(root: &'a Node, given: &'a Given, lines: Lines) -> Self {
        let (read, wanted) = (BTreeMap::new(), BTreeSet::new());
        Self { root, given, lines, bounds: Bounds::default(), line: 1, read, wanted }
    }

    /// The stage: the option, what the provider says, or the default.
    pub(super) fn stage(&mut self) -> String {
        let found = self.own("provider.stage", 1).map(|found| self.value(&found, 0, 0));
        let found = found.and_then(Result::ok);
        found.as_ref().and_then(Node::text).unwrap_or(STAGE).to_owned()
    }

    /// A value with every variable answered.
    ///
    /// # Errors
    /// `HOB-0120` above a limit.
    pub(super) fn resolve(&mut self, node: &Node) -> Result<Node> {
        let found = self.value(node, 0, 0);
        let (file, line) = self.lines.place(self.line);
        found.map_err(|why| unreadable(file, line, "the manifest", &why))
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
                // A text with a secret in it is as secret as that.
                Value::Unknown(unknown) if unknown.secret => {
                    return Ok(Node::secret_at(line, unknown.why.clone()));
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
                Value::Unknown(_) => why = why.or(Some(answer)),
                _ if answer.is_null() => {}
                _ => return Ok(answer),
            }
        }
        let none = || Node::unknown_at(line, format!("`${{{inside}}}` has no value"), None);
        Ok(why.unwrap_or_else(none))
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
        if let Some(inner) = text.strip_prefix("file(") {
            return self.of_file(inner, line, nested);
        }
        let Some((source, address)) = text.split_once(':') else { return literal(text) };
        let missing = |what: String| Ok(Node::unknown_at(line, what, None));
        match source {
            "self" => match self.found(address, line, nested)? {
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
                let stage = self.stage();
                // The second place is that of version 4.
                let params = |stage: &str| {
                    let older = self.root.at(&["params", stage, address]);
                    older.or_else(|| self.root.at(&["stages", stage, "params", address])).cloned()
                };
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
            other => Ok(kept(other, address, line)),
        }
    }

    /// `path)` or `path):address`: a value of another file, or all of it.
    fn of_file(&mut self, inner: &str, line: usize, nested: usize) -> Answer {
        let missing = |what: String| Ok(Node::unknown_at(line, what, None));
        let Some((path, address)) = inner.split_once(')') else {
            return missing(format!("`file({inner}` has no `)`"));
        };
        let path = path.trim().trim_matches(['"', '\'']).trim_start_matches("./").to_owned();
        let address = address.trim_start_matches(':').trim().to_owned();
        if path.starts_with(['/', '~']) || path.contains("://") {
            return missing(format!(
                "`{path}` is not read: name a file by its path from the manifest's folder"
            ));
        }
        if !self.read.contains_key(&path) {
            let content = self.content(&path);
            self.read.insert(path.clone(), content);
        }
        let found = match &self.read[&path] {
            Err(why) => return missing(why.clone()),
            Ok(content) => at(content, &address).cloned(),
        };
        match found {
            Some(found) => self.value(&found, nested, 0).map(|found| Node { line, ..found }),
            None => missing(format!("`{path}` has no `{address}`")),
        }
    }

    /// A file as a tree, before its variables are answered.
    fn content(&mut self, path: &str) -> Result<Node, String> {
        let text = match self.given.files.get(path) {
            Some(Some(text)) => text,
            Some(None) => return Err(format!("there is no file `{path}`")),
            None => {
                self.wanted.insert(path.to_owned());
                return Err(format!("`{path}` was not read"));
            }
        };
        let before = self.lines.before(path);
        match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "yml" | "yaml" | "json" | "toml" => {
                let mut documents = crate::foreign::read(path, text).map_err(|fault| {
                    let place = fault.place().unwrap_or(path).to_owned();
                    format!("`{place}`: {}", fault.message())
                })?;
                if documents.is_empty() {
                    return Ok(Node::map_at(before + 1, Vec::new()));
                }
                let mut content = documents.swap_remove(0);
                moved(&mut content, before);
                Ok(content)
            }
            "js" | "cjs" | "mjs" | "ts" | "mts" => Err(format!(
                "`{path}` is a program of the framework, which does not run; write its values into a file"
            )),
            _ => Ok(Node::text_at(before + 1, text.clone())),
        }
    }

    /// A value of the manifest by its address; where a variable stands for the map around it, that comes first.
    fn found(&mut self, address: &str, line: usize, nested: usize) -> Result<Option<Node>, String> {
        if let Some(found) = self.own(address, line) {
            return Ok(Some(found));
        }
        for (end, _) in address.match_indices('.') {
            let around = at(self.root, &address[..end])
                .filter(|node| node.text().is_some_and(|text| text.contains("${")) && nested < NESTED_MAX);
            if let Some(around) = around.cloned() {
                let around = self.value(&around, nested + 1, 0)?;
                return Ok(match around.unknown() {
                    Some(_) => Some(around),
                    None => at(&around, &address[end + 1..]).cloned(),
                });
            }
        }
        Ok(None)
    }

    /// A value of the manifest by its address, before its own variables are answered.
    fn own(&self, address: &str, line: usize) -> Option<Node> {
        let path: Vec<&str> = address.split('.').filter(|part| !part.is_empty()).collect();
        let node = at(self.root, address);
        // Options come before what the provider says, and defaults after it.
        let option = match path.as_slice() {
            ["provider", key @ ("stage" | "region")] => {
                self.given.values.get(key).map(|value| Node::text_at(line, value))
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

/// A value by its address, such as `a.b.0`.
fn at<'n>(root: &'n Node, address: &str) -> Option<&'n Node> {
    address.split('.').filter(|part| !part.is_empty()).try_fold(root, |node, part| {
        match part.parse::<usize>().ok().zip(node.list()) {
            Some((at, items)) => items.get(at),
            None => node.get(part),
        }
    })
}

/// A value that is kept at AWS or by the framework.
fn kept(source: &str, address: &str, line: usize) -> Node {
    let (source, name) =
        (source.split('(').next().unwrap_or(source), address.split('~').next().unwrap_or(address));
    let why = match source {
        "ssm" => return Node::secret_at(line, format!("is in AWS Systems Manager (`{name}`)")),
        "vault" | "secretsmanager" => {
            return Node::secret_at(line, format!("is kept by `{source}` (`{name}`)"));
        }
        "cf" => format!("it is an output of stack `{address}`, which AWS knows only"),
        "s3" => format!("it is the object `{address}` of a bucket"),
        "sls" => format!("`sls:{address}` is made at each deploy of the framework"),
        "terraform" | "output" => {
            format!("it is an output of something else that was deployed (`{address}`)")
        }
        "git" => "Hob does not ask git; give it as an option with `--set`".to_owned(),
        other => format!("`{other}` is not read by Hob"),
    };
    Node::unknown_at(line, why, None)
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
