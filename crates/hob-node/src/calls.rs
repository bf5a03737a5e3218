//! Asynchronous calls: accepted now, made later, their results kept to be read.
//!
//! **Why.** `Prefer: respond-async` (RFC 7240, 4.1) is for callers who do not want to wait, and what was
//! answered with `202` must not be lost: it is as durable as an event.
//!
//! **How.** A call is a record in `hob.calls.<app>`: the request, and the revision on which it began. A
//! subscription delivers it ([`crate::delivery`]). Its result is a record in `hob.results.<app>`, found by
//! an index in memory that is read from that topic again after a restart. The id says where the call is,
//! and holds a secret, so that nobody guesses another's.
//!
//! **Not here:** attempts and their outcome.

pub(crate) mod message;
mod results;

pub(crate) use message::{Ended, Message, Terms};

use crate::bus::ingress::DURABILITY;
use crate::bus::{Bus, Placed};
use crate::clock::now_ms;
use crate::identity;
use crate::sync::lock;
use hob_core::code::Code;
use hob_core::event::Event;
use hob_core::event::record::{Cause, Stored};
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::{ASYNC_BODY_BYTES_MAX, ASYNC_RESULT_KEPT};
use hob_core::name::{AppName, FunctionName, TopicName};
use hob_core::port::Durability;
use hob_core::share::door::Client;
use hob_core::trace::TraceContext;
use hob_core::unit::millis;
use hob_core::wire::{CallInfo, CallState};
use hob_runtime::body::{self, Body};
use hob_runtime::code::FunctionCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use results::Results;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Where the gateway answers for asynchronous calls.
pub(crate) const PATH: &str = "/.well-known/hob/calls/";
/// The address to which the result is sent.
const CALLBACK_URL: HeaderName = HeaderName::from_static("hob-callback-url");
/// OpenFaaS's name for it (OpenFaaS documentation, "Async functions").
const X_CALLBACK_URL: HeaderName = HeaderName::from_static("x-callback-url");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RESPOND_ASYNC: &str = "respond-async";
/// The id of an asynchronous call.
pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("hob-call-id");

/// The type of a call's event.
const CALL: &str = "dev.hob.call";
/// The type of a result's event.
const RESULT: &str = "dev.hob.call.ended";
/// Media type of what both hold ([`Message`]).
const MEDIA_TYPE: &str = "application/vnd.hob.message";

/// Accepts calls and tells how they are.
pub(crate) struct Calls {
    bus: Arc<Bus>,
    results: Results,
    /// Functions that have calls, told once each to whoever delivers them.
    told: Mutex<HashSet<(AppName, FunctionName)>>,
    tell: mpsc::UnboundedSender<(AppName, FunctionName)>,
}

/// What is told of functions that have calls. It holds each at most once.
pub(crate) type Told = mpsc::UnboundedReceiver<(AppName, FunctionName)>;

/// Who accepts a call.
pub(crate) struct Acceptance<'a> {
    pub(crate) code: &'a FunctionCode,
    pub(crate) id: InvocationId,
    pub(crate) trace: TraceContext,
    /// The stranger who asks for it; `None`: it is asked for by the node, a function, or somebody who is known.
    pub(crate) client: Option<Client>,
    /// Where the result is to be sent; see [`take_callback`].
    pub(crate) callback: Option<String>,
}

/// A call's id: where it is, and its secret.
struct CallId {
    app: AppName,
    sequence: u64,
    secret: String,
}

impl CallId {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (app, sequence, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let valid = parts.next().is_none() && secret.len() == 32;
        let app = AppName::new(app).ok().filter(|_| valid)?;
        Some(Self { app, sequence: sequence.parse().ok()?, secret: secret.to_owned() })
    }
}

/// The topic of an app's calls.
pub(crate) fn calls_topic(app: &AppName) -> TopicName {
    TopicName::own("calls", app)
}

/// The topic of their results.
pub(crate) fn results_topic(app: &AppName) -> TopicName {
    TopicName::own("results", app)
}

/// Whether a request asks for an answer before it is handled (RFC 7240, 4.1).
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|preference| {
        preference.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
    })
}

impl Calls {
    pub(crate) fn new(bus: Arc<Bus>) -> (Arc<Self>, Told) {
        let (tell, told) = mpsc::unbounded_channel();
        let results = Results::new(Arc::clone(&bus));
        (Arc::new(Self { bus, results, told: Mutex::default(), tell }), told)
    }

    /// Takes a call; it is on disk when this returns.
    ///
    /// # Errors
    /// `HOB-0405` for a body above the limit, and those of [`Bus::collect`] and [`Bus::publish`].
    pub(crate) async fn accept(&self, by: Acceptance<'_>, request: Request<Body>) -> Result<Response<Body>> {
        self.accept_after(by, 0, request).await
    }

