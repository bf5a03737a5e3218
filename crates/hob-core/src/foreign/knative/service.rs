//! One Service (`serving.knative.dev/v1`).

use super::Around;
use super::resource::{self, Resource};
use crate::foreign::fields::{Fields, Reason, met, refuse, warn, wrong};
use crate::foreign::lambda;
use crate::foreign::note::{Level, Notes};
use crate::foreign::secret::{Environment, Kept};
use crate::foreign::tree::{Entry, Node};
use crate::manifest::{Function, Manifest, Written, split_words};
use crate::unit::parse_processors;
use std::time::Duration;

/// Knative and Cloud Run give a request 300 seconds where nothing is written.
const TIMEOUT: Duration = Duration::from_secs(300);
/// What annotations of scaling begin with.
const SCALING: &str = "autoscaling.knative.dev/";
/// What annotations of Cloud Run begin with.
const RUN: &str = "run.googleapis.com/";

const TEMPLATE: &[Reason] = &[
    met("enableServiceLinks"),
    met("automountServiceAccountToken"),
    met("responseStartTimeoutSeconds"),
    met("idleTimeoutSeconds"),
    met("dnsPolicy"),
    met("imagePullSecrets"),
    warn(
        "serviceAccountName",
        "there are no service accounts: the function has the credentials that it is given",
    ),
    warn("nodeSelector", "there is one node"),
    warn("affinity", "there is one node"),
    warn("tolerations", "there is one node"),
    warn("topologySpreadConstraints", "there is one node"),
    warn("securityContext", "the program runs as the node's user"),
    warn("runtimeClassName", "the program runs as a process of the node"),
    refuse("initContainers", "Hob starts one program for a function"),
];

const CONTAINER: &[Reason] = &[
    met("name"),
    met("image"),
    met("imagePullPolicy"),
    met("terminationMessagePath"),
    met("terminationMessagePolicy"),
    met("livenessProbe"),
    warn("command", "it is a command of the image; `hob.dev/run` says what is run"),
    warn("workingDir", "the program runs in its folder; `hob.dev/dir` names it"),
    warn("securityContext", "the program runs as the node's user"),
];

/// Annotations of scaling that need nothing.
const SCALING_MET: &[&str] =
    &["initial-scale", "initialScale", "metric-aggregation-algorithm", "activation-scale"];

/// Annotations of Cloud Run that need nothing: who wrote it, and what holds here anyway.
const RUN_MET: &[&str] = &[
    "client-name",
    "client-version",
    "launch-stage",
    "execution-environment",
    "cpu-throttling",
    "startup-cpu-boost",
    "operation-id",
    "ingress-status",
    "urls",
    "build-id",
    "build-source-location",
    "sessionAffinity",
];

/// Whether a document was written for Cloud Run.
pub(super) fn is_of_cloud_run(document: &Node) -> bool {
    let paths: [&[&str]; 3] = [
        &["metadata", "annotations"],
        &["metadata", "labels"],
        &["spec", "template", "metadata", "annotations"],
    ];
    let keys = paths.iter().filter_map(|path| document.at(path).and_then(Node::entries)).flatten();
    keys.into_iter().any(|entry| entry.key.starts_with(RUN) || entry.key.starts_with("cloud.googleapis.com/"))
}

