//! Every key of the manifest: its name, kind, default and meaning, and how it is read.
//!
//! **Why.** One table, so that what is read, what a hint proposes and what the reference says cannot
//! differ. The order is that of the documentation.
//!
//! To add a key: one line here, a field in [`Function`], and its place in the resolved form.

use super::value::Item;
use super::{Function, Manifest, Scale, Written, read_functions, read_scale};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::name::AppName;
use crate::near::nearest;

/// What people are told about a key.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// As it is written.
    pub name: &'static str,
    /// What its value is, by an example or in words.
    pub kind: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it means.
    pub summary: &'static str,
}

/// A key of a table `T` of the manifest.
pub struct Key<T> {
    /// For people.
    pub doc: Doc,
    pub(super) read: fn(&mut T, &Item<'_>) -> Result<()>,
}

macro_rules! keys {
    ($($name:literal, $kind:literal, $default:literal, $summary:literal, $read:expr;)*) => {
        &[$(Key { doc: Doc { name: $name, kind: $kind, default: $default, summary: $summary }, read: $read },)*]
    };
}

/// Keys at the top.
pub static APP: &[Key<Manifest>] = keys! {
    "app", "text", "the folder's name",
        "The app's name: 1 to 30 lower-case letters, digits and single hyphens.",
        |m, item| {
            let text = item.text()?;
            let value = AppName::new(&text.value).map_err(|fault| fault.at(item.place()))?;
            m.app = Some(Written { value, line: text.line });
            Ok(())
        };
    "functions", "tables", "one function, when the folder is one",
        "The functions, each `[functions.<name>]`; names follow the same rule as the app's.",
        read_functions;
};

/// Keys of `[functions.<name>]`.
pub static FUNCTION: &[Key<Function>] = keys! {
    "run", "`\"rate.wasm\"` or `[\"python3\", \"x.py\"]`", "what the build made, or what the folder holds",
        "What to run: a file, or a command line. Text is split at spaces as a shell does; no shell runs it.",
        |f, item| { f.run = Some(item.command()?); Ok(()) };
    "host", "`\"wasm\"` or `\"process\"`", "detected from the file",
        "What runs it.",
        |f, item| { f.host = Some(item.text()?); Ok(()) };
    "contract", "`\"wasi-http\"`, `\"http\"` or `\"stdio\"`", "detected from the file; `http` for a command line",
        "How a call reaches it.",
        |f, item| { f.contract = Some(item.text()?); Ok(()) };
    "build", "`\"cargo build --release\"`", "recognised for Cargo, npm, Go and Python folders",
        "A shell command that builds it, run in `dir` before each deploy.",
        |f, item| { f.build = Some(item.text()?); Ok(()) };
    "dir", "`\"letter\"`", "the manifest's folder",
        "The function's folder; `run` and `files` are relative to it.",
        |f, item| { f.dir = Some(item.path()?); Ok(()) };
    "files", "`[\"*.py\", \"data/**\"]`", "all of `dir` when it is given or the app has one function; else what `run` names",
        "Which files of `dir` are deployed.",
        |f, item| { f.files = Some(item.paths()?); Ok(()) };
    "route", "`\"POST /rate\"` or a list", "`/*` in an app with one function, else none",
        "Requests that it answers: `[METHOD[,METHOD]] [host]/path`, with `{name}` for a segment and `*` for the rest.",
        |f, item| { f.route = Some(item.list()?); Ok(()) };
    "private", "true or false", "false",
        "Reachable only by name from other functions, without an address of its own.",
        |f, item| { f.private = Some(item.boolean()?); Ok(()) };
    "timeout", "`\"3s\"`", "30s, at most 24h",
        "Time for one call.",
        |f, item| { f.timeout = Some(item.duration()?); Ok(()) };
    "memory", "`\"128 MiB\"`", "128 MiB for `wasm`, 512 MiB for `process`",
        "Memory of one instance.",
        |f, item| { f.memory = Some(item.bytes()?); Ok(()) };
    "body", "`\"6 MiB\"`", "6 MiB, at most 8 GiB",
        "Largest request body.",
        |f, item| { f.body = Some(item.bytes()?); Ok(()) };
    "env", "`{ LANG = \"en\" }`", "empty",
        "Environment variables; nothing else of the node's environment is seen.",
        |f, item| { f.env = Some(item.texts()?); Ok(()) };
    "egress", "`[\"api.example.com:443\"]`", "every public address",
        "The only `host:port` pairs that it may reach; `[]` for none.",
        |f, item| { f.egress = Some(item.list()?); Ok(()) };
    "scale", "table", "see below",
        "How many instances run, and when.",
        read_scale;
};

/// Keys of `scale`.
pub static SCALE: &[Key<Scale>] = keys! {
    "min", "number", "0",
        "Instances that are kept running.",
        |s, item| { s.min = Some(item.number()?); Ok(()) };
    "max", "number", "4096 for `wasm`, 8 for `process`",
        "Instances at most.",
        |s, item| { s.max = Some(item.number()?); Ok(()) };
    "concurrency", "number", "80 for `http`, 16 for `wasi-http` (WASI 0.3), 1 for `stdio`",
        "Calls at a time in one instance.",
        |s, item| { s.concurrency = Some(item.number()?); Ok(()) };
    "idle", "`\"60s\"`", "60s",
        "Time without a call after which an instance above `min` stops.",
        |s, item| { s.idle = Some(item.duration()?); Ok(()) };
    "calls", "number", "128 for `wasi-http` (WASI 0.3), else any number",
        "Calls that one instance serves before it is replaced.",
        |s, item| { s.calls = Some(item.number()?); Ok(()) };
};

/// Every table of the manifest with its keys, for the reference.
pub fn tables() -> Vec<(&'static str, Vec<Doc>)> {
    vec![
        ("Top", APP.iter().map(|key| key.doc).collect()),
        ("`[functions.<name>]`", FUNCTION.iter().map(|key| key.doc).collect()),
        ("`scale`", SCALE.iter().map(|key| key.doc).collect()),
    ]
}

/// Reads one entry by its row, or refuses a key that has none.
pub(super) fn read<T>(keys: &'static [Key<T>], into: &mut T, item: &Item<'_>) -> Result<()> {
    match keys.iter().find(|key| key.doc.name == item.key) {
        Some(key) => (key.read)(into, item),
        None => Err(unknown(&item.path, item.key, keys.iter().map(|key| key.doc.name)).at(item.place())),
    }
}

/// The error for a key that is not among `known`.
pub(super) fn unknown(path: &str, key: &str, known: impl Iterator<Item = &'static str> + Clone) -> Fault {
    let hint = match nearest(key, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            format!("known keys are {}", known.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
        }
    };
    Fault::new(Code::ManifestUnknownKey, format!("`{path}` is not a key that Hob knows")).hint(hint)
}
