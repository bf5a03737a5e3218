//! Routers from npm, as people use them in Workers: `hono` and `itty-router`, bundled into one file by esbuild and
//! run as contract `javascript`.
//!
//! **How.** `tests/clients/workers` holds the sources; packages and bundles lie in the target folder. One table says
//! what both answer: parameters, JSON, failures, streams, five megabytes, bytes, cookies, and a hundred calls at once.

use super::clients::{JAVASCRIPT, packages_of};
use super::support::{Serving, finish, write};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

const PACKAGES: &[&str] = &["hono@4.13.19", "itty-router@5.0.24", "esbuild@0.28.2"];
const SOURCES: &[(&str, &[u8])] = &[
    ("hono.js", include_bytes!("../clients/workers/hono.js")),
    ("itty.ts", include_bytes!("../clients/workers/itty.ts")),
];

/// A body of five mebibytes.
const LARGE_BYTES: usize = 5 << 20;

struct Exchange {
    request: String,
    body: Vec<u8>,
    status: u16,
    /// A part of the head, in small letters.
    head: &'static str,
    answer: Vec<u8>,
}

fn exchanges() -> Vec<Exchange> {
    let ask = |request: &str, body: Vec<u8>, status, head, answer: Vec<u8>| Exchange {
        request: request.to_owned(),
        body,
        status,
        head,
        answer,
    };
    let text = |text: &str| text.as_bytes().to_vec();
    let large: Vec<u8> = (0..251).cycle().take(LARGE_BYTES).collect();
    vec![
        ask("GET /", vec![], 200, "content-type: text/plain", text("hello")),
        ask(
            "GET /users/7?q=a%20b",
            vec![],
            200,
            "application/json",
            text(r#"{"id":"7","q":"a b","lang":"en"}"#),
        ),
        ask("POST /json", text(r#"{"a":[1,"ü"]}"#), 201, "", text(r#"{"got":{"a":[1,"ü"]}}"#)),
        ask("POST /json", text("{"), 400, "", text("bad json")),
        ask("GET /cookies", vec![], 200, "set-cookie: b=2; path=/", text("a=1")),
        ask("GET /stream", vec![], 200, "", text("0123456789")),
        ask("POST /bytes", vec![0, 255, 1, 254], 200, "application/octet-stream", vec![0, 255, 1, 254]),
        ask("POST /bytes", large.clone(), 200, "", large),
        ask("GET /missing", vec![], 404, "", text("nothing here")),
        ask("GET /handled", vec![], 500, "", text("handled: boom")),
    ]
}

#[test]
fn routers_of_workers_run_unchanged() {
    let modules = match packages_of(&JAVASCRIPT, PACKAGES) {
        Ok(modules) => modules,
        Err(why) => {
            println!("skipped hono and itty-router: {why}");
            return;
        }
    };
    let home = tempfile::tempdir().unwrap();
    write(home.path(), SOURCES);
    for (source, _) in SOURCES {
        let name = source.split('.').next().unwrap();
        let bundle = format!("{name}-bundle.js");
        let mut esbuild = Command::new(modules.join(".bin/esbuild"));
        esbuild.current_dir(home.path()).env("NODE_PATH", &modules);
        let outfile = format!("--outfile={bundle}");
        let bundled = finish(esbuild.args([*source, "--bundle", "--format=esm", outfile.as_str()]));
        assert_eq!(bundled.code, 0, "{}", bundled.stderr);
        let app = home.path().join(name);
        std::fs::create_dir(&app).unwrap();
        std::fs::rename(home.path().join(&bundle), app.join(&bundle)).unwrap();
        let manifest = format!(
            "app = \"{name}\"\n[functions.router]\nrun = \"{bundle}\"\nroute = \"/*\"\nenv = {{ LANG = \"en\" }}\n"
        );
        std::fs::write(app.join("hob.toml"), manifest).unwrap();
        let serving = Serving::start(home.path(), &["run", app.to_str().unwrap()]);
        for exchange in exchanges() {
            check(name, &serving, &exchange);
        }
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| assert_eq!(serving.get("/users/7?q=x").0, 200));
            }
        });
    }
}

fn check(name: &str, serving: &Serving, exchange: &Exchange) {
    let Exchange { request, body, status, head, answer } = exchange;
    let mut stream = TcpStream::connect(serving.url.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncookie: a=1\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let told = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let body = if told.contains("transfer-encoding: chunked") {
        unchunked(&bytes[end + 4..])
    } else {
        bytes[end + 4..].to_vec()
    };
    assert!(
        told.starts_with(&format!("http/1.1 {status} ")) && told.contains(head),
        "{name} {request}: {told}"
    );
    assert!(body == *answer, "{name} {request}: {}", String::from_utf8_lossy(&body[..body.len().min(300)]));
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
    body
}
