//! What reads bytes from outside, as functions of bytes that a fuzzer can drive.
//!
//! **Why.** A parser that meets strangers' bytes must neither panic nor say two things of one text. A fuzzer that is run
//! by hand finds that out once; so the same functions are driven by every test run, with a seed that says how to
//! do it again.
//!
//! **How.** Each crate has a table `TARGETS`. `fuzz/` beside the crates makes a program for libFuzzer of each row;
//! [`drive`] is the small fuzzer of the tests: it mutates what lies in `fuzz/corpus/<name>`. A house test sees that
//! every row has a program and a corpus. What a row asserts besides is the property that its users rely on.

use crate::access::{audit, token};
use crate::egress::Policy;
use crate::event::{self, Event};
use crate::filter::{Filter, Filters, cesql};
use crate::foreign::{self, DIALECTS, Given, Source};
use crate::name::{AppName, FunctionName, SpaceName, TopicName};
use crate::otlp::{self, Encoding, Limits};
use crate::random::Random;
use crate::route::{self, Table};
use crate::schedule::Schedule;
use crate::spec::{AppSpec, RouteSpec};
use crate::trace::TraceContext;
use crate::{aws, log_line, manifest, resolve, unit};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;

/// A parser, by name.
pub type Target = (&'static str, fn(&[u8]));

/// Those of this crate.
pub const TARGETS: &[Target] = &[
    ("manifest", manifest_toml),
    ("foreign_aws_sam", |bytes| foreign("aws-sam", bytes)),
    ("foreign_serverless", |bytes| foreign("serverless", bytes)),
    ("foreign_cloud_run", |bytes| foreign("cloud-run", bytes)),
    ("foreign_knative", |bytes| foreign("knative", bytes)),
    ("foreign_spin", |bytes| foreign("spin", bytes)),
    ("foreign_wrangler", |bytes| foreign("wrangler", bytes)),
    ("event_json", event_json),
    ("event_http", event_http),
    ("event_record", event_record),
    ("filters", filters),
    ("cesql", expression),
    ("schedule", schedule),
    ("signature", signature),
    ("signature_canonical", aws::signature::fuzz),
    ("aws_function", aws_function),
    ("route", routes),
    ("name", names),
    ("egress", egress),
    ("log_line", lines),
    ("otlp_protobuf", |bytes| telemetry(Encoding::Protobuf, bytes)),
    ("otlp_json", |bytes| telemetry(Encoding::Json, bytes)),
    ("app_spec", app_spec),
    ("access", access),
    ("dns_question", dns_question),
];

/// The longest input that [`drive`] makes, in bytes.
const INPUT_BYTES_MAX: usize = 4096;
/// Mutations of each target in a usual test run: a second or two for all.
const ROUNDS: u32 = 2000;
/// What lengths, numbers and ends of texts often are.
const WORDS: [&[u8]; 16] = [
    b"\0",
    b"\r\n",
    b"\n\n",
    b"\\u0000",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"{{",
    b"[[",
    b"../",
    b"\xf0\x9f\x98\x80",
    b"${",
    b"!Sub ",
    b"'",
];

/// The test that drives a crate's `TARGETS`: in the module that has them. `HOB_FUZZ_ROUNDS` says how long, `fuzz/corpus` what
/// each begins with.
#[doc(hidden)]
#[macro_export]
macro_rules! drive_targets {
    () => {
        #[cfg(test)]
        mod tests {
            #[test]
            fn no_input_makes_a_parser_panic() {
                let rounds = std::env::var("HOB_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
                $crate::fuzz::drive_all(super::TARGETS, rounds, |name| {
                    let folder = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
                    let files = std::fs::read_dir(folder).unwrap();
                    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
                });
            }
        }
    };
}

/// Runs the target of that name, for a program that is one target's.
///
/// # Panics
/// When there is none, and when the target does.
pub fn run(targets: &[Target], name: &str, bytes: &[u8]) {
    let target = targets.iter().find(|target| target.0 == name);
    (target.expect("a program is named after a target").1)(bytes);
}

/// Runs a target with its corpus and `rounds` mutations of it. The same seed does the same again.
///
/// # Panics
/// With the input in hexadecimal, when the target does.
pub fn drive((name, run): Target, corpus: &[Vec<u8>], seed: u64, rounds: u32) {
    let mut random = Random(seed);
    let mutated = (0..rounds).map(|_| mutate(corpus, &mut random));
    let all = corpus.iter().cloned().chain(mutated);
    for input in all {
        let ends = std::panic::catch_unwind(|| run(&input));
        let shown: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(ends.is_ok(), "target `{name}` with seed {seed} panics for the bytes {shown}");
    }
}

/// Drives targets as the test of their crate: `corpus` gives what each begins with, `rounds` how long, where somebody says.
///
/// # Panics
/// When a target does, or has no corpus.
pub fn drive_all(targets: &[Target], rounds: Option<u32>, corpus: impl Fn(&str) -> Vec<Vec<u8>>) {
    for target in targets {
        let seeds = corpus(target.0);
        assert!(!seeds.is_empty(), "target `{}` has no corpus in `fuzz/corpus`", target.0);
        drive(*target, &seeds, 1, rounds.unwrap_or(ROUNDS));
    }
}

fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let empty = Vec::new();
    let one = |random: &mut Random| {
        if corpus.is_empty() { &empty } else { &corpus[random.place(corpus.len())] }
    };
    let mut input = one(random).clone();
    for _ in 0..=random.below(6) {
        let at = random.place(input.len() + 1);
        let to = at + random.place(input.len() - at + 1);
        let byte = random.number().to_le_bytes()[0];
        match random.below(8) {
            0 if at < input.len() => input[at] ^= 1 << (byte % 8),
            1 if at < input.len() => input[at] = byte,
            2 => input.insert(at, byte),
            3 => drop(input.drain(at..to)),
            4 => input.extend_from_within(at..to),
            5 => drop(input.splice(at..at, WORDS[random.place(WORDS.len())].iter().copied())),
            6 => {
                let other = one(random);
                let from = random.place(other.len() + 1);
                drop(input.splice(at..to, other[from..].iter().copied()));
            }
            _ => input.truncate(at.max(1).min(input.len())),
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

/// The bytes as text, if they are one.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Bytes as the fields of a head, up to an empty line, and the rest.
pub fn head(bytes: &[u8]) -> (HeaderMap, &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 2..]));
    let fields = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in fields.take(64) {
        headers.append(name, value);
    }
    (headers, body)
}

fn manifest_toml(bytes: &[u8]) {
    let _ = manifest::parse(text(bytes), "hob.toml");
}

fn foreign(name: &str, bytes: &[u8]) {
    let dialect = DIALECTS.iter().find(|dialect| dialect.name == name).expect("a dialect of the table");
    let file = dialect.files.first().copied().unwrap_or("a.yaml");
    let beside = [".dev.vars", ".env", "a.yml"].map(|path| (path.to_owned(), Some(text(bytes).to_owned())));
    let given = Given { name: "app".to_owned(), files: beside.into(), ..Given::default() };
    let _ = foreign::translate(dialect, &[Source::new(file, text(bytes))], &given);
    let _ = foreign::recognise(file, text(bytes));
}

fn same_again(event: &Event) {
    let again = event::json::read(&event::json::write(event));
    assert_eq!(again.as_ref().ok(), Some(event), "an event that was read is written as it was: {again:?}");
}

fn event_json(bytes: &[u8]) {
    if let Ok(event) = event::json::read(bytes) {
        same_again(&event);
    }
    event::json::read_batch(bytes).into_iter().flatten().for_each(|event| same_again(&event));
}

fn event_http(bytes: &[u8]) {
    let (headers, body) = head(bytes);
    for event in event::http::read(&headers, Bytes::copy_from_slice(body)).into_iter().flatten() {
        let mut written = HeaderMap::new();
        event::http::write(&event, event::http::Mode::Binary, &mut written);
    }
}

fn event_record(bytes: &[u8]) {
    if let Ok(stored) = event::record::decode(&Bytes::copy_from_slice(bytes)) {
        let again = event::record::decode(&event::record::encode(&stored));
        assert!(again.is_ok(), "what was stored is stored again: {again:?}");
    }
}

fn an_event() -> Event {
    let mut event = Event::new("1", "/orders", "order.placed");
    event.set_extension("count", 7);
    event
}

fn filters(bytes: &[u8]) {
    let Ok(filters) = serde_json::from_slice::<Vec<Filter>>(bytes) else { return };
    if let Ok(filters) = Filters::compile(&filters) {
        let event = an_event();
        assert_eq!(filters.matches(&event), filters.explain(&event).is_ok());
    }
}

fn expression(bytes: &[u8]) {
    if let Ok(expression) = cesql::Expression::parse(text(bytes)) {
        let event = an_event();
        let _ = expression.evaluate(&event);
        let _ = expression.is_true(&event);
    }
}

fn schedule(bytes: &[u8]) {
    const NOW_MS: u64 = 1_764_000_000_000;
    let text = text(bytes);
    let (zone, expression) = text.split_once('\n').unwrap_or(("Europe/Berlin", text));
    let Ok(schedule) = Schedule::new(expression, zone) else { return };
    let next = schedule.next_after(NOW_MS, NOW_MS);
    assert!(next.is_none_or(|next| next > NOW_MS), "the next run is not over");
    let last = schedule.last_until(NOW_MS, 0);
    assert!(last.is_none_or(|last| last <= NOW_MS), "the last run has been");
    let _ = schedule.describe();
}

fn signature(bytes: &[u8]) {
    let (headers, _) = head(bytes);
    if let Ok(claim) = aws::signature::Claim::read(&headers) {
        let _ = claim.check(&headers, 1_764_000_000_000);
    }
}

fn aws_function(bytes: &[u8]) {
    let text = text(bytes);
    let _ = aws::name::Reference::read(text, None).map(|name| name.app().is_ok());
    let _ = aws::name::topic(text);
    let _ = aws::name::parameters(text, "Qualifier").count();
    if let Ok(object) = serde_json::from_str(text) {
        let _ = aws::function::check_rest(&object);
        let _ = aws::function::archive(&object);
    }
}

fn routes(bytes: &[u8]) {
    let text = text(bytes);
    let (asked, patterns) = text.split_once('\n').unwrap_or(("/", text));
    let function = FunctionName::new("f").expect("a name");
    let specs: Vec<RouteSpec> = patterns
        .lines()
        .take(32)
        .map(|route| RouteSpec { route: route.to_owned(), function: function.clone() })
        .collect();
    let _ = route::address(asked, "localhost");
    let Ok(table) = Table::new(&specs, &[]) else { return };
    let _ = table.find("GET", asked, true, asked);
    let _ = table.find("PUT", "", false, patterns);
}

fn names(bytes: &[u8]) {
    let text = text(bytes);
    let _ = (AppName::new(text), FunctionName::new(text), TopicName::new(text), SpaceName::new(text));
    let made = crate::name::suggestion(text);
    assert!(AppName::new(&made).is_ok(), "`{made}` is suggested and is no name");
    let _ = (unit::parse_bytes(text), unit::parse_duration(text), unit::parse_rate(text));
    if let Some(trace) = TraceContext::parse(text) {
        let again = TraceContext::parse(self::text(&trace.header()));
        assert_eq!(again.map(|trace| trace.trace_id), Some(trace.trace_id));
    }
}

fn egress(bytes: &[u8]) {
    let text = text(bytes);
    let (host, list) = text.split_once('\n').unwrap_or((text, ""));
    let listed: Vec<String> = list.lines().take(32).map(str::to_owned).collect();
    let _ = Policy::new(Some(&listed)).admits(host, 80);
    let Ok(reach) = Policy::new(None).admits(host, 80) else { return };
    for denied in
        ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "fd00:ec2::254", "0.0.0.0", "100.100.100.200"]
    {
        let address: IpAddr = denied.parse().expect("an address");
        assert!(!reach.allows(address), "`{host}` leads to {denied}");
    }
}

