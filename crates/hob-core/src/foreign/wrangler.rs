//! Wrangler: `wrangler.toml`, `wrangler.json` and `wrangler.jsonc` of Cloudflare Workers.
//!
//! **How.** A Worker is an app of one function of contract `javascript`; routes, crons and consumers of queues lead to
//! it. `--set env=NAME` takes an environment: what is inherited and what is not is as in Wrangler. Bindings are objects
//! that the code would find in `env`, so each one that Hob has not is refused.

use super::fields::{Fields, Reason, met, refuse, warn, wrong};
use super::lambda;
use super::naming;
use super::note::Notes;
use super::tree::{Entry, Node};
use super::{Dialect, Given};
use crate::fault::Result;
use crate::manifest::{Function, Manifest, On, Written};
use std::collections::BTreeMap;
use std::time::Duration;

/// The row of Wrangler.
pub(super) const DIALECT: Dialect = Dialect {
    name: "wrangler",
    title: "Cloudflare Workers",
    files: &["wrangler.toml", "wrangler.jsonc", "wrangler.json"],
    summary: "Workers without bindings: main, routes, crons, queue consumers, vars, environments",
    example: &[
        (
            "wrangler.toml",
            "name = \"hello\"\n\
             main = \"src/index.js\"\n\
             compatibility_date = \"2026-01-01\"\n\
             \n\
             [vars]\n\
             GREETING = \"hello\"\n\
             \n\
             [triggers]\n\
             crons = [\"*/30 * * * *\"]\n",
        ),
        (
            "src/index.js",
            "export default {\n  async fetch(request, env) {\n    return new Response(env.GREETING);\n  },\n  async scheduled() {},\n};\n",
        ),
    ],
    mark: "",
    recognise,
    translate,
};

/// Keys of which a Worker's manifest has one; `package.json` has a name and `main`, too.
const KNOWN_BY: &[&str] =
    &["compatibility_date", "compatibility_flags", "account_id", "workers_dev", "routes", "route"];

fn recognise(documents: &[Node]) -> bool {
    let root = documents.first();
    root.is_some_and(|root| root.get("name").is_some() && KNOWN_BY.iter().any(|key| root.get(key).is_some()))
}

/// The contract of Workers.
const CONTRACT: &str = "javascript";
/// Keys that an environment does not take from the top.
const NOT_INHERITED: &[&str] = &["vars", "queues", "define"];
const BINDING: &str = "the code would not find this binding in `env`";

const WORKER: &[Reason] = &[
    met("$schema"),
    met("compatibility_date"),
    met("account_id"),
    met("workers_dev"),
    met("preview_urls"),
    met("send_metrics"),
    met("keep_vars"),
    met("dev"),
    met("upload_source_maps"),
    met("observability"),
    met("usage_model"),
    met("minify"),
    met("keep_names"),
    met("type"),
    met("topLevelName"),
    warn("compatibility_flags", "the module has the WinterTC minimum common API, without Node's modules"),
    warn("logpush", "what the module prints is kept by Hob; see `hob logs`"),
    warn("placement", "there is one node"),
    warn("limits", "`timeout` and `memory` bound the function"),
    warn("no_bundle", "one file is run; bundle it first and name the bundle as `main`"),
    warn("rules", "one file is run; bundle it first and name the bundle as `main`"),
    warn("alias", "one file is run; bundle it first and name the bundle as `main`"),
    warn("define", "one file is run; bundle it first and name the bundle as `main`"),
    warn("tsconfig", "one file is run; bundle it first and name the bundle as `main`"),
    warn("jsx_factory", "one file is run; bundle it first and name the bundle as `main`"),
    warn("jsx_fragment", "one file is run; bundle it first and name the bundle as `main`"),
    warn("base_dir", "one file is run; bundle it first and name the bundle as `main`"),
    warn("find_additional_modules", "one file is run; bundle it first and name the bundle as `main`"),
    warn("node_compat", "the module has the WinterTC minimum common API, without Node's modules"),
    warn("tail_consumers", "no other Worker gets what this one prints"),
    warn("first_party_worker", "it is a setting of Cloudflare's own"),
    refuse("kv_namespaces", BINDING),
    refuse("d1_databases", BINDING),
    refuse("r2_buckets", BINDING),
    refuse("durable_objects", BINDING),
    refuse("migrations", "Hob has no Durable Objects"),
    refuse("services", BINDING),
    refuse("ai", BINDING),
    refuse("browser", BINDING),
    refuse("vectorize", BINDING),
    refuse("hyperdrive", BINDING),
    refuse("analytics_engine_datasets", BINDING),
    refuse("mtls_certificates", BINDING),
    refuse("send_email", BINDING),
    refuse("dispatch_namespaces", BINDING),
    refuse("workflows", BINDING),
    refuse("version_metadata", BINDING),
    refuse("secrets_store_secrets", BINDING),
    refuse("images", BINDING),
    refuse("pipelines", BINDING),
    refuse("unsafe", BINDING),
    refuse("wasm_modules", BINDING),
    refuse("text_blobs", BINDING),
    refuse("data_blobs", BINDING),
    refuse("containers", "Hob does not run container images"),
    refuse("site", "files of a site are served by a function of contract `static`"),
    refuse("assets", "files beside a Worker are served by a function of contract `static`"),
];

