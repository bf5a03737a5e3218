//! What is written is read as it was meant; what is hostile is refused or bounded; JSON is as its standard shows it.

use super::proto::{Raw, Writer, fields as raw_fields};
use super::{
    Attributes, Encoding, Kind, Limits, Log, Metric, Partial, Point, Points, Signal, Span, Spread, Told,
    Value, fields, gather, read_logs, read_spans, write_logs, write_metrics, write_spans,
};
use crate::trace::{SpanId, TraceId};

fn span() -> Span {
    Span {
        trace: TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        span: SpanId(7),
        parent: Some(SpanId(6)),
        name: "GET /rate".to_owned(),
        kind: Kind::Server,
        start_ns: 1_700_000_000_000_000_001,
        end_ns: 1_700_000_000_000_500_000,
        attributes: vec![
            ("text".into(), "é".into()),
            ("empty".into(), "".into()),
            ("no".into(), false.into()),
            ("int".into(), Value::Int(-3)),
            ("half".into(), 0.5.into()),
            ("zero".into(), 0.0.into()),
            ("bytes".into(), Value::Bytes(vec![0, 255])),
            ("list".into(), Value::List(vec![Value::Int(1), Value::None, "x".into()])),
            ("map".into(), Value::Map(vec![("a".to_owned(), Value::List(Vec::new()))])),
        ],
        events: vec![("exception".to_owned(), 9, vec![("exception.type".into(), "E".into())])],
        links: vec![(TraceId(1), SpanId(2), vec![("hob.attempt".into(), 1_u32.into())])],
        failed: Some("no".to_owned()),
    }
}

fn log() -> Log {
    Log {
        time_ns: 5,
        observed_ns: 6,
        severity: 17,
        severity_text: "ERROR".to_owned(),
        body: "no".into(),
        attributes: vec![("n".into(), Value::Int(1))],
        trace: Some(TraceId(1)),
        span: Some(SpanId(2)),
        event: "hob.delivered".to_owned(),
    }
}

fn told<T>(items: Vec<T>) -> Vec<Told<T>> {
    vec![Told { resource: Vec::new(), scope: "hob".to_owned(), items }]
}

#[test]
fn what_is_written_is_read() {
    let spans = told(vec![span(), Span { failed: Some(String::new()), parent: None, ..span() }]);
    let received = read_spans(Encoding::Protobuf, &write_spans(&spans), Limits::default()).unwrap();
    assert_eq!((received.told, received.rejected), (spans, 0));
    let logs = told(vec![log(), Log::default()]);
    let received = read_logs(Encoding::Protobuf, &write_logs(&logs), Limits::default()).unwrap();
    assert_eq!(received.told, logs);
}

#[test]
fn json_is_read_as_the_standard_shows_it() {
    let spans = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop/cart"}}]},
        "scopeSpans":[{"scope":{"name":"hob","version":"1"},"spans":[{"traceId":"0AF7651916CD43DD8448EB211C80319C",
        "spanId":"0000000000000007","parentSpanId":"0000000000000006","name":"GET /rate","kind":2,
        "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":1700000000000500000,"unknown":{"a":[1]},
        "attributes":[{"key":"text","value":{"stringValue":"é"}},{"key":"empty","value":{"stringValue":""}},
        {"key":"no","value":{"boolValue":false}},{"key":"int","value":{"intValue":"-3"}},
        {"key":"half","value":{"doubleValue":0.5}},{"key":"zero","value":{"doubleValue":0}},
        {"key":"bytes","value":{"bytesValue":"AP8="}},
        {"key":"list","value":{"arrayValue":{"values":[{"intValue":1},{},{"stringValue":"x"}]}}},
        {"key":"map","value":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{}}}]}}}],
        "events":[{"name":"exception","timeUnixNano":"9","attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}],
        "links":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002",
        "attributes":[{"key":"hob.attempt","value":{"intValue":"1"}}]}],
        "status":{"code":2,"message":"no"}}]}]}]}"#;
    let received = read_spans(Encoding::Json, spans.as_bytes(), Limits::default()).unwrap();
    assert_eq!(received.told, told(vec![span()]));
    let logs = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop/cart"}}]},
        "scopeLogs":[{"scope":{"name":"hob"},"logRecords":[{"timeUnixNano":"5","observedTimeUnixNano":"6","severityNumber":17,
        "severityText":"ERROR","body":{"stringValue":"no"},"attributes":[{"key":"n","value":{"intValue":"1"}}],
        "traceId":"00000000000000000000000000000001","spanId":"0000000000000002","eventName":"hob.delivered"}]}]}]}"#;
    let received = read_logs(Encoding::Json, logs.as_bytes(), Limits::default()).unwrap();
    assert_eq!(received.told, told(vec![log()]));
}