    /// The same for a call that events have caused, so many of each other.
    ///
    /// # Errors
    /// Those of [`Calls::accept`].
    pub(crate) async fn accept_after(
        &self,
        by: Acceptance<'_>,
        hops: u32,
        request: Request<Body>,
    ) -> Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let most =
            ASYNC_BODY_BYTES_MAX.min(usize::try_from(by.code.spec.body_bytes_max).unwrap_or(usize::MAX));
        let (body, _room) =
            self.bus.collect(body, most, by.client).await.map_err(|fault| match fault.code() {
                Code::EventTooLarge => Fault::new(Code::BodyTooLarge, fault.message().to_owned())
                    .hint("call without `Prefer: respond-async`, or put the data elsewhere"),
                _ => fault,
            })?;
        let version = by.code.numbered.as_ref().map(|numbered| numbered.version);
        let message = Message::request(&head, body, by.callback).with_version(version);
        let (app, function) = (&by.code.app, &by.code.name);
        let secret = identity::secret()[..32].to_owned();
        let mut event = Event::new(secret.clone(), format!("/apps/{app}/functions/{function}"), CALL);
        event.subject = Some(function.to_string());
        event.datacontenttype = Some(MEDIA_TYPE.to_owned());
        event.data = Some(message.encode()?);
        let cause = Cause { app: app.clone(), revision: by.code.revision, invocation: Some(by.id) };
        let stored = Stored { event, hops, cause: Some(cause), only: None, trace: Some(by.trace) };
        let topic = calls_topic(app);
        let published = self.bus.publish(&topic, vec![stored], Durability::Disk).await?;
        let sequence = published.first().map_or(0, |published| published.sequence);
        self.tell_once(app, function);
        Ok(accepted(&format!("{app}.{sequence}.{secret}")))
    }

    fn tell_once(&self, app: &AppName, function: &FunctionName) {
        let function = (app.clone(), function.clone());
        if lock(&self.told).insert(function.clone()) {
            // Nobody listens any more when the node stops; the next one finds the call in the log.
            let _ = self.tell.send(function);
        }
    }

    /// Keeps the result of the call at its place where it can be read; it is on disk when this returns. A
    /// second result of one record is dropped: a kill may come between a result and its memory.
    ///
    /// # Errors
    /// Those of [`Bus::publish`].
    pub(crate) async fn end(&self, app: &AppName, call: &Placed, message: &Message) -> Result<()> {
        let secret = call.stored.event.id.as_str();
        // A call that is redriven is another record, whose result takes the place of the first.
        let id = format!("{secret}.{}", call.sequence);
        let mut event = Event::new(id, format!("/apps/{app}/calls"), RESULT);
        event.datacontenttype = Some(MEDIA_TYPE.to_owned());
        event.data = Some(message.encode()?);
        let topic = results_topic(app);
        let published = self.bus.publish(&topic, vec![Stored::new(event)], Durability::Disk).await?;
        if let Some(published) = published.first() {
            self.results.add(app, secret, published.sequence);
        }
        Ok(())
    }

    /// How a call is.
    ///
    /// # Errors
    /// `HOB-0812` when there is no such call, or its result has expired.
    pub(crate) async fn info(&self, id: &str) -> Result<CallInfo> {
        self.look(id).await.map(|(info, _)| info)
    }

    /// The result of a call that has ended: its place, what it is, and when it came.
    ///
    /// # Errors
    /// Those of the log.
    pub(crate) async fn result(&self, app: &AppName, secret: &str) -> Result<Option<(u64, Message, u64)>> {
        self.results.find(app, secret).await
    }

    async fn look(&self, id: &str) -> Result<(CallInfo, Option<Message>)> {
        let parsed = CallId::parse(id).ok_or_else(|| not_found(id))?;
        let placed = self.bus.event(&calls_topic(&parsed.app), parsed.sequence).await?;
        let placed = placed
            .filter(|placed| {
                identity::same_secret(placed.stored.event.id.as_bytes(), parsed.secret.as_bytes())
            })
            .ok_or_else(|| not_found(id))?;
        let function = placed.stored.event.subject.as_deref().unwrap_or_default();
        let mut info = CallInfo {
            id: id.to_owned(),
            state: CallState::Pending,
            app: parsed.app.clone(),
            function: FunctionName::new(function)?,
            accepted_ms: placed.published_ms,
            ended_ms: None,
            attempts: None,
            status: None,
            code: None,
            expires_ms: None,
        };
        let Some((_, message, ended_ms)) = self.results.find(&parsed.app, &parsed.secret).await? else {
            return Ok((info, None));
        };
        let kept_ms = millis(ASYNC_RESULT_KEPT);
        if ended_ms.saturating_add(kept_ms) < now_ms() {
            return Err(not_found(id));
        }
        let ended = message.ended();
        info.state = if ended.failed { CallState::Failed } else { CallState::Done };
        (info.ended_ms, info.expires_ms) = (Some(ended_ms), Some(ended_ms + kept_ms));
        (info.attempts, info.status) = (Some(ended.attempts), message.status());
        info.code.clone_from(&ended.code);
        Ok((info, Some(message)))
    }

    /// Answers the gateway's requests below [`PATH`]; `rest` is what follows it.
    ///
    /// # Errors
    /// `HOB-0812`, and `HOB-0402` for another method than `GET`.
    pub(crate) async fn answer(&self, method: &Method, rest: &str) -> Result<Response<Body>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Fault::new(Code::MethodNotAllowed, "a call's result is only read").hint("use GET"));
        }
        let (id, result) = rest.split_once('/').map_or((rest, None), |(id, rest)| (id, Some(rest)));
        let (info, message) = self.look(id).await?;
        match (result, message) {
            (None, _) => state(&info),
            (Some("result"), Some(message)) => Ok(message.response(&info)),
            (Some("result"), None) => state(&info),
            (Some(_), _) => Err(not_found(rest)),
        }
    }
}

