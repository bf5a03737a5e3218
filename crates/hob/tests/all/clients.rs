//! The official CloudEvents SDKs for Python and JavaScript, both ways: what they send is stored as it
//! was meant, what they are sent they understand, and what they answer is published.
//!
//! **How.** `tests/clients` holds the events, two senders and two functions. The senders use every mode
//! that their SDK has; each function subscribes in both modes and answers in both, and each of these
//! topics has to hold what was sent. What the SDKs change is said in [`sent`] and [`answered`], and
//! nothing else may differ. The packages stay in the target folder, for the next run.
//!
//! **Not here:** the HTTP binding in every detail (`hob-core`), subscriptions (`hob-node`).

use super::examples::on_path;
use super::skip::skip;
use super::support::{INSTALLED, Node, eventually, finish, write};
use hob_core::event::{timestamp, timestamp_ms};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Longest time for the packages of one language; far above what a busy machine needs.
const INSTALLATION: Duration = Duration::from_secs(240);

const CASES: &str = include_str!("../clients/cases.json");
const FILES: &[(&str, &[u8])] = &[
    ("app/cases.json", CASES.as_bytes()),
    ("app/events.py", include_bytes!("../clients/events.py")),
    ("app/send.py", include_bytes!("../clients/send.py")),
    ("app/function.py", include_bytes!("../clients/function.py")),
    ("app/events.js", include_bytes!("../clients/events.js")),
    ("app/send.js", include_bytes!("../clients/send.js")),
    ("app/function.js", include_bytes!("../clients/function.js")),
];

/// A language whose SDK is tested.
#[derive(Clone, Copy)]
pub(crate) struct Language {
    name: &'static str,
    program: &'static str,
    ending: &'static str,
    /// The environment variable with the folder of packages.
    variable: &'static str,
    /// Installs them; what follows is the folder and their names.
    install: &'static [&'static str],
    packages: &'static [&'static str],
    /// Where they are in the folder.
    below: &'static str,
    /// How its sender sends.
    ways: &'static [&'static str],
}

pub(crate) const PYTHON: Language = Language {
    name: "python",
    program: "python3",
    ending: "py",
    variable: "PYTHONPATH",
    #[rustfmt::skip]
    install: &["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1",
        "--timeout", "15", "--target"],
    packages: &["cloudevents==1.12.0", "requests==2.32.5"],
    below: "",
    ways: &["binary", "raw", "structured"],
};

pub(crate) const JAVASCRIPT: Language = Language {
    name: "javascript",
    program: "node",
    ending: "js",
    variable: "NODE_PATH",
    #[rustfmt::skip]
    install: &["npm", "install", "--silent", "--no-audit", "--no-fund", "--fetch-retries", "1",
        "--fetch-timeout", "15000", "--prefix"],
    packages: &["cloudevents@10.0.0"],
    below: "node_modules",
    ways: &["binary", "raw", "structured", "batch"],
};

