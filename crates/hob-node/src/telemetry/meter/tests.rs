//! Every call is counted once, what is above the bound too, and the text is what Prometheus reads.

use super::metric::{HistogramValue, Sample, Value};
use super::{Ended, Form, Kind, Meters, Metric, bounded};
use hob_core::code::Owner;
use hob_core::fact::{CallCause, Times, Used};
use hob_core::limit::{METER_TRIGGERS_MAX, METERS_MAX};
use hob_core::name::{AppName, FunctionName, RevisionNumber, TopicName, TriggerName};
use hob_core::spec::FunctionSpec;
use hob_core::usage::{Usage, Whose};
use hob_runtime::code::FunctionCode;
use std::path::PathBuf;

fn code(app: &str, function: &str, revision: u32) -> FunctionCode {
    FunctionCode {
        app: AppName::new(app).unwrap(),
        revision: RevisionNumber(revision),
        name: FunctionName::new(function).unwrap(),
        numbered: None,
        spec: FunctionSpec::new("wasm", "wasi-http", ["f.wasm"]),
        dir: PathBuf::new(),
        cpu: Default::default(),
        given: hob_runtime::code::Given::default(),
    }
}

fn event(trigger: &str) -> CallCause {
    CallCause::Event {
        subscription: TriggerName::new(trigger).unwrap(),
        topic: TopicName::new("t").unwrap(),
        sequence: 1,
        attempt: 1,
        published_ms: 0,
        others: Vec::new(),
    }
}

fn ended(cause: &CallCause, status: Option<u16>, owner: Option<Owner>) -> Ended<'_> {
    let times = Times {
        route_us: 5,
        queue_us: 100,
        start_us: 50,
        load_us: 20,
        connect_us: 10,
        answer_us: 1000,
        total_us: 1100,
    };
    let used = Used { cpu_us: Some(7), memory_bytes: 2 << 20, bytes_in: 3, bytes_out: 4 };
    Ended { cause, status, owner, times, cold: true, used }
}

/// The lines of the text that begin so.
fn lines(text: &str, begin: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect()
}

