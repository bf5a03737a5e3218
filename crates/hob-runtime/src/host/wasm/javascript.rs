//! What the JavaScript runtime imports from Hob beside `wasi:http`: the program, text, URLs, digests, waiting, fetch.
//!
//! **Why.** What an interpreter is slow at (UTF-8, digests, URLs) the node does in native code, and what a handler
//! wants of its surroundings (its own source, its environment, log lines with a level) has no place in WASI.
//!
//! **How.** `javascript/wit/world.wit` says what each function means. All are linked for functions of contract `javascript`
//! alone, and refuse work where no program is ([`Running`]). Requests go the same
//! way as those of `wasi:http/client`, so the egress list and calls by name hold.

use super::calls::Calls;
use super::outgoing::{Answer, from_body};
use super::store::State;
use crate::body::full;
use crate::code::FunctionCode;
use crate::javascript::coding::Coder;
use crate::javascript::{KIND, Program, digests, url};
use hob_core::limit::{
    JAVASCRIPT_CODERS_MAX, JAVASCRIPT_FIELDS_MAX, WASM_FIELDS_BYTES_MAX, WASM_HANDLES_MAX,
    WASM_RANDOM_BYTES_MAX,
};
use hob_core::log_line::Level;
use hob_core::port::{LogSink, Stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    ComponentType, FutureProducer, FutureReader, Lift, Linker, LinkerInstance, Lower, Resource,
};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p3::{Request, Response};

/// The interface that is linked.
pub(super) const INTERFACE: &str = "hob:javascript/host@1.0.0";
/// The longest wait of one timer: JavaScript's own limit, 2^31 - 1 milliseconds (HTML, timers).
const WAIT_MS_MAX: f64 = 2_147_483_647.0;

/// What an instance of contract `javascript` has besides what every component has.
pub(super) struct Running {
    program: Arc<Program>,
    logs: Arc<dyn LogSink>,
    code: Arc<FunctionCode>,
    calls: Calls,
    instance: u64,
    sleeping: HashMap<u32, oneshot::Sender<()>>,
    coders: Coders,
}

/// Streams that are compressed, or the reverse.
#[derive(Default)]
struct Coders {
    next: u32,
    all: HashMap<u32, Coder>,
}

impl Coders {
    /// Begins one; 0 when there are too many.
    fn open(&mut self, format: &str, compress: bool) -> u32 {
        let Some(coder) = Coder::of(format, compress).filter(|_| self.all.len() < JAVASCRIPT_CODERS_MAX)
        else {
            return 0;
        };
        self.next = self.next.wrapping_add(1).max(1);
        self.all.insert(self.next, coder);
        self.next
    }

    fn feed(&mut self, id: u32, bytes: &[u8], end: bool) -> Result<Vec<u8>, String> {
        let coder = self.all.get_mut(&id).ok_or("the call in which the stream began is over")?;
        let fed = coder.feed(bytes, end);
        if end || fed.is_err() {
            self.all.remove(&id);
        }
        fed
    }
}

impl Running {
    pub(super) fn new(
        program: Arc<Program>,
        logs: Arc<dyn LogSink>,
        (code, calls, instance): (Arc<FunctionCode>, Calls, u64),
    ) -> Self {
        Self { program, logs, code, calls, instance, sleeping: HashMap::new(), coders: Coders::default() }
    }

    fn log(&self, level: u8, text: &str) {
        let (level, stream) = match level {
            0 => (Level::Trace, Stream::Stdout),
            1 => (Level::Debug, Stream::Stdout),
            2 => (Level::Info, Stream::Stdout),
            3 => (Level::Warn, Stream::Stderr),
            _ => (Level::Error, Stream::Stderr),
        };
        self.calls.with(|calls| {
            let printed = crate::log::Printed { stream, level, calls };
            crate::log::printed(&*self.logs, &self.code, self.instance, &printed, text);
        });
    }
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Head {
    kind: String,
    method: String,
    url: String,
    headers: Vec<String>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Status {
    code: u16,
    headers: Vec<String>,
}

type Store<'a> = StoreContextMut<'a, State>;
type Sent = Result<Resource<Response>, String>;

/// Links [`INTERFACE`].
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut host = linker.instance(INTERFACE)?;
    surroundings(&mut host)?;
    text(&mut host)?;
    messages(&mut host)?;
    coding(&mut host)?;
    host.func_wrap("sleep", |store: Store<'_>, (id, milliseconds): (u32, f64)| {
        sleep(store, id, milliseconds).map(|future| (future,))
    })?;
    host.func_wrap("wake", |mut store: Store<'_>, (id,): (u32,)| {
        if let Some(sleeper) = running(store.data_mut())?.sleeping.remove(&id) {
            let _ = sleeper.send(());
        }
        Ok(())
    })
}

