//! What SAM and the Serverless Framework share: Lambda functions, routes of API Gateway, topics by ARN.

use super::naming;
use super::note::Notes;
use super::tree::Node;
use crate::aws::criteria::{of_policy, of_record};
use crate::filter::{Filter, Filters};
use crate::limit::TRIGGER_NAME_BYTES_MAX;
use crate::manifest::{Function, On, Written};
use crate::name::{FunctionName, TopicName, TriggerName, suggestion_within};
use std::time::Duration;

/// Where a function's code is and how it starts.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub(super) runtime: Option<Written<String>>,
    pub(super) handler: Option<Written<String>>,
    /// A folder or an archive, relative to the manifest.
    pub(super) path: Option<Written<String>>,
}

/// Says how the function starts: contract `lambda`, with a runtime client for languages that need one.
pub(super) fn start(function: &mut Function, code: &Code, setting: &str, notes: &mut Notes) {
    let line = function.line;
    let Some(runtime) = &code.runtime else {
        notes.refuse(line, setting, "no runtime is written, so Hob does not know how to start it");
        return;
    };
    if !place(function, code, setting, notes) {
        return;
    }
    let handler = code.handler.as_ref().map_or("", |handler| handler.value.as_str());
    let at = code.handler.as_ref().map_or(runtime.line, |handler| handler.line);
    let words: Vec<&str> = match runtime.value.as_str() {
        name if name.starts_with("provided") => vec!["bootstrap"],
        "go1.x" => vec![handler],
        name if name.starts_with("python3") => vec!["python3", "-m", "awslambdaric", handler],
        name if name.starts_with("nodejs") => vec!["npx", "aws-lambda-ric", handler],
        other => {
            let why = format!(
                "Hob starts the runtimes `provided`, `python3` and `nodejs`, not `{other}`; build a `bootstrap` for `provided.al2023`, or write `run`"
            );
            notes.refuse(runtime.line, setting, why);
            return;
        }
    };
    function.contract = Some(Written { value: "lambda".to_owned(), line: runtime.line });
    set(function, "runtime", runtime.value.clone().into());
    if !handler.is_empty() {
        set(function, "handler", handler.into());
    }
    if words.contains(&"") {
        notes.refuse(runtime.line, setting, "a handler is needed for this runtime");
        return;
    }
    if words == ["bootstrap"] {
        // A file of this name says nothing of what it is.
        function.host = Some(Written { value: "process".to_owned(), line: runtime.line });
    }
    let value = words.into_iter().map(str::to_owned).collect();
    function.run = Some(Written { value, line: at });
}

/// A setting of the contract.
fn set(function: &mut Function, key: &str, value: serde_json::Value) {
    let line = function.line;
    let settings = function.settings.entry("lambda".to_owned());
    let settings = settings.or_insert_with(|| Written { value: serde_json::Map::new(), line });
    settings.value.insert(key.to_owned(), value);
}

/// In which form a trigger's events reach the function.
pub(super) fn shape(function: &mut Function, on: &On, word: &str) {
    let Some(name) = &on.name else { return };
    let settings = function.settings.get("lambda");
    let mut events =
        settings.and_then(|all| all.value.get("events")?.as_object().cloned()).unwrap_or_default();
    events.insert(name.value.to_string(), word.into());
    set(function, "events", events.into());
}

/// In which form requests reach the function; it is one for all of its routes.
pub(super) fn payload(function: &mut Function, version: &str, line: usize, setting: &str, notes: &mut Notes) {
    let known = function.settings.get("lambda").and_then(|all| all.value.get("payload")?.as_str());
    match known {
        None => set(function, "payload", version.into()),
        Some(known) if known == version => {}
        Some(known) => {
            let why =
                format!("another route of the function has payload format {known}, and a function has one");
            notes.warn(line, setting, why);
        }
    }
}

/// The function's folder, or the archive that stands for it. False when a note refuses it.
fn place(function: &mut Function, code: &Code, setting: &str, notes: &mut Notes) -> bool {
    let written = code.path.clone().unwrap_or_else(|| Written { value: ".".to_owned(), line: function.line });
    let path = written.value.trim_start_matches("./").trim_end_matches('/');
    let path = if path.is_empty() { "." } else { path };
    if !is_below(path) {
        let why = format!("`{}` is not below the manifest's folder", written.value);
        notes.refuse(written.line, setting, why);
        return false;
    }
    // A source file stands for its folder.
    let folder = match path.rsplit_once('.') {
        Some((_, "js" | "mjs" | "cjs" | "ts" | "py")) => {
            path.rsplit_once('/').map_or(".", |(folder, _)| folder)
        }
        _ => path,
    };
    function.dir = Some(Written { value: folder.to_owned(), line: written.line });
    true
}

/// Folders or archives that are laid below the function's files.
pub(super) fn layers(function: &mut Function, paths: Vec<String>) {
    if !paths.is_empty() {
        set(function, "layers", paths.into());
    }
}

/// Whether a path stays below the manifest's folder.
pub(super) fn is_below(path: &str) -> bool {
    let outside = path.contains("://") || path.contains('\\') || path.starts_with('/');
    !path.is_empty() && !outside && path.split('/').all(|part| part != "..")
}

pub(super) fn megabytes(number: &Written<u32>) -> Written<u64> {
    Written { value: u64::from(number.value) << 20, line: number.line }
}

pub(super) fn seconds(number: &Written<u32>) -> Written<Duration> {
    Written { value: Duration::from_secs(number.value.into()), line: number.line }
}

