//! Events in every form: the tables of the specification and of the SDKs' deviations, and properties
//! that any event and any bytes must have.

use super::http::{Mode, handshake, mode, read, write};
use super::record::{Cause, Only, Stored, decode, encode};
use super::{Attribute, Event, Value, base64, json, timestamp_ms};
use crate::fault::Result;
use crate::id::InvocationId;
use crate::limit::{EVENT_ATTRIBUTE_BYTES_MAX, EVENT_BATCH_MAX, EVENT_BYTES_MAX};
use crate::name::{AppName, RevisionNumber, TriggerName};
use crate::random;
use crate::trace::TraceContext;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

/// Random values that are the same in each run.
struct Random(random::Random);

impl Random {
    fn new(seed: u64) -> Self {
        Self(random::Random(seed))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.place(end)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..=self.below(most)).map(|_| self.byte()).collect()
    }

    /// Any text, with whatever ends a line, a quote or a value.
    fn wild(&mut self, most: usize) -> String {
        let sharp =
            ['\r', '\n', '\0', ':', ' ', '"', '%', '\\', '\t', '\u{85}', '\u{2028}', 'a', '\u{7f}', ','];
        let mut one = || match self.below(3) {
            0 => self.pick(&sharp),
            1 => char::from(self.byte()),
            _ => char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()).unwrap_or('\n'),
        };
        (0..most).map(|_| one()).collect()
    }

    /// Text that an attribute may have.
    fn text(&mut self) -> String {
        let letters =
            ['a', 'Z', '7', ' ', '"', '%', '\\', '/', '~', '!', 'é', '€', '😀', '\u{10fffd}', ':', ';'];
        (0..=self.below(12)).map(|_| self.pick(&letters)).collect()
    }

    fn uri(&mut self) -> String {
        let text = self.text().replace([' ', '"'], "-");
        self.pick(&["/", "urn:", "https://example.com/", ""]).to_owned() + &text
    }

    fn json(&mut self, depth: usize) -> String {
        let scalars = [
            "null",
            "true",
            "0",
            "-1.5e-7",
            "18446744073709551616",
            "0.10000000000000000001",
            r#""\ud83d\ude00é\"""#,
        ];
        match self.below(4) {
            0 if depth > 0 => format!("[{},{}]", self.json(depth - 1), self.json(depth - 1)),
            1 if depth > 0 => format!("{{\"b\":{},\"a\": {}}}", self.json(depth - 1), self.json(depth - 1)),
            _ => self.pick(&scalars).to_owned(),
        }
    }

    fn event(&mut self) -> Event {
        let mut event = Event::new(self.text(), self.uri(), self.text());
        let media = [
            None,
            Some("application/json"),
            Some("application/vnd.x+JSON; charset=utf-8"),
            Some("text/plain"),
            Some("image/svg+xml"),
            Some("text/csv;charset=iso-8859-1"),
            Some("image/png"),
            Some("application/cloudevents+json"),
        ];
        event.datacontenttype = self.pick(&media).map(str::to_owned);
        event.data = match self.below(5) {
            0 => None,
            1 => Some(self.bytes(40).into()),
            2 => Some(self.text().into()),
            _ => Some(self.json(3).into()),
        };
        event.dataschema = self.pick(&[true, false]).then(|| self.uri());
        event.subject = self.pick(&[true, false]).then(|| self.text());
        event.time = self.pick(&[None, Some("2018-04-05T17:31:00.5+02:00")]).map(str::to_owned);
        for _ in 0..self.below(5) {
            let name = self.pick(&["partitionkey", "a", "0", "x9", "database64", "sequence"]);
            let value = match self.below(5) {
                0 => Attribute::Boolean(self.pick(&[true, false])),
                1 => Attribute::Integer(self.pick(&[0, -1, i32::MIN, i32::MAX, 12])),
                2 => Attribute::String(String::new()),
                _ => Attribute::String(self.text()),
            };
            event.set_extension(name, value);
        }
        event.check().unwrap();
        event
    }

    fn stored(&mut self) -> Stored {
        let app = AppName::new(self.pick(&["desk", "a", "front-desk"])).unwrap();
        let trigger = TriggerName::new(self.pick(&["orders", "b"])).unwrap();
        let cause = Cause {
            app: app.clone(),
            revision: RevisionNumber(300),
            invocation: Some(InvocationId(u128::MAX - 7)),
        };
        let trace = TraceContext { trace_id: 1 << 100, span_id: 2, flags: 1 };
        Stored {
            event: self.event(),
            hops: self.pick(&[0, 1, 127, 128, u32::MAX]),
            cause: self.pick(&[None, Some(cause)]),
            only: self.pick(&[None, Some(Only { app, trigger })]),
            trace: self.pick(&[None, Some(trace)]),
        }
    }

    /// One of these bytes changed, removed or added.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut bytes, at) = (bytes.to_vec(), self.below(bytes.len()));
        match self.below(3) {
            0 => bytes[at] = self.byte(),
            1 => bytes.truncate(at),
            _ => bytes.insert(at, self.byte()),
        }
        bytes
    }
}