pub(super) fn translate(
    one: &Resource<'_>,
    around: &Around,
    alone: bool,
    manifest: &mut Manifest,
    notes: &mut Notes,
) {
    let name = around.functions[&one.name].clone();
    notes.about(Some(&name));
    let mut function = Function { line: one.line, ..Function::new(name.clone()) };
    let empty = Node::map_at(one.line, Vec::new());
    let mut spec = Fields::of(one.node.get("spec").unwrap_or(&empty), "spec", notes);
    let hints = Hints::of(one, notes);
    let mut http = serde_json::Map::new();
    if let Some(mut template) = spec.fields("template", notes) {
        if let Some(mut metadata) = template.fields("metadata", notes) {
            metadata.end_with_marks(&mut function, notes);
        }
        if let Some(inner) = template.fields("spec", notes) {
            revision(inner, one, around, &hints, (&mut function, &mut http), notes);
        }
        template.end(&[], notes);
    }
    if let Some(traffic) = spec.take("traffic") {
        of_traffic(traffic, notes);
    }
    spec.end(&[], notes);
    marks(one.marks(&["metadata", "annotations"]), "metadata.annotations", &mut function, notes);
    let local = one
        .marks(&["metadata", "labels"])
        .iter()
        .find(|label| label.key == "networking.knative.dev/visibility");
    if let Some(label) = local.filter(|label| label.value.text() == Some("cluster-local")) {
        function.private = Some(Written { value: true, line: label.line });
    }
    let private = function.private.as_ref().is_some_and(|private| private.value);
    if alone && !private {
        lambda::add_route(&mut function, "/*".to_owned(), one.line);
    }
    if !http.is_empty() {
        function.settings.insert("http".to_owned(), Written { value: http, line: one.line });
    }
    if !manifest.functions.iter().any(|other| other.name == name) {
        manifest.functions.push(function);
    }
}

impl Fields<'_> {
    /// Metadata of the template: its annotations set how it scales.
    fn end_with_marks(&mut self, function: &mut Function, notes: &mut Notes) {
        let setting = self.path("annotations");
        if let Some(entry) = self.take("annotations") {
            marks(entry.value.entries().unwrap_or_default(), &setting, function, notes);
        }
        for entry in self.others() {
            if !matches!(entry.key.as_str(), "name" | "labels" | "creationTimestamp") {
                notes.warn(entry.line, &self.path(&entry.key), "Hob does not know this setting");
            }
        }
    }
}

/// What `hob.dev/…` says.
#[derive(Default)]
struct Hints {
    run: Option<Written<Vec<String>>>,
    dir: Option<Written<String>>,
    build: Option<Written<String>>,
}

impl Hints {
    fn of(one: &Resource<'_>, notes: &mut Notes) -> Self {
        let mut hints = Self::default();
        let both = [&["metadata", "annotations"][..], &["spec", "template", "metadata", "annotations"][..]];
        for entry in both.into_iter().flat_map(|path| one.marks(path)) {
            let Some(key) = entry.key.strip_prefix("hob.dev/") else { continue };
            let Some(text) = entry.value.text() else {
                wrong(&entry.value, &entry.key, "text", notes);
                continue;
            };
            let written = Written { value: text.to_owned(), line: entry.line };
            match key {
                "run" => match split_words(text) {
                    Ok(words) if !words.is_empty() => {
                        hints.run = Some(Written { value: words, line: entry.line })
                    }
                    Ok(_) => notes.refuse(entry.line, &entry.key, "it is empty"),
                    Err(why) => notes.refuse(entry.line, &entry.key, format!("it {why}")),
                },
                "dir" if crate::foreign::lambda::is_below(text) => hints.dir = Some(written),
                "dir" => notes.refuse(
                    entry.line,
                    &entry.key,
                    format!("`{text}` is not below the manifest's folder"),
                ),
                "build" => hints.build = Some(written),
                _ => notes.refuse(
                    entry.line,
                    &entry.key,
                    "it is none of `hob.dev/run`, `hob.dev/dir` and `hob.dev/build`",
                ),
            }
        }
        hints
    }
}

type Made<'a> = (&'a mut Function, &'a mut serde_json::Map<String, serde_json::Value>);

/// `spec.template.spec`.
fn revision(
    mut spec: Fields<'_>,
    one: &Resource<'_>,
    around: &Around,
    hints: &Hints,
    (function, http): Made<'_>,
    notes: &mut Notes,
) {
    let timeout = spec.number("timeoutSeconds", notes);
    function.timeout =
        Some(timeout.as_ref().map_or(Written { value: TIMEOUT, line: one.line }, lambda::seconds));
    // 0 is any number, which Hob bounds.
    function.scale.concurrency = spec.number("containerConcurrency", notes).filter(|most| most.value > 0);
    let mut mounted = Vec::new();
    if let Some(volumes) = spec.take("volumes") {
        for volume in volumes.value.list().unwrap_or_default() {
            if volume.get("emptyDir").is_none() {
                mounted.push(volume.line);
            }
        }
    }
    for line in mounted {
        notes.refuse(line, &spec.path("volumes"), "Hob mounts nothing; put the files beside the program");
    }
    let containers = spec.take("containers").and_then(|entry| entry.value.list()).unwrap_or_default();
    match containers {
        [container] => {
            let fields = Fields::of(container, &spec.path("containers[0]"), notes);
            of_container(fields, one, around, hints, (function, http), notes);
        }
        [] => notes.refuse(one.line, &spec.path("containers"), "one is needed"),
        [_, second, ..] => {
            notes.refuse(second.line, &spec.path("containers[1]"), "Hob starts one program for a function");
        }
    }
    spec.end(&[TEMPLATE], notes);
}

