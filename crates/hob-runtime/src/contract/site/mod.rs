//! Contract `static`: files of the package answer `GET` and `HEAD`, as a web server would serve them.
//!
//! **How.** A package says of each file its digest and size, so a look-up is one in a map, and a path that
//! leads elsewhere is found nowhere. The digest is the `ETag`: it is the same on every node and changes only
//! with the content.
//!
//! ```text
//! path ── find ──▶ file ── answer ──▶ 304, 206 or 200 ── keep ──▶ bytes from memory, or from the disk
//! ```
//!
//! `find` knows folders, `index.html`, pages without their ending and the fallback; `answer` conditions and
//! ranges; `coding` compression; `keep` holds small files within a share of the function's `memory`.
//!
//! **Invariants.** Names that begin with a dot are served to nobody, `.well-known` (RFC 8615) excepted.

pub(crate) mod answer;
mod coding;
mod find;
mod keep;
mod settings;

use super::{Contract, Lifetime};
use crate::body::full;
use crate::code::FunctionCode;
use crate::invocation::{Invocation, Reply};
use crate::unit::{Instance, Start, Unit};
use find::Found;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use keep::Keep;
use settings::Settings;
use std::sync::Arc;
use std::time::Duration;

/// The contract.
#[derive(Debug)]
pub struct Static;

impl Contract for Static {
    fn name(&self) -> &'static str {
        "static"
    }

    fn summary(&self) -> &'static str {
        "files that are served as they are"
    }

    fn example(&self) -> &'static str {
        "[functions.site]\nrun = \"public\"\ncontract = \"static\"\n\n[functions.site.static]\nfallback = \"index.html\"\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        Settings::read(spec).map(drop)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        unit.files().map(|_| Lifetime::Kept).ok_or_else(no_files)
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move {
            let root = start.unit.files().ok_or_else(no_files)?.to_owned();
            let (settings, keep) = (Settings::read(&start.code.spec)?, Keep::new(&start.code.spec));
            Ok(Box::new(Site { code: start.code, root, settings, keep: Arc::new(keep) }) as Box<dyn Instance>)
        })
    }
}

fn no_files() -> Fault {
    Fault::new(Code::ContractMismatch, "contract `static` needs a folder of files")
        .hint("write `host = \"files\"`, or another contract for programs and components")
}

/// The files of one function.
struct Site {
    code: Arc<FunctionCode>,
    /// The folder or file in the package; empty for all of it.
    root: String,
    settings: Settings,
    keep: Arc<Keep>,
}

impl Instance for Site {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.serve(invocation))
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(std::future::pending())
    }

    fn stop(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn memory_bytes(&self) -> Option<u64> {
        Some(self.keep.bytes())
    }
}

impl Site {
    async fn serve(&self, invocation: Invocation) -> Result<Reply> {
        let Invocation { context, request } = invocation;
        let (request, _) = request.into_parts();
        let method = &request.method;
        if method == Method::OPTIONS {
            return Ok(self.dressed(allowing(StatusCode::NO_CONTENT, "")));
        }
        if method != Method::GET && method != Method::HEAD {
            return Ok(
                self.dressed(allowing(StatusCode::METHOD_NOT_ALLOWED, "files take GET and HEAD only\n"))
            );
        }
        let site =
            find::Site { package: &self.code.spec.package, root: &self.root, settings: &self.settings };
        let wanted = find::below_route(context.route.as_deref(), request.uri.path());
        let reply = match site.find(wanted, &request.headers) {
            Found::File { path, status } => self.file(path, status, &request).await?,
            Found::Folder => moved(&request.uri),
            Found::Nothing => text(StatusCode::NOT_FOUND, "there is no such file\n"),
            Found::Malformed => {
                text(StatusCode::BAD_REQUEST, "the path is not valid percent-encoded UTF-8\n")
            }
        };
        Ok(self.dressed(reply))
    }

    /// Adds the headers that every answer gets.
    fn dressed(&self, mut reply: Reply) -> Reply {
        let headers = reply.headers_mut();
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        for (name, value) in &self.settings.headers {
            headers.insert(name, value.clone());
        }
        reply
    }
}

fn text(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = Reply::new(full(text));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

fn allowing(status: StatusCode, words: &'static str) -> Reply {
    let mut reply = text(status, words);
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    reply
}

/// A folder's address ends with a slash, or the relative links of its page lead elsewhere. The location is
/// relative, so that no path can make it the address of another site.
fn moved(uri: &http::Uri) -> Reply {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("./{last}/{query}");
    let mut reply = text(StatusCode::PERMANENT_REDIRECT, "");
    if let Ok(location) = HeaderValue::from_str(&location) {
        reply.headers_mut().insert(LOCATION, location);
    }
    reply
}
