//! What a whole node measures: metrics as Prometheus reads them, and usage that outlives the node.

use crate::skip::tell;
use crate::spaces::In;
use crate::support::{App, Got, PATIENCE, TestNode, settings};
use hob_node::Node;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

fn app() -> App {
    App::new("desk")
        .function("hello", "stdio", "sh", "cat >/dev/null; echo hello", &["/hello"])
        .function("bad", "stdio", "sh", "exit 3", &["/bad"])
        .on("[[on]]\nname = \"paid\"\ntopic = \"orders\"\ncall = \"hello\"\n\
            [[on]]\nname = \"lost\"\ntopic = \"doomed\"\ncall = \"bad\"\nretry = { attempts = 1 }\n")
}

/// Calls both functions, and publishes events: two are delivered, one is given up.
async fn use_it(node: &TestNode) {
    node.deployed(&app()).await;
    for _ in 0..3 {
        assert_eq!(node.get("desk.localhost/hello").await.status, 200);
    }
    assert_eq!(node.send("POST", "desk.localhost/hello", &[], "0123456789").await.body, "hello\n");
    assert_eq!(node.get("desk.localhost/bad").await.status, 500);
    for (id, topic) in [("a", "orders"), ("b", "orders"), ("c", "doomed")] {
        let headers = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "/test"), ("ce-type", "paid")];
        let path = format!("/v1/topics/{topic}/events");
        assert_eq!(node.control_with("POST", &path, &headers, "").await.status, 202);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let got = node.control("GET", "/v1/subscriptions", "").await;
        let all: Value = serde_json::from_str(&got.body).unwrap();
        if (&all[0]["dead"], &all[1]["delivered"]) == (&json!(1), &json!(2)) {
            return;
        }
        assert!(Instant::now() < until, "{all}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The metrics, once they have these values or will not: what a delivery counts may come a moment after what it did.
async fn settled(node: &TestNode, expected: &[(String, f64)]) -> Got {
    let until = Instant::now() + PATIENCE;
    loop {
        let got = node.control("GET", "/v1/metrics", "").await;
        let all = expected.iter().all(|(series, expected)| value(&got.body, series) == Some(*expected));
        if all || Instant::now() > until {
            return got;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_what_the_node_counts() {
    let node = crate::support::node(|_| ()).await;
    use_it(&node).await;
    let of =
        |function: &str, more: &str| format!("{{app=\"desk\",function=\"{function}\",revision=\"1\"{more}}}");
    let expected = [
        (format!("hob_calls_total{}", of("hello", ",cause=\"request\",outcome=\"ok\"")), 4.0),
        (format!("hob_calls_total{}", of("hello", ",cause=\"event\",outcome=\"ok\"")), 2.0),
        (format!("hob_calls_total{}", of("bad", ",cause=\"request\",outcome=\"code\"")), 1.0),
        (format!("hob_call_statuses_total{}", of("hello", ",class=\"2xx\"")), 6.0),
        (format!("hob_call_duration_seconds_count{}", of("hello", "")), 6.0),
        (format!("hob_call_duration_seconds_bucket{}", of("hello", ",le=\"+Inf\"")), 6.0),
        (format!("hob_cold_starts_total{}", of("hello", "")), 6.0),
        (format!("hob_request_body_bytes_total{}", of("hello", "")), 10.0),
        (format!("hob_response_body_bytes_total{}", of("hello", "")), 36.0),
        (format!("hob_calls_running{}", of("hello", "")), 0.0),
        ("hob_subscription_lag{app=\"desk\",subscription=\"paid\",topic=\"orders\"}".to_owned(), 0.0),
        (
            "hob_subscription_delivered_total{app=\"desk\",subscription=\"paid\",topic=\"orders\"}"
                .to_owned(),
            2.0,
        ),
        ("hob_topic_events{topic=\"orders\"}".to_owned(), 2.0),
        ("hob_subscription_dead_total{app=\"desk\",subscription=\"lost\",topic=\"doomed\"}".to_owned(), 1.0),
        ("hob_dead_letters{topic=\"doomed.dead\"}".to_owned(), 1.0),
        ("hob_facts_dropped_total".to_owned(), 0.0),
    ];
    let got = settled(&node, &expected).await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    for (series, expected) in expected {
        assert_eq!(value(&got.body, &series), Some(expected), "{series}\n{}", got.body);
    }
    for above_zero in [
        &*format!("hob_cpu_seconds_total{}", of("hello", "")),
        &format!("hob_memory_byte_seconds_total{}", of("hello", "")),
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "hob_tasks",
        "hob_workers",
        "hob_topic_size_bytes{topic=\"orders\"}",
    ] {
        assert!(value(&got.body, above_zero).is_some_and(|value| value > 0.0), "{above_zero}\n{}", got.body);
    }
    let there = node.control_with("GET", "/metrics", &[("accept", "application/openmetrics-text")], "").await;
    assert!(there.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(there.body.ends_with("\n# EOF\n"));
    let guide = include_str!("../../../../docs/guides/metrics.md");
    let told: BTreeSet<&str> = got.body.lines().filter_map(family).collect();
    let explained: BTreeSet<&str> =
        guide.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(told, explained, "the guide's tables are all that there is");
    check(&["check", "metrics"], &got.body);
    let blocks: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [config, of_all, rules] = blocks[..] else { panic!("two configurations and rules") };
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret").unwrap();
    let [config, of_all] =
        [config, of_all].map(|text| text.replace("/etc/hob/token", &token.display().to_string()));
    for (what, text) in [("config", config.as_str()), ("config", &of_all), ("rules", rules)] {
        let file = folder.path().join(what);
        std::fs::write(&file, text).unwrap();
        check(&["check", what, &file.display().to_string()], "");
    }
    node.node.stop().await;
}

/// The name in a line `# TYPE <name> <type>`.
fn family(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.split(' ').next()
}

/// Lets `promtool` look at something; for metrics at its standard input.
fn check(args: &[&str], text: &str) {
    let promtool = match promtool() {
        Ok(promtool) => promtool,
        Err(why) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            return tell(
                "promtool",
                format_args!("`{}` is not checked, it is not to be had here: {why}", args.join(" ")),
            );
        }
        Err(why) => panic!("CI needs promtool: {why}"),
    };
    let mut child = Command::new(promtool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success(), "promtool {args:?}: {said}\n{text}");
    assert!(args[1] != "metrics" || said.is_empty(), "promtool finds fault: {said}\n{text}");
}

/// Prometheus' own tool: the machine's, or that of Debian's package, which stays in the target folder and is not
/// installed, since that would start a server.
fn promtool() -> Result<PathBuf, String> {
    if Command::new("promtool").arg("--version").output().is_ok() {
        return Ok("promtool".into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kept = target.join("promtool/usr/bin/promtool");
    if kept.is_file() {
        return Ok(kept);
    }
    let folder = tempfile::tempdir_in(target).map_err(|error| error.to_string())?;
    let script = "{ apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } \
        && dpkg-deb -x prometheus_*.deb unpacked";
    let output = Command::new("timeout")
        .args(["120", "sh", "-c", script])
        .current_dir(folder.path())
        .output()
        .map_err(|error| error.to_string())?;
    let unpacked = folder.path().join("unpacked");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // Another run of the test may have been quicker; then its folder stays.
    let _ = std::fs::rename(unpacked, target.join("promtool"));
    if kept.is_file() { Ok(kept) } else { Err("the package has no promtool".to_owned()) }
}

/// Rows of a report: what they are of, calls, failures, bytes in.
async fn usage(node: &TestNode, query: &str) -> (Value, Vec<String>) {
    let got = node.control("GET", &format!("/v1/usage?{query}"), "").await;
    assert_eq!(got.status, 200, "{got:?}");
    let report: Value = serde_json::from_str(&got.body).unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or("-").to_owned();
    let rows = report["rows"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["invocations"].as_u64() > Some(0)).map(|row| {
        let (calls, failed, bytes) = (&row["invocations"], &row["failures"], &row["bytes_in"]);
        format!(
            "{} {} {} {calls} {failed} {bytes}",
            text(row, "app"),
            text(row, "function"),
            text(row, "trigger")
        )
    });
    (report["total"].clone(), rows.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_scrape_tells_of_all_spaces_and_each_of_itself() {
    let node = crate::support::node(|_| ()).await;
    let team = In(&node, "team");
    assert_eq!(team.create(json!({ "apps": 7, "calls": null })).await.status, 201);
    let app = App::new("desk").function("hello", "stdio", "sh", "echo hello", &["/hello"]);
    node.deployed(&app).await;
    team.deployed(&app).await;
    for host in ["desk.localhost/hello", "desk.team.localhost/hello", "desk.team.localhost/hello"] {
        assert_eq!(node.get(host).await.status, 200);
    }
    let calls = |space: &str| {
        format!(
            "hob_calls_total{{app=\"desk\",function=\"hello\",revision=\"1\",cause=\"request\",outcome=\"ok\"{space}}}"
        )
    };
    let (in_default, in_team) = (calls(",space=\"default\""), calls(",space=\"team\""));
    let all = node.control("GET", "/v1/metrics/all", "").await;
    assert_eq!((all.status, all.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    for (series, expected) in [
        (&*in_default, 1.0),
        (&in_team, 2.0),
        ("hob_space_up{space=\"team\"}", 1.0),
        ("hob_space_used{space=\"team\",resource=\"apps\"}", 1.0),
        ("hob_space_quota{space=\"team\",resource=\"apps\"}", 7.0),
    ] {
        assert_eq!(value(&all.body, series), Some(expected), "{series}\n{}", all.body);
    }
    check(&["check", "metrics"], &all.body);
    // Those of the machine are nobody's, and each name is explained once.
    for (series, is) in [
        ("hob_guests_running", true),
        ("hob_memory_tight", true),
        ("hob_space_quota{space=\"team\",resource=\"calls\"}", false),
        ("hob_space_quota{space=\"default\",resource=\"apps\"}", false),
    ] {
        assert_eq!(value(&all.body, series).is_some(), is, "{series}\n{}", all.body);
    }
    let helps: Vec<&str> = all.body.lines().filter(|line| line.starts_with("# HELP ")).collect();
    assert_eq!(helps.len(), helps.iter().collect::<BTreeSet<_>>().len(), "{helps:?}");
    // Each space's own has nothing of the other, and only that of `default` the machine.
    let (own, default) =
        (team.control("GET", "/metrics", "").await, node.control("GET", "/metrics", "").await);
    for (text, series, expected) in [
        (&own.body, &*in_team, Some(2.0)),
        (&own.body, &in_default, None),
        (&own.body, "hob_guests_running", None),
        (&default.body, &calls(""), Some(1.0)),
        (&default.body, &in_team, None),
        (&default.body, "hob_guests_running", Some(0.0)),
    ] {
        assert_eq!(value(text, series), expected, "{series}\n{text}");
    }
    node.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_exact_and_outlives_the_node() {
    let (settings, data) = settings();
    let node = TestNode::of(Node::start(settings.clone()).await.unwrap(), &settings, data);
    use_it(&node).await;
    let expected =
        ["desk bad - 1 1 0", "desk bad lost 1 1 0", "desk hello - 4 0 10", "desk hello paid 2 0 0"];
    let (total, rows) = usage(&node, "by=function,trigger").await;
    assert_eq!(rows, expected);
    for known in ["wall_us", "cpu_us", "mib_us", "bytes_out", "cold_starts"] {
        assert!(total[known].as_u64() > Some(0), "{known}: {total}");
    }
    // Twice: what was written at the stop is not written again.
    let node = node.restarted(&settings).await;
    let node = node.restarted(&settings).await;
    let (after, rows) = usage(&node, "by=function,trigger").await;
    assert_eq!(rows, expected);
    for same in ["invocations", "failures", "wall_us", "bytes_in", "bytes_out", "cold_starts", "mib_us"] {
        assert_eq!(after[same], total[same], "{same}");
    }
    assert_eq!(node.get("desk.localhost/hello").await.status, 200);
    let (_, rows) = usage(&node, "app=desk").await;
    assert_eq!(rows, ["desk - - 9 2 10"]);
    assert_eq!(usage(&node, "app=other").await.1, Vec::<String>::new());
    let refused = node.control("GET", "/v1/usage?by=functions", "").await;
    assert_eq!((refused.status, refused.header("hob-error")), (400, "HOB-0704"));
    node.node.stop().await;
}
