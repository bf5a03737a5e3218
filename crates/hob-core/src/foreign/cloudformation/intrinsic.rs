//! CloudFormation's intrinsic functions, as far as a template alone can answer them.
//!
//! **How.** A value is resolved with all that is in it. What only AWS could know (an attribute of a resource,
//! an export) becomes an unknown value that keeps its reason; whoever needs it decides what that means.
//! `AWS::NoValue` takes its entry away.
//!
//! **Not here:** transforms and macros, which are programs of AWS.

use crate::event::base64;
use crate::fault::Result;
use crate::foreign::Given;
use crate::foreign::naming;
use crate::foreign::tree::{Bounds, Entry, Node, Value, unreadable};
use std::collections::{BTreeMap, BTreeSet};

/// The region that a template sees when none is given.
const REGION: &str = "us-east-1";
/// The account that a template sees when none is given.
const ACCOUNT: &str = "123456789012";
/// Conditions that name each other deeper than this are a loop.
const CONDITION_DEPTH_MAX: usize = 32;

/// Functions that are known, in their short form.
const FUNCTIONS: &[&str] = &[
    "Ref",
    "Sub",
    "Join",
    "If",
    "FindInMap",
    "Select",
    "Split",
    "Equals",
    "And",
    "Or",
    "Not",
    "Condition",
    "GetAtt",
    "Base64",
    "ImportValue",
    "GetAZs",
    "Cidr",
    "Transform",
    "ToJsonString",
    "Length",
    "ForEach",
];

/// What a template says besides its resources.
pub(in crate::foreign) struct Resolver<'a> {
    file: &'a str,
    parameters: BTreeMap<String, Node>,
    mappings: Option<&'a Node>,
    conditions: Option<&'a Node>,
    resources: BTreeSet<String>,
    bounds: Bounds,
}

/// A value, or nothing for `AWS::NoValue`.
type Found = Result<Option<Node>, (usize, String)>;

impl<'a> Resolver<'a> {
    pub(in crate::foreign) fn of(root: &'a Node, file: &'a str, given: &Given) -> Self {
        let mut parameters = pseudo(given);
        for entry in root.get("Parameters").and_then(Node::entries).unwrap_or_default() {
            parameters.insert(entry.key.clone(), parameter(entry, given));
        }
        let resources = root.get("Resources").and_then(Node::entries).unwrap_or_default();
        Self {
            file,
            parameters,
            mappings: root.get("Mappings"),
            conditions: root.get("Conditions"),
            resources: resources.iter().map(|entry| entry.key.clone()).collect(),
            bounds: Bounds::default(),
        }
    }

    /// A resource that the framework would make besides those that are written.
    pub(in crate::foreign) fn makes(&mut self, resource: &str) {
        self.resources.insert(resource.to_owned());
    }

    /// A value with every function answered.
    ///
    /// # Errors
    /// `HOB-0120` above a limit.
    pub(in crate::foreign) fn resolve(&mut self, node: &Node) -> Result<Node> {
        let line = node.line;
        let found =
            self.value(node, 0).map_err(|(line, why)| unreadable(self.file, line, "the template", &why))?;
        Ok(found.unwrap_or_else(|| Node {
            line,
            tag: None,
            value: Value::Scalar { text: String::new(), plain: true },
        }))
    }

    /// Whether a named condition holds; `None` when that is not known.
    pub(in crate::foreign) fn condition(&mut self, name: &str, depth: usize) -> Option<bool> {
        if depth > CONDITION_DEPTH_MAX {
            return None;
        }
        let node = self.conditions?.get(name)?;
        self.truth(node, depth + 1)
    }

