//! Functions of contract `javascript`: their WASM file is the runtime, their program is text.
//!
//! **How.** The runtime lies beside the compiled code, written there from this program when it is first wanted. At
//! deploy the module is evaluated once in an instance ([`check`]), so that what is wrong with it is said by file and
//! line before anything is switched. TypeScript loses its types by a program that runs in such an instance too.

use super::placed::Placed;
use super::{Calls, File, Shared, WasmUnit, javascript, read};
use crate::body::{Body, empty, full};
use crate::code::FunctionCode;
use crate::cpu::CpuTotal;
use crate::environment::Environment;
use crate::host::{Candidate, Detected};
use crate::invocation::{Context, Invocation, Origin, Timing, Trail};
use crate::javascript::{CHECK, COMPONENT, DIGEST, KIND, Program, TYPESCRIPT, TYPESCRIPT_DIGEST, is_module};
use crate::unit::Start;
use bytes::Bytes;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::JAVASCRIPT_EVALUATE_TIMEOUT;
use hob_core::trace::TraceContext;
use hob_core::unit::millis;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The contract's name.
pub(crate) const CONTRACT: &str = "javascript";
/// What the runtime is called in messages.
const NAME: &str = "the JavaScript runtime";

/// Whether a function is one of contract `javascript`.
pub(super) fn is(code: &FunctionCode) -> bool {
    code.spec.contract == CONTRACT
}

/// A module that exports its handlers, by its text.
pub(super) fn detect(candidate: &Candidate<'_>) -> Option<Detected> {
    if !has_ending(candidate.name) || candidate.head.starts_with(b"#!") {
        return None;
    }
    let text = std::fs::read_to_string(candidate.file).ok()?;
    is_module(&text).then(|| detected(candidate.name))
}

/// A file of which the manifest says that it is one, whatever is in it.
pub(in crate::host) fn detect_script(name: &str, contract: Option<&str>) -> Option<Detected> {
    (contract == Some(CONTRACT) && has_ending(name)).then(|| detected(name))
}

fn has_ending(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| matches!(ending, "js" | "mjs" | "ts" | "mts"))
}

fn detected(name: &str) -> Detected {
    let language = if is_typescript(name) { "TypeScript" } else { "JavaScript" };
    let what = format!("{language} module with handlers (`export default`)");
    Detected { host: "wasm", contract: CONTRACT, run: vec![name.to_owned()], what }
}

fn is_typescript(name: &str) -> bool {
    name.ends_with(".ts") || name.ends_with(".mts")
}

/// The runtime as a file that can be compiled.
pub(super) async fn file(environment: &Environment) -> Result<File> {
    let path = environment.cache_dir.join(CONTRACT).join(format!("{}.wasm", DIGEST.hex()));
    let there = tokio::fs::metadata(&path).await.is_ok_and(|found| found.len() == COMPONENT.len() as u64);
    if !there {
        keep(path.clone(), COMPONENT.into()).await?;
    }
    Ok(File { path, name: NAME.to_owned(), digest: *DIGEST, packs: environment.packs_dir.clone() })
}

/// Writes a file that may be wanted by others at this moment: it gets its name when it is whole.
async fn keep(path: PathBuf, content: Cow<'static, [u8]>) -> Result<()> {
    let name = path.display().to_string();
    let write = move || -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let own = path.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::write(&own, &content)?;
        std::fs::rename(&own, &path)
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(Fault::internal)?;
    written.map_err(|error| Fault::new(Code::StoreIo, format!("cannot write `{name}`")).detail(error))
}

impl Shared {
    /// The program of a function.
    pub(super) async fn script(self: &Arc<Self>, code: &FunctionCode) -> Result<Arc<Program>> {
        let name = code.spec.run.first().cloned().unwrap_or_default();
        let mut source = read(&code.dir.join(&name), &name).await?;
        if is_typescript(&name) {
            source = self.without_types(code, &name, source).await?;
        }
        Program::of(&name, &source).map(Arc::new)
    }

    /// TypeScript without its types, from the folder of compiled code if it was made before.
    async fn without_types(
        self: &Arc<Self>,
        code: &FunctionCode,
        name: &str,
        source: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let made = format!("{}-{:.16}.js", Digest::of(&source).hex(), TYPESCRIPT_DIGEST.hex());
        let path = self.environment.cache_dir.join(CONTRACT).join(made);
        if let Ok(made) = tokio::fs::read(&path).await {
            return Ok(made);
        }
        let tool = Arc::new(Program::of("typescript.js", TYPESCRIPT)?);
        let request = http::Request::post("/").header(KIND, "fetch").body(full(source));
        let (status, answer) = self.ask(code, tool, request.map_err(Fault::internal)?).await?;
        if status != 200 {
            let what = String::from_utf8_lossy(&answer).into_owned();
            // `Error transforming …: Unexpected token (3:5)`.
            let line = what.rsplit_once('(').and_then(|(_, place)| place.split(':').next());
            let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            let message = format!("`{name}` is not valid TypeScript: {what}");
            return Err(Fault::new(Code::ScriptInvalid, message)
                .at(place)
                .hint("`npx tsc --noEmit` says more"));
        }
        keep(path, answer.to_vec().into()).await?;
        Ok(answer.to_vec())
    }

