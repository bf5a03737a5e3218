//! A translated manifest as the text of a `hob.toml`, with what cannot be honoured as comments.
//!
//! **Why.** The way from another platform to Hob's own manifest, which a person goes on with. Reading the
//! text again gives the same app (a test holds this for every case).
//!
//! **Not here:** budgets and alerts, which no other platform's manifest has.

use super::note::{Level, Note};
use super::{DIALECTS, Imported};
use crate::manifest::{Asynchronous, Function, On, Retry, Scale, Topic, Written};
use crate::name::FunctionName;
use crate::schedule::{Missed, Overlap};
use crate::spec::Provisioned;
use crate::trigger::DeliveryMode;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;
use toml::Value;

/// Columns of a comment.
const COLUMNS: usize = 110;

/// Writes it. `file` names the other manifest in the first line.
pub fn write(imported: &Imported, file: &str) -> String {
    let manifest = &imported.manifest;
    let title = DIALECTS.iter().find(|dialect| dialect.name == imported.dialect).map_or("", |row| row.title);
    let mut text = String::new();
    comment(&mut text, &format!("Written by `hob import` from `{file}` ({title})."));
    notes(&mut text, imported, None);
    if let Some(app) = &manifest.app {
        let _ = writeln!(text, "\napp = {}", quoted(app.value.as_str()));
    }
    for function in &manifest.functions {
        text.push('\n');
        notes(&mut text, imported, Some(&function.name));
        let _ = writeln!(text, "[functions.{}]", function.name);
        of_function(&mut text, function);
    }
    for on in &manifest.triggers {
        text.push_str("\n[[on]]\n");
        of_trigger(&mut text, on);
    }
    for topic in &manifest.topics {
        let _ = writeln!(text, "\n[topics.{}]", quoted(topic.name.as_str()));
        of_topic(&mut text, topic);
    }
    text
}

fn notes(text: &mut String, imported: &Imported, function: Option<&FunctionName>) {
    let known = |name: &FunctionName| imported.manifest.functions.iter().any(|one| one.name == *name);
    for note in &imported.notes {
        // A note about a function that could not be translated is told at the top.
        if note.function.as_ref().filter(|name| known(name)) == function {
            comment(text, &line(note, &imported.manifest.file));
        }
    }
}

fn line(note: &Note, file: &str) -> String {
    let of = match note.file == file {
        true => String::new(),
        false => format!("`{}` ", note.file.rsplit('/').next().unwrap_or(&note.file)),
    };
    let decide = if note.level == Level::Refused { "TO DECIDE: " } else { "" };
    format!("{decide}{of}line {}, `{}`: {}", note.line, note.setting, note.why)
}

fn comment(text: &mut String, line: &str) {
    let mut row = "#".to_owned();
    for word in line.split_whitespace() {
        if row.len() + 1 + word.len() > COLUMNS && row.len() > 3 {
            let _ = writeln!(text, "{row}");
            "#  ".clone_into(&mut row);
        }
        row.push(' ');
        row.push_str(word);
    }
    let _ = writeln!(text, "{row}");
}

fn of_function(text: &mut String, function: &Function) {
    let table = |texts: &BTreeMap<String, String>| {
        Value::Table(texts.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect())
    };
    key(text, "run", &function.run, |words| strings(words));
    key(text, "host", &function.host, |host| host.as_str().into());
    key(text, "contract", &function.contract, |contract| contract.as_str().into());
    key(text, "build", &function.build, |build| build.as_str().into());
    key(text, "dir", &function.dir, |dir| dir.as_str().into());
    key(text, "files", &function.files, |files| strings(files));
    key(text, "route", &function.route, |routes| one_or_all(routes));
    key(text, "private", &function.private, |private| (*private).into());
    key(text, "timeout", &function.timeout, |time| duration(*time).into());
    key(text, "memory", &function.memory, |bytes| size(*bytes).into());
    key(text, "cpu", &function.cpu, |milli| (f64::from(*milli) / 1000.0).into());
    key(text, "body", &function.body, |bytes| size(*bytes).into());
    key(text, "env", &function.env, table);
    key(text, "secrets", &function.secrets, |names| {
        Value::Array(names.iter().map(|name| name.as_str().into()).collect())
    });
    key(text, "egress", &function.egress, |list| strings(list));
    let scale = scale(&function.scale);
    if !scale.is_empty() {
        let _ = writeln!(text, "scale = {}", Value::Table(scale));
    }
    let asynchronous = asynchronous(&function.asynchronous);
    if !asynchronous.is_empty() {
        let _ = writeln!(text, "async = {}", Value::Table(asynchronous));
    }
    for (name, settings) in &function.settings {
        let settings = settings.value.iter().filter_map(|(key, value)| Some((key.clone(), of_json(value)?)));
        let _ = writeln!(text, "{name} = {}", Value::Table(settings.collect()));
    }
}