fn of_container(
    mut fields: Fields<'_>,
    one: &Resource<'_>,
    around: &Around,
    hints: &Hints,
    (function, http): Made<'_>,
    notes: &mut Notes,
) {
    let args = fields.list("args", notes);
    match &hints.run {
        Some(run) => {
            let words = run.value.iter().chain(args.iter().flat_map(|args| &args.value)).cloned();
            function.run = Some(Written { value: words.collect(), line: run.line });
            function.dir =
                hints.dir.clone().or_else(|| Some(Written { value: ".".to_owned(), line: run.line }));
            function.build.clone_from(&hints.build);
        }
        None => {
            let line = fields.take("image").map_or(one.line, |image| image.line);
            let why = "Hob does not run container images; name the program with the annotation `hob.dev/run: \"./server\"`";
            notes.refuse(line, &fields.path("image"), why);
        }
    }
    function.contract = Some(Written { value: "http".to_owned(), line: one.line });
    environment(&mut fields, one, around, function, notes);
    for port in fields.take("ports").and_then(|entry| entry.value.list()).unwrap_or_default() {
        if port.get("name").and_then(Node::text) == Some("h2c") {
            http.insert("protocol".to_owned(), "h2c".into());
        }
        if port.get("containerPort").and_then(Node::text).is_some_and(|port| port != "8080") {
            notes.warn(
                port.line,
                &fields.path("ports"),
                "the program has to listen on `$PORT`, which Hob chooses",
            );
        }
    }
    if let Some(mut resources) = fields.fields("resources", notes) {
        if let Some(mut limits) = resources.fields("limits", notes) {
            if let Some(memory) = limits.text("memory", notes) {
                match resource::bytes(&memory.value) {
                    Some(value) => function.memory = Some(Written { value, line: memory.line }),
                    None => notes.refuse(
                        memory.line,
                        &limits.path("memory"),
                        format!("`{}` is no size", memory.value),
                    ),
                }
            }
            if let Some(cpu) = limits.text("cpu", notes) {
                match parse_processors(&cpu.value) {
                    Ok(value) => function.cpu = Some(Written { value, line: cpu.line }),
                    Err(why) => notes.refuse(cpu.line, &limits.path("cpu"), why),
                }
            }
            limits.end(&[], notes);
        }
        resources.end(&[&[met("requests")]], notes);
    }
    probes(&mut fields, http, notes);
    let volumes = fields.take("volumeMounts").is_some();
    debug_assert!(!volumes || function.line > 0, "what is mounted was refused with the volumes");
    fields.end(&[CONTAINER], notes);
}

fn environment(
    fields: &mut Fields<'_>,
    one: &Resource<'_>,
    around: &Around,
    function: &mut Function,
    notes: &mut Notes,
) {
    let mut variables = Environment::default();
    let mut line = one.line;
    if let Some(entry) = fields.take("envFrom") {
        let setting = fields.path("envFrom");
        for item in entry.value.list().unwrap_or_default() {
            all_of(item, around, &setting, &mut variables, notes);
        }
    }
    if let Some(entry) = fields.take("env") {
        line = entry.line;
        for item in entry.value.list().unwrap_or_default() {
            let Some(name) = item.get("name").and_then(Node::text) else {
                wrong(item, &fields.path("env"), "a map with `name`", notes);
                continue;
            };
            let setting = format!("{}.{name}", fields.path("env"));
            variable(item, name, around, (&setting, &mut variables), notes);
        }
    }
    // Both are promised to a program (Knative runtime contract, section Process).
    for name in ["K_SERVICE", "K_CONFIGURATION"] {
        variables.set(name, one.name.clone());
    }
    variables.give(function, line, notes);
}