    /// One call of a program in an instance of its own, at a deploy.
    async fn ask(
        self: &Arc<Self>,
        code: &FunctionCode,
        program: Arc<Program>,
        request: http::Request<Body>,
    ) -> Result<(u16, Bytes)> {
        let mut spec = code.spec.clone();
        spec.timeout_ms = millis(JAVASCRIPT_EVALUATE_TIMEOUT);
        let code = Arc::new(FunctionCode {
            app: code.app.clone(),
            revision: code.revision,
            name: code.name.clone(),
            numbered: None,
            spec,
            dir: code.dir.clone(),
            cpu: CpuTotal::default(),
            given: crate::code::Given::default(),
        });
        let file = self.file(&code).await?;
        let unit = Placed::load(self, file, Arc::clone(&code), Some(program)).await?;
        let start = Start {
            code: Arc::clone(&code),
            unit: Arc::new(unit),
            instance: self.environment.next_instance(),
            environment: Arc::clone(&self.environment),
        };
        let unit = Arc::clone(&start.unit);
        let handler = unit.handler().ok_or_else(|| Fault::internal("no handler"))?;
        let kept = handler.open(start).await?;
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(http::header::HOST, HeaderValue::from_static("localhost"));
        let request = http::Request::from_parts(parts, body);
        let call = kept.call(Invocation { context: Arc::new(context(&code)), request });
        let reply = tokio::time::timeout(JAVASCRIPT_EVALUATE_TIMEOUT, call).await;
        let reply = reply.unwrap_or_else(|_| Err(Fault::new(Code::CallTimeout, "it takes too long")))?;
        let status = reply.status().as_u16();
        Ok((status, reply.into_body().collect().await?.to_bytes()))
    }
}

/// The context of a call that nobody made.
fn context(code: &FunctionCode) -> Context {
    Context {
        id: InvocationId(0),
        trace: TraceContext { trace_id: 1, span_id: 1, flags: 0 },
        app: code.app.clone(),
        revision: code.revision,
        function: code.name.clone(),
        deadline: Instant::now() + JAVASCRIPT_EVALUATE_TIMEOUT,
        depth: 0,
        hops: 0,
        secure: false,
        peer: None,
        route: None,
        origin: Origin::now(CallCause::Control),
        timing: Timing::default(),
        trail: Trail::default(),
    }
}

impl WasmUnit {
    /// What an instance has besides, if it runs a script.
    pub(super) fn running(&self, instance: u64, calls: &Calls) -> Option<javascript::Running> {
        let logs = Arc::clone(&self.shared.environment.logs);
        let call = (Arc::clone(&self.code), calls.clone(), instance);
        self.script.as_ref().map(|script| javascript::Running::new(Arc::clone(script), logs, call))
    }
}

/// What the runtime says of a module.
#[derive(Deserialize)]
struct Verdict {
    /// The handlers that it has.
    #[serde(default)]
    handlers: Vec<String>,
    /// What evaluating it threw.
    error: Option<String>,
    /// Where that was.
    line: Option<usize>,
}

/// Evaluates a function's module in an instance of its own, and says which handlers it exports.
///
/// # Errors
/// `HOB-0340` for what it throws, syntax errors included; `HOB-0341` when it has no handler.
pub(super) async fn check(shared: &Arc<Shared>, code: &FunctionCode) -> Result<Vec<String>> {
    let name = code.spec.run.first().cloned().unwrap_or_default();
    let script = shared.script(code).await?;
    let request = http::Request::get("/").header(KIND, CHECK).body(empty()).map_err(Fault::internal)?;
    let (_, answer) = shared.ask(code, script, request).await.map_err(|fault| match fault.code() {
        Code::CallTimeout => {
            let seconds = JAVASCRIPT_EVALUATE_TIMEOUT.as_secs();
            Fault::new(Code::ScriptInvalid, format!("`{name}` is not evaluated within {seconds} s"))
                .at(&name)
                .hint("what a module does outside its handlers is done at each start of an instance")
        }
        _ => fault,
    })?;
    // What ends too early is found after the file's own end.
    let lines = read(&code.dir.join(&name), &name).await?.split(|byte| *byte == b'\n').count();
    let verdict: Verdict = serde_json::from_slice(&answer).map_err(Fault::internal)?;
    judge(&name, lines, &verdict)?;
    Ok(verdict.handlers)
}

fn judge(name: &str, lines: usize, verdict: &Verdict) -> Result<()> {
    if let Some(error) = &verdict.error {
        let place =
            verdict.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{}", line.min(lines)));
        return Err(Fault::new(Code::ScriptInvalid, format!("`{name}` cannot be evaluated: {error}"))
            .at(place)
            .hint(
                "Hob runs the module once when it is deployed; `node --check FILE` checks it without Hob",
            ));
    }
    if verdict.handlers.is_empty() {
        return Err(Fault::new(
            Code::ScriptHandler,
            format!("the default export of `{name}` has no function `fetch`, `scheduled` or `queue`"),
        )
        .at(name)
        .hint(
            "write `export default { async fetch(request, env, ctx) { return new Response(\"hello\") } }`",
        ));
    }
    Ok(())
}
