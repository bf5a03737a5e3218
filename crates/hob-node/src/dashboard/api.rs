//! A client of the control API in the node's own process: what every page and button asks.
//!
//! **Why.** If pages looked into the node themselves, they would sooner or later know things that the
//! command line cannot find out. So they go through the same table of operations, with the same words.
//!
//! **How.** A request goes to [`control::answer`] as it would come from a socket; only the bytes between
//! are saved. Answers are read as the types of [`hob_core::wire`].

use crate::caller::Caller;
use crate::control::{self, Control};
use crate::identity;
use hob_core::access::Scope;
use hob_core::code::Code;
use hob_core::fact::Fact;
use hob_core::fault::{Fault, Result};
use hob_core::limit::CONTROL_BODY_BYTES_MAX;
use hob_core::wire::{DeployEvent, Deployed, FactsQuery, Story, WhyQuery};
use hob_runtime::body::{self, Body};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A client of the node that it is part of, for somebody who is signed in.
#[derive(Clone)]
pub(super) struct Api {
    control: Arc<Control>,
    caller: Arc<Caller>,
}

impl Api {
    pub(super) fn new(control: Arc<Control>, caller: Arc<Caller>) -> Self {
        Self { control, caller }
    }

    /// Whether whoever is signed in may do what needs `scope`, as far as scopes go.
    pub(super) fn allows(&self, scope: Scope) -> bool {
        self.caller.principal.scopes.allow(scope)
    }

    /// Sends a request; its answer, whatever its status.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>> {
        control::answer(&self.control, &self.caller, identity::invocation(), request).await
    }

    /// The answer to a `GET`, unread.
    pub(super) async fn open(&self, path: &str) -> Result<Body> {
        self.ask(Method::GET, path, body::empty()).await.map(Response::into_body)
    }

    /// The answer to a `GET`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.open(path).await?).await
    }

    /// The lines of the answer to a `GET`; those that are none of a `T` are left out.
    pub(super) async fn lines<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        Ok(lines(&collect(self.open(path).await?).await?))
    }

    /// The answer to a `POST`.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, sent: &impl Serialize) -> Result<T> {
        read(self.ask(Method::POST, path, json(sent)?).await?.into_body()).await
    }

    /// The lines of the answer to a `POST`.
    pub(super) async fn post_lines<T: DeserializeOwned>(
        &self,
        path: &str,
        sent: &impl Serialize,
    ) -> Result<Vec<T>> {
        let answer = self.ask(Method::POST, path, json(sent)?).await?;
        Ok(lines(&collect(answer.into_body()).await?))
    }

    /// A `POST` whose answer says nothing.
    pub(super) async fn act(&self, path: &str) -> Result<()> {
        collect(self.ask(Method::POST, path, body::empty()).await?.into_body()).await.map(drop)
    }

    /// A `POST` that moves an app.
    pub(super) async fn change(&self, path: &str, sent: &impl Serialize) -> Result<Deployed> {
        match self.post_lines(path, sent).await?.pop() {
            Some(DeployEvent::Done(deployed)) => Ok(deployed),
            Some(DeployEvent::Failed(fault)) => Err(fault.into()),
            _ => Err(Fault::internal("the answer ended before the change did")),
        }
    }

    /// Facts, in the order in which they were told.
    pub(super) async fn facts(&self, query: &FactsQuery) -> Result<Vec<Fact>> {
        self.lines(&path("/v1/facts", query)).await
    }

    /// The story that answers a question.
    pub(super) async fn why(&self, query: &WhyQuery) -> Result<Story> {
        self.get(&path("/v1/why", query)).await
    }

    async fn ask(&self, method: Method, path: &str, sent: Body) -> Result<Response<Body>> {
        let mut request = Request::new(sent);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| {
            Fault::new(Code::ControlRequest, format!("`{path}` is not a path"))
                .hint("use the links of the page")
        })?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.send(request).await
    }
}

fn json(value: &impl Serialize) -> Result<Body> {
    serde_json::to_vec(value).map(body::full).map_err(Fault::internal)
}

async fn collect(body: Body) -> Result<bytes::Bytes> {
    let collected = Limited::new(body, CONTROL_BODY_BYTES_MAX).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => Fault::internal(error),
    })
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T> {
    serde_json::from_slice(&collect(body).await?).map_err(Fault::internal)
}

fn lines<T: DeserializeOwned>(bytes: &[u8]) -> Vec<T> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// A path with a query: what it names, and nothing of what it leaves out.
pub(super) fn path(path: &str, query: &impl Serialize) -> String {
    let value = serde_json::to_value(query).unwrap_or_default();
    let pairs: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{key}={}", encoded(&text))
        })
        .collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A text in which only unreserved characters (RFC 3986, 2.3) stand for themselves.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A path of these segments, whatever they hold.
pub(super) fn join(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", encoded(segment))).collect()
}

#[cfg(test)]
mod tests {
    use super::{join, path};
    use hob_core::wire::{EventsQuery, FactsQuery};

    #[test]
    fn paths_hold_what_is_asked_and_nothing_can_leave_its_place() {
        let query = EventsQuery { tail: Some(5), follow: true, ..EventsQuery::default() };
        assert_eq!(path("/v1/topics/a/events", &query), "/v1/topics/a/events?tail=5&follow=true");
        let query = FactsQuery { trace: Some("a&b=c".into()), ..FactsQuery::default() };
        assert_eq!(path("/v1/facts", &query), "/v1/facts?trace=a%26b%3Dc&failed=false&follow=false");
        assert_eq!(join(&["topics", "a/../b?c#d", "é"]), "/topics/a%2F..%2Fb%3Fc%23d/%C3%A9");
    }
}
