//! Contract `functions-framework`: functions that the official Functions Frameworks serve on `$PORT`.
//!
//! **Why.** Cloud Run functions are written against these packages. They run here as they are, started by the
//! package that their author installed.
//!
//! **How.** All of contract `http`, and what the frameworks read from their environment: `FUNCTION_TARGET`,
//! `FUNCTION_SIGNATURE_TYPE`, `FUNCTION_SOURCE`. Events are handed over in structured mode, since the Node
//! framework drops the media type of data in binary mode; and to background functions (`event`) as `context` and
//! `data`, which both frameworks take.
//!
//! Source: Functions Framework contract (`functions-framework` 3.10 for Python, 5.0 for Node).

use super::before::{Before, Through};
use super::http::settings::{self, Settings as ServerSettings};
use super::http::{Server, no_program};
use super::{Contract, Lifetime, setting};
use crate::body::full;
use crate::invocation::{Invocation, Reply};
use crate::unit::{Instance, Start, Unit};
use bytes::Bytes;
use hob_core::event::Event;
use hob_core::event::http::{Mode, mode, read, write};
use hob_core::fault::Result;
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

const NAME: &str = "functions-framework";
const KEYS: [&str; 3] = ["target", "source", "signature"];

/// The contract.
#[derive(Debug)]
pub struct FunctionsFramework;

impl Contract for FunctionsFramework {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "functions served by the official Functions Framework for Python or Node"
    }

    fn example(&self) -> &'static str {
        "[functions.hello]\nrun = \"main.py\"\ncontract = \"functions-framework\"\n\n\
         [functions.hello.functions-framework]\ntarget = \"hello\"\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        Settings::read(spec).map(drop)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        unit.command().ok_or_else(no_program).map(|_| Lifetime::Kept)
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move {
            let settings = Settings::read(&start.code.spec)?;
            // Frameworks take names of code, which have no dashes.
            let target = settings.target.unwrap_or_else(|| start.code.name.as_str().replace('-', "_"));
            let mut env = vec![("FUNCTION_TARGET", target), ("HOST", "127.0.0.1".to_owned())];
            env.extend(settings.source.map(|source| ("FUNCTION_SOURCE", source)));
            let signature = settings.signature;
            env.extend(signature.map(|signature| ("FUNCTION_SIGNATURE_TYPE", signature.word().to_owned())));
            let server = Server::start(start, &settings.server, &env).await?;
            Ok(Through::boxed(Events { signature }, Box::new(server)))
        })
    }
}

/// How a function takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    Http,
    CloudEvent,
    Event,
    Typed,
}

impl Signature {
    const ALL: [Self; 4] = [Self::Http, Self::CloudEvent, Self::Event, Self::Typed];

    /// As the frameworks name it.
    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::CloudEvent => "cloudevent",
            Self::Event => "event",
            Self::Typed => "typed",
        }
    }
}

struct Settings {
    target: Option<String>,
    source: Option<String>,
    /// `None`: the function's own registration says it.
    signature: Option<Signature>,
    server: ServerSettings,
}

impl Settings {
    fn read(spec: &FunctionSpec) -> Result<Self> {
        let mut rest = spec.settings.clone();
        let mut text = |key: &str| take(&mut rest, key);
        let (target, source, signature) = (text("target")?, text("source")?, text("signature")?);
        let signature = signature.map(|word| {
            let known = Signature::ALL.into_iter().find(|signature| signature.word() == word);
            let hint = "use `http`, `cloudevent`, `event` or `typed`";
            known.ok_or_else(|| setting::wrong(NAME, "signature", &word.into(), hint))
        });
        let keys: Vec<&str> = KEYS.into_iter().chain(settings::KEYS).collect();
        let server = ServerSettings::read_of(NAME, &keys, &rest)?;
        Ok(Self { target, source, signature: signature.transpose()?, server })
    }
}

fn take(settings: &mut Map<String, Value>, key: &str) -> Result<Option<String>> {
    match settings.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => Ok(Some(text)),
        Some(other) => Err(setting::wrong(NAME, key, &other, "write a text that is not empty")),
    }
}

/// How a function takes events.
struct Events {
    signature: Option<Signature>,
}

impl Before for Events {
    fn call<'a>(&'a self, invocation: Invocation, inner: &'a dyn Instance) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(async move {
            let event =
                self.signature != Some(Signature::Http) && mode(invocation.request.headers()).is_some();
            let invocation = if event { self.handed(invocation).await? } else { invocation };
            inner.call(invocation).await
        })
    }
}

impl Events {
    /// An event as the framework takes it.
    async fn handed(&self, invocation: Invocation) -> Result<Invocation> {
        let Invocation { context, request } = invocation;
        let (mut head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut events = read(&head.headers, body.clone())?;
        let body = match (events.pop(), events.is_empty()) {
            (Some(event), true) if self.signature == Some(Signature::Event) => {
                background(&event, &mut head.headers)
            }
            (Some(event), true) => write(&event, Mode::Structured, &mut head.headers),
            // Neither framework knows batches; its own words say so best.
            _ => body,
        };
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(Invocation { context, request: http::Request::from_parts(head, full(body)) })
    }
}

/// An event for a background function: what happened, and the data beside it.
fn background(event: &Event, headers: &mut HeaderMap) -> Bytes {
    let structured = write(event, Mode::Structured, headers);
    let written: Value = serde_json::from_slice(&structured).unwrap_or_default();
    let time = written.get("time").cloned().unwrap_or_default();
    let data = written.get("data").or_else(|| written.get("data_base64")).cloned().unwrap_or_default();
    let resource = event.subject.as_deref().unwrap_or(&event.source);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let context =
        json!({ "eventId": event.id, "timestamp": time, "eventType": event.kind, "resource": resource });
    json!({ "context": context, "data": data }).to_string().into()
}