impl Language {
    /// As its packages call it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

/// The folders of packages of both languages, or why there are none: several tests share them.
static PACKAGES: LazyLock<Result<[PathBuf; 2], String>> =
    LazyLock::new(|| Ok([packages(&PYTHON)?, packages(&JAVASCRIPT)?]));

fn packages(language: &Language) -> Result<PathBuf, String> {
    packages_of(language, language.packages)
}

/// The folder of these packages, installed before or now; or why there is none.
pub(crate) fn packages_of(language: &Language, packages: &[&str]) -> Result<PathBuf, String> {
    if let Some(missing) = [language.program, language.install[0]].into_iter().find(|name| !on_path(name)) {
        return Err(format!("this machine has no `{missing}`"));
    }
    let name = format!("{}-{}", language.name, packages.join("-").replace('/', "-"));
    let kept = installed(&name, |folder| {
        let mut command = Command::new(language.install[0]);
        command.args(&language.install[1..]).arg(folder).args(packages).env("PIP_USER", "0");
        command
    })?;
    Ok(kept.join(language.below))
}

/// A folder of this name in the target folder, filled before or now by a command; or why it is not.
pub(crate) fn installed(name: &str, command: impl Fn(&Path) -> Command) -> Result<PathBuf, String> {
    let target = Path::new(INSTALLED);
    let kept = target.join(name);
    if !kept.is_dir() {
        let fresh = tempfile::tempdir_in(target).unwrap();
        let mut log = tempfile::tempfile_in(target).unwrap();
        let mut command = command(fresh.path());
        let outputs = [log.try_clone().unwrap(), log.try_clone().unwrap()].map(Stdio::from);
        let [stdout, stderr] = outputs;
        let started = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
        let mut child = started.map_err(|error| format!("{command:?} cannot be started: {error}"))?;
        let end = Instant::now() + INSTALLATION;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > end => {
                    drop(child.kill());
                    break child.wait().unwrap();
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if !status.success() {
            let mut said = String::new();
            drop(log.rewind().and_then(|()| log.read_to_string(&mut said)));
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            return Err(format!("{name} cannot be installed here: {status}: {last}"));
        }
        // Another run of the test may have been quicker; then its folder stays.
        if std::fs::rename(fresh.path(), &kept).is_ok() {
            let _ = fresh.keep();
        }
    }
    Ok(kept)
}

/// A node with the app of both functions, and where the packages are; `None` when they cannot be had.
fn sdk_node(test: &str, triggers: &str) -> Option<(Node, [PathBuf; 2])> {
    let folders = match PACKAGES.as_ref() {
        Ok(folders) => folders.clone(),
        Err(why) => {
            skip(test, why);
            return None;
        }
    };
    let node = Node::with_packages(&[]);
    let mut manifest = "app = \"sdk\"\n".to_owned();
    for (language, folder) in [PYTHON, JAVASCRIPT].iter().zip(&folders) {
        let Language { name, program, ending, variable, .. } = language;
        manifest += &format!(
            "[functions.{name}]\nrun = [\"{program}\", \"function.{ending}\"]\nfiles = [\"*.{ending}\", \"cases.json\"]\nroute = \"GET /{name}\"\nscale = {{ max = 1 }}\nenv = {{ {variable} = {folder:?} }}\n"
        );
    }
    manifest += triggers;
    write(node.home.path(), FILES);
    write(node.home.path(), &[("app/hob.toml", manifest.as_bytes())]);
    node.ok(&["deploy", "app"]);
    Some((node, folders))
}

/// Runs the sender of a language to its end; what it says.
fn send(node: &Node, language: &Language, packages: &Path) -> String {
    let mut sender = Command::new(language.program);
    sender.arg(node.home.path().join(format!("app/send.{}", language.ending))).arg(&node.serving.url);
    sender.env(language.variable, packages);
    let outcome = finish(&mut sender);
    assert_eq!(outcome.code, 0, "{}: {}{}", language.name, outcome.stdout, outcome.stderr);
    outcome.stdout
}

/// The events of a topic by source and id, and what the node knows of each.
fn stored(node: &Node, topic: &str) -> BTreeMap<(String, String), Value> {
    let text = node.ok(&["topic", "tail", topic, "--from", "1", "-o", "json"]);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of = |line: &Value, name: &str| line["event"][name].as_str().unwrap().to_owned();
    lines.map(|line| ((of(&line, "source"), of(&line, "id")), line)).collect()
}

/// A value as it is after it was a header: a string (HTTP binding, section 3.1.3.2).
fn strings(event: &mut Value) {
    for (name, value) in event.as_object_mut().unwrap() {
        if name != "data" && !value.is_string() {
            *value = value.to_string().into();
        }
    }
}

/// The JavaScript SDK writes every time in UTC with exactly three digits of milliseconds.
fn javascript_time(event: &mut Value) {
    if let Some(time_ms) = event["time"].as_str().and_then(timestamp_ms) {
        let whole = timestamp(time_ms / 1000 * 1000);
        event["time"] = format!("{}.{:03}Z", whole.trim_end_matches('Z'), time_ms % 1000).into();
    }
}

/// What is stored of an event of the test that a language sends in some way.
fn sent(case: &Value, language: &Language, way: &str) -> Value {
    let mut event = case["attributes"].clone();
    event["specversion"] = "1.0".into();
    event["id"] = case["id"].clone();
    event["source"] = format!("/{}/{way}", language.name).into();
    for (from, to) in [("data", "data"), ("base64", "data_base64")] {
        if let Some(data) = case.get(from) {
            event[to] = data.clone();
        }
    }
    if matches!(way, "binary" | "raw") {
        strings(&mut event);
        if language.name == "javascript" && event.get("datacontenttype").is_none() {
            // The SDK says so of everything that has no type of its own, even of no data.
            event["datacontenttype"] = "application/json; charset=utf-8".into();
        }
    }
    if way == "raw"
        && let Some(comment) = event.get("comment")
    {
        // Nobody can know that this was no code.
        event["comment"] = comment.as_str().unwrap().replace("%25", "%").into();
    }
    if language.name == "javascript" {
        javascript_time(&mut event);
    }
    event
}

/// What is stored of the answer of a language's function to an event.
fn answered(sent: &Value, language: &Language, mode: &str, answer: &str) -> Value {
    let mut event = sent.clone();
    let (of_headers, to_headers) = (mode == "binary", answer == "binary");
    if of_headers || to_headers {
        strings(&mut event);
    }
    if event.get("datacontenttype").is_none() {
        // No header says that data is JSON because nothing else is said; Hob says it.
        if of_headers && event.get("data").is_some() {
            event["datacontenttype"] = "application/json".into();
        } else if to_headers && language.name == "javascript" {
            event["datacontenttype"] = "application/json; charset=utf-8".into();
        }
    }
    if language.name == "javascript" {
        javascript_time(&mut event);
    }
    event["via"] = language.name.into();
    event
}

#[test]
fn what_the_official_sdks_send_is_stored_as_it_was_meant() {
    let triggers =
        "[[on]]\nroute = \"/events\"\npublish = \"sent\"\n[[on]]\nroute = \"/alone\"\npublish = \"alone\"\n";
    let Some((node, packages)) = sdk_node("what_the_official_sdks_send_is_stored_as_it_was_meant", triggers)
    else {
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    let said =
        ["words 202 \nlatin 400 HOB-0801\nquoted 202 \n", "words 202 \nlatin 400 HOB-0801\ntext 202 \n"];
    for ((language, packages), said) in [PYTHON, JAVASCRIPT].iter().zip(&packages).zip(said) {
        assert_eq!(send(&node, language, packages), said, "{}", language.name);
        let (status, text) = node.serving.get(&format!("/{}", language.name));
        assert_eq!((status, text.as_str()), (200, "published"), "{}", language.name);
    }

    let (mut outside, mut inside) = (stored(&node, "sent"), stored(&node, "inside"));
    for language in [PYTHON, JAVASCRIPT] {
        for way in language.ways {
            for case in &cases {
                let expected = sent(case, &language, way);
                let key = (
                    expected["source"].as_str().unwrap().to_owned(),
                    case["id"].as_str().unwrap().to_owned(),
                );
                is_meant(outside.remove(&key), &expected, &Value::Null);
                if matches!(*way, "binary" | "structured") {
                    is_meant(inside.remove(&key), &expected, &"sdk".into());
                }
            }
        }
    }
    assert!(outside.is_empty() && inside.is_empty(), "{outside:?} {inside:?}");

    // What the SDKs make of it when nobody helps them: text in quotes, and text that calls itself JSON.
    let alone = stored(&node, "alone");
    for (source, id, name, value) in [
        ("/python", "words", "comment", "two words"),
        ("/python", "quoted", "data", "\"text\""),
        ("/javascript", "words", "comment", "two words"),
        ("/javascript", "text", "data_base64", "dGV4dA=="),
    ] {
        let event = &alone[&(source.to_owned(), id.to_owned())]["event"];
        assert_eq!(event[name], value, "{event}");
    }
    assert_eq!(alone.len(), 4, "{alone:?}");
}

/// Whether a stored event is the expected one, and of the expected app. Events without a time get one
/// from the SDK.
fn is_meant(stored: Option<Value>, expected: &Value, app: &Value) {
    let stored = stored.unwrap_or_else(|| panic!("{expected} is not there"));
    let mut event = stored["event"].clone();
    if expected.get("time").is_none() {
        let time = event.as_object_mut().unwrap().remove("time");
        assert!(time.is_some_and(|time| timestamp_ms(time.as_str().unwrap()).is_some()), "{stored}");
    }
    assert_eq!((&event, &stored["cause"]["app"]), (expected, app), "{stored}");
}

#[test]
fn functions_with_the_official_sdks_understand_events_and_answer_with_events() {
    let mut triggers =
        "[[on]]\nroute = \"/events\"\npublish = \"sent\"\n[[on]]\nroute = \"/alone\"\npublish = \"unused\"\n"
            .to_owned();
    let mut legs = Vec::new();
    for language in [PYTHON, JAVASCRIPT] {
        for (mode, answer) in [
            ("binary", "binary"),
            ("binary", "structured"),
            ("structured", "binary"),
            ("structured", "structured"),
            ("binary", "alone"),
        ] {
            let name = format!("{}-{mode}-{answer}", language.name);
            triggers += &format!(
                "[[on]]\nname = \"{name}\"\ntopic = \"sent\"\ncall = \"{}\"\npath = \"/{answer}\"\nmode = \"{mode}\"\npublish = \"{name}\"\nretry = {{ attempts = 1 }}\n",
                language.name
            );
            if answer == "alone" {
                triggers += "where = { exact = { id = \"json\", source = \"/python/structured\" } }\n";
            }
            legs.push((name, language, mode, answer));
        }
    }
    let Some((node, packages)) =
        sdk_node("functions_with_the_official_sdks_understand_events_and_answer_with_events", &triggers)
    else {
        return;
    };
    for (language, packages) in [PYTHON, JAVASCRIPT].iter().zip(&packages) {
        send(&node, language, packages);
    }
    let events = stored(&node, "sent");
    for (name, language, mode, answer) in &legs {
        eventually(&format!("{name} has every event"), || {
            let info: Value = serde_json::from_str(&node.ok(&["sub", "show", name, "-o", "json"])).unwrap();
            (info["lag"] == 0).then_some(())
        });
        let lost = node.hob(&["topic", "tail", "sent.dead", "-o", "json"]).stdout;
        let mut answers = stored(&node, name);
        for (key, event) in &events {
            let mut expected = answered(&event["event"], language, mode, answer);
            if *answer == "alone" {
                if *key != ("/python/structured".to_owned(), "json".to_owned()) {
                    continue;
                }
                // The SDK does not decode what it reads, and nobody does it for it.
                expected["comment"] =
                    "zwei%20W%C3%B6rter:%20%E2%80%9E50%2525%E2%80%9C%20\\%20%E2%82%AC%20%F0%9F%90%88".into();
                expected["partitionkey"] = "customer%203".into();
            }
            let found =
                answers.remove(key).unwrap_or_else(|| panic!("{name} lacks {key:?}; given up: {lost}"));
            assert_eq!(found["event"], expected, "{name}");
        }
        assert!(answers.is_empty(), "{name}: {answers:?}");
    }
}
