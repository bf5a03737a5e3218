//! Lines as real programs print them, and what is understood of each.

use super::Level::{Debug, Error, Fatal, Info, Trace, Warn};
use super::{Level, bounded, harmless, level, read, short};
use crate::limit::{LOG_FIELD_BYTES_MAX, LOG_FIELDS_MAX};

#[test]
fn levels_are_recognised_in_plain_lines() {
    for (text, expected) in [
        // Python: basicConfig, a common format, uvicorn, gunicorn, loguru, a traceback, warnings.
        ("WARNING:root:disk is nearly full", Some(Warn)),
        ("2026-01-01 12:00:00,123 - shop.cart - ERROR - no such item", Some(Error)),
        ("INFO:     Started server process [7]", Some(Info)),
        ("[2026-01-01 00:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT", Some(Fatal)),
        ("2026-01-01 12:00:00.123 | DEBUG    | shop:buy:12 - bought", Some(Debug)),
        ("Traceback (most recent call last):", Some(Error)),
        // Rust: tracing, env_logger, a panic before and since 1.91.
        ("2026-01-01T12:00:00.000001Z  INFO shop::cart: bought items=3", Some(Info)),
        ("[2026-01-01T12:00:00Z TRACE shop] looked", Some(Trace)),
        ("thread 'main' panicked at src/main.rs:3:5:", Some(Error)),
        ("thread 'main' (4711) panicked at src/main.rs:3:5:", Some(Error)),
        // Go: klog, slog's text, logrus, zerolog's console, a panic.
        ("E0101 12:00:00.123456       1 main.go:12] cannot buy", Some(Error)),
        ("I0101 12:00:00.123456       1 main.go:12] bought", Some(Info)),
        ("time=2026-01-01T12:00:00Z level=WARN msg=\"slow\"", Some(Warn)),
        ("time=\"2026-01-01T12:00:00Z\" level=fatal msg=gone", Some(Fatal)),
        ("3:04PM INF bought item=3", Some(Info)),
        ("panic: runtime error: index out of range", Some(Fatal)),
        // Java: log4j, Spring Boot. .NET. Ruby. PHP.
        ("2026-01-01 12:00:00,123 [main] WARN  com.shop.Cart - slow", Some(Warn)),
        ("2026-01-01T12:00:00.123Z  INFO 1 --- [main] c.shop.Cart : bought", Some(Info)),
        ("fail: Shop.Cart[0]", Some(Error)),
        ("I, [2026-01-01T12:00:00.123456 #1]  INFO -- : bought", Some(Info)),
        ("[01-Jan-2026 12:00:00 UTC] PHP Warning:  Undefined variable", None),
        // Servers and shells.
        ("2026/01/01 12:00:00 [error] 7#0: *1 connect() failed", Some(Error)),
        ("2026-01-01 12:00:00 UTC [1] FATAL:  role does not exist", Some(Fatal)),
        ("ERROR something broke", Some(Error)),
        ("[warn] careful", Some(Warn)),
        ("error: no such file", Some(Error)),
        ("Warning: it is late", Some(Warn)),
        ("  DEBUG indented", Some(Debug)),
        // No level: sentences, requests, numbers, nothing.
        ("The ERROR rate is low", None),
        ("error rate is low", None),
        ("no errors: all is well", None),
        ("127.0.0.1 - - [01/Jan/2026:12:00:00 +0000] \"GET /error HTTP/1.1\" 200 5", None),
        ("12 of 13 done", None),
        ("E01 is a code", None),
        ("I am here", None),
        ("level=high pressure=low", None),
        ("Config: loaded", None),
        ("[main] started", None),
        ("", None),
    ] {
        assert_eq!(level(text), expected, "{text}");
    }
}