fn lines(bytes: &[u8]) {
    let harmless = log_line::harmless(bytes);
    assert!(!harmless.contains(['\u{1b}', '\r', '\0']), "{harmless:?} is not harmless");
    let _ = log_line::read(harmless);
    let _ = log_line::read(text(bytes).to_owned());
}

fn telemetry(encoding: Encoding, bytes: &[u8]) {
    let limits = Limits { items: 16, attributes: 16, depth: 4 };
    if let Ok(spans) = otlp::read_spans(encoding, bytes, limits) {
        assert!(spans.told.iter().map(|told| told.items.len()).sum::<usize>() <= limits.items);
    }
    let _ = otlp::read_logs(encoding, bytes, limits);
}

fn app_spec(bytes: &[u8]) {
    if let Ok(spec) = serde_json::from_slice::<AppSpec>(bytes) {
        let _ = Table::new(&spec.routes, &spec.triggers.event_routes);
        let _ = (spec.digest(), spec.artifacts());
    }
}

/// A program's question about a name is answered in as many words as it was asked, with one record more at most.
fn dns_question(bytes: &[u8]) {
    let Some(question) = resolve::question(bytes) else { return };
    assert!(question.name.len() <= 253 && !question.name.chars().any(|c| c.is_ascii_uppercase()));
    let address = resolve::Names::default().address(&question.name);
    for address in [None, address] {
        let answer = resolve::answer(bytes, &question, address);
        assert!(answer.len() <= bytes.len() + 16, "an answer that is longer than question and record");
    }
}

fn access(bytes: &[u8]) {
    let text = text(bytes);
    if let Some((id, secret)) = token::parse(text) {
        assert_eq!(token::text(id, secret), text, "a token has one form");
    }
    let _ = audit::read(text);
}

crate::drive_targets!();