fn translate(documents: &[Node], given: &Given, notes: &mut Notes) -> Result<Manifest> {
    let empty = Node::map_at(1, Vec::new());
    let root = documents.first().unwrap_or(&empty);
    let chosen = environment(root, given, notes);
    let root = chosen.as_ref().unwrap_or(root);
    let mut fields = Fields::of(root, "", notes);
    fields.take("env");
    let mut manifest = Manifest::default();
    let name = fields.text("name", notes).unwrap_or_else(|| Written { value: given.name.clone(), line: 1 });
    manifest.app = Some(Written { value: naming::app(&name.value), line: name.line });
    let name = naming::function(&name.value, name.line, "name", notes);
    let mut function = Function { line: 1, ..Function::new(name) };
    let main = fields.text("main", notes);
    match main {
        Some(main) if lambda::is_below(main.value.trim_start_matches("./")) => {
            let file = main.value.trim_start_matches("./").to_owned();
            function.run = Some(Written { value: vec![file], line: main.line });
            function.contract = Some(Written { value: CONTRACT.to_owned(), line: main.line });
        }
        Some(main) => {
            let why = format!("`{}` is not below the manifest's folder", main.value);
            notes.refuse(main.line, "main", why);
        }
        None => assets(&mut fields, &mut function, notes),
    }
    variables(&mut fields, &mut function, notes);
    build(&mut fields, &mut function, notes);
    routes(&mut fields, &mut function, notes);
    if let Some(mut triggers) = fields.fields("triggers", notes) {
        let line = triggers.line;
        let crons = triggers.list("crons", notes);
        for (at, cron) in crons.iter().flat_map(|crons| &crons.value).enumerate() {
            let line = crons.as_ref().map_or(line, |crons| crons.line);
            let on = lambda::trigger(&function.name, &format!("cron-{}", at + 1), line);
            manifest.triggers.push(On { schedule: Some(Written { value: cron.clone(), line }), ..on });
        }
        triggers.end(&[], notes);
    }
    if let Some(queues) = fields.fields("queues", notes) {
        consumers(queues, &function, &mut manifest, notes);
    }
    fields.end(&[WORKER], notes);
    manifest.functions.push(function);
    Ok(manifest)
}

