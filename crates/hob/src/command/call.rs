//! `hob call`: one request to a function, its answer on stdout, its failure as the exit code.

use super::{Command, DONE};
use crate::client::{self, Answer, Endpoint, Payload};
use crate::output::Output;
use crate::settings::Connection;
use hob_core::code::{Code, exit};
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use std::io::Read;

/// Send a request to a function. The body of the answer goes to stdout as it comes. Ends with 1
/// when the function failed (a status of 500 or more), and with Hob's own code when Hob refused.
#[derive(clap::Args)]
pub(super) struct Call {
    /// `APP/FUNCTION[/PATH]`, or a path (`/hello`) or URL that the node's gateway routes
    #[arg(value_name = "TARGET")]
    target: String,
    /// Method [default: GET, or POST with a body]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<Method>,
    /// A header, `Name: value`; repeat for several
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header_line)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body: text, `@FILE`, or `-` for standard input
    #[arg(short = 'd', long = "body", value_name = "BODY", allow_hyphen_values = true)]
    body: Option<String>,
    /// Write status and headers of the answer to stderr
    #[arg(short, long)]
    include: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What a person wants to call.
pub(super) enum Target {
    /// A function and the path behind it.
    Function(AppName, FunctionName, String),
    /// A path that the gateway routes.
    Gateway(String),
    /// A whole address.
    Url(http::Uri),
}

impl Command for Call {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let target = target(&self.target)?;
        let mut answer = match target {
            Target::Function(app, function, path) => {
                client.call(&app, &function, self.request(&path)?).await?
            }
            Target::Gateway(path) => {
                let url: http::Uri = client.node().await?.url.parse().map_err(Fault::internal)?;
                gateway(&url, self.request(&path)?).await?
            }
            Target::Url(url) => {
                let path = url.path_and_query().map_or("/", |path| path.as_str());
                gateway(&url, self.request(path)?).await?
            }
        };
        if self.include {
            show_head(&answer, output);
        }
        copy_body(&mut answer, output).await?;
        Ok(verdict(&answer, output))
    }
}

impl Call {
    fn request(&self, path: &str) -> Result<Request<Payload>> {
        let body = self.body.as_deref().map(read_body).transpose()?;
        let default = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder()
            .method(self.method.clone().unwrap_or(default))
            .uri(path)
            .body(body.map_or_else(client::empty, client::full))
            .map_err(|_| {
                Fault::new(Code::Usage, format!("`{path}` is not a valid path"))
                    .hint("encode blanks as `%20`")
            })?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        Ok(request)
    }
}

/// Reads `APP/FUNCTION[/PATH]`, a path or a URL.
///
/// # Errors
/// `HOB-0111` and `HOB-0104`.
pub(super) fn target(text: &str) -> Result<Target> {
    if text.starts_with('/') {
        return Ok(Target::Gateway(text.to_owned()));
    }
    if text.starts_with("http://") {
        let url = text.parse().map_err(|_| Fault::new(Code::Usage, format!("`{text}` is not a URL")))?;
        return Ok(Target::Url(url));
    }
    if text.starts_with("https://") {
        return Err(Fault::new(Code::Usage, format!("`{text}` needs TLS, which `hob call` does not speak"))
            .hint("use `APP/FUNCTION`, which goes through the control API"));
    }
    let (app, rest) = text.split_once('/').ok_or_else(|| {
        Fault::new(Code::Usage, format!("`{text}` names no function"))
            .hint(format!("write `{text}/FUNCTION`; `hob show {text}` lists them"))
    })?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (function, path) = rest.split_at(end);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Target::Function(AppName::new(app)?, FunctionName::new(function)?, path))
}

async fn gateway(url: &http::Uri, mut request: Request<Payload>) -> Result<Answer> {
    let authority = url.authority().map_or("localhost", |authority| authority.as_str());
    if !request.headers().contains_key(header::HOST) {
        request.headers_mut().insert(header::HOST, authority.parse().map_err(Fault::internal)?);
    }
    let endpoint = endpoint(url);
    client::send(&endpoint, request).await.map_err(|error| {
        Fault::new(Code::NodeUnreachable, format!("nobody answers at `{endpoint}`: {error}"))
            .hint("look at the node's address with `hob`")
    })
}

