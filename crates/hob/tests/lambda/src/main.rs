//! A function of AWS Lambda in Rust, with the official crates: HTTP, streams, events of services, an extension.
//!
//! **How.** `_HANDLER` says which of them it is; under the name `watcher` it is an extension.

use aws_lambda_events::dynamodb::Event as DynamoDbEvent;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::s3::S3Event;
use aws_lambda_events::sns::SnsEvent;
use aws_lambda_events::sqs::SqsEvent;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use lambda_extension::{Extension, LambdaTelemetry, LambdaTelemetryRecord, NextEvent, SharedService};
use lambda_http::{Body, Request, RequestExt, Response};
use lambda_runtime::streaming::{self, channel};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::time::Duration;

/// Pieces of an answer that goes on until nobody reads it.
const PIECE: [u8; 16 << 10] = [b'x'; 16 << 10];

#[tokio::main]
async fn main() -> Result<(), Error> {
    let name = std::env::args().next().unwrap_or_default();
    if name.ends_with("/watcher") {
        return watch().await;
    }
    match std::env::var("_HANDLER")?.as_str() {
        "plain" => lambda_runtime::run(service_fn(plain)).await,
        "stream" => lambda_runtime::run(service_fn(stream)).await,
        "web" => lambda_http::run(service_fn(web)).await,
        "web-stream" => lambda_http::run_with_streaming_response(service_fn(web_stream)).await,
        "several" => lambda_http::run_concurrent(service_fn(web)).await,
        handler @ ("sqs" | "sns" | "s3" | "dynamodb" | "eventbridge") => {
            let handler = handler.to_owned();
            lambda_runtime::run(service_fn(move |event| service(handler.clone(), event))).await
        }
        other => Err(format!("there is no handler `{other}`").into()),
    }
}

/// An answer: its status, type, and body.
type Answer = (u16, &'static str, Vec<u8>);

/// Answers by path; `q` is a parameter of the query.
async fn answer(path: &str, q: &str, body: &[u8]) -> Result<Answer, Error> {
    let text = |text: String| Ok((200, "text/plain", text.into_bytes()));
    match path {
        "/length" => text(body.len().to_string()),
        "/large" => text("x".repeat(5 << 20)),
        "/bytes" => Ok((200, "application/octet-stream", body.to_vec())),
        "/say" => {
            println!("said by the function");
            text("said".to_owned())
        }
        "/fail" => Err("no such thing".into()),
        "/panic" => panic!("what now"),
        "/sleep" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            text("late".to_owned())
        }
        "/pause" => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            text(std::process::id().to_string())
        }
        "/exit" => std::process::exit(3),
        path => match path.strip_prefix("/parse/").map(|id| (id, serde_json::from_slice::<Value>(body))) {
            Some((id, Ok(told))) => {
                let told = json!({ "id": id, "q": q, "a": told["a"] });
                Ok((200, "application/json", told.to_string().into_bytes()))
            }
            Some((_, Err(_))) => Ok((400, "text/plain", b"bad json".to_vec())),
            None => text(path.to_owned()),
        },
    }
}

/// Reads the event by hand, as the client gives it.
async fn plain(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let event = event.payload;
    let path = event["rawPath"].as_str().unwrap_or_default();
    let sent = event["body"].as_str().unwrap_or_default();
    let is_base64 = event["isBase64Encoded"] == true;
    let body = if is_base64 { BASE64.decode(sent)? } else { sent.as_bytes().to_vec() };
    if path == "/cookies" {
        let sent: Vec<&str> = event["cookies"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        return Ok(json!({ "statusCode": 200, "cookies": ["a=1; Path=/", "b=2"], "body": sent.join("; ") }));
    }
    let q = event["queryStringParameters"]["q"].as_str().unwrap_or_default();
    let (status, media, body) = answer(path, q, &body).await?;
    let headers = json!({ "content-type": media });
    Ok(match String::from_utf8(body) {
        Ok(text) => json!({ "statusCode": status, "headers": headers, "body": text }),
        Err(bytes) => {
            let body = BASE64.encode(bytes.into_bytes());
            json!({ "statusCode": status, "headers": headers, "body": body, "isBase64Encoded": true })
        }
    })
}

/// Answers HTTP requests.
async fn web(request: Request) -> Result<Response<Body>, Error> {
    let path = request.raw_http_path().to_owned();
    if path == "/cookies" {
        let sent = request.headers().get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        let sent = sent.collect::<Vec<_>>().join("; ");
        let response = Response::builder().header("set-cookie", "a=1; Path=/").header("set-cookie", "b=2");
        return Ok(response.body(sent.into())?);
    }
    let query = request.query_string_parameters();
    let (status, media, body) = answer(&path, query.first("q").unwrap_or_default(), request.body()).await?;
    let response = Response::builder().status(status).header("content-type", media);
    Ok(match String::from_utf8(body) {
        Ok(text) => response.body(text.into())?,
        Err(bytes) => response.body(bytes.into_bytes().into())?,
    })
}

/// A body that is written while it is read: ten pieces, or as many as are taken.
fn pieces(endless: bool, fails: bool) -> streaming::Body {
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        for part in 0.. {
            if !endless && part == 10 {
                break;
            }
            let piece = if endless { Bytes::from_static(&PIECE) } else { part.to_string().into() };
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
        if fails {
            sender.abort();
        }
    });
    body
}

