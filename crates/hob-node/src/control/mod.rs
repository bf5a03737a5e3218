//! The control API: one table of operations, from which come routing and the OpenAPI document.
//!
//! **Why.** Everything but serving goes through here, the command line included, so it is complete by
//! construction; and what the document says is what the node does, since both are the same table.
//!
//! **How.** Each group of operations is a file with a slice of [`Operation`]s. [`auth`] decides who may
//! ask. To add an operation: one line in its group's slice.
//!
//! **Not here:** the types on the wire ([`hob_core::wire`]), what a deploy does ([`crate::apps`]).

mod app;
mod artifact;
mod audit;
mod auth;
mod call;
mod cost;
mod dashboard;
mod errors;
mod fact;
mod key;
mod letter;
mod log;
mod metric;
mod node;
mod openapi;
pub(crate) mod query;
mod secret;
mod serve;
mod space;
mod stream;
mod token;
mod top;
mod topic;
mod trigger;
mod why;

pub(crate) use auth::Guard;
pub use openapi::openapi;
pub(crate) use serve::{answer, serve};
pub(crate) use space::{Keeper, describe};

use crate::alerts::Alerts;
use crate::apps::Apps;
use crate::audit::{Action, Audit, Weight};
use crate::bus::Bus;
use crate::caller::Caller;
use crate::calls::Calls;
use crate::delivery::Delivery;
use crate::dispatcher::Dispatcher;
use crate::keys::Keys;
use crate::live::Live;
use crate::logs::Logs;
use crate::schedules::Schedules;
use crate::scrape::Scrape;
use crate::secrets::Secrets;
use crate::sign_in::SignIn;
use crate::task::Tasks;
use crate::telemetry::Telemetry;
use crate::tokens::Tokens;
use crate::usage::UsageBook;
use crate::why::Why;
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fact::{Failure, Refused, What};
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::CONTROL_BODY_BYTES_MAX;
use hob_core::name::SpaceName;
use hob_core::percent;
use hob_core::port::BoxFuture;
use hob_core::wire::NodeInfo;
use hob_runtime::body::{self, Body};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::{Zeroize as _, Zeroizing};

/// Every operation, by group, in the order in which the documentation shows them.
static OPERATIONS: &[&[Operation]] = &[
    node::OPERATIONS,
    app::OPERATIONS,
    artifact::OPERATIONS,
    log::OPERATIONS,
    why::OPERATIONS,
    fact::OPERATIONS,
    call::OPERATIONS,
    topic::OPERATIONS,
    trigger::OPERATIONS,
    letter::OPERATIONS,
    metric::OPERATIONS,
    top::OPERATIONS,
    cost::OPERATIONS,
    dashboard::OPERATIONS,
    key::OPERATIONS,
    space::OPERATIONS,
    token::OPERATIONS,
    audit::OPERATIONS,
    secret::OPERATIONS,
];

/// What operations work with: the objects of one space.
pub(crate) struct Control {
    pub(crate) apps: Arc<Apps>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) live: Arc<Live>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) scrape: Arc<Scrape>,
    pub(crate) usage: Arc<UsageBook>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) why: Why,
    pub(crate) node: NodeInfo,
    /// API tokens.
    pub(crate) tokens: Arc<Tokens>,
    /// What people and programs did to the node.
    pub(crate) audit: Arc<Audit>,
    /// What functions are given and nobody is shown.
    pub(crate) secrets: Arc<Secrets>,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Who may use the dashboard; `None` when there is none.
    pub(crate) dashboard: Option<Arc<SignIn>>,
    /// Access keys of the Lambda API and where that answers; `None` when there is none.
    pub(crate) lambda: Option<(Arc<Keys>, String)>,
}

impl Control {
    /// Whose objects these are.
    pub(crate) fn space(&self) -> SpaceName {
        self.bus.allowance().space().clone()
    }

    /// That a request to the control API was refused; the id under which that can be looked up.
    fn tell_refused(&self, fault: &Fault, id: InvocationId, (method, path): (Method, String)) -> String {
        if let Some(id) = fault.id() {
            return id.to_owned();
        }
        let host = String::new();
        let refused = Refused {
            id,
            control: true,
            app: None,
            method: method.to_string(),
            path,
            host,
            failure: Failure::from(fault),
        };
        self.telemetry.now(None, What::Refused(Box::new(refused)));
        id.to_string()
    }
}

