//! `0.2.0-rc-2023-10-18`: the draft of WASI that Spin 2's SDK for Rust makes components for.
//!
//! **How.** Most of it is the release. What implements the release is offered first; the functions that had another
//! form then are put in the place of the release's and call it. Of files and sockets nothing works, as everywhere else
//! in Hob: they are there, and say that there are none.

use super::super::store::State;
use super::{absent, drafts};
use wasmtime::component::types::ComponentInstance;
use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Engine, StoreContextMut, format_err};
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::io::error::{Error as IoError, HostError as _};
use wasmtime_wasi::p2::bindings::io::poll::{Host as _, HostPollable as _, Pollable};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, ErrorCode, Fields, FutureIncomingResponse, Host as _, HostFields, HostFutureIncomingResponse,
    HostOutgoingBody, HostOutgoingRequest, HostOutgoingResponse, HostRequestOptions, HostResponseOutparam,
    IncomingResponse, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView as _};

/// Its version.
pub(super) const VERSION: &str = "0.2.0-rc-2023-10-18";

const NANOS_PER_MILLI: u64 = 1_000_000;

/// `error` of `wasi:http/types` at that time.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "invalid-url")]
    InvalidUrl(String),
    #[component(name = "timeout-error")]
    Timeout(String),
    #[component(name = "protocol-error")]
    Protocol(String),
    #[component(name = "unexpected-error")]
    Unexpected(String),
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        let text = code.to_string();
        match code {
            ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong => Self::InvalidUrl(text),
            ErrorCode::ConnectionTimeout
            | ErrorCode::ConnectionReadTimeout
            | ErrorCode::ConnectionWriteTimeout
            | ErrorCode::HttpResponseTimeout => Self::Timeout(text),
            ErrorCode::HttpProtocolError => Self::Protocol(text),
            _ => Self::Unexpected(text),
        }
    }
}

/// `request-options`, which was a record.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Options {
    #[component(name = "connect-timeout-ms")]
    connect_ms: Option<u32>,
    #[component(name = "first-byte-timeout-ms")]
    first_byte_ms: Option<u32>,
    #[component(name = "between-bytes-timeout-ms")]
    between_bytes_ms: Option<u32>,
}

type Context<'a> = StoreContextMut<'a, State>;

/// Offers one of its interfaces; the linker must allow that functions take the place of others.
pub(super) fn add(
    name: &str,
    to: &mut LinkerInstance<'_, State>,
    engine: &Engine,
    interface: &ComponentInstance,
) -> wasmtime::Result<()> {
    match name {
        "wasi:filesystem/types" | "wasi:filesystem/preopens" | "wasi:clocks/timezone" => {
            return absent::add(to, engine, interface, "files");
        }
        _ if name.starts_with("wasi:sockets/") => return absent::add(to, engine, interface, "sockets"),
        _ => drafts::add_02(name, to)?,
    }
    match name {
        "wasi:io/poll" => poll(to),
        "wasi:io/streams" => errors_of_streams(to),
        "wasi:clocks/monotonic-clock" => clock(to),
        "wasi:http/types" => {
            fields(to)?;
            requests(to)?;
            responses(to)?;
            bodies(to)?;
            absent::add_some(to, engine, interface, "trailers", |name| name == "[method]future-trailers.get")
        }
        "wasi:http/outgoing-handler" => handler(to),
        _ => Ok(()),
    }
}

fn poll(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    to.func_wrap_async("poll-list", |mut store: Context<'_>, (all,): (Vec<Resource<Pollable>>,)| {
        Box::new(async move { Ok((drafts::table(store.data_mut()).poll(all).await?,)) })
    })?;
    to.func_wrap_async("poll-one", |mut store: Context<'_>, (one,): (Resource<Pollable>,)| {
        Box::new(async move { drafts::table(store.data_mut()).block(one).await })
    })
}

/// The resource `error` was in `wasi:io/streams`.
fn errors_of_streams(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    to.resource("error", ResourceType::host::<IoError>(), |mut store, number| {
        drafts::table(store.data_mut()).delete(Resource::<IoError>::new_own(number))?;
        Ok(())
    })?;
    to.func_wrap("[method]error.to-debug-string", |mut store: Context<'_>, (error,): (Resource<IoError>,)| {
        Ok((drafts::table(store.data_mut()).to_debug_string(error)?,))
    })
}

fn clock(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    to.func_wrap("subscribe", |mut store: Context<'_>, (when, absolute): (u64, bool)| {
        let mut clocks = store.data_mut().clocks();
        let pollable = match absolute {
            true => monotonic_clock::Host::subscribe_instant(&mut clocks, when),
            false => monotonic_clock::Host::subscribe_duration(&mut clocks, when),
        };
        Ok((pollable?,))
    })
}

fn fields(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    // They could not say then that a header is not valid.
    let invalid = |_| format_err!("a header is not valid or may not be set");
    to.func_wrap("[constructor]fields", move |mut store: Context<'_>, (all,): (Vec<(String, Vec<u8>)>,)| {
        Ok((HostFields::from_list(&mut store.data_mut().http(), all).map_err(invalid)?,))
    })?;
    type Set = (Resource<Fields>, String, Vec<Vec<u8>>);
    to.func_wrap("[method]fields.set", move |mut store: Context<'_>, (fields, name, values): Set| {
        HostFields::set(&mut store.data_mut().http(), fields, name, values).map_err(invalid)
    })?;
    type Append = (Resource<Fields>, String, Vec<u8>);
    to.func_wrap("[method]fields.append", move |mut store: Context<'_>, (fields, name, value): Append| {
        HostFields::append(&mut store.data_mut().http(), fields, name, value).map_err(invalid)
    })?;
    to.func_wrap(
        "[method]fields.delete",
        move |mut store: Context<'_>, (fields, name): (Resource<Fields>, String)| {
            HostFields::delete(&mut store.data_mut().http(), fields, name).map_err(invalid)
        },
    )
}

