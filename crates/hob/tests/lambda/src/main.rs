//! A function of AWS Lambda in Rust, with the official crates: HTTP, streams, events of services, an extension.
//!
//! **How.** `_HANDLER` says which of them it is; under the name `watcher` it is an extension.

use aws_lambda_events::dynamodb::Event as DynamoDbEvent;
use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::s3::S3Event;
use aws_lambda_events::sns::SnsEvent;
use aws_lambda_events::sqs::SqsEvent;
use lambda_extension::{Extension, LambdaTelemetry, LambdaTelemetryRecord, NextEvent, SharedService};
use lambda_http::{Body, Request, RequestExt, RequestPayloadExt, Response};
use lambda_runtime::streaming::{self, channel};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let name = std::env::args().next().unwrap_or_default();
    if name.ends_with("/watcher") {
        return watch().await;
    }
    match std::env::var("_HANDLER")?.as_str() {
        "web" => lambda_http::run(service_fn(web)).await,
        "several" => lambda_http::run_concurrent(service_fn(web)).await,
        "stream" => lambda_runtime::run(service_fn(stream)).await,
        handler @ ("sqs" | "sns" | "s3" | "dynamodb" | "eventbridge") => {
            let handler = handler.to_owned();
            lambda_runtime::run(service_fn(move |event| service(handler.clone(), event))).await
        }
        other => Err(format!("there is no handler `{other}`").into()),
    }
}

/// Answers HTTP requests, by their path.
async fn web(request: Request) -> Result<Response<Body>, Error> {
    let text = |text: String| Ok(Response::builder().header("content-type", "text/plain").body(text.into())?);
    match request.raw_http_path() {
        "/hello" => {
            let query = request.query_string_parameters();
            text(format!("{} {:?}", request.method(), query.all("x").unwrap_or_default()))
        }
        "/length" => text(request.body().len().to_string()),
        "/json" => text(request.json::<Value>()?.unwrap_or_default()["a"].to_string()),
        "/large" => text("x".repeat(5 << 20)),
        "/bytes" => {
            let bytes: Vec<u8> = (0..=255).collect();
            Ok(Response::builder().header("content-type", "application/octet-stream").body(bytes.into())?)
        }
        "/cookies" => {
            let sent = request.headers().get_all("cookie").iter().filter_map(|value| value.to_str().ok());
            let sent = sent.collect::<Vec<_>>().join("; ");
            let response = Response::builder().header("set-cookie", "a=1; Path=/").header("set-cookie", "b=2");
            Ok(response.body(sent.into())?)
        }
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
        _ => Ok(Response::builder().status(404).body("not here".into())?),
    }
}

/// Answers with a stream; a query of `fail` breaks it off.
async fn stream(event: LambdaEvent<Value>) -> Result<streaming::Response<streaming::Body>, Error> {
    let (mut sender, body) = channel();
    let fails = event.payload["rawQueryString"] == "fail";
    tokio::spawn(async move {
        for word in ["Hello ", "from ", "a ", "stream"] {
            if sender.send_data(word.into()).await.is_err() {
                return;
            }
        }
        if fails {
            sender.abort();
        }
    });
    let mut response = streaming::Response::from(body);
    response.metadata_prelude.headers.insert("content-type", "text/x-words".parse()?);
    response.metadata_prelude.cookies.push("seen=1".to_owned());
    Ok(response)
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