/// Answers with a stream; a query of `fail` breaks it off.
async fn stream(event: LambdaEvent<Value>) -> Result<streaming::Response<streaming::Body>, Error> {
    let event = event.payload;
    let body = pieces(event["rawPath"] == "/endless", event["rawQueryString"] == "fail");
    let mut response = streaming::Response::from(body);
    response.metadata_prelude.headers.insert("content-type", "text/plain".parse()?);
    response.metadata_prelude.cookies.push("seen=1".to_owned());
    Ok(response)
}

/// The same by the other crate.
async fn web_stream(request: Request) -> Result<Response<streaming::Body>, Error> {
    let body = pieces(request.raw_http_path() == "/endless", false);
    Ok(Response::builder().header("content-type", "text/plain").header("set-cookie", "seen=1").body(body)?)
}

/// Reads an event as its service's own type, and says what it found.
async fn service(handler: String, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let payload = event.payload;
    let found = match handler.as_str() {
        "sqs" => {
            let event: SqsEvent = serde_json::from_value(payload)?;
            let record = &event.records[0];
            json!([record.body, record.event_source, record.attributes["ApproximateReceiveCount"]])
        }
        "sns" => {
            let event: SnsEvent = serde_json::from_value(payload)?;
            let record = &event.records[0];
            json!([record.sns.message, record.event_source, record.sns.subject])
        }
        "s3" => {
            let event: S3Event = serde_json::from_value(payload)?;
            let record = &event.records[0];
            json!([record.s3.bucket.name, record.event_name, record.s3.object.key])
        }
        "dynamodb" => {
            let event: DynamoDbEvent = serde_json::from_value(payload)?;
            let record = &event.records[0];
            json!([record.event_name, record.change.keys.len(), record.change.new_image.len()])
        }
        _ => {
            let event: EventBridgeEvent<Value> = serde_json::from_value(payload)?;
            json!([event.detail_type, event.source, event.detail])
        }
    };
    println!("{handler} {found}");
    Ok(found)
}

/// Hears of calls, of the end, and of what the platform tells.
async fn watch() -> Result<(), Error> {
    let events = service_fn(|event: lambda_extension::LambdaEvent| async move {
        match event.next {
            NextEvent::Invoke(invoke) => println!("watcher: invoke {}", invoke.request_id),
            NextEvent::Shutdown(shutdown) => println!("watcher: shutdown {}", shutdown.shutdown_reason),
        }
        Ok::<_, Error>(())
    });
    let telemetry = service_fn(|records: Vec<LambdaTelemetry>| async move {
        for record in records {
            match record.record {
                LambdaTelemetryRecord::PlatformStart { request_id, .. } => println!("watcher: start {request_id}"),
                LambdaTelemetryRecord::Function(line) => println!("watcher: function said {line}"),
                LambdaTelemetryRecord::PlatformReport { request_id, .. } => println!("watcher: report {request_id}"),
                _ => {}
            }
        }
        Ok::<_, Error>(())
    });
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Extension::new()
        .with_events_processor(events)
        .with_telemetry_processor(SharedService::new(telemetry))
        .with_telemetry_types(&["platform", "function"])
        .with_telemetry_port_number(port)
        .run()
        .await
}
