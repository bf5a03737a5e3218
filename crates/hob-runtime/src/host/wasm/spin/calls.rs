//! Calls that components of Spin send: by `fermyon:spin/http`, and to addresses that only Spin has.

use super::super::outgoing::{self, Hooks};
use super::super::store::State;
use crate::body::full;
use crate::code::FunctionCode;
use crate::spin::CONTRACT;
use hob_core::code::Code;
use hob_core::fault::Fault;
use http::uri::{Authority, Uri};
use http_body_util::{BodyExt as _, Limited};
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower};

/// The end of the names by which Spin's components reach each other.
const SPIN_INTERNAL: &str = ".spin.internal";
/// The name by which they reach the application they belong to, by its routes.
const SPIN_SELF: &str = "self";
/// The same to the node.
const HOB_SELF: &str = "self.internal";

/// Gives a request of a Spin component the address that the node knows, if Spin has another for it.
pub(in super::super) fn readdress<B>(code: &FunctionCode, request: &mut http::Request<B>) {
    let host = request.uri().host().unwrap_or_default();
    if code.spec.contract != CONTRACT {
        return;
    }
    let known = match host.strip_suffix(SPIN_INTERNAL) {
        Some(component) => format!("{component}.{}.internal", code.app),
        None if host == SPIN_SELF => HOB_SELF.to_owned(),
        None => return,
    };
    let mut parts = request.uri().clone().into_parts();
    parts.authority = Authority::try_from(known).ok().or(parts.authority);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// `method` of `fermyon:spin/http-types`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Method {
    #[component(name = "get")]
    Get,
    #[component(name = "post")]
    Post,
    #[component(name = "put")]
    Put,
    #[component(name = "delete")]
    Delete,
    #[component(name = "patch")]
    Patch,
    #[component(name = "head")]
    Head,
    #[component(name = "options")]
    Options,
}

impl Method {
    /// The method, if the interface has a name for it.
    pub(super) fn of(method: &http::Method) -> Option<Self> {
        Some(match *method {
            http::Method::GET => Self::Get,
            http::Method::POST => Self::Post,
            http::Method::PUT => Self::Put,
            http::Method::DELETE => Self::Delete,
            http::Method::PATCH => Self::Patch,
            http::Method::HEAD => Self::Head,
            http::Method::OPTIONS => Self::Options,
            _ => return None,
        })
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Delete => Self::DELETE,
            Method::Patch => Self::PATCH,
            Method::Head => Self::HEAD,
            Method::Options => Self::OPTIONS,
        }
    }
}

/// `request` of `fermyon:spin/http-types`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) params: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
}

/// `response` of `fermyon:spin/http-types`.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Option<Vec<(String, String)>>,
    pub(super) body: Option<Vec<u8>>,
}

/// `http-error` of `fermyon:spin/http-types`.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "the interface has a case for success as well")]
enum Error {
    #[component(name = "success")]
    Success,
    #[component(name = "destination-not-allowed")]
    DestinationNotAllowed,
    #[component(name = "invalid-url")]
    InvalidUrl,
    #[component(name = "request-error")]
    Failed,
    #[component(name = "runtime-error")]
    Broken,
    #[component(name = "too-many-requests")]
    TooManyRequests,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault.code() {
            Code::EgressDenied => Self::DestinationNotAllowed,
            Code::QueueFull | Code::QueueTimeout => Self::TooManyRequests,
            Code::Internal => Self::Broken,
            _ => Self::Failed,
        }
    }
}

/// Offers `fermyon:spin/http`.
pub(super) fn add(instance: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    instance.func_wrap_async("send-request", |store: StoreContextMut<'_, State>, (request,): (Request,)| {
        let sent = send(store.data().hooks(), request);
        Box::new(async move { Ok((sent.await,)) })
    })
}

/// Sends a request through the node; the answer is read whole, up to the size of a body that the function may get.
fn send(hooks: &Hooks, request: Request) -> impl Future<Output = Result<Response, Error>> + Send + use<> {
    let (outbound, spawn) = (Arc::clone(&hooks.outbound), Arc::clone(&hooks.spawn));
    let code = Arc::clone(&hooks.code);
    let traced = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
    let caller = hooks.caller(traced.map(|(_, value)| value.as_str()));
    async move {
        let mut message =
            http::Request::builder().method(http::Method::from(request.method)).uri(&request.uri);
        for (name, value) in &request.headers {
            let forbidden = http::HeaderName::try_from(name).is_ok_and(|name| outgoing::is_forbidden(&name));
            if !forbidden {
                message = message.header(name, value);
            }
        }
        let mut message =
            message.body(full(request.body.unwrap_or_default())).map_err(|_| Error::InvalidUrl)?;
        if message.uri().authority().is_none() {
            return Err(Error::InvalidUrl);
        }
        readdress(&code, &mut message);
        let (parts, body) = outgoing::apart(&spawn, outbound, caller, message).await?.into_parts();
        let most = usize::try_from(code.spec.body_bytes_max).unwrap_or(usize::MAX);
        let body = Limited::new(body, most).collect().await.map_err(|_| Error::Failed)?.to_bytes();
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.to_string(), value.to_str().ok()?.to_owned()))
        };
        Ok(Response {
            status: parts.status.as_u16(),
            headers: Some(parts.headers.iter().filter_map(text).collect()),
            body: Some(body.to_vec()),
        })
    }
}