fn requests(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type New = (Method, Option<String>, Option<Scheme>, Option<String>, Resource<Fields>);
    to.func_wrap("[constructor]outgoing-request", |mut store: Context<'_>, new: New| {
        let (method, path, scheme, authority, headers) = new;
        let http = &mut store.data_mut().http();
        let headers = HostFields::clone(http, headers)?;
        let request = HostOutgoingRequest::new(http, headers)?;
        let it = || Resource::<OutgoingRequest>::new_borrow(request.rep());
        let set = [
            HostOutgoingRequest::set_method(http, it(), method)?,
            HostOutgoingRequest::set_path_with_query(http, it(), path)?,
            HostOutgoingRequest::set_scheme(http, it(), scheme)?,
            HostOutgoingRequest::set_authority(http, it(), authority)?,
        ];
        if set.iter().any(Result::is_err) {
            return Err(format_err!("the method or the address of a request is not valid"));
        }
        Ok((request,))
    })?;
    to.func_wrap(
        "[method]outgoing-request.write",
        |mut store: Context<'_>, (it,): (Resource<OutgoingRequest>,)| {
            Ok((HostOutgoingRequest::body(&mut store.data_mut().http(), it)?,))
        },
    )
}

fn responses(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    to.func_wrap(
        "[constructor]outgoing-response",
        |mut store: Context<'_>, new: (u16, Resource<Fields>)| {
            let (status, headers) = new;
            let http = &mut store.data_mut().http();
            let headers = HostFields::clone(http, headers)?;
            let response = HostOutgoingResponse::new(http, headers)?;
            let it = Resource::<OutgoingResponse>::new_borrow(response.rep());
            let set = HostOutgoingResponse::set_status_code(http, it, status)?;
            set.map_err(|()| format_err!("`{status}` is not a status"))?;
            Ok((response,))
        },
    )?;
    to.func_wrap(
        "[method]outgoing-response.write",
        |mut store: Context<'_>, (it,): (Resource<OutgoingResponse>,)| {
            Ok((HostOutgoingResponse::body(&mut store.data_mut().http(), it)?,))
        },
    )?;
    type Set = (Resource<ResponseOutparam>, Result<Resource<OutgoingResponse>, Error>);
    to.func_wrap("[static]response-outparam.set", |mut store: Context<'_>, (it, response): Set| {
        let response = response.map_err(|error| ErrorCode::InternalError(Some(format!("{error:?}"))));
        HostResponseOutparam::set(&mut store.data_mut().http(), it, response)
    })?;
    type Get = (Option<Result<Result<Resource<IncomingResponse>, Error>, ()>>,);
    to.func_wrap(
        "[method]future-incoming-response.get",
        |mut store: Context<'_>, (it,): (Resource<FutureIncomingResponse>,)| -> wasmtime::Result<Get> {
            let got = HostFutureIncomingResponse::get(&mut store.data_mut().http(), it)?;
            Ok((got.map(|got| got.map(|response| response.map_err(Error::from))),))
        },
    )
}

fn bodies(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type Finish = (Resource<OutgoingBody>, Option<Resource<types::Trailers>>);
    to.func_wrap("[static]outgoing-body.finish", |mut store: Context<'_>, (it, trailers): Finish| {
        let http = &mut store.data_mut().http();
        let finished = HostOutgoingBody::finish(http, it, trailers);
        finished.map_err(|error| format_err!("a body was not finished: {error:?}"))
    })
}

fn handler(to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type Handle = (Resource<OutgoingRequest>, Option<Options>);
    type Handled = (Result<Resource<FutureIncomingResponse>, Error>,);
    to.func_wrap(
        "handle",
        |mut store: Context<'_>, (request, options): Handle| -> wasmtime::Result<Handled> {
            let http = &mut store.data_mut().http();
            let options = options.map(|options| options.kept(http)).transpose()?;
            Ok((match outgoing_handler::Host::handle(http, request, options) {
                Ok(response) => Ok(response),
                Err(error) => Err(Error::from(http.convert_error_code(error)?)),
            },))
        },
    )
}

impl Options {
    /// The same as the resource that they are now.
    fn kept(self, http: &mut WasiHttpCtxView<'_>) -> wasmtime::Result<Resource<types::RequestOptions>> {
        let options = HostRequestOptions::new(http)?;
        let it = || Resource::<types::RequestOptions>::new_borrow(options.rep());
        let nanos = |ms: Option<u32>| ms.map(|ms| u64::from(ms) * NANOS_PER_MILLI);
        let set = [
            HostRequestOptions::set_connect_timeout(http, it(), nanos(self.connect_ms))?,
            HostRequestOptions::set_first_byte_timeout(http, it(), nanos(self.first_byte_ms))?,
            HostRequestOptions::set_between_bytes_timeout(http, it(), nanos(self.between_bytes_ms))?,
        ];
        debug_assert!(set.iter().all(Result::is_ok), "options that were just made can be set");
        Ok(options)
    }
}
