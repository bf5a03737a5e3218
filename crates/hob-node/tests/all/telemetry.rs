//! Telemetry on its way out to a collector and in from functions, on a whole node.

use crate::support::{App, PATIENCE, TestNode, has, node, python};
use bytes::Bytes;
use hob_core::otlp::{self, Encoding, Limits, Signal, Span};
use hob_node::Otlp;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::net::TcpListener;

/// A request as a collector gets it: what it is about, its authorization, its body.
type Asked = (Signal, String, Bytes);

/// A collector that is busy at first.
struct Collector {
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
        tokio::spawn(async move {
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
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
            }
        });
        Self { url, asked }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_tell_spans_and_records_of_their_own() {
    if !has("python3", "functions_tell_spans_and_records_of_their_own") {
        return;
    }
    let node = node(|_| ()).await;
    let app = App::new("shop").function("teller", "http", "python3", &python(TELLER), &["POST /tell"]);
    node.deployed(&app.change("teller", |teller| teller.body_bytes_max = 8 << 20)).await;
    let json = "application/json";
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let span = |id: &str| {
        format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"bank/safe"}}}}]}},
            "scopeSpans":[{{"scope":{{"name":"db"}},"spans":[{{"traceId":"{trace}","spanId":"{id}","name":"SELECT","kind":3,
            "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000005000000"}},{{"name":"no ids"}}]}}]}}]}}"#
        )
    };
    let record = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17,"body":{"stringValue":"no\u001b[2J money"},
        "attributes":[{"key":"n","value":{"intValue":"3"}}],"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000aa"}]}]}]}"#;
    let rejected = r#"200 {"partialSuccess":{"rejectedSpans":"1","errorMessage":"#;
    for (to, path, media, body, expected) in [
        ("own", "/v1/traces", json, span("00000000000000aa").as_str(), rejected),
        ("name", "/v1/traces", json, &span("00000000000000bb"), rejected),
        ("own", "/v1/logs", json, record, "200 {}"),
        ("name", "/v1/logs", json, record, "200 {}"),
        ("own", "/v1/logs", "application/x-protobuf", "", "200 "),
        (
            "own",
            "/v1/metrics",
            json,
            "{}",
            r#"200 {"partialSuccess":{"rejectedDataPoints":"0","errorMessage":"Hob keeps no metrics"#,
        ),
        ("own", "/v1/traces", json, "[]", r#"400 {"code":3,"message":"it is no JSON object"#),
        ("own", "/v1/traces", "application/x-protobuf", "\u{ff}", "400 \u{8}\u{3}\u{12}"),
        ("own", "/v1/traces", "text/plain", "x", "415 HOB-0406"),
        ("own", "/v1/other", json, "{}", "404 HOB-0401"),
        ("name", "/v1/other", json, "{}", "404 HOB-0401"),
        ("own", "/v1/logs", json, &" ".repeat((4 << 20) + 1), "413 HOB-0405"),
        // Without the secret it is a stranger's request to a proxy.
        ("wrong", "/v1/traces", json, "{}", "407 HOB-0701"),
    ] {
        let answer = told(&node, to, path, media, body).await;
        assert!(answer.starts_with(expected), "{to} {path} {media}: {answer}");
    }

    let facts = node.control("GET", &format!("/v1/facts?trace={trace}&kind=span"), "").await;
    let facts: Vec<serde_json::Value> = facts
        .body
        .lines()
        .flat_map(|line| match serde_json::from_str(line).unwrap() {
            serde_json::Value::Array(all) => all,
            one => vec![one],
        })
        .collect();
    let shown: Vec<String> = facts
        .iter()
        .map(|fact| {
            format!(
                "{} {}/{} {} {} {}",
                fact["span"],
                fact["app"],
                fact["function"],
                fact["name"],
                fact["took_us"],
                fact["attributes"]
            )
        })
        .collect();
    let attributes = r#"{"otel.scope.name":"db","span.kind":"client"}"#;
    assert_eq!(
        shown,
        ["aa", "bb"].map(|id| format!(r#""00000000000000{id}" "shop"/"teller" "SELECT" 5000 {attributes}"#)),
        "whoever tells is known, whatever it calls itself"
    );
    let logs = node.control("GET", &format!("/v1/logs?trace={trace}&level=error"), "").await;
    let lines: Vec<serde_json::Value> =
        logs.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{logs:?}");
    for line in lines {
        assert_eq!(
            format!(
                "{} {} {} {} {}",
                line["stream"], line["function"], line["text"], line["span"], line["fields"]
            ),
            r#""otlp" "teller" "no\\x1b[2J money" "00000000000000aa" {"n":"3"}"#
        );
    }
}
