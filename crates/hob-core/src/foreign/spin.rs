//! Spin: `spin.toml`, version 2 of the manifest.
//!
//! **How.** A component is a function; its triggers are routes, topics (Redis channels) and schedules. Spin lets a
//! component reach nothing that it does not name, so `egress` is always written. Variables are answered from their
//! defaults, from what is given, and from `SPIN_VARIABLE_<NAME>`, as Spin does; those with `secret = true` become secrets
//! of Hob by the name of the component's variable.
//!
//! **Not here:** what a component imports; that is checked when it is made ready.

use super::fields::{Fields, Reason, met, refuse, warn, wrong};
use super::lambda;
use super::naming;
use super::note::Notes;
use super::secret::{self, Environment, Kept};
use super::tree::{Entry, Node};
use super::{Dialect, Given, HIDDEN};
use crate::fault::Result;
use crate::manifest::{Function, Manifest, On, Written};
use crate::name::FunctionName;
use std::collections::BTreeMap;

/// The row of Spin.
pub(super) const DIALECT: Dialect = Dialect {
    name: "spin",
    title: "Spin",
    files: &["spin.toml"],
    summary: "Components with HTTP, Redis and cron triggers, variables, secrets, environment, files, outbound hosts, builds",
    example: &[
        (
            "spin.toml",
            "spin_manifest_version = 2\n\
             \n\
             [application]\n\
             name = \"hello\"\n\
             version = \"0.1.0\"\n\
             \n\
             [[trigger.http]]\n\
             route = \"/hello/...\"\n\
             component = \"hello\"\n\
             \n\
             [component.hello]\n\
             source = \"hello.wat\"\n\
             allowed_outbound_hosts = [\"https://api.example.com\"]\n",
        ),
        ("hello.wat", "(component)\n"),
    ],
    mark: "",
    recognise: |documents| {
        documents.first().is_some_and(|root| {
            root.get("spin_manifest_version").is_some() || root.get("spin_version").is_some()
        })
    },
    translate,
};

/// The contract of components that Spin's triggers call.
const CONTRACT: &str = "spin";
/// Spin's own domain, by which components call each other.
const INTERNAL: &str = ".spin.internal";

const APPLICATION: &[Reason] = &[met("version"), met("description"), met("authors"), met("targets")];

const COMPONENT: &[Reason] = &[
    met("description"),
    met("targets"),
    met("tool"),
    warn("exclude_files", "`files` says which files are deployed"),
    warn("profile", "there is one way to build a component"),
    refuse("key_value_stores", "Hob has no key-value store"),
    refuse("sqlite_databases", "Hob has no SQL database"),
    refuse("ai_models", "Hob has no language models"),
    refuse("dependencies", "components are not joined; join them when they are built"),
    refuse("dependencies_inherit_configuration", "components are not joined; join them when they are built"),
];

fn translate(documents: &[Node], given: &Given, notes: &mut Notes) -> Result<Manifest> {
    let empty = Node::map_at(1, Vec::new());
    let root = documents.first().unwrap_or(&empty);
    let mut fields = Fields::of(root, "", notes);
    let version = fields.take_any(&["spin_manifest_version", "spin_version"]);
    if let Some(entry) =
        version.filter(|entry| entry.key == "spin_version" || entry.value.text() != Some("2"))
    {
        notes.refuse(entry.line, &entry.key, "Hob reads version 2; `spin doctor` writes it");
    }
    let mut manifest = Manifest::default();
    let mut redis = None;
    if let Some(mut application) = fields.fields("application", notes) {
        if let Some(name) = application.text("name", notes) {
            manifest.app = Some(Written { value: naming::app(&name.value), line: name.line });
        }
        if let Some(mut shared) = application.fields("trigger", notes) {
            redis = shared.take("redis");
            shared.end(&[&[met("http")]], notes);
        }
        application.end(&[APPLICATION], notes);
    }
    let variables = variables(&mut fields, given, notes);
    let mut app = App { variables, names: BTreeMap::new(), inline: Vec::new() };
    let components = fields.take("component").and_then(|entry| entry.value.entries()).unwrap_or_default();
    for entry in components {
        app.declare(entry, &mut manifest, notes);
    }
    if let Some(mut triggers) = fields.fields("trigger", notes) {
        for (kind, add) in [("http", App::http as Add), ("redis", App::redis), ("cron", App::cron)] {
            let Some(entry) = triggers.take(kind) else { continue };
            for node in entry.value.list().unwrap_or_else(|| std::slice::from_ref(&entry.value)) {
                add(&mut app, node, &format!("trigger.{kind}"), &mut manifest, notes);
            }
        }
        for other in triggers.others() {
            notes.warn(
                other.line,
                &triggers.path(&other.key),
                format!("Hob has no trigger like `{}`", other.key),
            );
        }
    }
    if let Some(entry) = redis {
        notes.warn(
            entry.line,
            "application.trigger.redis",
            "channels are topics of Hob, without a Redis server",
        );
    }
    fields.end(&[&[met("tool")]], notes);
    Ok(manifest)
}