/// One line of [`OPERATIONS`].
struct Operation {
    /// A name that clients may be generated from.
    id: &'static str,
    /// The method; `None`: any.
    method: Option<&'static str>,
    /// Segments; `{name}` takes one, `{*name}` the rest.
    path: &'static str,
    /// One sentence.
    summary: &'static str,
    /// What whoever asks must be allowed to do.
    needs: Need,
    /// What may stand behind `?`.
    query: Option<Shape>,
    /// What is sent.
    request: Payload,
    /// What is answered.
    response: Payload,
    /// The status of success.
    status: u16,
    /// What it does.
    handle: fn(Arc<Control>, Ask) -> Handled,
}

impl Operation {
    /// What the audit log does about it. A change is what changes what is deployed, kept or allowed. Watched is what shows
    /// things that only a few may know, or lets somebody in. Calls and events are the work that a node is there for, and
    /// have facts; artifacts are nothing until a deploy names them, and one of those may have thousands.
    fn weight(&self) -> Weight {
        let looks = self.method == Some("GET");
        match (self.id, self.needs.scope()) {
            ("artifacts.missing" | "artifacts.put", _) => Weight::Look,
            ("dashboard.link", _) => Weight::Watched,
            (_, Some(Scope::Invoke | Scope::Publish)) => Weight::Look,
            (_, Some(Scope::Admin | Scope::Secrets)) if looks => Weight::Watched,
            _ if looks => Weight::Look,
            _ => Weight::Change,
        }
    }
}

impl Operation {
    /// Whether what is sent may be a secret, so that nothing of it is repeated: not in an answer, and not in what is kept.
    fn is_hushed(&self) -> bool {
        self.needs.scope() == Some(Scope::Secrets)
    }

    /// The fault of a body that is something else than what is taken here.
    fn unreadable(&self, error: &serde_json::Error) -> Fault {
        let refuse = |why: String| {
            Fault::new(Code::ControlRequest, format!("the body is not what this operation takes: {why}"))
        };
        if !self.is_hushed() {
            return refuse(error.to_string()).hint("compare it with `GET /v1/openapi.json`");
        }
        let why = match error.classify() {
            Category::Syntax => "it is no JSON",
            Category::Eof => "it ends early",
            Category::Data | Category::Io => "it has another shape",
        };
        let (line, column) = (error.line(), error.column());
        refuse(format!("{why} at line {line}, column {column}")).hint(format!("it takes {}", self.shape()))
    }

    /// The members of the object that is taken, with their types.
    fn shape(&self) -> String {
        let mut schemas = SchemaGenerator::default();
        if let Payload::Json(shape) = self.request {
            shape(&mut schemas);
        }
        let members =
            schemas.definitions().values().filter_map(|schema| schema.get("properties")?.as_object());
        let kind = |schema: &serde_json::Value| schema["type"].as_str().unwrap_or("value").to_owned();
        let members = members.flatten().map(|(name, schema)| format!("`{name}` ({})", kind(schema)));
        format!("an object with {}", members.collect::<Vec<_>>().join(" and "))
    }
}

/// An operation at work.
type Handled = BoxFuture<'static, Result<Response<Body>>>;

/// Makes a type's schema.
type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a body holds.
enum Payload {
    /// No body.
    None,
    /// JSON of this type.
    Json(Shape),
    /// Newline-delimited JSON of this type, as it happens.
    Lines(Shape),
    /// Any bytes.
    Bytes,
    /// Whatever the function takes or answers.
    Any,
}

/// A request to an operation.
struct Ask {
    /// What is asked for.
    operation: &'static Operation,
    /// The text for each `{name}` of the path, in order.
    path: Vec<String>,
    request: Request<Body>,
    /// Who keeps all spaces, with requests of the node's operator.
    keeper: Option<Arc<dyn Keeper>>,
    /// Who asks.
    caller: Caller,
    /// What is written down about it.
    action: Action,
}

impl Ask {
    /// Reads the `at`-th part of the path.
    fn part<T>(&self, at: usize) -> Result<T>
    where
        T: TryFrom<String, Error = Fault>,
    {
        let text = self.path.get(at).cloned().unwrap_or_default();
        let read = T::try_from(text.clone());
        if !self.operation.is_hushed() {
            return read;
        }
        read.map_err(|fault| {
            let what = format!("`{}` is not asked for by names alone", self.operation.path);
            let hint = fault.hint_text().filter(|hint| !hint.contains(&text));
            Fault::new(fault.code(), what).hint(hint.unwrap_or("an app and its secret have names"))
        })
    }