type Named<'a> = (&'a str, &'a mut Environment);

/// One entry of `env`.
fn variable(item: &Node, name: &str, around: &Around, (setting, variables): Named<'_>, notes: &mut Notes) {
    let from = |kind: &str| item.at(&["valueFrom", kind]);
    let of =
        |reference: &Node, key: &str| reference.get(key).and_then(Node::text).unwrap_or_default().to_owned();
    let value = |kind: &str, reference: &Node| {
        let all = around.values.get(&(kind.to_owned(), of(reference, "name")));
        all.and_then(|all| all.get(&of(reference, "key"))).cloned()
    };
    match (item.get("value"), from("configMapKeyRef"), from("secretKeyRef")) {
        (Some(value), ..) => variables.set(name, value.text().unwrap_or_default()),
        (None, _, Some(reference)) => {
            let why = format!("is key `{}` of Secret `{}`", of(reference, "key"), of(reference, "name"));
            let (line, setting) = (item.line, setting.to_owned());
            variables.keep(name, Kept { line, setting, why, value: value("Secret", reference) });
        }
        (None, Some(reference), None) => match value("ConfigMap", reference) {
            Some(value) => variables.set(name, value),
            None => {
                let why = format!(
                    "the variable is not set: ConfigMap `{}` is in no file that is read",
                    of(reference, "name")
                );
                notes.warn(item.line, setting, why);
            }
        },
        (None, None, None) if item.get("valueFrom").is_some() => {
            notes.warn(item.line, setting, "the variable is not set: only the cluster knows its value");
        }
        (None, None, None) => variables.set(name, ""),
    }
}

/// One entry of `envFrom`: every value of a ConfigMap or Secret.
fn all_of(item: &Node, around: &Around, setting: &str, variables: &mut Environment, notes: &mut Notes) {
    let prefix = item.get("prefix").and_then(Node::text).unwrap_or_default();
    let kinds = [("configMapRef", "ConfigMap"), ("secretRef", "Secret")];
    let Some((reference, kind)) = kinds.iter().find_map(|(key, kind)| Some((item.get(key)?, *kind))) else {
        return wrong(item, setting, "a map with `configMapRef` or `secretRef`", notes);
    };
    let name = reference.get("name").and_then(Node::text).unwrap_or_default();
    let Some(all) = around.values.get(&(kind.to_owned(), name.to_owned())) else {
        let why = format!("its variables are not set: {kind} `{name}` is in no file that is read");
        return notes.warn(item.line, setting, why);
    };
    for (key, value) in all {
        let variable = format!("{prefix}{key}");
        if kind == "Secret" {
            let (line, why) = (item.line, format!("is key `{key}` of Secret `{name}`"));
            let kept = Kept { line, setting: setting.to_owned(), why, value: Some(value.clone()) };
            variables.keep(&variable, kept);
        } else {
            variables.set(&variable, value.clone());
        }
    }
}

fn probes(fields: &mut Fields<'_>, http: &mut serde_json::Map<String, serde_json::Value>, notes: &mut Notes) {
    for key in ["startupProbe", "readinessProbe"] {
        let Some(entry) = fields.take(key) else { continue };
        let probe = &entry.value;
        if let Some(path) = probe.at(&["httpGet", "path"]).and_then(Node::text) {
            http.insert("ready".to_owned(), path.into());
        }
        if probe.get("exec").is_some() || probe.get("grpc").is_some() {
            notes.warn(entry.line, &fields.path(key), "Hob asks by HTTP, or waits until the program listens");
        }
        let number = |key: &str, default: u64| {
            probe.get(key).and_then(Node::text).map_or(Some(default), |text| text.parse().ok())
        };
        if key == "startupProbe"
            && let (Some(period), Some(failures), Some(delay)) =
                (number("periodSeconds", 10), number("failureThreshold", 3), number("initialDelaySeconds", 0))
        {
            let seconds = delay.saturating_add(period.saturating_mul(failures));
            http.insert("start-timeout".to_owned(), format!("{seconds}s").into());
        }
    }
}