#[test]
fn hostile_messages_are_refused() {
    let whole = write_spans(&told(vec![span()]));
    // Cut anywhere it is an error or a shorter message, never a panic; so with any byte changed.
    for at in 0..whole.len() {
        let _ = read_spans(Encoding::Protobuf, &whole[..at], Limits::default());
        for flip in [1, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let _ = read_spans(Encoding::Protobuf, &damaged, Limits::default());
            let _ = read_logs(Encoding::Protobuf, &damaged, Limits::default());
        }
    }
    let deep = (0..100).fold(Value::None, |inner, _| Value::List(vec![inner]));
    let deep = write_spans(&told(vec![Span { attributes: vec![("deep".into(), deep)], ..span() }]));
    let json_of = |value: &str| {
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{value}}}]}}]}}]}}"#)
    };
    let deep_json =
        json_of(&format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(20), "]}}".repeat(20)));
    let endless = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for (encoding, body) in [
        (Encoding::Protobuf, deep.as_slice()),
        (Encoding::Protobuf, &endless),
        (Encoding::Protobuf, b"\x0b\x0c"),
        (Encoding::Protobuf, b"{}"),
        (Encoding::Json, deep_json.as_bytes()),
        (Encoding::Json, b"\x0a\x00"),
        (Encoding::Json, b"[]"),
        (Encoding::Json, b""),
    ] {
        let spans = read_spans(encoding, body, Limits::default()).err();
        let why = spans.or_else(|| read_logs(encoding, body, Limits::default()).err());
        assert!(why.is_some(), "{:?}", String::from_utf8_lossy(body));
    }
    assert!(read_logs(Encoding::Json, json_of("{\"intValue\":{}}").as_bytes(), Limits::default()).is_ok());
}

#[test]
fn what_is_too_much_is_counted() {
    let limits = Limits { items: 2, attributes: 3, depth: 8 };
    let nameless = Span { trace: TraceId(0), ..span() };
    let spans = told(vec![span(), nameless, span(), span(), span()]);
    let received = read_spans(Encoding::Protobuf, &write_spans(&spans), limits).unwrap();
    assert_eq!((received.told[0].items.len(), received.rejected), (2, 3));
    let names: Vec<&str> = received.told[0].items[0].attributes.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["text", "empty", "no", "…"]);
    assert_eq!(received.told[0].items[0].attributes[3].1, "6 more".into());
}

#[test]
fn attributes_become_harmless_text() {
    let shown: Vec<String> =
        fields(&span().attributes).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        shown.join(" "),
        r#"bytes=AP8= empty= half=0.5 int=-3 list=[1,null,"x"] map={"a":[]} no=false text=é zero=0.0"#
    );
    let steers: Attributes = vec![("a\u{7}".into(), "\u{1b}[2J".into())];
    assert_eq!(fields(&steers)["a\\x07"], "\\x1b[2J");
}

#[test]
fn answers_say_what_was_not_taken() {
    let partial = Partial { rejected: 3, message: "too many".to_owned() };
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        for signal in Signal::ALL {
            assert_eq!(Partial::read(encoding, &partial.write(signal, encoding)), partial);
            assert_eq!(Signal::of_path(signal.path()), Some(signal));
            let nothing = Partial::default().write(signal, encoding);
            assert_eq!(Partial::read(encoding, &nothing), Partial::default());
        }
        assert_eq!(Partial::read(encoding, b"\xff"), Partial::default());
        assert!(!Partial::refusal("no", encoding).is_empty());
        assert_eq!(Encoding::of(encoding.media_type()), Some(encoding));
    }
    assert_eq!(Encoding::of("application/json; charset=utf-8"), Some(Encoding::Json));
    assert_eq!(Encoding::of("text/plain"), None);
}

/// Metrics are only written; the numbers of their fields are checked with the official messages in `tests/all`.
#[test]
fn metrics_have_their_shape() {
    let point = |value| Point { attributes: Vec::new(), start_ns: 1, time_ns: 2, value };
    let spread = Spread {
        attributes: Vec::new(),
        start_ns: 1,
        time_ns: 2,
        sum: 3.0,
        counts: vec![1, 0, 2],
        bounds: vec![0.5, 1.0],
    };
    let metric = |points| Metric {
        name: "hob.calls".to_owned(),
        description: "Calls".to_owned(),
        unit: "{call}".to_owned(),
        points,
    };
    let all =
        [Points::Gauge(vec![point(0.0)]), Points::Counter(vec![point(1.0)]), Points::Histogram(vec![spread])];
    let body = write_metrics(&told(all.into_iter().map(metric).collect()));
    let inside = |message: &[u8], number: u64| -> Vec<Vec<u8>> {
        raw_fields(message)
            .map(Result::unwrap)
            .filter(|(found, _)| *found == number)
            .map(|(_, raw)| raw.bytes().unwrap().to_vec())
            .collect()
    };
    let metrics: Vec<Vec<u8>> =
        inside(&body, 1).iter().flat_map(|r| inside(r, 2)).flat_map(|s| inside(&s, 2)).collect();
    let kinds: Vec<u64> = metrics
        .iter()
        .flat_map(|metric| raw_fields(metric).map(|field| field.unwrap().0).filter(|number| *number > 3))
        .collect();
    assert_eq!(kinds, [5, 7, 9]);
    let histogram = inside(&inside(&metrics[2], 9)[0], 1).remove(0);
    let numbers: Vec<u64> = raw_fields(&histogram).map(|field| field.unwrap().0).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn numbers_of_every_size_survive() {
    for number in [1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        let mut writer = Writer::default();
        writer.number(15, number);
        writer.fixed64(16, number);
        let message = writer.done();
        let read: Vec<(u64, u64)> = raw_fields(&message)
            .map(Result::unwrap)
            .map(|(field, raw)| (field, Raw::number(raw).unwrap()))
            .collect();
        assert_eq!(read, [(15, number), (16, number)]);
    }
}

#[test]
fn items_are_put_under_who_tells_them() {
    let who = |name: &str| -> Attributes { vec![("service.name".into(), name.into())] };
    let all = gather([(who("a"), 1), (who("b"), 2), (who("a"), 3)]);
    assert_eq!(all.iter().map(|told| told.items.clone()).collect::<Vec<_>>(), [vec![1, 3], vec![2]]);
}
