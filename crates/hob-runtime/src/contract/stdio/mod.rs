//! Contract `stdio`: one program run per call, the oldest contract there is.
//!
//! **How.** The request's body is standard input, what the program prints is the answer, its exit code
//! says whether it worked. The environment is that of CGI (RFC 3875, 4.1), with WAGI's additions, and
//! that of the classic OpenFaaS watchdog (`environment`). Output that begins with CGI headers
//! (RFC 3875, 6.3) is an answer with these headers; other output is the body as it is (`answer`).
//!
//! **Invariants.** The first [`STDIO_HELD_BYTES_MAX`] bytes of output wait for the exit code, so that a
//! program which fails without saying much is a failed call and not half an answer. What is longer is
//! streamed; then a failure breaks the stream.

pub(crate) mod answer;
mod environment;
mod feed;
mod wagi;

use super::way::Way;
use super::{Contract, Lifetime, setting};
use crate::body::Body;
use crate::code::FunctionCode;
use crate::invocation::{Context, Invocation, Reply};
use crate::unit::{Exit, Launch, Program, Unit};
use crate::unit::{Instance, Start};
use answer::Answer;
use bytes::Bytes;
use feed::Feed;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::STDIO_HELD_BYTES_MAX;
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use hob_core::unit::show_duration;
use http::header::HeaderValue;
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The contract.
#[derive(Debug)]
pub struct Stdio;

impl Contract for Stdio {
    fn name(&self) -> &'static str {
        "stdio"
    }

    fn summary(&self) -> &'static str {
        "one program run per call: body on standard input, answer on standard output, CGI environment"
    }

    fn example(&self) -> &'static str {
        "[functions.notes]\nrun = [\"sh\", \"notes.sh\"]\ncontract = \"stdio\"\n"
    }

    fn check(&self, spec: &FunctionSpec) -> Result<()> {
        Settings::read(spec).map(drop)
    }

    fn lifetime(&self, unit: &dyn Unit) -> Result<Lifetime> {
        unit.command().ok_or_else(no_program).map(|_| Lifetime::PerCall)
    }

    fn start(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>> {
        Box::pin(async move {
            let settings = Settings::read(&start.code.spec)?;
            Ok(Box::new(Run { start, settings }) as Box<dyn Instance>)
        })
    }
}

fn no_program() -> Fault {
    Fault::new(Code::ContractMismatch, "contract `stdio` needs a program with standard input and output")
        .hint("use `contract = \"wasi-http\"` for a component that exports a handler")
}

const KEYS: [&str; 4] = ["content-type", "output", "wagi", "argv"];

/// `[functions.<name>.stdio]`.
struct Settings {
    /// Type of an answer without headers; `None`: the request's own, as the classic watchdog does.
    content_type: Option<HeaderValue>,
    /// Whether output may begin with CGI headers.
    cgi: bool,
    /// The template of the command line, where it runs as WAGI does.
    wagi: Option<String>,
}

impl Settings {
    fn read(spec: &FunctionSpec) -> Result<Self> {
        let mut settings = Self { content_type: None, cgi: true, wagi: None };
        for (key, value) in &spec.settings {
            let wrong = |hint: &str| setting::wrong("stdio", key, value, hint);
            match key.as_str() {
                "content-type" => {
                    let given = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
                    settings.content_type =
                        Some(given.ok_or_else(|| wrong("write a media type such as `application/json`"))?);
                }
                "output" => {
                    settings.cgi = match value.as_str() {
                        Some("cgi") => true,
                        Some("raw") => false,
                        _ => return Err(wrong("use `cgi` (the default: headers if there are any) or `raw`")),
                    }
                }
                "wagi" | "argv" => {}
                _ => return Err(setting::unknown("stdio", key, &KEYS)),
            }
        }
        settings.wagi = wagi_template(spec)?;
        Ok(settings)
    }
}

/// The settings `wagi` and `argv`: the second means nothing without the first.
fn wagi_template(spec: &FunctionSpec) -> Result<Option<String>> {
    let wagi = match spec.settings.get("wagi") {
        None => false,
        Some(Value::Bool(wagi)) => *wagi,
        Some(value) => return Err(setting::wrong("stdio", "wagi", value, "write `true` or `false`")),
    };
    let template = match spec.settings.get("argv") {
        None => wagi::ARGV,
        Some(Value::String(template)) if wagi => template,
        Some(value) => {
            let hint = "write a template such as `${SCRIPT_NAME} ${ARGS}`, and `wagi = true`";
            return Err(setting::wrong("stdio", "argv", value, hint));
        }
    };
    Ok(wagi.then(|| template.to_owned()))
}

/// One run, which begins with its call.
struct Run {
    start: Start,
    settings: Settings,
}

