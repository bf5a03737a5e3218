//! Telemetry on its way out to a collector and in from functions, on a whole node.

use crate::support::{App, PATIENCE, TestNode, has, node, python};
use bytes::Bytes;
use hob_core::otlp::{self, Encoding, Limits, Signal, Span};
use hob_node::Otlp;
use hob_node::task::Tasks;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::net::TcpListener;

/// A request as a collector gets it: what it is about, its authorization, its body.
type Asked = (Signal, String, Bytes);

/// A collector that is busy at first.
struct Collector {
    tasks: Arc<Tasks>,
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Collector {
    /// Refuses the first `busy` requests of each signal, to be asked again at once.
    async fn start(busy: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/otlp", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::<Asked>::new()));
        let seen = Arc::clone(&asked);
        let tasks = Tasks::new();
        let connections = Arc::clone(&tasks);
        tasks.start("collector", async move {
            while let Ok((socket, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        let signal =
                            Signal::of_path(request.uri().path().strip_prefix("/otlp").unwrap()).unwrap();
                        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                        let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let mut seen = seen.lock().unwrap();
                        let before = seen.iter().filter(|(known, ..)| *known == signal).count();
                        seen.push((signal, authorization, body));
                        let answer = http::Response::builder();
                        let answer = if before < busy {
                            answer.status(503).header("retry-after", "0")
                        } else {
                            answer
                        };
                        Ok::<_, Infallible>(answer.body(Full::<Bytes>::default()).unwrap())
                    }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                connections.start("connection", async move { drop(connection.await) });
            }
        });
        Self { tasks, url, asked }
    }

    fn spans(&self) -> Vec<Span> {
        let read = |body: &Bytes| otlp::read_spans(Encoding::Protobuf, body, Limits::default()).unwrap().told;
        self.of(Signal::Traces).iter().flat_map(read).flat_map(|told| told.items).collect()
    }

    /// Texts of log records, with their level.
    fn logs(&self) -> Vec<String> {
        let read = |body: &Bytes| otlp::read_logs(Encoding::Protobuf, body, Limits::default()).unwrap().told;
        let all = self.of(Signal::Logs).iter().flat_map(read).flat_map(|told| told.items).collect::<Vec<_>>();
        all.iter().map(|log| format!("{} {}", log.severity_text, log.body.shown())).collect()
    }

    fn of(&self, signal: Signal) -> Vec<Bytes> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(found, ..)| *found == signal).map(|(_, _, body)| body.clone()).collect()
    }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came true: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

const SCRIPT: &str = r#"
echo "{\"level\":\"warn\",\"msg\":\"asked for $PATH_INFO\"}" >&2
if [ "$PATH_INFO" = /boom ]; then exit 3; fi
echo fine
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_collector_gets_everything_in_the_end() {
    let collector = Collector::start(2).await;
    let otlp = Otlp {
        endpoint: collector.url.clone(),
        headers: vec![("authorization".into(), "Bearer t".into())],
        resource: vec![("deployment.environment.name".into(), "test".into())],
    };
    let node = node(|settings| settings.otlp = Some(otlp)).await;
    let app = App::new("shop").function("cart", "stdio", "sh", SCRIPT, &["/cart", "/boom"]);
    node.deployed(&app).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let fine = node.send("GET", "shop.localhost/cart", &[("traceparent", parent)], "").await;
    let boom = node.get("shop.localhost/boom").await;
    let gone = node.get("shop.localhost/gone").await;
    assert_eq!((fine.status, boom.status, gone.status), (200, 500, 404));

    // Both were refused twice, and came again.
    eventually("all spans and lines are exported", || {
        collector.of(Signal::Traces).len() > 2 && collector.of(Signal::Logs).len() > 2
    })
    .await;
    node.node.stop().await;
    collector.tasks.stop().await;
    let spans = collector.spans();
    let find = |id: &str| {
        let own = |span: &&Span| {
            span.attributes.iter().any(|(name, value)| name == "faas.invocation_id" && value.shown() == id)
        };
        spans.iter().find(own).unwrap_or_else(|| panic!("no span for {id} in {spans:#?}"))
    };
    let call = find(fine.header("hob-invocation-id"));
    assert_eq!((call.name.as_str(), call.failed.as_deref()), ("GET /cart", None));
    assert_eq!(
        format!("{}-{}", call.trace, call.parent.unwrap()),
        "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
    );
    let failed = find(boom.header("hob-invocation-id"));
    assert_eq!(failed.failed.as_deref(), Some("`cart` ended with exit code 3"));
    assert_eq!(
        find(gone.header("hob-invocation-id")).failed.as_deref(),
        Some("no route of app `shop` matches `/gone`")
    );
    let lines = collector.logs();
    for expected in
        ["WARN asked for /cart", "WARN asked for /boom", "INFO deploy of app `shop` to revision 1"]
    {
        assert!(lines.iter().any(|line| line == expected), "`{expected}` is not in {lines:#?}");
    }
    assert!(collector.asked.lock().unwrap().iter().all(|(_, authorization, _)| authorization == "Bearer t"));
}

#[tokio::test]
async fn an_endpoint_has_to_be_one() {
    for endpoint in ["", "localhost:4318", "ftp://a", "http://", "http://a b"] {
        let (mut settings, _data) = crate::support::settings();
        settings.otlp = Some(Otlp { endpoint: endpoint.into(), headers: Vec::new(), resource: Vec::new() });
        let fault = hob_node::Node::start(settings).await.err().unwrap_or_else(|| panic!("{endpoint}"));
        assert_eq!(fault.code().text(), "HOB-0111", "{endpoint}");
    }
}