/// The part of a table's message that a test looks for, and the message.
fn assert_refused<T: std::fmt::Debug>(result: Result<T>, code: &str, part: &str) {
    let fault = result.expect_err(part);
    let text = format!("{fault} {}", fault.hint_text().unwrap_or_default());
    assert!(text.starts_with(code) && text.contains(part), "`{text}` is not {code} with `{part}`");
}

fn example() -> Event {
    json::read(br#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#).unwrap()
}

#[test]
fn any_event_is_the_same_after_each_form() {
    let mut random = Random::new(1);
    for _ in 0..3000 {
        let stored = random.stored();
        let event = &stored.event;
        assert_eq!(&json::read(&json::write(event)).unwrap(), event);
        let pair = [event.clone(), random.event()];
        assert_eq!(json::read_batch(&json::write_batch(&pair)).unwrap(), pair);
        let value: serde_json::Value = serde_json::from_slice(&json::write(event)).unwrap();
        assert_eq!(json::to_value(event), value);

        let payload = encode(&stored);
        let back = decode(&payload).unwrap();
        assert_eq!(back, stored);
        if let Some(data) = back.event.data {
            assert_eq!(data.as_ptr_range().end, payload.as_ptr_range().end, "data is no copy");
        }

        for asked in [Mode::Binary, Mode::Structured, Mode::Batch] {
            let mut headers = HeaderMap::new();
            let body = write(event, asked, &mut headers);
            let mut expected = event.clone();
            if mode(&headers) == Some(Mode::Binary) {
                expected
                    .extensions
                    .values_mut()
                    .for_each(|value| *value = value.value().text().into_owned().into());
                let json = event
                    .data
                    .as_ref()
                    .is_some_and(|data| serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok());
                expected.datacontenttype =
                    expected.datacontenttype.or_else(|| json.then(|| "application/json".to_owned()));
            }
            assert_eq!(read(&headers, body).unwrap(), [expected]);
        }
    }
}

/// T12: whatever an attribute holds, its header is one line of visible characters.
#[test]
fn no_value_makes_a_header_of_its_own() {
    let mut random = Random::new(2);
    for _ in 0..100_000 {
        let mut event = Event::new(random.wild(6), random.wild(3), "t");
        event.set_extension("x", random.wild(9));
        event.set_extension(random.wild(3), "a name that was never checked");
        event.set_extension("id", "another id");
        event.datacontenttype = Some(format!("text/{}", random.wild(4)));
        let mut headers = HeaderMap::new();
        write(&event, Mode::Binary, &mut headers);
        headers.remove("content-type");
        let mut message = Vec::new();
        for (name, value) in &headers {
            message.extend_from_slice(&[name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"].concat());
        }
        let lines: Vec<&[u8]> =
            message.trim_ascii_end().split(|byte| matches!(byte, b'\r' | b'\n' | 0)).collect();
        let valid_names = event.extensions.keys().filter(|name| super::check::is_extension(name)).count();
        assert_eq!(lines.len(), 4 + valid_names, "{event:?}");
        assert!(lines.iter().all(|line| line.iter().all(|byte| matches!(byte, b'!'..=b'~'))), "{event:?}");
        assert_ne!(headers["ce-id"], "another%20id");
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut random = Random::new(3);
    let mut accepted = [0; 3];
    for _ in 0..30_000 {
        let stored = random.stored();
        let (text, payload) = (json::write(&stored.event), encode(&stored));
        let batch = json::write_batch(std::slice::from_ref(&stored.event));
        for bytes in [random.bytes(60), random.damage(&text), random.damage(&payload), random.damage(&batch)]
        {
            let events = json::read(&bytes).into_iter().chain(json::read_batch(&bytes).into_iter().flatten());
            for event in events {
                accepted[0] += 1;
                event.check().unwrap();
            }
            let bytes = Bytes::from(bytes);
            if let Ok(stored) = decode(&bytes) {
                accepted[1] += 1;
                assert_eq!(encode(&stored), bytes, "there is one way to write a record");
            }
            let text = String::from_utf8_lossy(&bytes);
            if let Some(decoded) = base64::decode(&text) {
                assert_eq!(base64::encode(&decoded).trim_end_matches('='), text.trim_end_matches('='));
            }
            let _ = timestamp_ms(&text);
        }
        let mut headers = HeaderMap::new();
        for name in ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-x", "content-type"] {
            let value =
                if random.below(3) > 0 { random.pick(&["1.0", "a/b"]).into() } else { random.bytes(9) };
            headers.extend(
                HeaderValue::from_bytes(&value).ok().map(|value| (HeaderName::from_static(name), value)),
            );
        }
        for event in read(&headers, random.bytes(20).into()).into_iter().flatten() {
            accepted[2] += 1;
            event.check().unwrap();
        }
    }
    assert!(accepted.iter().all(|count| *count > 100), "the generator is useless: {accepted:?}");
}

#[test]
fn a_record_keeps_its_form() {
    let stored = Stored { hops: 300, ..Stored::new(example()) };
    let payload = encode(&stored);
    assert_eq!(
        &payload[..],
        b"\x01\x00\xac\x02\x011\x02/s\x01t\x00",
        "a change of the form needs a new version"
    );
    for bad in [
        &b""[..],
        b"\x01",
        b"\x02\x00\x00\x011\x02/s\x01t\x00",
        // Numbers: not the shortest form, too large for 64 bits, too large for 32.
        b"\x01\x00\x80\x00\x011\x02/s\x01t\x00",
        b"\x01\x00\x00\x011\x02/s\x01t\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",
        b"\x01\x00\x80\x80\x80\x80\x10\x011\x02/s\x01t\x00",
        // Extensions: twice, out of order, of no kind; then a text beyond the end, and no app's name.
        b"\x01\x00\x00\x011\x02/s\x01t\x02\x01b\x00\x01b\x01",
        b"\x01\x00\x00\x011\x02/s\x01t\x02\x01b\x00\x01a\x01",
        b"\x01\x00\x00\x011\x02/s\x01t\x01\x01b\x04",
        b"\x01\x00\x00\x011\x02/s\x02t",
        b"\x01\x01\x00\x01A\x01                \x011\x02/s\x01t\x00",
    ] {
        assert_refused(decode(&Bytes::copy_from_slice(bad)), "HOB-0814", "stored event");
    }
    let longer = [&payload[..], b"\0"].concat();
    assert_refused(decode(&longer.into()), "HOB-0814", "cannot be read");
}

#[test]
fn attributes_are_found_by_name() {
    let mut event = example();
    event.set_extension("n", -7);
    event.set_extension("b", true);
    event.set_extension("partitionkey", 12);
    event.set_extension("expirytime", "1970-01-01T00:00:01Z");
    event.data = Some("1".into());
    for (name, expected) in [
        ("specversion", Some(Value::String("1.0"))),
        ("type", Some(Value::String("t"))),
        ("n", Some(Value::Integer(-7))),
        ("b", Some(Value::Boolean(true))),
        ("subject", None),
        ("data", None),
        ("kind", None),
    ] {
        assert_eq!(event.get(name), expected, "{name}");
    }
    assert_eq!((event.text("n").unwrap(), event.text("b").unwrap()), ("-7".into(), "true".into()));
    assert_eq!((event.partition_key().as_deref(), event.expires_ms()), (Some("12"), Some(1000)));
    let names: Vec<&str> = event.attributes().map(|(name, _)| name).collect();
    assert_eq!(names, ["specversion", "id", "source", "type", "b", "expirytime", "n", "partitionkey"]);
    assert_ne!(Event::new("b", "/a", "t").key(), Event::new("ab", "/", "t").key());
    assert_eq!(Event::new("b", "/a", "t").key(), Event::new("b", "/a", "u").key());
    for (media, is) in [
        ("text/json", true),
        ("a/b+json ; x=y", true),
        ("a/jsonp", false),
        ("json", false),
        ("a/B+JSON", true),
    ] {
        event.datacontenttype = Some(media.to_owned());
        assert_eq!(event.is_json(), is, "{media}");
    }
}

#[test]
fn events_stay_within_the_specification_and_the_limits() {
    type Change = fn(&mut Event);
    let cases: &[(Change, &str, &str)] = &[
        (|event| event.id.clear(), "HOB-0801", "no `id`"),
        (|event| event.kind = "a\nb".into(), "HOB-0801", "U+000A"),
        (|event| event.kind = "a\u{9f}".into(), "HOB-0801", "U+009F"),
        (|event| event.kind = "a\u{1ffff}".into(), "HOB-0801", "U+1FFFF"),
        (|event| event.source = "a b".into(), "HOB-0801", "URI-reference"),
        (|event| event.dataschema = Some(String::new()), "HOB-0801", "no `dataschema`"),
        (|event| event.subject = Some(String::new()), "HOB-0801", "no `subject`"),
        (|event| event.time = Some("yesterday".into()), "HOB-0801", "`yesterday`"),
        (|event| event.set_extension("expirytime", "12"), "HOB-0801", "RFC 3339"),
        (|event| event.datacontenttype = Some("json".into()), "HOB-0801", "media type"),
        (|event| event.datacontenttype = Some("a/é".into()), "HOB-0801", "media type"),
        (|event| event.set_extension("aB", 1), "HOB-0801", "a-z and 0-9"),
        (|event| event.set_extension("", 1), "HOB-0801", "a-z and 0-9"),
        (|event| event.set_extension("data", 1), "HOB-0801", "`data` cannot be"),
        (|event| event.set_extension("time", 1), "HOB-0801", "`time` cannot be"),
        (|event| event.set_extension("x".repeat(65), 1), "HOB-0801", "65 characters"),
        (
            |event| event.set_extension("x", "x".repeat(EVENT_ATTRIBUTE_BYTES_MAX + 1)),
            "HOB-0802",
            "32769 bytes",
        ),
        (|event| (0..61).for_each(|n| event.set_extension(format!("x{n}"), n)), "HOB-0801", "65 attributes"),
        (|event| event.data = Some(vec![0; EVENT_BYTES_MAX].into()), "HOB-0802", "the limit is 1048576"),
    ];
    for (change, code, part) in cases {
        let mut event = example();
        change(&mut event);
        assert_refused(event.check(), code, part);
    }
    let mut event = example();
    event.source = "urn:ä{1}|[x]#?&".into();
    event.set_extension("x", "x".repeat(EVENT_ATTRIBUTE_BYTES_MAX));
    (0..59).for_each(|n| event.set_extension(format!("x{n}"), n));
    event.data = Some(vec![0; EVENT_BYTES_MAX - event.bytes()].into());
    event.check().unwrap();
}

#[test]
fn data_in_json_follows_its_media_type() {
    for (members, data) in [
        (r#""x":null"#, None),
        // The examples of JSON format 1.0.2, section 3.2.
        (r#""datacontenttype":"application/xml","data":"<much wow=\"xml\"/>""#, Some(r#"<much wow="xml"/>"#)),
        (
            r#""datacontenttype":"application/json","data" : {"b": 1.0, "a": 123e400}"#,
            Some(r#"{"b": 1.0, "a": 123e400}"#),
        ),
        (r#""data":"I'm just a string""#, Some(r#""I'm just a string""#)),
        (r#""datacontenttype":"image/png","data_base64":"AAEC""#, Some("\0\u{1}\u{2}")),
        // Section 3.1.1: `null` is JSON data, but no string.
        (r#""data":null"#, Some("null")),
        (r#""datacontenttype":"text/plain","data":null"#, None),
        (r#""datacontenttype":null,"subject":null,"data_base64":null"#, None),
        // Lenient: no padding; an unset `data` beside the other.
        (r#""data":null,"data_base64":"YQ""#, Some("a")),
        (r#""datacontenttype":"text/plain","data":"""#, Some("")),
        (r#""data":"{\"a\":1}""#, Some(r#""{\"a\":1}""#)),
    ] {
        let text = format!(r#" {{"id":"1","source":"/s","type":"t",{members},"specversion":"1.0"}} "#);
        let event = json::read(text.as_bytes()).expect(members);
        assert_eq!(event.data.as_deref(), data.map(str::as_bytes), "{members}");
        assert_eq!(json::read(&json::write(&event)).unwrap(), event, "{members}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let event = Event { data: Some(deep.clone().into()), ..example() };
    assert_eq!(json::read(&json::write(&event)).unwrap().data.unwrap(), deep);
    assert_eq!(json::to_value(&event)["data_base64"], base64::encode(deep.as_bytes()));
}

#[test]
fn data_is_a_value_or_a_string_or_bytes() {
    for (media, data, expected) in [
        (None, " [1, 2]\n", r#""data":[1, 2]}"#),
        (None, "[1", r#""data_base64":"WzE="}"#),
        (Some("application/json"), r#""a""#, r#""data":"a"}"#),
        (Some("a/b+json"), "", r#""data_base64":""}"#),
        (Some("text/plain; charset=\"UTF-8\""), "a\"\n", r#""data":"a\"\n"}"#),
        (Some("text/plain; charset=utf-16"), "a", r#""data_base64":"YQ=="}"#),
        (Some("Application/XML"), "1", r#""data":"1"}"#),
        (Some("image/png"), "a", r#""data_base64":"YQ=="}"#),
    ] {
        let event = Event { datacontenttype: media.map(str::to_owned), data: Some(data.into()), ..example() };
        let text = String::from_utf8(json::write(&event)).unwrap();
        assert!(text.ends_with(expected), "{text} is not {expected}");
    }
}

#[test]
fn what_is_no_event_in_json_is_refused() {
    let begin = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;
    for (text, part) in [
        ("", "not JSON"),
        ("[]", "not an object"),
        ("{}", "no `specversion`"),
        (r#"{"specversion":null,"id":"1","source":"/s","type":"t"}"#, "no `specversion`"),
        (r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#, "`0.3`"),
        (r#"{"specversion":1.0,"id":"1","source":"/s","type":"t"}"#, "no 32-bit integer"),
        (r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#, "has to be a string"),
        (r#"{"specversion":"1.0","source":"/s","type":"t"}"#, "no `id`"),
        (&format!(r#"{{{begin},"id":"2"}}"#), "`id` is there twice"),
        (&format!(r#"{{{begin},"x":2147483648}}"#), "no 32-bit integer"),
        (&format!(r#"{{{begin},"x":1.0}}"#), "no 32-bit integer"),
        (&format!(r#"{{{begin},"x":{{}}}}"#), "an object or a list"),
        (&format!(r#"{{{begin},"x":"\ud800"}}"#), "the string `x`"),
        (&format!(r#"{{{begin},"x":"\u0000"}}"#), "U+0000"),
        (&format!(r#"{{{begin},"my_name":1}}"#), "`my_name`"),
        (&format!(r#"{{{begin},"data":1,"data_base64":"AA=="}}"#), "both"),
        (&format!(r#"{{{begin},"data_base64":"A-=="}}"#), "not base64"),
        (&format!(r#"{{{begin},"data_base64":1}}"#), "not a string"),
        (&format!(r#"{{{begin},"datacontenttype":"text/plain","data":{{}}}}"#), "`datacontenttype` to"),
        (&format!("{{{begin}}}x"), "not JSON: trailing characters at line 1"),
        ("1", "not an object of"),
        (
            &format!("{{{begin}{}}}", (0..130).map(|n| format!(r#","x{n}":null"#)).collect::<String>()),
            "at most 128 members",
        ),
    ] {
        assert_refused(json::read(text.as_bytes()), "HOB-0801", part);
    }
    assert_refused(json::read(&vec![b' '; (8 << 20) + 1]), "HOB-0802", "8388608");
    let good = format!("{{{begin}}}");
    assert_eq!(json::read_batch(b"[]").unwrap(), []);
    assert_eq!(json::read_batch(format!("[{good}, {good}]").as_bytes()).unwrap().len(), 2);
    assert_refused(json::read_batch(good.as_bytes()), "HOB-0801", "not a batch");
    assert_refused(json::read_batch(format!("[{good},{{}}]").as_bytes()), "HOB-0801", "event 2 of the batch");
    let many = vec![good; EVENT_BATCH_MAX + 1].join(",");
    assert_refused(json::read_batch(format!("[{many}]").as_bytes()), "HOB-0801", "at most 1000 events");
}

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &[u8])| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// A message in binary mode with these headers besides the required ones.
fn binary(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut all: Vec<(&str, &[u8])> =
        vec![("ce-specversion", b"1.0"), ("ce-id", b"1"), ("ce-source", b"/s"), ("ce-type", b"t")];
    all.retain(|(name, _)| pairs.iter().all(|(other, _)| other != name));
    headers(&[&all[..], pairs].concat())
}

#[test]
fn the_mode_is_known_by_the_content_type() {
    for (pairs, expected) in [
        (&[("content-type", &b"application/cloudevents+json"[..])][..], Some(Mode::Structured)),
        (&[("content-type", b"Application/CloudEvents")], Some(Mode::Structured)),
        (&[("content-type", b"APPLICATION/CLOUDEVENTS-BATCH+JSON; charset=UTF-8")], Some(Mode::Batch)),
        (&[("content-type", b"application/json"), ("ce-specversion", b"1.0")], Some(Mode::Binary)),
        (&[("content-type", b"application/json")], None),
        (&[("ce-specversion", b"1.0")], Some(Mode::Binary)),
        (&[("content-type", b"\xff"), ("ce-specversion", b"1.0")], Some(Mode::Binary)),
        (&[("ce-id", b"1")], None),
    ] {
        assert_eq!(mode(&headers(pairs)), expected, "{pairs:?}");
    }
}

#[test]
fn header_values_are_read_as_senders_write_them() {
    for (value, expected) in [
        // HTTP binding 1.0.2, section 3.1.3.2.
        (&b"Euro%20%E2%82%AC%20%F0%9F%98%80"[..], "Euro € 😀"),
        (b"Euro%20%e2%82%ac", "Euro €"),
        (b"%41", "A"),
        (br#""a \"b\" \\ c""#, r#"a "b" \ c"#),
        (br#""a%22b""#, r#"a"b"#),
        (b"%2541", "%41"),
        // The official SDKs do not encode.
        ("Euro € 😀".as_bytes(), "Euro € 😀"),
        (b"a b", "a b"),
        (b"100% of 5%a", "100% of 5%a"),
        (br#"say "a""#, r#"say "a""#),
        (br#""a" and "b""#, r#""a" and "b""#),
        (br#"""#, r#"""#),
        (b"", ""),
    ] {
        let event = read(&binary(&[("ce-x", value)]), Bytes::new()).unwrap().remove(0);
        assert_eq!(event.text("x").unwrap(), expected);
        let mut written = HeaderMap::new();
        write(&event, Mode::Binary, &mut written);
        assert_eq!(read(&written, Bytes::new()).unwrap(), [event], "{expected}");
    }
    let mut event = example();
    event.subject = Some("Euro € 😀 \"%".into());
    let mut written = headers(&[("ce-old", b"1"), ("content-type", b"a/b"), ("x-other", b"1")]);
    write(&event, Mode::Binary, &mut written);
    assert_eq!(written["ce-subject"], "Euro%20%E2%82%AC%20%F0%9F%98%80%20%22%25");
    assert!(!written.contains_key("ce-old") && !written.contains_key("content-type"));
    assert!(written.contains_key("x-other"));
}

#[test]
fn messages_without_a_valid_event_are_refused() {
    let none: &[(&str, &[u8])] = &[];
    let long = vec![b'a'; 3 * EVENT_ATTRIBUTE_BYTES_MAX + 1];
    for (headers, status, part) in [
        (headers(none), 400, "carries no CloudEvent"),
        (headers(&[("ce-specversion", b"1.0")]), 400, "no `id`"),
        (binary(&[("ce-specversion", b"0.3")]), 400, "`0.3`"),
        (binary(&[("ce-id", b"")]), 400, "no `id`"),
        (binary(&[("ce-id", b"1"), ("ce-id", b"2")]), 400, "`ce-id` is there twice"),
        (binary(&[("content-type", b"a/b"), ("content-type", b"a/c")]), 400, "`content-type` is there twice"),
        (binary(&[("ce-x", b"%C0%A0")]), 400, "not UTF-8"),
        (binary(&[("ce-x", b"\xe9")]), 400, "not UTF-8"),
        (binary(&[("ce-x", b"%0D%0Aset-cookie:%20a")]), 400, "U+000D"),
        (binary(&[("ce-my-name", b"1")]), 400, "`my-name`"),
        (binary(&[("ce-", b"1")]), 400, "a-z and 0-9"),
        (binary(&[("ce-data", b"1")]), 400, "`data` cannot be"),
        (binary(&[("ce-x", &long)]), 413, "the limit is 98304"),
        (
            headers(&[("content-type", b"application/cloudevents+protobuf")]),
            415,
            "`application/cloudevents+protobuf`",
        ),
        (headers(&[("content-type", b"application/cloudevents-batch+avro")]), 415, "cloudevents-batch+json"),
        (headers(&[("content-type", b"application/cloudevents+json; charset=utf-16")]), 415, "utf-16"),
        (headers(&[("content-type", b"application/cloudevents+json")]), 400, "not JSON"),
    ] {
        let fault = read(&headers, Bytes::from_static(b"x")).expect_err(part);
        assert_eq!(fault.status(), status, "{fault}");
        assert_refused::<()>(Err(fault), "HOB-080", part);
    }
    let many =
        (0..70).map(|n| (HeaderName::try_from(format!("ce-x{n}")).unwrap(), HeaderValue::from_static("1")));
    let many: HeaderMap =
        binary(&[]).into_iter().map(|(name, value)| (name.unwrap(), value)).chain(many).collect();
    assert_refused(read(&many, Bytes::new()), "HOB-0801", "limit of 64");

    let event = read(&binary(&[("ce-datacontenttype", b"a/b"), ("content-type", b"text/plain")]), "x".into());
    let event = event.unwrap().remove(0);
    assert_eq!((event.datacontenttype.as_deref(), event.extensions.len()), (Some("text/plain"), 0));
    let event = read(&binary(&[]), "not JSON".into()).unwrap().remove(0);
    assert_eq!(
        (event.datacontenttype, event.data),
        (None, Some("not JSON".into())),
        "as the Python SDK sends it"
    );
}

#[test]
fn consent_is_given_only_to_those_who_are_allowed() {
    let allowed = ["one.example.com", "*.example.org", "*other.net"].map(str::to_owned);
    let everybody = ["*".to_owned()];
    for (allowed, origin, rate, granted) in [
        (&allowed[..], "one.example.com", None, Some("*")),
        (&allowed, "ONE.example.com", Some("120"), Some("120")),
        (&allowed, "a.b.example.org", Some("1"), Some("1")),
        (&allowed, "example.org", None, None),
        (&allowed, ".example.org", None, None),
        (&allowed, "badexample.org", None, None),
        (&allowed, "another.net", None, None),
        (&allowed, "two.example.com", None, None),
        (&allowed, "one.example.com", Some("0"), None),
        (&allowed, "one.example.com", Some("much"), None),
        (&everybody, "any-where", None, Some("*")),
        (&everybody, "a b", None, None),
        (&everybody, "", None, None),
        (&[], "one.example.com", None, None),
    ] {
        let mut request = headers(&[("webhook-request-origin", origin.as_bytes())]);
        request.extend(
            rate.map(|rate| {
                (HeaderName::from_static("webhook-request-rate"), HeaderValue::from_static(rate))
            }),
        );
        let expected = granted.map(|rate| {
            headers(&[
                ("webhook-allowed-origin", origin.as_bytes()),
                ("webhook-allowed-rate", rate.as_bytes()),
                ("allow", b"POST"),
            ])
        });
        assert_eq!(handshake(&request, allowed).map(HeaderMap::from_iter), expected, "{origin}");
    }
    assert_eq!(handshake(&HeaderMap::new(), &everybody), None);
}