    /// Reads a JSON body. What it was read from is overwritten, since it may be a secret.
    ///
    /// # Errors
    /// `HOB-0704`, with the place where it stops making sense.
    async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let mut body = Limited::new(self.request.into_body(), CONTROL_BODY_BYTES_MAX);
        let announced =
            http_body::Body::size_hint(&body).exact().and_then(|bytes| usize::try_from(bytes).ok());
        // At its full size from the beginning: one that grows leaves copies behind.
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(announced.unwrap_or(0).min(CONTROL_BODY_BYTES_MAX)));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    let what = format!("the body is above {CONTROL_BODY_BYTES_MAX} bytes");
                    Fault::new(Code::ControlRequest, what).with_status(413)
                } else {
                    Fault::new(Code::ControlRequest, "the body ended early").detail(error)
                }
            })?;
            if let Ok(piece) = frame.into_data() {
                bytes.extend_from_slice(&piece);
                if let Ok(mut own) = piece.try_into_mut() {
                    own.zeroize();
                }
            }
        }
        serde_json::from_slice(&bytes).map_err(|error| self.operation.unreadable(&error))
    }
}

/// The operation that a request means, with the parts of its path.
///
/// # Errors
/// `HOB-0704` with status 404 or 405.
fn find(method: &str, path: &str) -> Result<(&'static Operation, Vec<String>)> {
    let mut allowed = Vec::new();
    for operation in OPERATIONS.iter().copied().flatten() {
        let Some(parts) = parts(operation.path, path) else { continue };
        match operation.method {
            Some(only) if only != method => allowed.push(only),
            _ => return Ok((operation, read(operation, parts))),
        }
    }
    let path = secret::told_path(path);
    if allowed.is_empty() {
        return Err(Fault::new(Code::ControlRequest, format!("there is no operation at `{path}`"))
            .with_status(404)
            .hint("`GET /v1/openapi.json` lists them"));
    }
    Err(Fault::new(Code::ControlRequest, format!("`{path}` does not take method `{method}`"))
        .with_status(405)
        .hint(format!("use {}", allowed.join(" or "))))
}

/// The parts of a path without their escapes: `sha256%3A…` is `sha256:…` (RFC 3986, 6.2.2.2). What is passed on stays as it
/// came, and so does what is no text, or would not be one on a terminal.
fn read(operation: &Operation, parts: Vec<String>) -> Vec<String> {
    let named = parts.len() - usize::from(operation.path.contains("{*"));
    let plain = |part: &String| {
        percent::decoded(part)
            .filter(|text| !text.chars().any(char::is_control))
            .unwrap_or_else(|| part.clone())
    };
    let each = parts.iter().enumerate();
    each.map(|(at, part)| if at < named { plain(part) } else { part.clone() }).collect()
}

/// The parts of `path` that `pattern` names; `None` when it does not match.
pub(crate) fn parts(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(parts),
            (Some(name), first) if name.starts_with("{*") => {
                let rest: Vec<&str> = first.into_iter().chain(path.by_ref()).collect();
                parts.push(rest.join("/"));
                return Some(parts);
            }
            (Some(name), Some(text)) if name.starts_with('{') && !text.is_empty() => {
                parts.push(text.to_owned())
            }
            (Some(name), Some(text)) if name == text => {}
            _ => return None,
        }
    }
}