/// The manifest as the environment that was chosen has it.
fn environment(root: &Node, given: &Given, notes: &mut Notes) -> Option<Node> {
    let environments = root.get("env").and_then(Node::entries).unwrap_or_default();
    let Some(name) = given.values.get("env") else {
        for entry in environments {
            let setting = format!("env.{}", entry.key);
            notes.warn(
                entry.line,
                &setting,
                format!("the top is taken; `--set env={}` takes this one", entry.key),
            );
        }
        return None;
    };
    let Some(own) = environments.iter().find(|entry| entry.key == *name) else {
        notes.refuse(1, "env", format!("there is no environment `{name}`"));
        return None;
    };
    let entries = own.value.entries().unwrap_or_default();
    let mut all: Vec<Entry> = entries.to_vec();
    let taken = |key: &str| entries.iter().any(|entry| entry.key == key);
    for entry in root.entries().unwrap_or_default() {
        let binding = WORKER.iter().any(|reason| reason.key == entry.key && reason.why == BINDING);
        if !taken(&entry.key)
            && entry.key != "env"
            && !binding
            && !NOT_INHERITED.contains(&entry.key.as_str())
        {
            all.push(entry.clone());
        }
    }
    // An environment has a Worker of its own.
    if !taken("name")
        && let Some(entry) = all.iter_mut().find(|entry| entry.key == "name")
        && let Some(worker) = entry.value.text()
    {
        entry.value = Node::text_at(entry.line, format!("{worker}-{name}"));
    }
    Some(Node::map_at(own.line, all))
}

/// A Worker without code serves files.
fn assets(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let Some(mut assets) = fields.fields("assets", notes) else {
        notes.refuse(1, "main", "it is needed");
        return;
    };
    let line = assets.line;
    match assets.text("directory", notes) {
        Some(folder) if lambda::is_below(folder.value.trim_start_matches("./")) => {
            let path = folder.value.trim_start_matches("./").trim_end_matches('/').to_owned();
            function.run = Some(Written { value: vec![path.clone()], line: folder.line });
            function.files = Some(Written { value: vec![format!("{path}/**")], line: folder.line });
            function.host = Some(Written { value: "files".to_owned(), line: folder.line });
            function.contract = Some(Written { value: "static".to_owned(), line: folder.line });
        }
        _ => notes.refuse(line, "assets.directory", "a folder below the manifest's is needed"),
    }
    let missing = assets.text("not_found_handling", notes);
    let setting = missing.and_then(|how| match how.value.as_str() {
        "single-page-application" => Some(("fallback", "index.html", how.line)),
        "404-page" => Some(("not-found", "404.html", how.line)),
        _ => None,
    });
    if let Some((key, file, line)) = setting {
        let value = serde_json::Map::from_iter([(key.to_owned(), file.into())]);
        function.settings.insert("static".to_owned(), Written { value, line });
    }
    assets.end(
        &[&[
            met("html_handling"),
            warn("run_worker_first", "there is no Worker"),
            warn("binding", "there is no Worker"),
        ]],
        notes,
    );
}

fn variables(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let Some(entry) = fields.take("vars") else { return };
    let mut all = BTreeMap::new();
    for one in entry.value.entries().unwrap_or_default() {
        let setting = format!("vars.{}", one.key);
        match (one.value.text(), one.value.entries(), one.value.list()) {
            (Some(text), ..) => drop(all.insert(one.key.clone(), text.to_owned())),
            (None, None, None) => drop(all.insert(one.key.clone(), String::new())),
            _ => {
                notes.warn(one.line, &setting, "a variable is text: the code gets it as JSON to parse");
                all.insert(one.key.clone(), one.value.json().to_string());
            }
        }
    }
    function.env = Some(Written { value: all, line: entry.line });
}

fn build(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let Some(mut build) = fields.fields("build", notes) else { return };
    let folder = build.text("cwd", notes);
    if let Some(command) = build.text("command", notes) {
        let value = match folder {
            Some(folder) => format!("cd '{}' && {}", folder.value.replace('\'', "'\\''"), command.value),
            None => command.value,
        };
        function.build = Some(Written { value, line: command.line });
    }
    build.end(&[&[met("watch_dir"), warn("upload", "one file is run; name it as `main`")]], notes);
}