/// Annotations of a Service or of its template.
fn marks(entries: &[Entry], path: &str, function: &mut Function, notes: &mut Notes) {
    for entry in entries {
        let setting = format!("{path}.{}", entry.key);
        let text = entry.value.text().unwrap_or_default();
        if let Some(key) = entry.key.strip_prefix(SCALING) {
            scaling(key, text, entry, &setting, function, notes);
        } else if let Some(key) = entry.key.strip_prefix(RUN) {
            match key {
                "ingress" if text == "all" => {}
                "ingress" => function.private = Some(Written { value: true, line: entry.line }),
                "minScale" | "maxScale" => scaling(key, text, entry, &setting, function, notes),
                _ if RUN_MET.contains(&key) => {}
                "cloudsql-instances"
                | "vpc-access-connector"
                | "vpc-access-egress"
                | "network-interfaces" => {
                    notes.warn(
                        entry.line,
                        &setting,
                        "there is no network of Google; `egress` says what may be reached",
                    );
                }
                "secrets"
                | "encryption-key"
                | "binary-authorization"
                | "container-dependencies"
                | "custom-audiences" => {
                    notes.add(Level::Warning, entry.line, &setting, "it is a service of Google".to_owned());
                }
                _ => notes.warn(entry.line, &setting, "Hob does not know this annotation"),
            }
        } else if entry.key.starts_with("serving.knative.dev/") && entry.key.contains("rollout") {
            notes.warn(entry.line, &setting, "Hob moves the whole app at once; `hob rollback` moves it back");
        }
    }
}

fn scaling(key: &str, text: &str, entry: &Entry, setting: &str, function: &mut Function, notes: &mut Notes) {
    let line = entry.line;
    let number = || text.parse::<u32>().ok().map(|value| Written { value, line });
    let scale = &mut function.scale;
    match key {
        "min-scale" | "minScale" => match number() {
            Some(least) => scale.min = Some(least),
            None => notes.refuse(line, setting, format!("`{text}` is no whole number")),
        },
        // 0 is any number, which Hob bounds.
        "max-scale" | "maxScale" => match number() {
            Some(most) => scale.max = Some(most).filter(|most| most.value > 0),
            None => notes.refuse(line, setting, format!("`{text}` is no whole number")),
        },
        "scale-down-delay" | "scale-to-zero-pod-retention-period" | "window" => match resource::time(text) {
            Some(value) => {
                let longest = scale.idle.as_ref().map_or(Duration::ZERO, |idle| idle.value).max(value);
                scale.idle = Some(Written { value: longest, line });
            }
            None => notes.refuse(line, setting, format!("`{text}` is no time")),
        },
        _ if SCALING_MET.contains(&key) => {}
        "class" if text == "kpa.autoscaling.knative.dev" => {}
        "metric" if text == "concurrency" => {}
        "target" | "target-utilization-percentage" => {
            notes.warn(
                line,
                setting,
                "instances are started when calls wait; `scale.concurrency` says how many one takes",
            );
        }
        _ => notes.warn(line, setting, "Hob scales by calls that wait, without this setting"),
    }
}

/// Anything but all of it to the newest revision would be another revision than the one that is deployed.
fn of_traffic(entry: &Entry, notes: &mut Notes) {
    for target in entry.value.list().unwrap_or_default() {
        let latest = target.get("latestRevision").and_then(Node::boolean) == Some(true)
            && target.get("revisionName").is_none();
        let percent = target.get("percent").and_then(Node::text).unwrap_or("0");
        if latest && percent == "100" {
            continue;
        }
        match percent {
            "0" => notes.warn(
                target.line,
                "spec.traffic",
                "revisions have addresses of their own without tags; see `hob show`",
            ),
            _ => notes.refuse(
                target.line,
                "spec.traffic",
                "Hob sends every request to one revision of the whole app",
            ),
        }
    }
}