type Add = fn(&mut App, &Node, &str, &mut Manifest, &mut Notes);

/// A variable of the application.
struct Variable {
    /// Its value, or why there is none.
    value: Result<String, String>,
    /// Whether nobody is meant to see it.
    secret: bool,
}

/// Values of variables; those that are not known say why.
fn variables(fields: &mut Fields<'_>, given: &Given, notes: &mut Notes) -> BTreeMap<String, Variable> {
    let mut all = BTreeMap::new();
    let Some(mut own) = fields.fields("variables", notes) else { return all };
    for entry in own.others() {
        let mut variable = Fields::of(&entry.value, &own.path(&entry.key), notes);
        let default = variable.take("default").map(|entry| entry.value.json());
        let secret = variable.boolean("secret", notes).is_some_and(|secret| secret.value);
        variable.end(&[&[met("required"), met("description")]], notes);
        let named = format!("SPIN_VARIABLE_{}", entry.key.to_ascii_uppercase());
        let default = default.and_then(|value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Null => None,
            other => Some(other.to_string()),
        });
        let outside = given.environment.get(&named).map(|value| match given.hidden {
            true => format!("{HIDDEN}{named}"),
            false => value.clone(),
        });
        let value = given.values.get(&entry.key).cloned().or(outside).or(default).ok_or_else(|| {
            format!("variable `{0}` has no default; give it with `--set {0}=…` or in `{named}`", entry.key)
        });
        all.insert(entry.key.clone(), Variable { value, secret });
    }
    all
}

/// A text whose variables are answered.
struct Filled {
    text: String,
    /// The first secret variable in it.
    secret: Option<String>,
    /// Whether the values of all secrets in it are known.
    known: bool,
}

/// The manifest at work.
struct App {
    variables: BTreeMap<String, Variable>,
    names: BTreeMap<String, FunctionName>,
    /// Components inside triggers, by their line.
    inline: Vec<usize>,
}

impl App {
    /// A component becomes a function.
    fn declare(&mut self, entry: &Entry, manifest: &mut Manifest, notes: &mut Notes) {
        let path = format!("component.{}", entry.key);
        let name = naming::function(&entry.key, entry.line, &path, notes);
        notes.about(Some(&name));
        self.names.insert(entry.key.clone(), name.clone());
        let mut function = Function { line: entry.line, ..Function::new(name.clone()) };
        let mut fields = Fields::of(&entry.value, &path, notes);
        match fields.take("source").map(|source| (source, source.value.text())) {
            Some((source, Some(file))) if lambda::is_below(file) => {
                function.run = Some(Written { value: vec![file.to_owned()], line: source.line });
            }
            Some((source, Some(file))) => {
                notes.refuse(
                    source.line,
                    &fields.path("source"),
                    format!("`{file}` is not below the manifest's folder"),
                );
            }
            Some((source, None)) => {
                notes.refuse(source.line, &fields.path("source"), "Hob fetches no components; name a file");
            }
            None => notes.refuse(entry.line, &fields.path("source"), "it is needed"),
        }
        function.private = Some(Written { value: true, line: entry.line });
        self.settings(&mut fields, &mut function, notes);
        build(&mut fields, &mut function, notes);
        let stores = ["key_value_stores", "sqlite_databases", "ai_models"];
        for key in stores {
            // An empty list asks for nothing.
            if entry.value.get(key).and_then(Node::list).is_some_and(<[Node]>::is_empty) {
                fields.take(key);
            }
        }
        fields.end(&[COMPONENT], notes);
        if manifest.functions.iter().any(|other| other.name == name) {
            notes.refuse(entry.line, &path, format!("two functions would be named `{name}`"));
        } else {
            manifest.functions.push(function);
        }
        notes.about(None);
    }