fn of_trigger(text: &mut String, on: &On) {
    key(text, "name", &on.name, |name| name.as_str().into());
    key(text, "topic", &on.topic, |topic| topic.as_str().into());
    key(text, "schedule", &on.schedule, |schedule| schedule.as_str().into());
    key(text, "route", &on.route, |routes| one_or_all(routes));
    key(text, "zone", &on.zone, |zone| zone.as_str().into());
    key(text, "call", &on.call, |call| call.as_str().into());
    key(text, "path", &on.path, |path| path.as_str().into());
    key(text, "mode", &on.mode, |mode| match mode {
        DeliveryMode::Binary => "binary".into(),
        DeliveryMode::Structured => "structured".into(),
    });
    key(text, "where", &on.filters, |filters| {
        serde_json::to_value(filters).ok().as_ref().and_then(of_json).unwrap_or(Value::Array(Vec::new()))
    });
    key(text, "order-by", &on.order_by, |attribute| attribute.as_str().into());
    key(text, "concurrency", &on.concurrency, |number| i64::from(*number).into());
    key(text, "batch", &on.batch, |number| i64::from(*number).into());
    key(text, "batch-window", &on.batch_window, |time| duration(*time).into());
    key(text, "batch-partial", &on.batch_partial, |partial| (*partial).into());
    key(text, "publish", &on.publish, |topic| topic.as_str().into());
    key(text, "on-success", &on.on_success, |topic| topic.as_str().into());
    key(text, "on-failure", &on.on_failure, |topic| topic.as_str().into());
    let retry = retry(&on.retry);
    if !retry.is_empty() {
        let _ = writeln!(text, "retry = {}", Value::Table(retry));
    }
    key(text, "missed", &on.missed, |missed| match missed {
        Missed::Skip => "skip".into(),
        Missed::Once => "once".into(),
        Missed::All => "all".into(),
    });
    key(text, "overlap", &on.overlap, |overlap| match overlap {
        Overlap::Skip => "skip".into(),
        Overlap::Queue => "queue".into(),
        Overlap::Allow => "allow".into(),
    });
    key(text, "jitter", &on.jitter, |time| duration(*time).into());
    key(text, "data", &on.data, |data| of_json(data).unwrap_or_else(|| "".into()));
    key(text, "origins", &on.origins, |origins| strings(origins));
}

fn of_topic(text: &mut String, topic: &Topic) {
    key(text, "age", &topic.age, |time| duration(*time).into());
    key(text, "size", &topic.size, |bytes| size(*bytes).into());
    key(text, "count", &topic.count, |number| i64::from(*number).into());
    key(text, "dedup", &topic.dedup, |time| duration(*time).into());
}

fn scale(scale: &Scale) -> toml::Table {
    let mut table = toml::Table::new();
    let number =
        |written: &Option<Written<u32>>| written.as_ref().map(|one| Value::from(i64::from(one.value)));
    put(&mut table, "min", number(&scale.min));
    put(&mut table, "max", number(&scale.max));
    put(&mut table, "concurrency", number(&scale.concurrency));
    put(&mut table, "idle", scale.idle.as_ref().map(|idle| duration(idle.value).into()));
    put(&mut table, "calls", number(&scale.calls));
    let provisioned = |one: &Provisioned| {
        let mut table = toml::Table::new();
        put(&mut table, "count", Some(i64::from(one.count).into()));
        if let Some(during) = &one.during {
            put(&mut table, "from", Some(during.from.as_str().into()));
            put(&mut table, "to", Some(during.to.as_str().into()));
            put(&mut table, "zone", Some(during.zone.as_str().into()));
        }
        Value::Table(table)
    };
    let all = scale.provisioned.as_ref().map(|all| Value::Array(all.value.iter().map(provisioned).collect()));
    put(&mut table, "provisioned", all);
    table
}

fn retry(retry: &Retry) -> toml::Table {
    let mut table = toml::Table::new();
    put(&mut table, "attempts", retry.attempts.as_ref().map(|one| i64::from(one.value).into()));
    let backoff = retry.backoff.as_ref().map(|one| one.value);
    put(
        &mut table,
        "backoff",
        backoff.map(|(least, most)| format!("{}..{}", duration(least), duration(most)).into()),
    );
    put(&mut table, "age", retry.age.as_ref().map(|age| duration(age.value).into()));
    put(&mut table, "dead-letter", retry.dead_letter.as_ref().map(|topic| topic.value.as_str().into()));
    table
}

fn asynchronous(written: &Asynchronous) -> toml::Table {
    let mut table = retry(&written.retry);
    put(&mut table, "on-success", written.on_success.as_ref().map(|topic| topic.value.as_str().into()));
    put(&mut table, "on-failure", written.on_failure.as_ref().map(|topic| topic.value.as_str().into()));
    table
}

fn put(table: &mut toml::Table, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        table.insert(name.to_owned(), value);
    }
}

fn key<T>(text: &mut String, name: &str, written: &Option<Written<T>>, value: impl Fn(&T) -> Value) {
    if let Some(written) = written {
        let _ = writeln!(text, "{name} = {}", value(&written.value));
    }
}

fn strings(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|text| text.as_str().into()).collect())
}

fn one_or_all(texts: &[String]) -> Value {
    match texts {
        [one] => one.as_str().into(),
        all => strings(all),
    }
}

fn quoted(text: &str) -> Value {
    text.into()
}

/// Exactly, in the largest unit that needs no fraction.
fn duration(time: Duration) -> String {
    let ms = time.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if ms > 0 && ms.is_multiple_of(size) {
            return format!("{}{unit}", ms / size);
        }
    }
    format!("{ms}ms")
}

/// Exactly, in the largest unit that needs no fraction.
fn size(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes > 0 && bytes.is_multiple_of(size) {
            return format!("{} {unit}", bytes / size);
        }
    }
    format!("{bytes} B")
}

/// JSON as TOML, which has no null.
fn of_json(value: &serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => Value::Array(items.iter().filter_map(of_json).collect()),
        serde_json::Value::Object(map) => {
            Value::Table(map.iter().filter_map(|(key, value)| Some((key.clone(), of_json(value)?))).collect())
        }
    })
}