/// Routes; a Worker without any answers everything.
fn routes(fields: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
    let one = fields.take("route");
    let many = fields.take("routes");
    let mut all: Vec<(&Node, usize)> = one.map(|entry| (&entry.value, entry.line)).into_iter().collect();
    for item in many.and_then(|entry| entry.value.list()).unwrap_or_default() {
        all.push((item, item.line));
    }
    // Without an address of its own nothing but its routes leads to it.
    let own = fields.take("workers_dev").and_then(|entry| entry.value.boolean());
    if all.is_empty() {
        lambda::add_route(function, "/*".to_owned(), function.line);
    } else if own != Some(true) {
        function.private = Some(Written { value: true, line: all[0].1 });
    }
    for (node, line) in all {
        let (pattern, whole) = match node.text() {
            Some(text) => (Some(text), false),
            None => {
                let mut own = Fields::of(node, "routes", notes);
                let whole = own.boolean("custom_domain", notes).is_some_and(|whole| whole.value);
                let pattern = own.take("pattern").and_then(|entry| entry.value.text());
                own.end(
                    &[&[met("zone_id"), met("zone_name"), met("enabled"), met("previews_enabled")]],
                    notes,
                );
                (pattern, whole)
            }
        };
        match pattern {
            Some(pattern) => match of_route(pattern, whole) {
                Ok(route) => lambda::add_route(function, route, line),
                Err(why) => notes.refuse(line, "routes", why),
            },
            None => wrong(node, "routes", "a pattern", notes),
        }
    }
}

/// `example.com/api/*` as it is; a whole domain has every path.
fn of_route(pattern: &str, whole: bool) -> Result<String, String> {
    let bare = pattern.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    // `*example.com` is the domain and all below it; Hob has both as routes of their own.
    let host = match host.strip_prefix('*') {
        None => host.to_owned(),
        Some("") => String::new(),
        Some(rest) if rest.starts_with('.') => host.to_owned(),
        Some(_) => return Err(format!("`{host}` is the domain and all below it; write one route for each")),
    };
    if whole {
        return Ok(format!("{host}/*"));
    }
    match path.strip_suffix('*') {
        Some("") => Ok(format!("{host}/*")),
        Some(rest) if rest.ends_with('/') && !rest.contains('*') => Ok(format!("{host}/{rest}*")),
        None if !path.contains('*') => Ok(format!("{host}/{path}")),
        _ => Err(format!("in `{pattern}`, `*` does not stand for whole segments at the end")),
    }
}

fn consumers(mut queues: Fields<'_>, function: &Function, manifest: &mut Manifest, notes: &mut Notes) {
    let consumers = queues.take("consumers").and_then(|entry| entry.value.list()).unwrap_or_default();
    for (at, node) in consumers.iter().enumerate() {
        let mut own = Fields::of(node, &format!("queues.consumers[{at}]"), notes);
        let Some(queue) = own.text("queue", notes) else { continue };
        let mut on = lambda::trigger(&function.name, &queue.value, queue.line);
        on.topic = Some(Written { value: naming::topic(&queue.value), line: queue.line });
        on.retry.attempts = own.number("max_retries", notes).as_ref().map(lambda::attempts);
        on.concurrency = own.number("max_concurrency", notes);
        let dead = own.text("dead_letter_queue", notes);
        on.retry.dead_letter =
            dead.map(|dead| Written { value: naming::topic(&dead.value), line: dead.line });
        on.retry.backoff = own.number("retry_delay", notes).filter(|delay| delay.value > 0).map(|delay| {
            let time = Duration::from_secs(delay.value.into());
            Written { value: (time, time), line: delay.line }
        });
        own.end(
            &[&[met("max_batch_size"), met("max_batch_timeout"), met("visibility_timeout_ms"), met("type")]],
            notes,
        );
        manifest.triggers.push(on);
    }
    if queues.take("producers").is_some_and(|entry| entry.value.list().is_some_and(|items| !items.is_empty()))
    {
        notes.refuse(queues.line, &queues.path("producers"), BINDING);
    }
    queues.end(&[], notes);
}