#[test]
fn calls_are_counted_by_what_caused_them_and_how_they_ended() {
    let meters = Meters::default();
    let code = code("a", "f", 3);
    let meter = meters.of(&code);
    for (cause, status, owner, labels) in [
        (CallCause::Request, Some(200), None, ("request", "ok", "2xx")),
        (CallCause::Control, Some(404), None, ("control", "ok", "4xx")),
        (CallCause::Request, Some(500), None, ("request", "code", "5xx")),
        (CallCause::Request, None, None, ("request", "caller", "none")),
        (event("s"), None, Some(Owner::Limit), ("event", "limit", "none")),
        (event("s"), Some(200), Some(Owner::Code), ("event", "code", "2xx")),
    ] {
        let before = Form::Prometheus.write(&meters.snapshot());
        meter.ended(&ended(&cause, status, owner));
        let after = Form::Prometheus.write(&meters.snapshot());
        let (cause, outcome, class) = labels;
        for (name, more) in [
            ("hob_calls_total", format!(",cause=\"{cause}\",outcome=\"{outcome}\"")),
            ("hob_call_statuses_total", format!(",class=\"{class}\"")),
        ] {
            let series = format!("{name}{{app=\"a\",function=\"f\",revision=\"3\"{more}}} ");
            let value = |text: &str| {
                let found = lines(text, &series).first().map(|line| line[series.len()..].to_owned());
                found.map_or(0, |value| value.parse::<u64>().unwrap())
            };
            assert_eq!(value(&after), value(&before) + 1, "{series}");
        }
    }
    code.cpu.add(100_000);
    let text = Form::Prometheus.write(&meters.snapshot());
    let of = "{app=\"a\",function=\"f\",revision=\"3\"";
    for line in [
        format!("hob_call_duration_seconds_bucket{of},le=\"0.001\"}} 0"),
        format!("hob_call_duration_seconds_bucket{of},le=\"0.002\"}} 6"),
        format!("hob_call_duration_seconds_bucket{of},le=\"+Inf\"}} 6"),
        format!("hob_call_duration_seconds_count{of}}} 6"),
        format!("hob_call_queue_seconds_bucket{of},le=\"0.0001\"}} 6"),
        format!("hob_call_run_seconds_total{of}}} 0.006"),
        format!("hob_cold_start_phase_seconds_sum{of},phase=\"route\"}} 0.00003"),
        format!("hob_cold_start_phase_seconds_sum{of},phase=\"queue\"}} 0.0006"),
        format!("hob_cold_start_phase_seconds_sum{of},phase=\"load\"}} 0.00012"),
        format!("hob_cold_start_phase_seconds_sum{of},phase=\"start\"}} 0.00012"),
        format!("hob_cold_start_phase_seconds_sum{of},phase=\"connect\"}} 0.00006"),
        format!("hob_cold_start_phase_seconds_sum{of},phase=\"run\"}} 0.00507"),
        format!("hob_cold_start_phase_seconds_bucket{of},phase=\"run\",le=\"0.001\"}} 6"),
        format!("hob_cold_starts_total{of}}} 6"),
        format!("hob_cpu_seconds_total{of}}} 0.0001"),
        format!("hob_memory_byte_seconds_total{of}}} 12582.912"),
        format!("hob_request_body_bytes_total{of}}} 18"),
        format!("hob_response_body_bytes_total{of}}} 24"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

fn whose(function: Option<&str>, revision: Option<u32>, trigger: Option<&str>) -> Whose {
    Whose {
        function: function.map(|name| FunctionName::new(name).unwrap()),
        revision: revision.map(RevisionNumber),
        trigger: trigger.map(|name| TriggerName::new(name).unwrap()),
    }
}

#[test]
fn what_is_used_is_gained_once_and_processor_time_is_nobodys_twice() {
    let meters = Meters::default();
    let code = code("a", "f", 1);
    let meter = meters.of(&code);
    let one = |cpu_us| Usage {
        invocations: 1,
        failures: 0,
        wall_us: 1000,
        cpu_us,
        mib_us: 2000,
        bytes_in: 3,
        bytes_out: 4,
        cold_starts: 1,
        stored_kib_s: 0,
    };
    let gains = || meters.gains().into_iter().map(|(_, whose, usage)| (whose, usage)).collect::<Vec<_>>();
    let own = whose(Some("f"), Some(1), None);
    let of_s = whose(Some("f"), Some(1), Some("s"));
    assert_eq!(gains(), []);
    meter.ended(&ended(&CallCause::Request, Some(200), None));
    code.cpu.add(7000);
    assert_eq!(gains(), [(own.clone(), one(7))]);
    assert_eq!(gains(), []);
    // A call that still runs has spent time already, and then turns out to be a trigger's.
    code.cpu.add(7000);
    assert_eq!(gains(), [(own.clone(), Usage { cpu_us: 7, ..Usage::default() })]);
    meter.ended(&ended(&event("s"), Some(200), None));
    assert_eq!(gains(), [(of_s, one(7))]);
    code.cpu.add(10_000);
    assert_eq!(gains(), [(own, Usage { cpu_us: 3, ..Usage::default() })], "7 of the 10 are made good");
    // Gone with its pool, once taken; then it begins anew.
    drop((meter, code));
    assert!(meters.snapshot().iter().any(|metric| !metric.samples.is_empty()));
    assert_eq!(gains(), []);
    assert!(meters.snapshot().iter().all(|metric| metric.samples.is_empty()));
}

#[test]
fn series_are_bounded_and_no_call_is_lost() {
    let meters = Meters::default();
    let mut kept = Vec::new();
    for number in 0..u32::try_from(METERS_MAX).unwrap() + 5 {
        let code = code("a", "f", number);
        let meter = meters.of(&code);
        meter.ended(&ended(&CallCause::Request, Some(200), None));
        code.cpu.add(1000);
        kept.push((code, meter));
    }
    let text = Form::Prometheus.write(&meters.snapshot());
    let calls = lines(&text, "hob_calls_total");
    assert_eq!(calls.len(), METERS_MAX + 1);
    let other = "{app=\"a\",function=\"_other\",revision=\"_other\"";
    assert!(calls.contains(&format!("hob_calls_total{other},cause=\"request\",outcome=\"ok\"}} 5")));
    assert!(lines(&text, "hob_cpu_seconds").contains(&format!("hob_cpu_seconds_total{other}}} 0.000005")));

    let (code, meters) = (code("a", "f", 1), Meters::default());
    let meter = meters.of(&code);
    for number in 0..METER_TRIGGERS_MAX + 5 {
        meter.ended(&ended(&event(&format!("s{number}")), Some(200), None));
    }
    let gains = meters.gains();
    assert_eq!(gains.len(), METER_TRIGGERS_MAX + 1);
    let own = gains.iter().find(|(_, of, _)| of.trigger.is_none()).unwrap();
    assert_eq!(own.2.invocations, 5);

    let many = (0..5).fold(Metric::new("m", Kind::Gauge, "", "h"), |metric, number| {
        metric.with([("topic", format!("t{number}").as_str())], f64::from(number))
    });
    let text = Form::Prometheus.write(&[bounded(many, 3)]);
    assert_eq!(
        lines(&text, "m{"),
        ["m{topic=\"t0\"} 0", "m{topic=\"t1\"} 1", "m{topic=\"t2\"} 2", "m{topic=\"_other\"} 7"]
    );
}

#[test]
fn the_text_is_what_the_formats_ask_for() {
    let mut wait = Metric::new("wait_seconds", Kind::Histogram, "seconds", "Back\\slash\nand \"quotes\"");
    let value = HistogramValue { bounds: vec![0.5, 1.0], counts: vec![1, 0, 2], sum: 7.25 };
    wait.samples
        .push(Sample { labels: vec![("a", "x\\y\n\"z\"".to_owned())], value: Value::Histogram(value) });
    let metrics = [
        Metric::new("things", Kind::Counter, "", "Things").with([], 3.0),
        wait,
        Metric::new("nothing", Kind::Gauge, "", "Without series"),
    ];
    let series = "wait_seconds_bucket{a=\"x\\\\y\\n\\\"z\\\"\",le=\"0.5\"} 1\n\
        wait_seconds_bucket{a=\"x\\\\y\\n\\\"z\\\"\",le=\"1.0\"} 1\n\
        wait_seconds_bucket{a=\"x\\\\y\\n\\\"z\\\"\",le=\"+Inf\"} 3\n\
        wait_seconds_sum{a=\"x\\\\y\\n\\\"z\\\"\"} 7.25\n\
        wait_seconds_count{a=\"x\\\\y\\n\\\"z\\\"\"} 3\n";
    let prometheus = format!(
        "# HELP things_total Things\n# TYPE things_total counter\nthings_total 3\n\
         # HELP wait_seconds Back\\\\slash\\nand \"quotes\"\n# TYPE wait_seconds histogram\n{series}"
    );
    let open = format!(
        "# HELP things Things\n# TYPE things counter\nthings_total 3\n\
         # HELP wait_seconds Back\\\\slash\\nand \\\"quotes\\\"\n# TYPE wait_seconds histogram\n\
         # UNIT wait_seconds seconds\n{series}# EOF\n"
    );
    assert_eq!(Form::Prometheus.write(&metrics), prometheus);
    assert_eq!(Form::OpenMetrics.write(&metrics), open);

    for (accept, form) in [
        (None, Form::Prometheus),
        (Some("*/*"), Form::Prometheus),
        (Some("text/plain"), Form::Prometheus),
        (Some("application/openmetrics-text"), Form::OpenMetrics),
        (
            Some(
                "application/openmetrics-text; version=1.0.0; q=0.5, text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ),
            Form::OpenMetrics,
        ),
        (Some("application/openmetrics-text;q=0.1,text/plain;q=0.3"), Form::Prometheus),
        (Some("application/openmetrics-text;q=0"), Form::Prometheus),
    ] {
        assert_eq!(Form::accepted(accept), form, "{accept:?}");
    }
}
