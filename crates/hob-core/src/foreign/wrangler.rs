//! Wrangler: `wrangler.toml`, `wrangler.json` and `wrangler.jsonc` of Cloudflare Workers.
//!
//! **How.** A Worker is an app of one function of contract `javascript`; routes, crons and consumers of queues lead to
//! it. `--set env=NAME` (or `--env NAME`) takes an environment: what is inherited and what is not is as in Wrangler.
//! Bindings are objects that the code would find in `env`, so each one that Hob has not is refused by its line. What
//! `.dev.vars` has besides `vars` are secrets, as Wrangler has it.

use super::fields::{Fields, Reason, met, refuse, warn, wrong};
use super::lambda;
use super::naming;
use super::note::Notes;
use super::secret::{self, Environment, Kept};
use super::tree::{Entry, Node};
use super::{Dialect, Given, dotenv};
use crate::fault::Result;
use crate::manifest::{Function, Manifest, On, Written};
use std::time::Duration;

/// The row of Wrangler.
pub(super) const DIALECT: Dialect = Dialect {
    name: "wrangler",
    title: "Cloudflare Workers",
    files: &["wrangler.toml", "wrangler.jsonc", "wrangler.json"],
    summary: "Workers without bindings: main, routes, crons, queue consumers, vars, secrets, assets, environments",
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
const NOT_INHERITED: &[&str] = &["vars", "queues", "define", "secrets", "secrets_store_secrets"];
/// Seconds that the first message of a batch waits for others (Cloudflare Queues, `max_batch_timeout`).
const BATCH_WINDOW_S: u32 = 5;
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
    met("dependencies_instrumentation"),
    met("python_modules"),
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
    refuse("images", BINDING),
    refuse("pipelines", BINDING),
    refuse("unsafe", BINDING),
    refuse("wasm_modules", BINDING),
    refuse("text_blobs", BINDING),
    refuse("data_blobs", BINDING),
    refuse("vpc_services", BINDING),
    refuse("worker_loaders", BINDING),
    refuse("ratelimits", BINDING),
    refuse("media", BINDING),
    refuse("cloudchamber", "Hob does not run container images"),
    refuse("containers", "Hob does not run container images"),
    refuse("site", "files of a site are served by a function of contract `static`"),
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
    let beside = if main.is_some() { fields.take("assets") } else { None };
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
    let (mut own, line) = variables(&mut fields, notes);
    secrets(&mut fields, &mut own, notes);
    development(given, &mut own, notes);
    if let Some(line) = line {
        own.give(&mut function, line, notes);
    } else {
        for (name, kept) in own.secrets {
            secret::give(&mut function, &name, kept, notes);
        }
    }
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
    let site = beside.and_then(|entry| with_assets(entry, &mut function, notes));
    fields.end(&[WORKER], notes);
    manifest.functions.push(function);
    manifest.functions.extend(site);
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
    folder(&mut assets, function, notes);
    assets.end(
        &[&[
            met("html_handling"),
            warn("run_worker_first", "there is no Worker"),
            warn("binding", "there is no Worker"),
        ]],
        notes,
    );
}

/// The function serves the folder of assets.
fn folder(assets: &mut Fields<'_>, function: &mut Function, notes: &mut Notes) {
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
}

/// Files beside a Worker are a function of their own: the Worker keeps the paths that `run_worker_first` names, and the files
/// get the rest of its routes.
fn with_assets(entry: &Entry, worker: &mut Function, notes: &mut Notes) -> Option<Function> {
    let mut fields = Fields::of(&entry.value, "assets", notes);
    let setting = fields.path("run_worker_first");
    let first = fields.take("run_worker_first");
    if let Some(binding) = fields.take("binding") {
        notes.refuse(binding.line, "assets.binding", BINDING);
    }
    let name = naming::function(&format!("{}-assets", worker.name), entry.line, "assets", notes);
    let mut site = Function { line: entry.line, ..Function::new(name) };
    folder(&mut fields, &mut site, notes);
    fields.end(&[&[met("html_handling")]], notes);
    let (line, patterns) = match first.map(|first| (first.line, first.value.list(), first.value.boolean())) {
        Some((line, Some(patterns), _)) => (line, patterns),
        Some((line, None, Some(true))) => {
            notes.warn(line, &setting, "the Worker answers every request, so that no file is served");
            return None;
        }
        _ => {
            let why = "files come before the Worker and it answers the rest, which routes of Hob cannot say: name its paths, as in `run_worker_first = [\"/api/*\"]`";
            notes.refuse(entry.line, "assets", why);
            return None;
        }
    };
    let whole = worker.route.take()?;
    let mut own = Vec::new();
    for route in &whole.value {
        let Some(host) = route.strip_suffix("/*").filter(|host| !host.contains('/')) else {
            let why = format!("route `{route}` is a part of the paths already; write `hob.toml` for both");
            notes.refuse(line, &setting, why);
            continue;
        };
        for pattern in patterns {
            let text = pattern.text().unwrap_or_default();
            match text.strip_prefix('/').map(|_| of_route(&format!("{host}{text}"), false)) {
                Some(Ok(routes)) => own.extend(routes),
                Some(Err(why)) => notes.refuse(pattern.line, &setting, why),
                None => {
                    notes.refuse(pattern.line, &setting, format!("`{text}` is no path that the Worker has"))
                }
            }
        }
    }
    if !site.settings.contains_key("static") {
        notes.warn(entry.line, "assets", "a path without a file is answered with 404, and not by the Worker");
    }
    worker.route = Some(Written { value: own, line });
    site.private.clone_from(&worker.private);
    site.route = Some(whole);
    Some(site)
}