fn running(state: &mut State) -> wasmtime::Result<&mut Running> {
    let none = || wasmtime::format_err!("`{INTERFACE}` is for functions of contract `javascript`");
    state.javascript.as_mut().ok_or_else(none)
}

fn surroundings(host: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    host.func_wrap("program", |mut store: Store<'_>, (): ()| {
        let program = &running(store.data_mut())?.program;
        Ok(((program.name.clone(), program.text.clone()),))
    })?;
    host.func_wrap("environment", |mut store: Store<'_>, (): ()| {
        let env = &running(store.data_mut())?.code.spec.env;
        let flat: Vec<String> = env.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
        Ok((flat,))
    })?;
    host.func_wrap("log", |mut store: Store<'_>, (level, text): (u8, String)| {
        running(store.data_mut())?.log(level, &text);
        Ok(())
    })
}

fn text(host: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    host.func_wrap("encode", |_: Store<'_>, (text,): (String,)| Ok((text.into_bytes(),)))?;
    host.func_wrap("decode", |_: Store<'_>, (bytes, fatal): (Vec<u8>, bool)| {
        Ok((match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(_) if fatal => None,
            Err(error) => Some(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        },))
    })?;
    type Parse = (String, Option<String>, String, String);
    host.func_wrap("parse-url", |_: Store<'_>, (text, base, part, value): Parse| {
        Ok((url::parse(&text, base.as_deref(), &part, &value),))
    })?;
    host.func_wrap("random", |_: Store<'_>, (count,): (u32,)| {
        wasmtime::ensure!(u64::from(count) <= WASM_RANDOM_BYTES_MAX, "too many random bytes at a time");
        Ok((digests::random(count as usize),))
    })?;
    host.func_wrap("digest", |_: Store<'_>, (algorithm, data): (String, Vec<u8>)| {
        Ok((digests::digest(&algorithm, &data),))
    })?;
    host.func_wrap("hmac", |_: Store<'_>, (algorithm, key, data): (String, Vec<u8>, Vec<u8>)| {
        Ok((digests::hmac(&algorithm, &key, &data),))
    })
}

fn coding(host: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    host.func_wrap("coder", |mut store: Store<'_>, (format, compress): (String, bool)| {
        Ok((running(store.data_mut())?.coders.open(&format, compress),))
    })?;
    host.func_wrap("recode", |mut store: Store<'_>, (id, bytes, end): (u32, Vec<u8>, bool)| {
        Ok((running(store.data_mut())?.coders.feed(id, &bytes, end),))
    })?;
    host.func_wrap("forget", |mut store: Store<'_>, (id,): (u32,)| {
        running(store.data_mut())?.coders.all.remove(&id);
        Ok(())
    })
}

fn messages(host: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    host.func_wrap("describe", |mut store: Store<'_>, (request,): (Resource<Request>,)| {
        let request = store.data_mut().http().table.get(&request)?;
        Ok((describe(request),))
    })?;
    host.func_wrap("look", |mut store: Store<'_>, (response,): (Resource<Response>,)| {
        let response = store.data_mut().http().table.get(&response)?;
        Ok((Status { code: response.status.as_u16(), headers: flat(response.headers.iter()) },))
    })?;
    type Respond<T> = (u16, Vec<String>, T);
    host.func_wrap("respond", |store: Store<'_>, (code, headers, body): Respond<Vec<u8>>| {
        Ok((respond(store, code, &headers, body)?,))
    })?;
    host.func_wrap("respond-text", |store: Store<'_>, (code, headers, body): Respond<String>| {
        Ok((respond(store, code, &headers, body.into_bytes())?,))
    })?;
    type Compose = (String, String, Vec<String>, Vec<u8>);
    host.func_wrap("compose", |mut store: Store<'_>, (method, url, headers, body): Compose| {
        let request = match compose(&method, &url, &headers) {
            Ok(request) => request,
            Err(error) => return Ok((Err(error),)),
        };
        let http = store.data_mut().http();
        let (request, _) = Request::from_http(http.hooks, request.map(|()| from_body(full(body), None)));
        Ok((Ok::<_, String>(http.table.push(request)?),))
    })?;
    host.func_wrap("send", |store: Store<'_>, (request,): (Resource<Request>,)| {
        send(store, request).map(|future| (future,))
    })
}

fn describe(request: &Request) -> Head {
    let mut url = request.scheme.as_ref().map_or("http", http::uri::Scheme::as_str).to_owned();
    let authority = request.authority.as_ref().map_or("localhost", http::uri::Authority::as_str);
    let path = request.path_with_query.as_ref().map_or("/", http::uri::PathAndQuery::as_str);
    let _ = write!(url, "://{authority}{path}");
    let kind = request.headers.get(KIND).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let mut headers = flat(request.headers.iter().filter(|(name, _)| name.as_str() != KIND));
    // `wasi:http` keeps it apart, handlers expect it among the others.
    headers.extend(["host".to_owned(), authority.to_owned()]);
    Head { kind, method: request.method.as_str().to_owned(), url, headers }
}

