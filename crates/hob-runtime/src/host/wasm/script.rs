//! Functions of contract `javascript`: their WASM file is the runtime, their program is text.
//!
//! **How.** The runtime lies beside the compiled code, written there from this program when it is first wanted. At
//! deploy the module is evaluated once in an instance ([`check`]), so that what is wrong with it is said by file and
//! line before anything is switched.

use super::kept::Kept;
use super::mapped::Current;
use super::{Calls, File, Runnable, Shared, WasmUnit, javascript, read};
use crate::body::empty;
use crate::code::FunctionCode;
use crate::cpu::CpuTotal;
use crate::host::{Candidate, Detected};
use crate::invocation::{Context, Invocation, Origin, Timing, Trail};
use crate::javascript::{CHECK, COMPONENT, DIGEST, KIND, Program, is_module};
use crate::unit::Instance as _;
use hob_core::code::Code;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::limit::JAVASCRIPT_EVALUATE_TIMEOUT;
use hob_core::trace::TraceContext;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use std::path::Path;
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
    let ending = candidate.name.rsplit_once('.')?.1;
    if !matches!(ending, "js" | "mjs" | "ts") || candidate.head.starts_with(b"#!") {
        return None;
    }
    let text = std::fs::read_to_string(candidate.file).ok()?;
    let what = "JavaScript module with handlers (`export default`)".to_owned();
    let run = vec![candidate.name.to_owned()];
    is_module(&text).then_some(Detected { host: "wasm", contract: CONTRACT, run, what })
}

/// The runtime as a file that can be compiled.
pub(super) async fn file(cache_dir: &Path) -> Result<File> {
    let dir = cache_dir.join(CONTRACT);
    let path = dir.join(format!("{}.wasm", DIGEST.hex()));
    let there = tokio::fs::metadata(&path).await.is_ok_and(|found| found.len() == COMPONENT.len() as u64);
    if !there {
        let write = {
            let path = path.clone();
            move || -> std::io::Result<()> {
                std::fs::create_dir_all(&dir)?;
                // Others may do the same at this moment: the name is given to a whole file.
                let own = dir.join(format!("{}.{:?}", std::process::id(), std::thread::current().id()));
                std::fs::write(&own, COMPONENT)?;
                std::fs::rename(&own, &path)
            }
        };
        let written = tokio::task::spawn_blocking(write).await.map_err(Fault::internal)?;
        written.map_err(|error| {
            Fault::new(Code::StoreIo, format!("cannot write {NAME} to `{}`", path.display())).detail(error)
        })?;
    }
    Ok(File { path, name: NAME.to_owned(), digest: *DIGEST })
}

/// The program of a function.
pub(super) async fn program(code: &FunctionCode) -> Result<Program> {
    let name = code.spec.run.first().cloned().unwrap_or_default();
    let source = read(&code.dir.join(&name), &name).await?;
    Program::of(&name, &source)
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

/// Evaluates a function's module in an instance of its own.
///
/// # Errors
/// `HOB-0340` for what it throws, syntax errors included; `HOB-0341` when it has no handler.
pub(super) async fn check(shared: &Arc<Shared>, current: Current, code: &FunctionCode) -> Result<()> {
    let Runnable::Http03(pre) = &current.runnable else { return Err(Fault::internal("no handler")) };
    let (pre, instance) = (pre.clone(), shared.environment.next_instance());
    let code = Arc::new(FunctionCode {
        app: code.app.clone(),
        revision: code.revision,
        name: code.name.clone(),
        spec: code.spec.clone(),
        dir: code.dir.clone(),
        cpu: CpuTotal::default(),
    });
    let name = code.spec.run.first().cloned().unwrap_or_default();
    let unit = WasmUnit::of(shared, file(&shared.environment.cache_dir).await?, current, Arc::clone(&code)).await?;
    let kept = Kept::open(unit, pre, instance).await?;
    let context = Context {
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
    };
    let request = http::Request::get("/").header(http::header::HOST, "localhost").header(KIND, CHECK);
    let request = request.body(empty()).map_err(Fault::internal)?;
    let call = kept.call(Invocation { context: Arc::new(context), request });
    let reply = match tokio::time::timeout(JAVASCRIPT_EVALUATE_TIMEOUT, call).await {
        Ok(reply) => reply?,
        Err(_) => {
            let seconds = JAVASCRIPT_EVALUATE_TIMEOUT.as_secs();
            let message = format!("`{name}` is not evaluated within {seconds} s");
            return Err(Fault::new(Code::ScriptInvalid, message).at(name));
        }
    };
    let answer = reply.into_body().collect().await?.to_bytes();
    // What ends too early is found after the file's own end.
    let lines = read(&code.dir.join(&name), &name).await?.split(|byte| *byte == b'\n').count();
    judge(&name, lines, &serde_json::from_slice(&answer).map_err(Fault::internal)?)
}

fn judge(name: &str, lines: usize, verdict: &Verdict) -> Result<()> {
    if let Some(error) = &verdict.error {
        let place = verdict.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{}", line.min(lines)));
        return Err(Fault::new(Code::ScriptInvalid, format!("`{name}` cannot be evaluated: {error}"))
            .at(place)
            .hint("Hob runs the module once when it is deployed; `node --check FILE` checks it without Hob"));
    }
    if verdict.handlers.is_empty() {
        return Err(Fault::new(
            Code::ScriptHandler,
            format!("the default export of `{name}` has no function `fetch`, `scheduled` or `queue`"),
        )
        .at(name)
        .hint("write `export default { async fetch(request, env, ctx) { return new Response(\"hello\") } }`"));
    }
    Ok(())
}