    fn value(&mut self, node: &Node, depth: usize) -> Found {
        let line = node.line;
        self.bounds.value(depth).map_err(|why| (line, why))?;
        if let Some((name, argument)) = function(node) {
            return self.call(&name, &argument, line, depth + 1);
        }
        let value = match &node.value {
            Value::List(items) => {
                let mut all = Vec::new();
                for item in items {
                    all.extend(self.value(item, depth + 1)?);
                }
                Value::List(all)
            }
            Value::Map(entries) => {
                let mut all = Vec::new();
                for Entry { key, line, value } in entries {
                    let found = self.value(value, depth + 1)?;
                    all.extend(found.map(|value| Entry { key: key.clone(), line: *line, value }));
                }
                Value::Map(all)
            }
            Value::Scalar { text, .. } => {
                return Ok(Some(dynamic(text, line).unwrap_or_else(|| node.clone())));
            }
            other => other.clone(),
        };
        Ok(Some(Node { line, tag: node.tag.clone(), value }))
    }

    fn call(&mut self, name: &str, argument: &Node, line: usize, depth: usize) -> Found {
        let unknown = |why: String| Ok(Some(Node::unknown_at(line, why, None)));
        match name {
            "Ref" => self.reference(argument.text().unwrap_or_default(), line),
            "GetAtt" => {
                let resource = match (argument.text(), argument.list()) {
                    (Some(text), _) => text.split('.').next(),
                    (None, Some(items)) => items.first().and_then(Node::text),
                    (None, None) => None,
                };
                let resource = resource.unwrap_or_default();
                Ok(Some(Node::unknown_at(line, at_aws(resource), Some(resource))))
            }
            "If" => self.choose(argument, line, depth),
            "Sub" => self.substitute(argument, line, depth),
            "Equals" | "And" | "Or" | "Not" | "Condition" => {
                let node = Node { line, tag: Some(name.into()), value: argument.value.clone() };
                match self.truth(&node, 0) {
                    Some(truth) => Ok(Some(Node::text_at(line, truth.to_string()))),
                    None => unknown("it is a condition that is not known".to_owned()),
                }
            }
            "ImportValue" => unknown("it is an export of another stack, which AWS knows only".to_owned()),
            "Join" | "FindInMap" | "Select" | "Split" | "Length" | "ToJsonString" | "Base64" => {
                let Some(argument) = self.value(argument, depth)? else { return Ok(None) };
                if let Some((_, why)) = argument.first_unknown() {
                    return Ok(Some(Node {
                        value: Value::Unknown(why.clone()),
                        ..Node::unknown_at(line, "", None)
                    }));
                }
                match self.plain(name, &argument) {
                    Some(mut node) => {
                        self.bounds.copy(&node, depth).map_err(|why| (line, why))?;
                        node.line = line;
                        let kept = raw(&node).and_then(|text| dynamic(text, line));
                        Ok(Some(kept.unwrap_or(node)))
                    }
                    None => unknown(format!("`{name}` cannot be answered with what is written")),
                }
            }
            other => unknown(format!("`{other}` is answered by AWS only")),
        }
    }

    /// Functions of known values.
    fn plain(&self, name: &str, argument: &Node) -> Option<Node> {
        let line = argument.line;
        match name {
            "ToJsonString" => return Some(Node::text_at(line, argument.json().to_string())),
            "Base64" => return Some(Node::text_at(line, base64::encode(raw(argument)?.as_bytes()))),
            _ => {}
        }
        let items = argument.list()?;
        match name {
            "Join" => {
                let [with, parts] = items else { return None };
                let parts: Option<Vec<&str>> = parts.list()?.iter().map(Node::text).collect();
                Some(Node::text_at(line, parts?.join(raw(with)?)))
            }
            "Split" => {
                let [at, text] = items else { return None };
                let parts = raw(text)?.split(at.text()?).map(|part| Node::text_at(line, part)).collect();
                Some(Node { line, tag: None, value: Value::List(parts) })
            }
            "Select" => {
                let [at, list] = items else { return None };
                list.list()?.get(at.text()?.parse::<usize>().ok()?).cloned()
            }
            "Length" => Some(Node::text_at(line, items.len().to_string())),
            "FindInMap" => {
                let found = self.mappings?.at(&[
                    items.first()?.text()?,
                    items.get(1)?.text()?,
                    items.get(2)?.text()?,
                ]);
                let default = || items.get(3).and_then(|options| options.get("DefaultValue"));
                found.or_else(default).cloned()
            }
            _ => None,
        }
    }