/// How a queue's messages are gathered into calls.
pub(super) struct Batch {
    pub(super) size: Option<Written<u32>>,
    /// Seconds.
    pub(super) window: Option<Written<u32>>,
    /// Whether the function says which messages failed.
    pub(super) partial: bool,
}

impl Batch {
    /// Messages of a call, unless the manifest says otherwise (Lambda API reference, `BatchSize` of an SQS queue).
    const SIZE: u32 = 10;

    /// Sets it; so many fit into a call unless the manifest says otherwise.
    pub(super) fn set(self, on: &mut On) {
        let line = on.line;
        on.batch = Some(self.size.unwrap_or(Written { value: Self::SIZE, line }));
        on.batch_window = self.window.as_ref().map(seconds);
        on.batch_partial = self.partial.then_some(Written { value: true, line });
    }
}

/// The filters of `FilterCriteria`: patterns, written as JSON text or as maps, of which one has to match.
///
/// # Errors
/// In words, for what no filter can say.
pub(super) fn criteria<'n>(
    patterns: impl Iterator<Item = &'n Node>,
) -> Result<Option<Written<Vec<Filter>>>, String> {
    let (mut any, mut line) = (Vec::new(), 0);
    for node in patterns {
        line = node.line;
        // A pattern that asks for nothing lets everything through.
        let Some(filter) = of_record(&pattern(node)?)? else { return Ok(None) };
        any.push(filter);
    }
    let value = if any.len() > 1 { vec![Filter::Any(any)] } else { any };
    checked(value, line)
}

/// The filters of an SNS filter policy; `body`: it is about the message.
///
/// # Errors
/// In words, for what no filter can say.
pub(super) fn policy(node: &Node, body: bool) -> Result<Option<Written<Vec<Filter>>>, String> {
    checked(of_policy(&pattern(node)?, body)?.into_iter().collect(), node.line)
}

/// A pattern as JSON.
fn pattern(node: &Node) -> Result<serde_json::Value, String> {
    if let Some((_, unknown)) = node.first_unknown() {
        return Err(unknown.why.clone());
    }
    let value = match node.text() {
        Some(text) => {
            serde_json::from_str(text).map_err(|error| format!("the pattern is not JSON: {error}"))?
        }
        None => node.json(),
    };
    match has_null(&value) {
        true => Err("`null` cannot be written in `hob.toml`".to_owned()),
        false => Ok(value),
    }
}

fn has_null(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Array(items) => items.iter().any(has_null),
        serde_json::Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}

fn checked(value: Vec<Filter>, line: usize) -> Result<Option<Written<Vec<Filter>>>, String> {
    Filters::compile(&value).map_err(|fault| fault.message().to_owned())?;
    Ok((!value.is_empty()).then_some(Written { value, line }))
}

/// A number that counts retries as one that counts attempts.
pub(super) fn attempts(retries: &Written<u32>) -> Written<u32> {
    Written { value: retries.value.saturating_add(1), line: retries.line }
}

/// A route of API Gateway as one of Hob: `{proxy+}` at the end is `*`, and any method is none.
pub(super) fn route(method: &str, path: &str) -> Result<String, String> {
    let path = path.trim();
    if matches!(path, "*" | "$default" | "") {
        return Ok("/*".to_owned());
    }
    let mut segments: Vec<String> = Vec::new();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    for (at, part) in parts.iter().enumerate() {
        let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        segments.push(match name.map(|name| (name.strip_suffix('+'), name)) {
            None => (*part).to_owned(),
            Some((None, name)) => format!("{{{}}}", name.replace('.', "_")),
            Some((Some(_), _)) if at + 1 == parts.len() => "*".to_owned(),
            Some((Some(name), _)) => return Err(format!("`{{{name}+}}` is not at the end")),
        });
    }
    let path = segments.join("/");
    let method = method.trim().to_ascii_uppercase();
    match method.as_str() {
        "" | "ANY" | "*" | "X-AMAZON-APIGATEWAY-ANY-METHOD" => Ok(format!("/{path}")),
        _ => Ok(format!("{method} /{path}")),
    }
}

/// Adds a route to a function.
pub(super) fn add_route(function: &mut Function, route: String, line: usize) {
    let written = function.route.get_or_insert(Written { value: Vec::new(), line });
    if !written.value.contains(&route) {
        written.value.push(route);
    }
}

/// A trigger that calls a function, with a name made of both.
pub(super) fn trigger(call: &FunctionName, event: &str, line: usize) -> On {
    let name = suggestion_within(&format!("{call}-{}", naming::hyphenated(event)), TRIGGER_NAME_BYTES_MAX);
    On {
        line,
        name: TriggerName::new(&name).ok().map(|value| Written { value, line }),
        call: Some(Written { value: call.clone(), line }),
        ..On::default()
    }
}

/// The topic that stands for a queue, topic or bus: text is an ARN or a name, anything else a resource.
pub(super) fn topic(node: &Node, named: impl Fn(&str) -> Option<TopicName>) -> Result<TopicName, String> {
    match (node.text(), node.unknown()) {
        (Some(text), _) => Ok(naming::topic(text)),
        (None, Some(unknown)) => match &unknown.resource {
            Some(resource) => Ok(named(resource).unwrap_or_else(|| naming::topic(resource))),
            None => Err(unknown.why.clone()),
        },
        (None, None) => Err(format!("is {}, but has to be an ARN", node.kind())),
    }
}