/// Where the gateway of that address listens.
pub(super) fn endpoint(url: &http::Uri) -> Endpoint {
    let port = url.port_u16().unwrap_or(80);
    let host = url.host().unwrap_or("127.0.0.1");
    // `*.localhost` is this machine (RFC 6761, 6.3), whatever the resolver thinks.
    let host = if host == "localhost" || host.ends_with(".localhost") { "127.0.0.1" } else { host };
    Endpoint::Tcp(format!("{host}:{port}"))
}

fn show_head(answer: &Answer, output: &Output) {
    output.note(&format!("{:?} {}", answer.head.version, answer.head.status));
    for (name, value) in &answer.head.headers {
        output.note(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    }
}

async fn copy_body(answer: &mut Answer, output: &Output) -> Result<()> {
    loop {
        let chunk = answer.chunk().await.map_err(|error| {
            Fault::new(Code::BadResponse, format!("the answer broke off: {error}")).hint("see `hob logs`")
        })?;
        match chunk {
            Some(chunk) if !output.closed() => output.write(&chunk),
            Some(_) | None => return Ok(()),
        }
    }
}

/// The exit code, with a word on stderr about a failure.
fn verdict(answer: &Answer, output: &Output) -> u8 {
    let header = |name: &str| answer.head.headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("hob-invocation-id").map(str::to_owned);
    let status = answer.head.status;
    if let Some(code) = header("hob-error").and_then(Code::parse) {
        output.fault_wire(&Fault::new(code, code.summary()).with_status(status.as_u16()).to_wire(id));
        return code.exit();
    }
    if status >= StatusCode::INTERNAL_SERVER_ERROR {
        let id = id.map(|id| format!(" (invocation {id})")).unwrap_or_default();
        output.note(&format!("the function answered {status}{id}"));
        return exit::FUNCTION;
    }
    DONE
}

/// A body: text, `@FILE`, or `-` for standard input.
///
/// # Errors
/// `HOB-0108` when it cannot be read.
pub(super) fn read_body(text: &str) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let read = match text.strip_prefix('@') {
        _ if text == "-" => std::io::stdin().lock().read_to_end(&mut body).map(|_| body),
        Some(file) => std::fs::read(file),
        None => Ok(text.as_bytes().to_vec()),
    };
    read.map_err(|error| {
        Fault::new(Code::FileMissing, format!("cannot read the body from `{text}`: {error}"))
    })
}

/// Reads `Name: value`; for clap.
pub(super) fn header_line(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parts = text
        .split_once(':')
        .and_then(|(name, value)| Some((name.trim().parse().ok()?, value.trim().parse().ok()?)));
    parts.ok_or_else(|| format!("`{text}` is not a header; write `Name: value`"))
}

#[cfg(test)]
mod tests {
    use super::{Target, target};

    #[test]
    fn targets() {
        let check = |text: &str| match target(text) {
            Ok(Target::Function(app, function, path)) => format!("{app} {function} {path}"),
            Ok(Target::Gateway(path)) => format!("gateway {path}"),
            Ok(Target::Url(url)) => format!("url {url}"),
            Err(fault) => fault.code().text().to_owned(),
        };
        for (text, expected) in [
            ("desk/rate", "desk rate /"),
            ("desk/rate/a/b?c=1", "desk rate /a/b?c=1"),
            ("desk/rate?c=1", "desk rate /?c=1"),
            ("/hello", "gateway /hello"),
            ("http://desk.localhost:8080/x", "url http://desk.localhost:8080/x"),
            ("desk", "HOB-0111"),
            ("desk/Rate", "HOB-0104"),
            ("https://a/", "HOB-0111"),
        ] {
            assert_eq!(check(text), expected, "{text}");
        }
    }
}