    fn reference(&mut self, name: &str, line: usize) -> Found {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(found) = self.parameters.get(name) {
            self.bounds.copy(found, 0).map_err(|why| (line, why))?;
            return Ok(Some(Node { line, ..found.clone() }));
        }
        let node = match self.resources.contains(name) {
            true => Node::unknown_at(line, at_aws(name), Some(name)),
            false => Node::unknown_at(
                line,
                format!("`{name}` is neither a parameter nor a resource of the template"),
                None,
            ),
        };
        Ok(Some(node))
    }

    fn choose(&mut self, argument: &Node, line: usize, depth: usize) -> Found {
        let Some([name, then, otherwise]) = argument.list() else {
            return Ok(Some(Node::unknown_at(line, "`If` takes a condition and two values", None)));
        };
        match self.condition(name.text().unwrap_or_default(), 0) {
            Some(true) => self.value(then, depth),
            Some(false) => self.value(otherwise, depth),
            None => {
                let why = format!("condition `{}` is not known", name.text().unwrap_or_default());
                Ok(Some(Node::unknown_at(line, why, None)))
            }
        }
    }

    fn substitute(&mut self, argument: &Node, line: usize, depth: usize) -> Found {
        let (template, own) = match (argument.text(), argument.list()) {
            (Some(text), _) => (text, None),
            (None, Some([text, own])) => (text.text().unwrap_or_default(), Some(own)),
            _ => return Ok(Some(Node::unknown_at(line, "`Sub` takes a text, or a text and a map", None))),
        };
        let (mut text, mut rest) = (String::new(), template);
        while let Some((before, after)) = rest.split_once("${") {
            text.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                text.push_str("${");
                rest = after;
                continue;
            };
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                text.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let found = match own.and_then(|own| own.get(name.trim())) {
                Some(node) => self.value(node, depth)?,
                None => match name.trim().split_once('.') {
                    Some((resource, _)) => Some(Node::unknown_at(line, at_aws(resource), Some(resource))),
                    None => self.reference(name.trim(), line)?,
                },
            };
            match found.as_ref().map(|node| (raw(node), node)) {
                Some((Some(value), _)) => {
                    self.bounds.text(value.len()).map_err(|why| (line, why))?;
                    text.push_str(value);
                }
                Some((None, Node { value: Value::Unknown(unknown), .. })) => {
                    // Only a whole reference stands for its resource.
                    let whole = template == format!("${{{name}}}");
                    let mut unknown = unknown.clone();
                    unknown.resource = unknown.resource.filter(|_| whole);
                    return Ok(Some(Node { line, tag: None, value: Value::Unknown(unknown) }));
                }
                _ => {
                    let why = format!("`{name}` is no text");
                    return Ok(Some(Node::unknown_at(line, why, None)));
                }
            }
        }
        text.push_str(rest);
        Ok(Some(dynamic(&text, line).unwrap_or_else(|| Node::text_at(line, text))))
    }

    /// A condition's value; `None` when that is not known.
    fn truth(&mut self, node: &Node, depth: usize) -> Option<bool> {
        if depth > CONDITION_DEPTH_MAX {
            return None;
        }
        let Some((name, argument)) = function(node) else { return node.boolean() };
        match name.as_str() {
            "Condition" => self.condition(argument.text()?, depth + 1),
            "Not" => match argument.list()? {
                [one] => Some(!self.truth(one, depth + 1)?),
                _ => None,
            },
            "And" | "Or" => {
                let all: Option<Vec<bool>> =
                    argument.list()?.iter().map(|one| self.truth(one, depth + 1)).collect();
                let all = all?;
                Some(if name == "And" {
                    all.into_iter().all(|one| one)
                } else {
                    all.into_iter().any(|one| one)
                })
            }
            "Equals" => {
                let [one, other] = argument.list()? else { return None };
                let (one, other) = (self.value(one, 0).ok()??, self.value(other, 0).ok()??);
                Some(raw(&one)? == raw(&other)?)
            }
            _ => self.value(node, 0).ok()??.boolean(),
        }
    }
}

