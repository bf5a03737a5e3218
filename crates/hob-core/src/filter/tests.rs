//! The dialects as they are written, checked, asked and explained.

use super::{Filter, Filters, Mismatch};
use crate::code::Code;
use crate::event::{Attribute, Event};
use crate::limit::{FILTER_DEPTH_MAX, FILTERS_MAX};
use std::collections::BTreeMap;

fn event() -> Event {
    Event {
        id: "7".to_owned(),
        source: "https://shop.example/orders".to_owned(),
        kind: "com.example.order.created".to_owned(),
        datacontenttype: Some("application/json".to_owned()),
        dataschema: None,
        subject: Some("order/7".to_owned()),
        time: None,
        extensions: BTreeMap::from([
            ("count".to_owned(), Attribute::Integer(42)),
            ("urgent".to_owned(), Attribute::Boolean(true)),
            ("country".to_owned(), Attribute::String("UK".to_owned())),
        ]),
        data: None,
    }
}

fn filters(json: &str) -> Vec<Filter> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn dialects_match_and_say_why_not() {
    // What stands in the way: clause, what is wanted, what is there. Nothing: it matches.
    for (written, reason) in [
        (r#"[]"#, None),
        (r#"[{"exact":{"type":"com.example.order.created","id":"7","specversion":"1.0"}}]"#, None),
        (r#"[{"exact":{"datacontenttype":"application/json"}}]"#, None),
        (r#"[{"exact":{"count":"42","urgent":"true"}}]"#, None),
        (r#"[{"exact":{"count":"042"}}]"#, Some(("exact.count", "042", Some("42")))),
        (r#"[{"exact":{"country":"uk"}}]"#, Some(("exact.country", "uk", Some("UK")))),
        (
            r#"[{"exact":{"id":"7","subject":"order/8"}}]"#,
            Some(("exact.subject", "order/8", Some("order/7"))),
        ),
        (r#"[{"exact":{"time":"now"}}]"#, Some(("exact.time", "now", None))),
        (r#"[{"prefix":{"type":"com.example.","source":"https:"}}]"#, None),
        (r#"[{"prefix":{"type":"org."}}]"#, Some(("prefix.type", "org.", Some("com.example.order.created")))),
        (r#"[{"suffix":{"type":".created"}}]"#, None),
        (r#"[{"suffix":{"dataschema":"x"}}]"#, Some(("suffix.dataschema", "x", None))),
        (r#"[{"exact":{"id":"7"}},{"exact":{"country":"DE"}}]"#, Some(("exact.country", "DE", Some("UK")))),
        (r#"[{"all":[{"exact":{"id":"7"}},{"prefix":{"id":"8"}}]}]"#, Some(("prefix.id", "8", Some("7")))),
        (r#"[{"any":[{"exact":{"id":"8"}},{"exact":{"id":"7"}}]}]"#, None),
        (
            r#"[{"any":[{"exact":{"id":"8"}},{"suffix":{"id":"9"}}]}]"#,
            Some(("any", "one of: exact.id `8`; suffix.id `9`", Some("7"))),
        ),
        (
            r#"[{"any":[{"exact":{"id":"8"}},{"all":[{"exact":{"country":"UK"}},{"not":{"exact":{"id":"7"}}}]}]}]"#,
            Some(("any", "one of: exact.id `8`; (exact.country `UK` and not exact.id `7`)", None)),
        ),
        (r#"[{"not":{"exact":{"id":"8"}}}]"#, None),
        (r#"[{"not":{"exact":{"time":"now"}}}]"#, None),
        (r#"[{"not":{"exact":{"id":"7"}}}]"#, Some(("not.exact.id", "anything but exact.id `7`", Some("7")))),
        (r#"[{"sql":"count > 40 AND country = 'UK' AND subject LIKE 'order/%'"}]"#, None),
        (r#"[{"cesql":"urgent"}]"#, None),
        (r#"[{"sql":"count > 42"}]"#, Some(("sql", "count > 42", Some("false")))),
        (r#"[{"sql":"count"}]"#, Some(("sql", "count", Some("42")))),
        (
            r#"[{"sql":"time = 'x'"}]"#,
            Some(("sql", "time = 'x'", Some("missingAttribute: the event has no attribute `time`"))),
        ),
        // An error is no match, so its opposite is one.
        (r#"[{"not":{"sql":"time = 'x'"}}]"#, None),
    ] {
        let compiled = Filters::compile(&filters(written)).unwrap();
        let expected = reason.map(|(clause, wanted, seen): (&str, &str, Option<&str>)| Mismatch {
            clause: clause.to_owned(),
            wanted: wanted.to_owned(),
            seen: seen.map(str::to_owned),
        });
        assert_eq!(compiled.explain(&event()).err(), expected, "{written}");
        assert_eq!(compiled.matches(&event()), expected.is_none(), "{written}");
    }
}

#[test]
fn mistakes_in_filters_are_refused_with_their_place() {
    for (written, place, message) in [
        (r#"[{"exact":{}}]"#, "filters[0].exact", "an `exact` filter names no attribute"),
        (
            r#"[{"exact":{"id":"1"}},{"prefix":{"type":""}}]"#,
            "filters[1].prefix.type",
            "the value for `type` is empty",
        ),
        (r#"[{"exact":{"":"x"}}]"#, "filters[0].exact.", "`` is not the name"),
        (r#"[{"suffix":{"Type":"x"}}]"#, "filters[0].suffix.Type", "`Type` is not the name of an attribute"),
        (r#"[{"exact":{"my-ext":"x"}}]"#, "filters[0].exact.my-ext", "`my-ext` is not the name"),
        (r#"[{"exact":{"data":"x"}}]"#, "filters[0].exact.data", "this dialect sees an event's attributes"),
        (r#"[{"all":[]}]"#, "filters[0].all", "a list of filters is empty"),
        (r#"[{"not":{"any":[{"exact":{"id":"1"}},{"any":[]}]}}]"#, "filters[0].not.any[1].any", "a list of"),
        (r#"[{"sql":"é' = "}]"#, "filters[0].sql", "the CESQL expression is wrong at character 1: `é`"),
        (r#"[{"sql":"'é' = "}]"#, "filters[0].sql", "the CESQL expression is wrong at character 7: the end"),
        (
            r#"[{"sql":"LENGHT(id) = 1"}]"#,
            "filters[0].sql",
            "the CESQL expression calls `LENGHT` at character 1",
        ),
    ] {
        let fault = Filters::compile(&filters(written)).unwrap_err();
        assert_eq!((fault.code(), fault.place()), (Code::FilterInvalid, Some(place)), "{written}");
        assert!(fault.message().starts_with(message), "{written}: {fault}");
    }
    let hint = Filters::compile(&filters(r#"[{"sql":"LENGHT(id) = 1"}]"#)).unwrap_err();
    assert_eq!(hint.hint_text(), Some("did you mean `LENGTH`?"));
}

#[test]
fn filters_are_limited_in_number_and_depth() {
    let one = filters(r#"[{"exact":{"id":"7"}}]"#).remove(0);
    let nested = |depth: usize| (1..depth).fold(one.clone(), |inner, _| Filter::Not(Box::new(inner)));
    for (filters, fine) in [
        (vec![one.clone(); FILTERS_MAX], true),
        (vec![one.clone(); FILTERS_MAX + 1], false),
        (vec![Filter::Any(vec![one.clone(); FILTERS_MAX - 1])], true),
        (vec![Filter::Any(vec![one.clone(); FILTERS_MAX])], false),
        (vec![nested(FILTER_DEPTH_MAX)], true),
        (vec![nested(FILTER_DEPTH_MAX + 1)], false),
    ] {
        assert_eq!(Filters::compile(&filters).is_ok(), fine, "{} filters", filters.len());
    }
    let long = Filter::Sql(format!("id = '{}'", "x".repeat(8 << 10)));
    assert!(Filters::compile(&[long]).unwrap_err().message().contains("more than the 8192 allowed"));
}

#[test]
fn the_written_form_has_exactly_one_known_dialect() {
    for (written, message) in [
        (
            r#"{"contains":{"type":"x"}}"#,
            "`contains` is not a filter dialect; the dialects are `exact`, `prefix`",
        ),
        (r#"{"exact":{"a":"b"},"sql":"TRUE"}"#, "exactly one dialect, but this one has `exact` and `sql`"),
        (r#"{}"#, "a filter needs one dialect of `exact`"),
        (r#"["exact"]"#, "expected a filter with exactly one dialect of `exact`"),
        (r#"{"exact":{"count":3}}"#, "invalid type: integer `3`, expected a string"),
    ] {
        let error = serde_json::from_str::<Filter>(written).unwrap_err().to_string();
        assert!(error.contains(message), "{written}: {error}");
    }
    let written = r#"[{"any":[{"exact":{"a":"b"}},{"not":{"sql":"TRUE"}}]}]"#;
    assert_eq!(serde_json::to_string(&filters(written)).unwrap(), written);
    #[derive(serde::Deserialize)]
    struct Trigger {
        r#where: Filter,
    }
    let trigger: Trigger = toml::from_str(r#"where = { exact = { country = "UK" } }"#).unwrap();
    assert_eq!(vec![trigger.r#where], filters(r#"[{"exact":{"country":"UK"}}]"#));
    let error = toml::from_str::<Trigger>(r#"where = { like = "x" }"#).err().unwrap().to_string();
    assert!(error.contains("`like` is not a filter dialect"), "{error}");
}
