//! Contract `static`: what a browser asks for, and what it gets.

use crate::support::{Bench, invocation};
use hob_core::fault::Fault;
use hob_runtime::body::empty;
use hob_runtime::pool::Pool;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::sync::Arc;

const STYLE: &str = "p { color: #123456 }\n";

/// A larger file than is kept in memory.
fn film() -> Vec<u8> {
    (0..600_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

async fn site(bench: &Bench, settings: serde_json::Value) -> Result<Arc<Pool>, Fault> {
    let (style, film) = (STYLE.repeat(100), film());
    let files: &[(&str, &[u8])] = &[
        ("public/index.html", b"<h1>home</h1>"),
        ("public/about.html", b"about"),
        ("public/docs/index.html", b"docs"),
        ("public/docs/a b.txt", b"spaced"),
        ("public/404.html", b"lost"),
        ("public/style.css", style.as_bytes()),
        ("public/app.js", b"let a = 1;"),
        ("public/app.js.br", b"brotli"),
        ("public/assets/x.1234.js", b"x"),
        ("public/film.bin", &film),
        ("public/empty.txt", b""),
        ("public/.env", b"secret"),
        ("public/.well-known/security.txt", b"mail"),
        ("private.txt", b"outside"),
    ];
    let code = bench.code("static", &["public"], files, |spec| {
        "files".clone_into(&mut spec.host);
        spec.settings = settings.as_object().unwrap().clone();
    });
    bench.pool(code).await
}

/// Asks, and shows status, the named headers and the body's beginning in one line.
async fn ask(pool: &Pool, asked: &str) -> String {
    let mut words = asked.split(" | ");
    let (method, path) = words.next().unwrap().split_once(' ').unwrap();
    let mut request = http::Request::builder().method(method).uri(path).header("host", "localhost");
    for header in words {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let reply = pool.call(invocation(pool, request.body(empty()).unwrap())).await.unwrap();
    let status = reply.status().as_u16();
    let shown = ["location", "allow", "content-range", "content-encoding", "content-length", "content-type"];
    let headers =
        shown.iter().filter_map(|name| reply.headers().get(*name)).map(|value| value.to_str().unwrap());
    let headers: Vec<String> = headers.map(str::to_owned).collect();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body[..body.len().min(14)]).replace('\n', " ");
    format!("{status} {} {}", headers.join(", "), text.trim_end()).trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_answers_as_a_web_server_would() {
    let bench = Bench::open();
    let pool = site(&bench, json!({})).await.unwrap();
    let html = "text/html; charset=utf-8";
    let text = "text/plain; charset=utf-8";
    let lost = format!("404 4, {html} lost");
    for (asked, expected) in [
        ("GET /", format!("200 13, {html} <h1>home</h1>")),
        ("HEAD /", format!("200 13, {html}")),
        ("GET /index.html?x=1", format!("200 13, {html} <h1>home</h1>")),
        ("GET /about", format!("200 5, {html} about")),
        ("GET /docs/", format!("200 4, {html} docs")),
        ("GET /docs?x=1", format!("308 ./docs/?x=1, {text}")),
        ("GET //docs", format!("308 ./docs/, {text}")),
        ("GET /docs/a%20b.txt", format!("200 6, {text} spaced")),
        ("GET /empty.txt", format!("200 0, {text}")),
        ("GET /.well-known/security.txt", format!("200 4, {text} mail")),
        ("GET /.env", lost.clone()),
        ("GET /../private.txt", lost.clone()),
        ("GET /%2e%2e/private.txt", lost.clone()),
        ("GET /docs/..%2f..%2fprivate.txt", lost.clone()),
        ("GET /nothing", lost.clone()),
        ("GET /%zz", format!("400 {text} the path is no")),
        ("GET /%ff", format!("400 {text} the path is no")),
        ("GET /a%00b", format!("400 {text} the path is no")),
        ("POST /", format!("405 GET, HEAD, OPTIONS, {text} files take GET")),
        ("OPTIONS /", format!("204 GET, HEAD, OPTIONS, {text}")),
        (
            "GET /style.css | range: bytes=0-3",
            "206 bytes 0-3/2100, 4, text/css; charset=utf-8 p {".to_owned(),
        ),
        ("GET /style.css | range: bytes=9999-", "416 bytes */2100, text/css; charset=utf-8".to_owned()),
        (
            "GET /style.css | range: bytes=0-3 | if-range: \"other\"",
            "200 2100, text/css; charset=utf-8 p { color: #12".to_owned(),
        ),
        ("GET /app.js | accept-encoding: br", "200 br, 6, text/javascript; charset=utf-8 brotli".to_owned()),
        (
            "GET /app.js | accept-encoding: gzip",
            "200 10, text/javascript; charset=utf-8 let a = 1;".to_owned(),
        ),
        (
            "GET /film.bin | range: bytes=599998-",
            "206 bytes 599998-599999/600000, 2, application/octet-stream".to_owned()
                + " "
                + &String::from_utf8_lossy(&film()[599_998..]),
        ),
    ] {
        assert_eq!(ask(&pool, asked).await, expected, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_compressed_and_told_from_each_other() {
    let bench = Bench::open();
    let pool = site(&bench, json!({ "immutable": ["assets/"], "headers": { "x-frame-options": "DENY" } }))
        .await
        .unwrap();
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = http::Request::get(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = pool.call(invocation(&pool, request.body(empty()).unwrap())).await.unwrap();
        let (head, body) = reply.into_parts();
        (head, body.collect().await.unwrap().to_bytes())
    };
    let (plain, body) = get("/style.css", &[]).await;
    assert_eq!((body.len(), &plain.headers["vary"]), (2100, &"accept-encoding".parse().unwrap()));
    let (packed, body) = get("/style.css", &[("accept-encoding", "gzip")]).await;
    assert!(body.len() < 200 && packed.headers["content-encoding"] == "gzip", "{} bytes", body.len());
    let mut unpacked = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut unpacked).unwrap();
    assert_eq!(unpacked, STYLE.repeat(100));
    assert_ne!(plain.headers["etag"], packed.headers["etag"], "two forms, two tags");

    let tag = plain.headers["etag"].to_str().unwrap();
    for condition in [tag, &format!("W/{tag}"), &format!("\"other\", {tag}"), "*"] {
        let (head, body) = get("/style.css", &[("if-none-match", condition)]).await;
        assert_eq!((head.status.as_u16(), body.len()), (304, 0), "{condition}");
    }
    assert_eq!(get("/style.css", &[("if-none-match", "\"other\"")]).await.0.status, 200);

    assert_eq!(plain.headers["cache-control"], "no-cache");
    let (head, _) = get("/assets/x.1234.js", &[]).await;
    assert_eq!(head.headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(
        (&head.headers["x-frame-options"], &head.headers["x-content-type-options"]),
        (&"DENY".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    let (_, film_body) = get("/film.bin", &[]).await;
    assert!(film_body == film(), "{} bytes from the disk", film_body.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_page_app_answers_for_every_page() {
    let bench = Bench::open();
    let pool = site(&bench, json!({ "fallback": "index.html" })).await.unwrap();
    for (asked, status) in [
        ("GET /users/7", "200"),
        ("GET /users/7 | accept: text/html", "200"),
        ("GET /users/jo.doe | accept: text/html", "200"),
        ("GET /missing.js", "404"),
        ("GET /users/7 | accept: application/json", "404"),
        ("GET /.git/config", "404"),
    ] {
        assert!(ask(&pool, asked).await.starts_with(status), "{asked}");
    }
}

#[tokio::test]
async fn wrong_settings_are_refused() {
    let bench = Bench::open();
    for (settings, code) in [
        (json!({ "fallbck": "index.html" }), "HOB-0102"),
        (json!({ "fallback": "nowhere.html" }), "HOB-0108"),
        (json!({ "not-found": 404 }), "HOB-0103"),
        (json!({ "index": "a/b" }), "HOB-0103"),
        (json!({ "cache": "a\nb" }), "HOB-0103"),
        (json!({ "immutable": "assets/" }), "HOB-0103"),
        (json!({ "headers": { "content-length": "1" } }), "HOB-0103"),
        (json!({ "immutable": vec!["a/"; 40] }), "HOB-0109"),
    ] {
        let fault = site(&bench, settings.clone()).await.err().unwrap();
        assert_eq!(fault.code().text(), code, "{settings}");
    }
}