/// The text of a scalar, empty ones included.
fn raw(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// A dynamic reference: a value that AWS looks up when it makes the stack (CloudFormation user guide, "Get values stored
/// in other services"). A text that has one is as secret as that.
fn dynamic(text: &str, line: usize) -> Option<Node> {
    let inside = text.split_once("{{resolve:")?.1.split("}}").next()?;
    let (service, rest) = inside.split_once(':')?;
    let name = rest.split(':').next().unwrap_or(rest);
    Some(match service {
        "secretsmanager" => {
            // An ARN has colons of its own.
            let name = if rest.starts_with("arn:") {
                rest.split(":SecretString").next().unwrap_or(rest)
            } else {
                name
            };
            Node::secret_at(line, format!("is in AWS Secrets Manager (`{name}`)"))
        }
        "ssm-secure" => {
            Node::secret_at(line, format!("is a `SecureString` of AWS Systems Manager (`{name}`)"))
        }
        "ssm" => Node::unknown_at(line, format!("it is parameter `{name}` of AWS Systems Manager"), None),
        other => Node::unknown_at(line, format!("`{{{{resolve:{other}:…}}}}` is answered by AWS only"), None),
    })
}

fn at_aws(resource: &str) -> String {
    format!("it names resource `{resource}`, which exists at AWS only")
}

/// The function that a node calls and its argument, in either form: `!Ref x` or `Ref: x`.
fn function(node: &Node) -> Option<(String, Node)> {
    if let Some(tag) = node.tag.as_deref() {
        let argument = Node { line: node.line, tag: None, value: node.value.clone() };
        return FUNCTIONS.contains(&tag).then(|| (tag.to_owned(), argument));
    }
    let [Entry { key, value, .. }] = node.entries()? else { return None };
    let name = match key.as_str() {
        "Ref" | "Condition" => key,
        long => long.strip_prefix("Fn::")?,
    };
    Some((name.to_owned(), value.clone()))
}

fn pseudo(given: &Given) -> BTreeMap<String, Node> {
    let value = |name: &str, default: &str| {
        let text = given.values.get(name).map_or(default, String::as_str);
        (name.to_owned(), Node::text_at(1, text))
    };
    BTreeMap::from([
        value("AWS::Region", REGION),
        value("AWS::AccountId", ACCOUNT),
        value("AWS::StackName", naming::app(&given.name).as_str()),
        value("AWS::Partition", "aws"),
        value("AWS::URLSuffix", "amazonaws.com"),
    ])
}

fn parameter(entry: &Entry, given: &Given) -> Node {
    let (name, line) = (&entry.key, entry.line);
    let kind = entry.value.get("Type").and_then(Node::text).unwrap_or("String");
    let list = |text: &str| {
        let items = text.split(',').map(|item| Node::text_at(line, item.trim())).collect();
        Node { line, tag: None, value: Value::List(items) }
    };
    let of = |text: &str| match kind {
        "CommaDelimitedList" => list(text),
        _ if kind.starts_with("List<") => list(text),
        _ => Node::text_at(line, text),
    };
    let secret = entry.value.get("NoEcho").and_then(Node::boolean).unwrap_or_default();
    match (given.values.get(name), entry.value.get("Default").and_then(raw)) {
        (Some(_), _) | (None, Some(_)) if secret && given.hidden => {
            Node::secret_at(line, format!("has parameter `{name}`, which is `NoEcho`"))
        }
        (Some(text), _) => of(text),
        (None, _) if kind.starts_with("AWS::SSM::") => {
            let why = format!("parameter `{name}` is kept at AWS; give it with `--set {name}=…`");
            Node::unknown_at(line, why, None)
        }
        (None, Some(text)) => of(text),
        (None, None) => {
            let why = format!("parameter `{name}` has no default; give it with `--set {name}=…`");
            Node::unknown_at(line, why, None)
        }
    }
}