/// Names and values, a character for each byte of a value.
fn flat<'a>(headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Vec<String> {
    let text = |value: &HeaderValue| match value.to_str() {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    };
    headers.flat_map(|(name, value)| [name.as_str().to_owned(), text(value)]).collect()
}

/// The reverse of [`flat`]; the error is a sentence.
fn headers(flat: &[String]) -> Result<HeaderMap, String> {
    let (count, bytes) = (flat.len() / 2, flat.iter().map(String::len).sum::<usize>());
    if count > JAVASCRIPT_FIELDS_MAX {
        return Err(format!("there are {count} headers, the limit is {JAVASCRIPT_FIELDS_MAX}"));
    }
    if bytes > WASM_FIELDS_BYTES_MAX {
        return Err(format!("the headers have {bytes} bytes, the limit is {WASM_FIELDS_BYTES_MAX}"));
    }
    // What is above its own limit panics, unless it is asked to try.
    let full = |_| "there are too many headers".to_owned();
    let mut headers = HeaderMap::try_with_capacity(count).map_err(full)?;
    for pair in flat.chunks_exact(2) {
        let name = HeaderName::from_bytes(pair[0].as_bytes())
            .map_err(|_| format!("`{}` is no name of a header", pair[0]))?;
        let bytes: Option<Vec<u8>> = pair[1].chars().map(|unit| u8::try_from(u32::from(unit)).ok()).collect();
        let value = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        let value = value.ok_or_else(|| format!("the header `{}` has no valid value", pair[0]))?;
        headers.try_append(name, value).map_err(full)?;
    }
    Ok(headers)
}

fn answer(code: u16, flat: &[String]) -> Result<http::Response<()>, String> {
    let mut answer = http::Response::new(());
    *answer.status_mut() = StatusCode::from_u16(code).map_err(|_| format!("{code} is no status"))?;
    *answer.headers_mut() = headers(flat)?;
    Ok(answer)
}

fn respond(mut store: Store<'_>, code: u16, headers: &[String], body: Vec<u8>) -> wasmtime::Result<Sent> {
    let answer = match answer(code, headers) {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    let http = store.data_mut().http();
    let (response, _) = Response::from_http(http.hooks, answer.map(|()| from_body(full(body), None)));
    Ok(Ok(http.table.push(response)?))
}

fn compose(method: &str, url: &str, flat: &[String]) -> Result<http::Request<()>, String> {
    let mut request = http::Request::new(());
    *request.method_mut() =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
    *request.uri_mut() = url.parse::<Uri>().map_err(|error| format!("`{url}` is no URL: {error}"))?;
    *request.headers_mut() = headers(flat)?;
    // It is written from the URL.
    request.headers_mut().remove(http::header::HOST);
    Ok(request)
}

/// Waits for an answer and puts it among the instance's resources.
struct Sending(Pin<Box<dyn Future<Output = Answer> + Send>>);

impl FutureProducer<State> for Sending {
    type Item = Sent;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: Store<'_>,
        finish: bool,
    ) -> Poll<wasmtime::Result<Option<Sent>>> {
        let answer = match self.0.as_mut().poll(context) {
            Poll::Pending if finish => return Poll::Ready(Ok(None)),
            answer => ready!(answer),
        };
        let sent = match answer {
            Err(error) => Err(error.to_string()),
            Ok((answer, _)) => {
                let http = store.data_mut().http();
                let (response, _) = Response::from_http(http.hooks, answer);
                Ok(http.table.push(response)?)
            }
        };
        Poll::Ready(Ok(Some(sent)))
    }
}

fn send(mut store: Store<'_>, request: Resource<Request>) -> wasmtime::Result<FutureReader<Sent>> {
    let request = store.data_mut().http().table.delete(request)?;
    let (request, options) = request.into_http(&mut store, async { Ok(()) })?;
    let options = options.as_deref().copied();
    let sent = store.data_mut().http().hooks.send_request(request, options, Box::new(async { Ok(()) }));
    FutureReader::new(store, Sending(Box::into_pin(sent)))
}

fn sleep(mut store: Store<'_>, id: u32, milliseconds: f64) -> wasmtime::Result<FutureReader<bool>> {
    let sleeping = &mut running(store.data_mut())?.sleeping;
    sleeping.retain(|_, sleeper| !sleeper.is_closed());
    wasmtime::ensure!(sleeping.len() < WASM_HANDLES_MAX, "too many timers wait at a time");
    let (sleeper, woken) = oneshot::channel();
    sleeping.insert(id, sleeper);
    let time = Duration::from_secs_f64(milliseconds.clamp(0.0, WAIT_MS_MAX) / 1000.0);
    FutureReader::new(store, async move {
        let over = tokio::select! {
            _ = woken => false,
            () = tokio::time::sleep(time) => true,
        };
        Ok::<_, wasmtime::Error>(over)
    })
}
