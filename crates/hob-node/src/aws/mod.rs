//! The AWS Lambda API: one more entrance of the node, for clients of AWS unchanged.
//!
//! **Why.** Programs that call and deploy functions by AWS's SDKs keep doing so; only their endpoint changes.
//!
//! **How.** `serve` takes a request, `admit` checks its signature, a row of [`OPERATIONS`] answers it, with the same
//! parts of the node that the control API has: a function is an app of one function, created by a deploy, called by the
//! dispatcher, its asynchronous calls in the bus. `answer` writes what AWS's clients read.
//!
//! **Not here:** what is only words and decisions ([`hob_core::aws`]), and the keys ([`crate::keys`]).

mod admit;
mod answer;
mod event_invoke;
mod find;
mod function;
mod invoke;
mod layer;
mod mapping;
mod page;
mod provisioned;
mod records;
mod serve;
mod setting;
mod stream;
mod tail;
mod unpack;
mod version;

pub(crate) use serve::{Lambdas, serve};

use crate::audit::Weight;
use crate::control::Control;
use crate::keys::Keys;
use crate::room::Room;
use crate::telemetry::Budget;
use crate::versions::Versions;
use answer::{Answered, Refusal};
use bytes::Bytes;
use hob_core::aws::error::Exception;
use hob_core::aws::name;
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use hob_core::limit::AWS_INVOKE_BYTES_MAX;
use hob_core::percent;
use hob_core::port::{BoxFuture, State};
use records::Records;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Every operation, by group.
static OPERATIONS: &[&[Operation]] = &[
    invoke::OPERATIONS,
    stream::OPERATIONS,
    function::OPERATIONS,
    version::OPERATIONS,
    setting::OPERATIONS,
    event_invoke::OPERATIONS,
    provisioned::OPERATIONS,
    mapping::OPERATIONS,
    layer::OPERATIONS,
];

/// What the API is made of.
pub(crate) struct Parts {
    /// The parts of the node that do what is asked.
    pub(crate) control: Arc<Control>,
    /// Where records are stored.
    pub(crate) state: Arc<dyn State>,
    /// With which requests are signed.
    pub(crate) keys: Arc<Keys>,
    /// The certificate; `None`: plain HTTP.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Whether only this machine can reach it.
    pub(crate) loopback: bool,
}

/// What operations work with.
pub(crate) struct Lambda {
    control: Arc<Control>,
    keys: Arc<Keys>,
    records: Arc<Records>,
    /// For bodies of whoever is not known yet: the node's, whatever the space.
    room: Arc<Room>,
    /// What versions and aliases want of the node.
    versions: Arc<Versions>,
    /// Whether nobody but client and node can change what is sent.
    private: bool,
    /// For facts of requests that were not granted.
    refused: Budget,
}

/// One line of [`OPERATIONS`].
struct Operation {
    /// AWS's name.
    name: &'static str,
    method: &'static str,
    /// Segments; `{}` takes one.
    path: &'static str,
    /// Largest body, in bytes.
    body_bytes_max: usize,
    handle: fn(Arc<Lambda>, Ask) -> Handled,
}

impl Operation {
    /// What the audit log does about it.
    fn weight(&self) -> Weight {
        let works = self.method == "GET" || self.name.starts_with("Invoke");
        if works { Weight::Look } else { Weight::Change }
    }
}

/// An operation at work.
type Handled = BoxFuture<'static, Answered>;

/// An operation whose body is small or has a payload in it.
const fn operation(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    handle: fn(Arc<Lambda>, Ask) -> Handled,
) -> Operation {
    Operation { name, method, path, body_bytes_max: AWS_INVOKE_BYTES_MAX, handle }
}

/// A request to an operation, from somebody who may ask.
struct Ask {
    id: InvocationId,
    /// The access key with which it is signed.
    key: String,
    head: http::request::Parts,
    /// The text for each `{}` of the path, in order, without escapes.
    path: Vec<String>,
    body: Bytes,
    /// The region that the client believes to talk to.
    region: String,
}

impl Ask {
    /// The `at`-th part of the path.
    fn part(&self, at: usize) -> &str {
        self.path.get(at).map_or("", String::as_str)
    }

    /// A value of the query.
    fn query(&self, name: &str) -> Option<String> {
        name::parameter(self.head.uri.query().unwrap_or_default(), name)
    }

    /// The body as JSON.
    fn json<T: DeserializeOwned>(&self) -> Answered<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let what = format!("Could not parse request body into json: {error}");
            let exception = if error.is_data() {
                Exception::InvalidParameterValue
            } else {
                Exception::InvalidRequestContent
            };
            Refusal::new(exception, Fault::new(Code::AwsRequest, what))
        })
    }

    /// The body as JSON, or what stands for none.
    fn json_or_default<T: DeserializeOwned + Default>(&self) -> Answered<T> {
        if admit::is_blank(&self.body) { Ok(T::default()) } else { self.json() }
    }

    /// A header, if it is text.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The operation that a request means, with the parts of its path.
fn find_operation(method: &str, path: &str) -> Result<(&'static Operation, Vec<String>), Fault> {
    let mut others = Vec::new();
    for operation in OPERATIONS.iter().copied().flatten() {
        let Some(parts) = parts(operation.path, path) else { continue };
        if operation.method == method {
            return Ok((operation, parts));
        }
        others.push(operation.name);
    }
    let what = format!("the Lambda API of Hob has no operation for `{method} {path}`");
    let fault = Fault::new(Code::AwsUnsupported, what);
    Err(match others.is_empty() {
        true => fault.hint("the guide on the Lambda API lists what it has"),
        false => fault.hint(format!("at this path it has {}", others.join(", "))),
    })
}

/// The parts of `path` for the `{}` of `pattern`; a slash at the end makes no difference.
fn parts(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut pattern, mut path) = (pattern.split('/'), path.trim_end_matches('/').split('/'));
    let mut parts = Vec::new();
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(parts),
            (Some("{}"), Some(text)) if !text.is_empty() => parts.push(percent::decoded(text)?),
            (Some(name), Some(text)) if name == text => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find_operation;

    #[test]
    fn paths_mean_operations() {
        for (method, path, expected) in [
            ("POST", "/2015-03-31/functions/hello/invocations", "Invoke hello"),
            ("POST", "/2015-03-31/functions/arn%3Aaws/invocations", "Invoke arn:aws"),
            ("GET", "/2015-03-31/functions/hello/invocations", "HOB-0621 501"),
            ("GET", "/2018-10-31/layers", "ListLayers "),
            ("GET", "/2020-04-22/code-signing-configs", "HOB-0621 501"),
            ("GET", "/", "HOB-0621 501"),
        ] {
            let found = match find_operation(method, path) {
                Ok((operation, parts)) => format!("{} {}", operation.name, parts.join(",")),
                Err(fault) => format!("{} {}", fault.code(), fault.status()),
            };
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