    fn settings(&self, fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
        if let Some((variables, line)) = self.texts("environment", str::to_owned, fields, notes) {
            variables.give(function, line, notes);
        }
        if let Some((variables, line)) = self.texts("variables", str::to_ascii_uppercase, fields, notes) {
            let Environment { values, secrets } = variables;
            if !values.is_empty() || !secrets.is_empty() {
                function.contract = Some(Written { value: CONTRACT.to_owned(), line });
            }
            if !values.is_empty() {
                let table: serde_json::Map<_, _> =
                    values.into_iter().map(|(key, value)| (key, value.into())).collect();
                let settings = serde_json::Map::from_iter([("variables".to_owned(), table.into())]);
                function.settings.insert(CONTRACT.to_owned(), Written { value: settings, line });
            }
            for (name, kept) in secrets {
                secret::give(function, &name, kept, notes);
            }
        }
        self.egress(fields, function, notes);
        if let Some(entry) = fields.take("files") {
            let mut files = Vec::new();
            for item in entry.value.list().unwrap_or_default() {
                match item.text() {
                    Some(text) if lambda::is_below(text) => files.push(text.to_owned()),
                    Some(text) => notes.refuse(
                        item.line,
                        &fields.path("files"),
                        format!("`{text}` is not below the manifest's folder"),
                    ),
                    None => notes.warn(
                        item.line,
                        &fields.path("files"),
                        "files keep their paths; `destination` moves none",
                    ),
                }
            }
            if !files.is_empty() {
                function.files = Some(Written { value: files, line: entry.line });
            }
        }
    }

    /// A map of texts below a key, and its line; `name` makes the name of a secret of a key.
    fn texts(
        &self,
        key: &str,
        name: fn(&str) -> String,
        fields: &mut Fields<'_>,
        notes: &mut Notes,
    ) -> Option<(Environment, usize)> {
        let entry = fields.take(key)?;
        let mut all = Environment::default();
        for one in entry.value.entries().unwrap_or_default() {
            let setting = format!("{}.{}", fields.path(key), one.key);
            match one.value.text().map(|text| self.filled(text)) {
                Some(Ok(Filled { text, secret: Some(variable), known })) => {
                    let why = format!("has variable `{variable}`, which is `secret`");
                    let kept = Kept { line: one.line, setting, why, value: known.then_some(text) };
                    all.keep(&name(&one.key), kept);
                }
                Some(Ok(filled)) => all.set(&one.key, filled.text),
                Some(Err(why)) => notes.refuse(one.line, &setting, why),
                None if one.value.entries().is_none() => all.set(&one.key, ""),
                None => wrong(&one.value, &setting, "text", notes),
            }
        }
        Some((all, entry.line))
    }

    /// Outbound hosts; without any nothing is reached.
    fn egress(&self, fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
        let entry = fields.take_any(&["allowed_outbound_hosts", "allowed_http_hosts"]);
        let Some(entry) = entry else {
            function.egress = Some(Written { value: Vec::new(), line: function.line });
            return;
        };
        let (mut hosts, mut all) = (Vec::new(), false);
        let setting = fields.path(&entry.key);
        for item in entry.value.list().unwrap_or_default() {
            let Some(text) = item.text() else { continue };
            let open = |filled: Filled| match filled.secret {
                Some(name) => Err(format!(
                    "variable `{name}` is `secret`, and hosts stand in the manifest: name the host"
                )),
                None => outbound(&filled.text),
            };
            match self.filled(text).and_then(open) {
                Ok(Outbound::Everywhere) => all = true,
                Ok(Outbound::Inside) => {
                    let why = "functions call each other at `http://<function>.<app>.internal/`, which needs no entry";
                    notes.warn(item.line, &setting, why);
                }
                Ok(Outbound::To(host)) => hosts.push(host),
                Err(why) => notes.refuse(item.line, &setting, why),
            }
        }
        if !all {
            function.egress = Some(Written { value: hosts, line: entry.line });
        }
    }