/// A JSON answer.
fn json(status: StatusCode, value: &impl Serialize) -> Result<Response<Body>> {
    let text = serde_json::to_vec(value).map_err(Fault::internal)?;
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An answer without a body.
fn nothing() -> Response<Body> {
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

#[cfg(test)]
mod tests {
    use super::secret::told_path;
    use super::{OPERATIONS, Weight, find, parts};

    #[test]
    fn what_the_audit_log_does_about_each_operation() {
        let of = |id: &str| {
            let all = OPERATIONS.iter().copied().flatten();
            let found: Vec<Weight> = all.filter(|one| one.id == id).map(|one| one.weight()).collect();
            assert_eq!(found.len(), 1, "{id}");
            found[0]
        };
        for (weight, operations) in [
            (
                Weight::Look,
                "apps.list apps.get artifacts.missing artifacts.put functions.call events.publish",
            ),
            (Weight::Watched, "dashboard.link tokens.list secrets.list audit.list audit.verify"),
            (Weight::Change, "apps.deploy apps.rollback apps.remove secrets.set tokens.create spaces.remove"),
            (Weight::Change, "events.purge letters.drop subscriptions.pause schedules.fire functions.cool"),
        ] {
            operations.split(' ').for_each(|id| assert_eq!(of(id), weight, "{id}"));
        }
    }

    #[test]
    fn paths_are_found_in_the_table() {
        for (method, path, expected) in [
            ("GET", "/v1/node", "node.get "),
            ("GET", "/v1/apps", "apps.list "),
            ("GET", "/v1/apps/desk", "apps.get desk"),
            ("DELETE", "/v1/apps/desk", "apps.remove desk"),
            ("POST", "/v1/apps/desk/revisions", "apps.deploy desk"),
            ("GET", "/v1/apps/desk/revisions/3", "apps.revision desk,3"),
            ("PATCH", "/v1/apps/desk/functions/a/call/x/y", "functions.call desk,a,x/y"),
            ("GET", "/v1/apps/desk/functions/a/call/", "functions.call desk,a,"),
            ("PUT", "/v1/artifacts/sha256:00", "artifacts.put sha256:00"),
            ("PUT", "/v1/artifacts/sha256%3A00", "artifacts.put sha256:00"),
            ("GET", "/v1/apps/a%1Bb", "apps.get a%1Bb"),
            ("GET", "/v1/apps/a%", "apps.get a%"),
            ("GET", "/v1/apps/desk/functions/a/call/x%2Fy", "functions.call desk,a,x%2Fy"),
            ("GET", "/v1/artifacts/missing", "HOB-0704 405"),
            ("POST", "/v1/node", "HOB-0704 405"),
            ("GET", "/v1/apps/", "HOB-0704 404"),
            ("GET", "/", "HOB-0704 404"),
        ] {
            let found = match find(method, path) {
                Ok((operation, parts)) => format!("{} {}", operation.id, parts.join(",")),
                Err(fault) => format!("{} {}", fault.code(), fault.status()),
            };
            assert_eq!(found, expected, "{method} {path}");
        }
        assert_eq!(parts("/a/{b}", "/a/b/c"), None);
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let unreadable = |id: &str, body: &str| {
            let operation = OPERATIONS.iter().copied().flatten().find(|one| one.id == id).unwrap();
            let read = serde_json::from_str::<hob_core::wire::SecretRequest>(body);
            operation.unreadable(&read.err().unwrap())
        };
        for (body, expected) in [
            (r#""sk_live_51f7a4""#, "it has another shape at line 1, column 16"),
            (r#"{"value":8812345678901234}"#, "it has another shape at line 1, column 25"),
            (r#"{"sk_live_51f7a4":1}"#, "it has another shape at line 1, column 17"),
            (r#"{"value":"a","sk_live_51f7a4":"b"}"#, "it has another shape at line 1, column 29"),
            ("sk_live_51f7a4", "it is no JSON at line 1, column 1"),
            (r#"{"value":"sk_live_51f7a4"#, "it ends early at line 1, column 24"),
        ] {
            let fault = unreadable("secrets.set", body);
            let text = fault.to_string() + fault.hint_text().unwrap_or_default();
            assert!(fault.message().ends_with(expected), "{body}: {fault}");
            assert!(!text.contains("sk_live") && !text.contains("8812345"), "{body}: {text}");
            assert!(text.contains("`value` (string) and `rotate` (boolean)"), "{text}");
        }
        let open = unreadable("tokens.create", r#"{"nmae":1}"#);
        assert!(open.message().contains("`nmae`"), "others say what is wrong: {open}");

        for (path, expected) in [
            ("/v1/apps/desk/secrets/API_KEY", "/v1/apps/desk/secrets/API_KEY"),
            ("/v1/apps/desk/secrets/API_KEY/use", "/v1/apps/desk/secrets/API_KEY/use"),
            ("/v1/apps/desk/secrets", "/v1/apps/desk/secrets"),
            ("/v1/apps/desk/secrets/API_KEY=sk_live", "/v1/apps/desk/secrets/…"),
            ("/v1/apps/desk/secrets/API_KEY%3Dsk_live", "/v1/apps/desk/secrets/…"),
            ("/v1/apps/desk/secrets/API_KEY/sk_live", "/v1/apps/desk/secrets/…"),
            ("/v1/apps/sk=live/secrets/API_KEY", "/v1/apps/…/secrets/API_KEY"),
            ("/v1/apps/desk/functions/a/call/x=y", "/v1/apps/desk/functions/a/call/x=y"),
        ] {
            assert_eq!(told_path(path), expected);
        }
        let fault = find("PATCH", "/v1/apps/desk/secrets/API_KEY=sk_live").err().unwrap();
        assert!(!fault.message().contains("sk_live"), "{fault}");
    }
}
