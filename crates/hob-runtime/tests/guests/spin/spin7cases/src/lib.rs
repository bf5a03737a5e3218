//! A guest of spin-sdk 7 for the table of clients (`crates/hob/tests/all/proof`): answers its cases by path.

use bytes::Bytes;
use futures::SinkExt as _;
use serde_json::{json, Value};
use spin_sdk::http::body::{stream, IncomingBodyExt};
use spin_sdk::http::{box_body, BoxBody, FullBody, Request, Response, Result};
use spin_sdk::http_service;
use std::time::Duration;

/// Pieces of an answer that goes on until nobody reads it.
const PIECE: [u8; 16 << 10] = [b'x'; 16 << 10];

fn answer(status: u16, media: &str, body: impl Into<Bytes>) -> Result<Response<BoxBody>> {
    let response = Response::builder().status(status).header("content-type", media);
    Ok(response.body(box_body(FullBody::new(body.into())))?)
}

fn text(body: impl Into<Bytes>) -> Result<Response<BoxBody>> {
    answer(200, "text/plain", body)
}

/// Writes what `piece` gives, until it gives nothing more or nobody reads.
fn streamed(mut piece: impl FnMut() -> Option<Bytes> + 'static) -> Result<Response<BoxBody>> {
    let (mut sender, body) = stream::<Bytes>();
    spin_sdk::wasip3::spawn(async move {
        while let Some(piece) = piece() {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    Ok(Response::builder().header("content-type", "text/plain").body(box_body(body))?)
}

#[http_service]
async fn guest(request: Request) -> Result<Response<BoxBody>> {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/fail" => Err("no such thing".into()),
        "/sleep" => {
            spin_sdk::time::sleep(Duration::from_secs(30)).await;
            text("late")
        }
        "/stream" => {
            let mut parts = 0..10;
            streamed(move || parts.next().map(|part| part.to_string().into()))
        }
        "/endless" => streamed(|| Some(Bytes::from_static(&PIECE))),
        "/large" => text(vec![b'x'; 5 << 20]),
        "/length" => text(request.into_body().bytes().await?.len().to_string()),
        "/bytes" => answer(200, "application/octet-stream", request.into_body().bytes().await?),
        "/cookies" => {
            let sent: Vec<String> = request
                .headers()
                .get_all("cookie")
                .iter()
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .collect();
            let response = Response::builder().header("set-cookie", "a=1; Path=/").header("set-cookie", "b=2");
            Ok(response.body(box_body(FullBody::new(Bytes::from(sent.join("; ")))))?)
        }
        path if path.starts_with("/parse/") => {
            let query = request.uri().query().unwrap_or_default();
            let q = query.strip_prefix("q=").unwrap_or_default().replace("%20", " ");
            let id = path["/parse/".len()..].to_owned();
            match serde_json::from_slice::<Value>(&request.into_body().bytes().await?) {
                Ok(body) => {
                    let told = json!({ "id": id, "q": q, "a": body["a"] });
                    answer(200, "application/json", told.to_string())
                }
                Err(_) => answer(400, "text/plain", "bad json"),
            }
        }
        _ => text(path),
    }
}