    /// Text with `{{ variable }}` answered.
    fn filled(&self, text: &str) -> Result<Filled, String> {
        let mut done = Filled { text: String::new(), secret: None, known: true };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or("`{{` has no `}}`")?;
            let name = name.trim();
            done.text.push_str(before);
            let variable =
                self.variables.get(name).ok_or_else(|| format!("there is no variable `{name}`"))?;
            if variable.secret && done.secret.is_none() {
                done.secret = Some(name.to_owned());
            }
            match &variable.value {
                Ok(value) => done.text.push_str(value),
                Err(_) if variable.secret => done.known = false,
                Err(why) => return Err(why.clone()),
            }
            rest = after;
        }
        done.text.push_str(rest);
        Ok(done)
    }

    /// The function that a trigger names, or has inside.
    fn component(
        &mut self,
        fields: &mut Fields<'_>,
        manifest: &mut Manifest,
        notes: &mut Notes,
    ) -> Option<FunctionName> {
        let entry = fields.take("component").or_else(|| {
            let components = fields.take("components")?;
            components.value.entries()?.first()
        })?;
        if let Some(name) = entry.value.text() {
            let known = self.names.get(name).cloned();
            if known.is_none() {
                notes.refuse(
                    entry.line,
                    &fields.path("component"),
                    format!("there is no component `{name}`"),
                );
            }
            return known;
        }
        self.inline.push(entry.line);
        let key = format!("component-{}", self.inline.len());
        let own = Entry { key: key.clone(), line: entry.line, value: entry.value.clone() };
        self.declare(&own, manifest, notes);
        self.names.get(&key).cloned()
    }

    fn http(&mut self, node: &Node, path: &str, manifest: &mut Manifest, notes: &mut Notes) {
        let mut fields = Fields::of(node, path, notes);
        let route = fields.take("route");
        if let Some(fixed) = fields.take("static_response") {
            notes.refuse(
                fixed.line,
                &fields.path("static_response"),
                "a route leads to a function; write one that answers so",
            );
        }
        let component = self.component(&mut fields, manifest, notes);
        let wagi = fields.take("executor").and_then(|entry| {
            let kind = entry.value.get("type").and_then(Node::text);
            (kind == Some("wagi")).then_some(entry)
        });
        fields.end(&[&[met("id")]], notes);
        let Some(name) = component else { return };
        notes.about(Some(&name));
        let function = manifest.functions.iter_mut().find(|function| function.name == name);
        if let (Some(function), Some(route)) = (function, route) {
            if let Some(executor) = wagi {
                // WAGI is CGI with a module.
                function.contract = Some(Written { value: "stdio".to_owned(), line: executor.line });
                let mut settings = serde_json::Map::from_iter([("wagi".to_owned(), true.into())]);
                if let Some(argv) = executor.value.get("argv").and_then(Node::text) {
                    settings.insert("argv".to_owned(), argv.into());
                }
                function
                    .settings
                    .insert("stdio".to_owned(), Written { value: settings, line: executor.line });
            } else if function.contract.is_none() {
                // Its requests have Spin's headers.
                function.contract = Some(Written { value: CONTRACT.to_owned(), line: node.line });
            }
            match route.value.text().map(of_route) {
                Some(Ok(route_text)) => lambda::add_route(function, route_text, route.line),
                Some(Err(why)) => notes.refuse(route.line, &fields_path(path, "route"), why),
                None if route.value.get("private").and_then(Node::boolean) == Some(true) => {}
                None => wrong(&route.value, &fields_path(path, "route"), "text", notes),
            }
        }
        notes.about(None);
    }

    fn redis(&mut self, node: &Node, path: &str, manifest: &mut Manifest, notes: &mut Notes) {
        let mut fields = Fields::of(node, path, notes);
        let channel = fields.text("channel", notes);
        let address = fields.take("address");
        let name = self.component(&mut fields, manifest, notes);
        fields.end(&[&[met("id")]], notes);
        let (Some(name), Some(channel)) = (name, channel) else { return };
        notes.about(Some(&name));
        if let Some(address) = address {
            notes.warn(
                address.line,
                &fields_path(path, "address"),
                "the channel is a topic of Hob, without a Redis server",
            );
        }
        spin(manifest, &name, channel.line);
        let on = lambda::trigger(&name, &channel.value, channel.line);
        let topic = Written { value: naming::topic(&channel.value), line: channel.line };
        manifest.triggers.push(On { topic: Some(topic), ..on });
        notes.about(None);
    }

    fn cron(&mut self, node: &Node, path: &str, manifest: &mut Manifest, notes: &mut Notes) {
        let mut fields = Fields::of(node, path, notes);
        let schedule = fields.text("cron_expression", notes);
        let name = self.component(&mut fields, manifest, notes);
        fields.end(&[&[met("id"), met("executor")]], notes);
        let (Some(name), Some(schedule)) = (name, schedule) else { return };
        spin(manifest, &name, schedule.line);
        let on = lambda::trigger(&name, &format!("cron-{}", manifest.triggers.len() + 1), schedule.line);
        manifest.triggers.push(On { schedule: Some(schedule), ..on });
    }
}