#[test]
fn json_lines_are_taken_apart() {
    for (text, expected_level, expected_text, expected_fields) in [
        // slog, zap, pino, bunyan; structlog; Google Cloud; the Elastic Common Schema; .NET; GELF.
        (r#"{"time":"t","level":"INFO","msg":"bought","items":3}"#, Some(Info), "bought", "items=3 time=t"),
        (r#"{"level":"warn","ts":1.5,"msg":"slow","ms":12.5}"#, Some(Warn), "slow", "ms=12.5 ts=1.5"),
        (r#"{"level":50,"time":1,"pid":7,"msg":"no"}"#, Some(Error), "no", "pid=7 time=1"),
        (r#"{"event":"bought","level":"debug","user":"é"}"#, Some(Debug), "bought", "user=é"),
        (r#"{"severity":"CRITICAL","message":"gone"}"#, Some(Fatal), "gone", ""),
        (r#"{"@timestamp":"t","log.level":"error","message":"no"}"#, Some(Error), "no", "@timestamp=t"),
        (r#"{"LogLevel":"Information","Message":"bought"}"#, Some(Info), "bought", ""),
        (r#"{"version":"1.1","level":4,"short_message":"slow"}"#, Some(Warn), "slow", "version=1.1"),
        // Rust's tracing keeps its message a level deeper.
        (
            r#"{"level":"TRACE","fields":{"message":"looked","n":1},"target":"shop"}"#,
            Some(Trace),
            "looked",
            "n=1 target=shop",
        ),
        // What is nested stays JSON; what has no message stays text; what is no object is text.
        (r#"{"msg":"m","a":{"b":[1,null]},"c":null}"#, None, "m", r#"a={"b":[1,null]} c=null"#),
        (r#"{"level":"error","code":3}"#, Some(Error), r#"{"level":"error","code":3}"#, ""),
        (r#"{"msg":{"a":1}}"#, None, r#"{"a":1}"#, ""),
        (r#"{"msg":"cut off"#, None, r#"{"msg":"cut off"#, ""),
        (r#"{"level":"loud","msg":"m"}"#, None, "m", "level=loud"),
        // Escapes inside of JSON are as dangerous as others.
        (r#"{"msg":"a\u001b[2Jb","k\u0007":"\u202ex\n"}"#, None, "a\\x1b[2Jb", "k\\x07=\\u{202e}x\\x0a"),
    ] {
        let line = read(text.to_owned());
        let fields: Vec<String> = line.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            (line.level, line.text.as_str(), fields.join(" ").as_str()),
            (expected_level, expected_text, expected_fields),
            "{text}"
        );
    }
}

#[test]
fn fields_have_bounds_and_say_what_is_missing() {
    let long = "x".repeat(LOG_FIELD_BYTES_MAX + 9);
    let many = (0..LOG_FIELDS_MAX + 3).map(|n| (format!("f{n:03}"), long.clone()));
    let kept = bounded(many);
    assert_eq!(kept["…"], "3 more");
    assert_eq!(kept.len(), LOG_FIELDS_MAX + 1);
    assert!(kept["f000"].ends_with("x…") && kept["f000"].len() <= LOG_FIELD_BYTES_MAX + 3);
}

#[test]
fn nothing_steers_the_reader() {
    for (bytes, expected) in [
        (&b"plain\ttext"[..], "plain\ttext"),
        (b"\x1b[1;31mred\x1b[0m and \x1b[38;5;9mmore\x1b[m\x07", "red and more\\x07"),
        (b"\x1b[2J\x1b[?25l\x1b[", "\\x1b[2J\\x1b[?25l\\x1b["),
        (b"a\rb", "a\\x0db"),
        (b"\xff\xfe ok", "\u{fffd}\u{fffd} ok"),
        ("\u{9b}1m \u{202e}cod".as_bytes(), "\\u{9b}1m \\u{202e}cod"),
        ("{\"msg\":\"\u{202e}\u{1}\"}".as_bytes(), "{\"msg\":\"\\u202e\\u0001\"}"),
        ("žluť".as_bytes(), "žluť"),
    ] {
        assert_eq!(harmless(bytes), expected);
    }
    assert_eq!((short("ěšč", 4), short("ab", 2)), ("ěš…".to_owned(), "ab".to_owned()));
}

#[test]
fn levels_have_the_numbers_of_opentelemetry() {
    let numbers: Vec<u8> = Level::ALL.iter().map(|level| level.severity()).collect();
    assert_eq!(numbers, [1, 5, 9, 13, 17, 21]);
    for (number, expected) in [
        (0, None),
        (1, Some(Trace)),
        (4, Some(Trace)),
        (12, Some(Info)),
        (24, Some(Fatal)),
        (25, None),
        (-1, None),
    ] {
        assert_eq!(Level::of_severity(number), expected, "{number}");
    }
}