/// Sends what it is asked to send: as its SDK would, or through the proxy to the name inside.
const TELLER: &str = r#"
def handle(request):
    order = json.loads(request.content)
    base = {"own": os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], "name": "http://telemetry.internal"}.get(order["to"], order["to"])
    if order["to"] == "wrong":
        base = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"][:-3] + "abc"
    out = urllib.request.Request(base + order["path"], order["body"].encode("latin-1"), order["headers"])
    try:
        with urllib.request.urlopen(out) as answer:
            return 200, [], f"{answer.status} {answer.read().decode('latin-1')}"
    except urllib.error.HTTPError as error:
        return 200, [], f"{error.code} {error.read().decode('latin-1')}"
"#;

async fn told(node: &TestNode, to: &str, path: &str, media: &str, body: &str) -> String {
    let order =
        serde_json::json!({ "to": to, "path": path, "body": body, "headers": { "content-type": media } });
    let got = node.send("POST", "shop.localhost/tell", &[], &order.to_string()).await;
    assert_eq!(got.status, 200, "{got:?}");
    got.body
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const JSON: &str = "application/json";

/// One span, from somebody who claims to be another, and one without ids.
fn span(id: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"bank/safe"}}}}]}},
        "scopeSpans":[{{"scope":{{"name":"db"}},"spans":[{{"traceId":"{TRACE}","spanId":"{id}","name":"SELECT","kind":3,
        "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000005000000"}},{{"name":"no ids"}}]}}]}}]}}"#
    )
}

const RECORD: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17,"body":{"stringValue":"no\u001b[2J money"},
    "attributes":[{"key":"n","value":{"intValue":"3"}}],"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000aa"}]}]}]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_tell_spans_and_records_of_their_own() {
    if !has("python3", "functions_tell_spans_and_records_of_their_own") {
        return;
    }
    let node = node(|settings| settings.walls = hob_node::WallChoice::Auto.into()).await;
    let app = App::new("shop").function("teller", "http", "python3", &python(TELLER), &["POST /tell"]);
    node.deployed(&app.change("teller", |teller| teller.body_bytes_max = 8 << 20)).await;
    let rejected = r#"200 {"partialSuccess":{"rejectedSpans":"1","errorMessage":"#;
    let no_metrics =
        r#"200 {"partialSuccess":{"rejectedDataPoints":"0","errorMessage":"Hob keeps no metrics"#;
    let protobuf = "application/x-protobuf";
    for (to, path, media, body, expected) in [
        ("own", "/v1/traces", JSON, span("00000000000000aa").as_str(), rejected),
        ("name", "/v1/traces", JSON, &span("00000000000000bb"), rejected),
        ("own", "/v1/logs", JSON, RECORD, "200 {}"),
        ("name", "/v1/logs", JSON, RECORD, "200 {}"),
        ("own", "/v1/logs", protobuf, "", "200 "),
        ("own", "/v1/metrics", JSON, "{}", no_metrics),
        ("own", "/v1/traces", JSON, "[]", r#"400 {"code":3,"message":"it is no JSON object"#),
        ("own", "/v1/traces", protobuf, "\u{ff}", "400 \u{8}\u{3}\u{12}"),
        ("own", "/v1/traces", "text/plain", "x", "415 HOB-0406"),
        ("own", "/v1/other", JSON, "{}", "404 HOB-0401"),
        ("name", "/v1/other", JSON, "{}", "404 HOB-0401"),
        ("own", "/v1/logs", JSON, &" ".repeat((4 << 20) + 1), "413 HOB-0405"),
    ] {
        let answer = told(&node, to, path, media, body).await;
        assert!(answer.starts_with(expected), "{to} {path} {media}: {answer}");
    }

    let facts = node.control("GET", &format!("/v1/facts?trace={TRACE}&kind=span"), "").await;
    let facts = facts.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let all = facts.flat_map(|line| line.as_array().cloned().unwrap_or_else(|| vec![line.clone()]));
    assert_eq!(
        all.map(|fact| shown(&fact, &["span", "app", "function", "name", "took_us", "attributes"])).collect::<Vec<_>>(),
        ["aa", "bb"].map(|id| format!(
            r#""00000000000000{id}" "shop" "teller" "SELECT" 5000 {{"otel.scope.name":"db","span.kind":"client"}}"#
        )),
        "whoever tells is known, whatever it calls itself"
    );
    let logs = node.control("GET", &format!("/v1/logs?trace={TRACE}&level=error"), "").await;
    let lines = logs.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let record = r#""otlp" "teller" "no\\x1b[2J money" "00000000000000aa" {"n":"3"}"#;
    assert_eq!(
        lines.map(|line| shown(&line, &["stream", "function", "text", "span", "fields"])).collect::<Vec<_>>(),
        [record, record]
    );
}

/// Behind walls there is no secret: the way is the instance's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_walls_telemetry_needs_the_instances_secret() {
    if !has("python3", "without_walls_telemetry_needs_the_instances_secret") {
        return;
    }
    let node = node(|settings| settings.walls = hob_node::WallChoice::Off.into()).await;
    node.deployed(&App::new("shop").function("teller", "http", "python3", &python(TELLER), &["POST /tell"]))
        .await;
    for (to, expected) in [("own", "200"), ("wrong", "407 HOB-0701")] {
        let answer = told(&node, to, "/v1/traces", JSON, &span("00000000000000aa")).await;
        assert!(answer.starts_with(expected), "{to}: {answer}");
    }
}

/// These members, in one line.
fn shown(value: &Value, members: &[&str]) -> String {
    members.iter().map(|name| value[*name].to_string()).collect::<Vec<_>>().join(" ")
}