/// `vars`, and their line if there are any.
fn variables(fields: &mut Fields<'_>, notes: &mut Notes) -> (Environment, Option<usize>) {
    let mut all = Environment::default();
    let Some(entry) = fields.take("vars") else { return (all, None) };
    for one in entry.value.entries().unwrap_or_default() {
        let setting = format!("vars.{}", one.key);
        match (one.value.text(), one.value.entries(), one.value.list()) {
            (Some(text), ..) => all.set(&one.key, text),
            (None, None, None) => all.set(&one.key, ""),
            _ => {
                notes.warn(one.line, &setting, "a variable is text: the code gets it as JSON to parse");
                all.set(&one.key, one.value.json().to_string());
            }
        }
    }
    (all, Some(entry.line))
}

/// Secrets that the manifest names: `secrets.required`, and those of a store, which are objects at Cloudflare.
fn secrets(fields: &mut Fields<'_>, variables: &mut Environment, notes: &mut Notes) {
    if let Some(mut own) = fields.fields("secrets", notes) {
        let setting = own.path("required");
        for name in
            own.list("required", notes).iter().flat_map(|all| all.value.iter().map(|name| (name, all.line)))
        {
            let why = "is set with `wrangler secret put`".to_owned();
            let kept = Kept { line: name.1, setting: setting.clone(), why, value: None };
            variables.keep(name.0, kept);
        }
        own.end(&[], notes);
    }
    let stores =
        fields.take("secrets_store_secrets").and_then(|entry| entry.value.list()).unwrap_or_default();
    for (at, node) in stores.iter().enumerate() {
        let setting = format!("secrets_store_secrets[{at}]");
        let mut own = Fields::of(node, &setting, notes);
        let (binding, name) = (own.text("binding", notes), own.text("secret_name", notes));
        own.end(&[&[met("store_id")]], notes);
        let Some(binding) = binding else { continue };
        let name = name.map_or_else(|| binding.value.clone(), |name| name.value);
        let why = format!("is `{name}` in Cloudflare's Secrets Store");
        variables.keep(&binding.value, Kept { line: node.line, setting: setting.clone(), why, value: None });
        let why =
            format!("`env.{0}` is a text here: write `env.{0}` for `await env.{0}.get()`", binding.value);
        notes.refuse(node.line, &setting, why);
    }
}

/// `.dev.vars`: values for development, which are secrets in production. `.dev.vars.<environment>` takes its place.
fn development(given: &Given, variables: &mut Environment, notes: &mut Notes) {
    let own = given.values.get("env").map(|name| format!(".dev.vars.{name}"));
    let file =
        own.into_iter().chain([".dev.vars".to_owned()]).find_map(|file| match given.files.get(&file) {
            Some(text) => text.as_ref().map(|text| (file, text)),
            None => {
                notes.wanted.insert(file);
                None
            }
        });
    let Some((file, text)) = file else { return };
    let before = notes.lines.before(&file);
    let (all, wrong) = dotenv::read(text);
    for line in wrong {
        notes.warn(before + line, &file, "it is no `NAME=value`");
    }
    for one in all {
        let line = before + one.line;
        match variables.values.get(&one.name) {
            Some(value) if *value == one.value => {}
            Some(_) => notes.warn(line, &one.name, "it has another value in `vars`, which is taken"),
            None => {
                let known = variables.secrets.get(&one.name);
                let (line, setting, why) = match known {
                    Some(kept) => (kept.line, kept.setting.clone(), kept.why.clone()),
                    None => (line, one.name.clone(), format!("is in `{file}`, which is for development")),
                };
                variables.keep(&one.name, Kept { line, setting, why, value: Some(one.value) });
            }
        }
    }
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
                Ok(routes) => routes.into_iter().for_each(|route| lambda::add_route(function, route, line)),
                Err(why) => notes.refuse(line, "routes", why),
            },
            None => wrong(node, "routes", "a pattern", notes),
        }
    }
}

/// `example.com/api/*` as it is; a whole domain has every path, and `*example.com` is the domain and all below it.
fn of_route(pattern: &str, whole: bool) -> Result<Vec<String>, String> {
    let bare = pattern.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let hosts = match host.strip_prefix('*') {
        Some("") => vec![String::new()],
        Some(rest) if !rest.starts_with('.') => vec![rest.to_owned(), format!("*.{rest}")],
        _ => vec![host.to_owned()],
    };
    let path = match path.strip_suffix('*') {
        _ if whole => "*".to_owned(),
        Some("") => "*".to_owned(),
        Some(rest) if rest.ends_with('/') && !rest.contains('*') => format!("{rest}*"),
        None if !path.contains('*') => path.to_owned(),
        _ => return Err(format!("in `{pattern}`, `*` does not stand for whole segments at the end")),
    };
    Ok(hosts.into_iter().map(|host| format!("{host}/{path}")).collect())
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
        let window = own.number("max_batch_timeout", notes);
        let batch = lambda::Batch {
            size: own.number("max_batch_size", notes),
            window: Some(window.unwrap_or(Written { value: BATCH_WINDOW_S, line: queue.line })),
            partial: true,
        };
        batch.set(&mut on);
        own.end(&[&[met("visibility_timeout_ms"), met("type")]], notes);
        manifest.triggers.push(on);
    }
    if queues.take("producers").is_some_and(|entry| entry.value.list().is_some_and(|items| !items.is_empty()))
    {
        notes.refuse(queues.line, &queues.path("producers"), BINDING);
    }
    queues.end(&[], notes);
}