/// A trigger that only the contract `spin` can call.
fn spin(manifest: &mut Manifest, name: &FunctionName, line: usize) {
    if let Some(function) = manifest.functions.iter_mut().find(|function| function.name == *name) {
        function.contract = Some(Written { value: CONTRACT.to_owned(), line });
    }
}

fn fields_path(path: &str, key: &str) -> String {
    format!("{path}.{key}")
}

fn build(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let Some(mut build) = fields.fields("build", notes) else { return };
    let workdir = build.text("workdir", notes);
    if let Some(commands) = build.list("command", notes) {
        let mut command = commands.value.join(" && ");
        if let Some(workdir) = workdir {
            command = format!("cd '{}' && {command}", workdir.value.replace('\'', "'\\''"));
        }
        function.build = Some(Written { value: command, line: commands.line });
    }
    build.end(&[&[met("watch")]], notes);
}

/// `/api/:user/...` as `/api/{user}/*`.
fn of_route(route: &str) -> Result<String, String> {
    let mut segments = Vec::new();
    let parts: Vec<&str> = route.trim_start_matches('/').split('/').collect();
    for (at, part) in parts.iter().enumerate() {
        segments.push(match (*part, part.strip_prefix(':')) {
            ("...", _) if at + 1 == parts.len() => "*".to_owned(),
            ("...", _) => return Err("`...` is not at the end".to_owned()),
            (_, Some(name)) => format!("{{{name}}}"),
            (text, None) => text.to_owned(),
        });
    }
    Ok(format!("/{}", segments.join("/")))
}

enum Outbound {
    Everywhere,
    /// Another component.
    Inside,
    To(String),
}

/// `https://*.example.com` as `*.example.com:443`.
fn outbound(text: &str) -> Result<Outbound, String> {
    if text == "insecure:allow-all" {
        return Ok(Outbound::Everywhere);
    }
    let (scheme, place) = text.split_once("://").unwrap_or(("https", text));
    let place = place.trim_end_matches('/');
    if place == "self" || place.ends_with(INTERNAL) {
        return Ok(Outbound::Inside);
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (
            place,
            match scheme {
                "http" => "80",
                "https" => "443",
                "redis" => "6379",
                "postgres" => "5432",
                "mysql" => "3306",
                "mqtt" => "1883",
                "*" => "*",
                other => return Err(format!("`{other}` has no usual port; write `host:port`")),
            },
        ),
    };
    match (host, port) {
        // Every public address: private ones have to be named one by one.
        ("*", _) => Ok(Outbound::Everywhere),
        (host, port) if port.parse::<u16>().is_ok() => Ok(Outbound::To(format!("{host}:{port}"))),
        (host, _) => Err(format!("`{text}` names no single port; write `{host}:443` or each port by itself")),
    }
}