/// The address for the result, taken out of the request; before the headers are stripped that only the
/// node may set, since one of them is Hob's.
///
/// # Errors
/// `HOB-0406` for an address that is none.
pub(crate) fn take_callback(headers: &mut HeaderMap) -> Result<Option<String>> {
    let named = headers.remove(CALLBACK_URL).or_else(|| headers.remove(X_CALLBACK_URL));
    headers.remove(PREFER);
    let Some(value) = named else { return Ok(None) };
    let url = value.to_str().ok().filter(|url| {
        url.parse::<http::Uri>()
            .is_ok_and(|uri| uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https")))
    });
    match url {
        Some(url) => Ok(Some(url.to_owned())),
        None => Err(Fault::new(Code::RequestMalformed, format!("`{CALLBACK_URL}` is no address to call"))
            .hint("write an absolute `http` or `https` URL")),
    }
}

/// Where a caller wants the answer: whatever passes is an absolute URL of HTTP.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::from_iter([(CALLBACK_URL, value)]);
    if let Ok(Some(url)) = take_callback(&mut headers) {
        assert!(url.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_some()), "{url}");
    }
}

fn accepted(id: &str) -> Response<Body> {
    let mut response = Response::new(body::full(format!("{{\"id\":\"{id}\",\"state\":\"pending\"}}\n")));
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static(RESPOND_ASYNC));
    headers.insert(DURABILITY, HeaderValue::from_static("disk"));
    for (name, text) in [(LOCATION, format!("{PATH}{id}")), (CALL_ID, id.to_owned())] {
        headers.extend(HeaderValue::try_from(text).ok().map(|value| (name, value)));
    }
    response
}

/// How a call is, as JSON; `202` while it is not over.
fn state(info: &CallInfo) -> Result<Response<Body>> {
    let text = serde_json::to_vec(info).map_err(Fault::internal)?;
    let mut response = Response::new(body::full(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if info.state == CallState::Pending {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    Ok(response)
}

fn not_found(id: &str) -> Fault {
    let shown: String = id.chars().take(80).collect();
    Fault::new(
        Code::AsyncCallNotFound,
        format!("there is no asynchronous call `{shown}`, or its result has expired"),
    )
    .hint("results are kept for a day; use the address in `Location` of the answer to the call")
}

#[cfg(test)]
mod tests {
    use super::{CallId, is_asked, take_callback};
    use http::HeaderMap;

    #[test]
    fn a_preference_is_read_as_the_standard_says() {
        for (value, asked) in [
            ("respond-async", true),
            ("Respond-Async; x=1, wait=10", true),
            ("wait=10, respond-async", true),
            ("return=minimal", false),
            ("respond-asynchronously", false),
        ] {
            let headers = HeaderMap::from_iter([(super::PREFER, value.parse().unwrap())]);
            assert_eq!(is_asked(&headers), asked, "{value}");
        }
    }

    #[test]
    fn ids_and_callbacks_are_whole_or_refused() {
        let secret = "0".repeat(32);
        for (id, good) in [
            (format!("desk.7.{secret}"), true),
            (format!("desk.7.{secret}.x"), false),
            (format!("desk.x.{secret}"), false),
            ("desk.7.short".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(CallId::parse(&id).is_some(), good, "{id}");
        }
        for (url, good) in
            [("https://a.example/x", true), ("/x", false), ("ftp://a/x", false), ("a b", false)]
        {
            let mut headers = HeaderMap::from_iter([(super::X_CALLBACK_URL, url.parse().unwrap())]);
            assert_eq!(take_callback(&mut headers).is_ok_and(|url| url.is_some()), good, "{url}");
            assert!(headers.is_empty());
        }
    }
}