impl Instance for Run {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.run(invocation))
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(pending())
    }

    fn stop(&self, _grace: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Run {
    async fn run(&self, invocation: Invocation) -> Result<Reply> {
        let Invocation { context, request } = invocation;
        let way = Way::open(&self.start);
        let on_the_way = way.running(&context, None);
        let (head, body) = request.into_parts();
        let mut env = way.variables();
        env.extend(environment::variables(&head, &context));
        let args = match &self.settings.wagi {
            Some(template) => {
                let own = wagi::variables(&head, &context);
                // A guest that finds a variable twice may take the first.
                env.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
                env.extend(own);
                wagi::arguments(template, &head)
            }
            None if self.settings.cgi => environment::query_words(&head),
            None => Vec::new(),
        };
        let launch = Launch {
            instance: self.start.instance,
            args,
            env,
            stdin: true,
            stdout: true,
            lines: None,
            context: Some(Arc::clone(&context)),
            behind: way.behind(),
        };
        let began = Instant::now();
        let mut program = self.start.unit.command().ok_or_else(no_program)?.start(launch).await?;
        context.timing.started(began.elapsed());
        let stdin = program.take_stdin().ok_or_else(|| Fault::internal("a program without an input"))?;
        let feed = Feed::start(self.start.environment.spawn.as_ref(), body, stdin);
        let stdout = program.take_stdout().ok_or_else(|| Fault::internal("a program without an output"))?;
        let mut output = Output {
            stdout,
            program,
            feed,
            code: Arc::clone(&self.start.code),
            context,
            hold: Some((way, on_the_way)),
        };
        let (held, over) = output.hold_back().await?;
        let echoed = head.headers.get(http::header::CONTENT_TYPE);
        let default = self.settings.content_type.as_ref().or(echoed);
        let Answer { parts, body } = match self.settings.wagi {
            Some(_) => wagi::read(held).map_err(|why| self.bad(why).with_status(500))?,
            None => answer::read(held, self.settings.cgi, default).map_err(|why| self.bad(why))?,
        };
        let rest = if over { None } else { Some(output) };
        Ok(Reply::from_parts(parts, streamed(body, rest)))
    }

    fn bad(&self, why: &str) -> Fault {
        let name = &self.start.code.name;
        Fault::new(Code::BadResponse, format!("`{name}` printed headers that are not valid: {why}"))
            .hint("print `Content-Type: …` and an empty line first, or set `output = \"raw\"`")
    }
}

/// What a program prints, and the program itself: it runs as long as this lives.
struct Output {
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    program: Box<dyn Program>,
    /// After the program, so that the program is gone before its input is.
    feed: Feed,
    code: Arc<FunctionCode>,
    context: Arc<Context>,
    hold: Option<(Way, super::way::OnTheWay)>,
}

impl Output {
    /// Reads until the program has ended well (then true), or until so much has come that it must be
    /// streamed (then false).
    async fn hold_back(&mut self) -> Result<(Vec<u8>, bool)> {
        let mut held = Vec::new();
        while held.len() < STDIO_HELD_BYTES_MAX {
            match self.next().await? {
                Some(chunk) => held.extend_from_slice(&chunk),
                None => return Ok((held, true)),
            }
        }
        Ok((held, false))
    }

    /// What is printed next, or `None` once the program has ended well.
    ///
    /// # Errors
    /// Why its input broke off, or how it failed.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut chunk = vec![0; 16 << 10];
        tokio::select! {
            biased;
            fault = self.feed.broken() => Err(fault),
            read = self.stdout.read(&mut chunk) => match read {
                Ok(read) if read > 0 => {
                    chunk.truncate(read);
                    Ok(Some(chunk.into()))
                }
                _ => self.end().await.map(|()| None),
            },
        }
    }

    /// Waits for the program's end.
    async fn end(&mut self) -> Result<()> {
        let exit = tokio::select! {
            biased;
            fault = self.feed.broken() => return Err(fault),
            exit = self.program.exit() => exit,
        };
        self.hold = None;
        failure(&self.code, &self.context, &exit).map_or(Ok(()), Err)
    }
}

/// The body: what was held back, then what still comes.
fn streamed(first: Vec<u8>, rest: Option<Output>) -> Body {
    let Some(output) = rest else { return crate::body::full(first) };
    Streamed { first: Some(first.into()), next: Some(Box::pin(advance(output))) }.boxed_unsync()
}

type Advance = BoxFuture<'static, (Output, Result<Option<Bytes>>)>;

async fn advance(mut output: Output) -> (Output, Result<Option<Bytes>>) {
    let next = output.next().await;
    (output, next)
}

struct Streamed {
    first: Option<Bytes>,
    next: Option<Advance>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(next) = self.next.as_mut() else { return Poll::Ready(None) };
        let (output, chunk) = std::task::ready!(next.as_mut().poll(cx));
        self.next = None;
        Poll::Ready(match chunk {
            Ok(Some(chunk)) => {
                self.next = Some(Box::pin(advance(output)));
                Some(Ok(Frame::data(chunk)))
            }
            Ok(None) => None,
            Err(fault) => Some(Err(fault)),
        })
    }
}

/// Why a run that ended so is a failed call, if it is.
fn failure(code: &FunctionCode, context: &Context, exit: &Exit) -> Option<Fault> {
    let name = &code.name;
    let (kind, what) = match exit {
        Exit::Code(0) => return None,
        Exit::Code(number) => (Code::ExitFailure, format!("ended with exit code {number}")),
        Exit::Signal(signal) => (Code::Crashed, format!("was ended by signal {signal}")),
        Exit::MemoryLimit => (Code::MemoryLimit, "needed more memory than it may have".to_owned()),
        Exit::Deadline => {
            let time = show_duration(code.spec.timeout());
            (Code::CallTimeout, format!("did not answer before its deadline (timeout `{time}`)"))
        }
        Exit::Trap(_) => (Code::Crashed, "trapped".to_owned()),
    };
    let mut fault = Fault::new(kind, format!("`{name}` {what}"))
        .hint(format!("see what it printed with `hob logs {}/{name}`", context.app));
    if let Exit::Trap(trap) = exit {
        fault = fault.detail(trap);
    }
    Some(fault)
}
