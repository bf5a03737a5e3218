//! What every app has to keep, whoever describes it.
//!
//! **Why.** The control API takes an [`AppSpec`] from any client, so the node asks the same questions
//! as the program did: limits, names, routes, paths. After that nobody further in has to.

use super::{trigger, watch};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit;
use crate::name::FunctionName;
use crate::route::Table;
use crate::scale::provision::Provision;
use crate::spec::{AppSpec, FunctionSpec};
use crate::unit::{millis, show_bytes, show_bytes_over, show_duration, show_processors};
use std::time::Duration;

/// Checks a whole app: its limits, its routes, and every function.
///
/// # Errors
/// `HOB-0107` without functions or without anything to run, `HOB-0109` above a limit, `HOB-0103` for a
/// value that makes no sense, `HOB-0105`, `HOB-0106` and `HOB-0353` for routes, `HOB-0108` for a file
/// that is not in the package, `HOB-0205` for a package path.
pub fn check(app: &AppSpec) -> Result<()> {
    let functions = app.functions.len();
    if functions == 0 {
        return Err(Fault::new(Code::NothingToRun, format!("app `{}` has no functions", app.app))
            .hint("add `[functions.<name>]` with `run = \"…\"`"));
    }
    if functions > limit::FUNCTIONS_PER_APP_MAX {
        return Err(over(
            "app",
            app.app.as_str(),
            functions as u64,
            limit::FUNCTIONS_PER_APP_MAX as u64,
            "functions",
        ));
    }
    for (name, spec) in &app.functions {
        check_function(name, spec).map_err(|problem| problem.fault)?;
    }
    for route in &app.routes {
        if !app.functions.contains_key(&route.function) {
            let message =
                format!("route `{}` names function `{}`, which the app has not", route.route, route.function);
            return Err(Fault::new(Code::FunctionNotFound, message).with_status(400));
        }
    }
    trigger::check(app)?;
    watch::check(app)?;
    Table::new(&app.routes, &app.triggers.event_routes).map(|_| ())
}

/// A refused setting, by its key, so that its line can be found.
pub(super) struct Problem {
    pub(super) setting: &'static str,
    pub(super) fault: Fault,
}

type Checked = Result<(), Problem>;

fn problem(setting: &'static str) -> impl FnOnce(Fault) -> Problem {
    move |fault| Problem { setting, fault }
}

/// Checks one function.
pub(super) fn check_function(name: &FunctionName, spec: &FunctionSpec) -> Checked {
    check_package(name, spec).map_err(problem("files"))?;
    check_run(name, spec).map_err(problem("run"))?;
    check_numbers(name, spec)?;
    check_cpu(name, spec)?;
    check_env(name, spec).map_err(problem("env"))?;
    check_secrets(name, spec).map_err(problem("secrets"))?;
    check_egress(name, spec).map_err(problem("egress"))
}

fn check_numbers(name: &FunctionName, spec: &FunctionSpec) -> Checked {
    let time = |ms| show_duration(Duration::from_millis(ms));
    let count = |number: u64| number.to_string();
    let memory_max =
        if spec.host == "wasm" { limit::WASM_MEMORY_BYTES_CEILING } else { limit::MEMORY_BYTES_CEILING };
    let scale = &spec.scale;
    let within = |setting, value: u64, range: (u64, u64), show: &dyn Fn(u64) -> String| {
        within(setting, name, value, range, show)
    };
    within("timeout", spec.timeout_ms, (1, millis(limit::CALL_TIMEOUT_CEILING)), &time)?;
    within("memory", spec.memory_bytes, (limit::MEMORY_BYTES_MIN, memory_max), &show_bytes)?;
    within("body", spec.body_bytes_max, (0, limit::BODY_BYTES_CEILING), &show_bytes)?;
    within("scale.max", scale.max.into(), (1, limit::INSTANCES_CEILING.into()), &count)?;
    within("scale.min", scale.min.into(), (0, scale.max.into()), &count)?;
    let concurrency = (1, limit::CONCURRENCY_CEILING.into());
    within("scale.concurrency", scale.concurrency.into(), concurrency, &count)?;
    within("scale.idle", scale.idle_ms, (0, millis(limit::IDLE_TIMEOUT_CEILING)), &time)?;
    within("scale.calls", scale.calls_per_instance.unwrap_or(1).into(), (1, u32::MAX.into()), &count)?;
    let entries = (0, limit::PROVISIONED_MAX as u64);
    within("scale.provisioned", scale.provisioned.len() as u64, entries, &|entries| {
        format!("{entries} entries")
    })?;
    for one in &scale.provisioned {
        within("scale.provisioned", one.count.into(), (0, scale.max.into()), &count)?;
    }
    Provision::new(&scale.provisioned).map(drop).map_err(problem("scale.provisioned"))
}

/// A limit of processors is a control group's, which only programs have.
fn check_cpu(name: &FunctionName, spec: &FunctionSpec) -> Checked {
    let Some(milli) = spec.cpu_milli else { return Ok(()) };
    let range = (limit::CPU_MILLI_MIN.into(), limit::CPU_MILLI_CEILING.into());
    within("cpu", name, milli.into(), range, &show_processors)?;
    if !matches!(spec.host.as_str(), "wasm" | "files") {
        return Ok(());
    }
    let message =
        format!("`cpu` of function `{name}` is set, but `{}` functions have no such limit", spec.host);
    let hint = "leave it out: a guest that computes gives way to all others by itself";
    Err(Fault::new(Code::ManifestValue, message).hint(hint)).map_err(problem("cpu"))
}

fn within(
    setting: &'static str,
    name: &FunctionName,
    value: u64,
    (least, most): (u64, u64),
    show: &dyn Fn(u64) -> String,
) -> Checked {
    let (code, word, bound) = match value {
        _ if value > most => (Code::SettingOverLimit, "limit", most),
        _ if value < least => (Code::ManifestValue, "least", least),
        _ => return Ok(()),
    };
    let message =
        format!("`{setting}` of function `{name}` is {}, the {word} is {}", show(value), show(bound));
    let hint = match setting {
        "scale.min" => "lower `scale.min` or raise `scale.max`",
        "scale.provisioned" => "lower it or raise `scale.max`",
        _ => "change the value",
    };
    Err(Problem { setting, fault: Fault::new(code, message).hint(hint) })
}

fn over(kind: &str, name: &str, count: u64, most: u64, things: &str) -> Fault {
    Fault::new(Code::SettingOverLimit, format!("{kind} `{name}` has {count} {things}, the limit is {most}"))
}

fn check_run(name: &FunctionName, spec: &FunctionSpec) -> Result<()> {
    let Some(first) = spec.run.first().filter(|first| !first.is_empty()) else {
        return Err(Fault::new(Code::NothingToRun, format!("function `{name}` has nothing to run")));
    };
    if spec.run.iter().any(|word| word.contains('\0')) {
        return Err(value(format!("`run` of function `{name}` holds a NUL character")));
    }
    if spec.host == "files" {
        return check_site(name, spec, first);
    }
    let path = first.strip_prefix("./").unwrap_or(first);
    let is_file = spec.host == "wasm" || (first.contains('/') && !first.starts_with('/'));
    if is_file && !spec.package.contains_key(path) {
        let message = format!("function `{name}` runs `{first}`, which is not in its package");
        return Err(Fault::new(Code::FileMissing, message)
            .hint("check the path, or name the file in `files`; `run` is relative to `dir`"));
    }
    Ok(())
}

/// A folder of files, or one file.
fn check_site(name: &FunctionName, spec: &FunctionSpec, first: &str) -> Result<()> {
    let root = crate::spec::files_root(first);
    let within = |path: &String| {
        root.is_empty()
            || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if spec.package.keys().any(within) {
        return Ok(());
    }
    let message = format!("function `{name}` serves `{first}`, of which nothing is in its package");
    Err(Fault::new(Code::FileMissing, message).hint("check the path; `run` is relative to `dir`"))
}

fn check_package(name: &FunctionName, spec: &FunctionSpec) -> Result<()> {
    let files = spec.package.len();
    if files > limit::PACKAGE_FILES_MAX {
        let fault = over("function", name.as_str(), files as u64, limit::PACKAGE_FILES_MAX as u64, "files");
        return Err(fault.hint("choose them with `files`, or `dir`"));
    }
    let mut total = 0u64;
    for (path, file) in &spec.package {
        check_path(name, path)?;
        if folders(path).any(|folder| spec.package.contains_key(folder)) {
            let message = format!("package of function `{name}` has `{path}` below a file");
            return Err(Fault::new(Code::PackagePath, message));
        }
        if file.size > limit::ARTIFACT_BYTES_MAX {
            return Err(too_large(&format!("file `{path}`"), name, file.size, limit::ARTIFACT_BYTES_MAX));
        }
        total = total.saturating_add(file.size);
    }
    if total > limit::PACKAGE_BYTES_MAX {
        return Err(too_large("package", name, total, limit::PACKAGE_BYTES_MAX));
    }
    Ok(())
}

fn too_large(what: &str, name: &FunctionName, size: u64, limit: u64) -> Fault {
    let (size, limit) = show_bytes_over(size, limit);
    Fault::new(
        Code::ArtifactTooLarge,
        format!("{what} of function `{name}` has {size}, the limit is {limit}"),
    )
    .hint("choose what is deployed with `files`")
}

/// Relative, normal, and the same on every system.
fn check_path(name: &FunctionName, path: &str) -> Result<()> {
    let part_ok = |part: &str| {
        let plain = !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
        plain && part.len() <= limit::PATH_PART_BYTES_MAX
    };
    if path.len() <= limit::PATH_BYTES_MAX && !path.contains('\\') && path.split('/').all(part_ok) {
        return Ok(());
    }
    let shown: String = path.chars().take(60).flat_map(char::escape_debug).collect();
    Err(Fault::new(Code::PackagePath, format!("package of function `{name}` holds the path `{shown}`"))
        .hint(format!(
            "package paths are relative, use `/`, have no empty, `.` or `..` part, and at most {} bytes, {} in each part",
            limit::PATH_BYTES_MAX,
            limit::PATH_PART_BYTES_MAX
        )))
}

/// The folders above a path: `a` and `a/b` for `a/b/c`.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn check_env(name: &FunctionName, spec: &FunctionSpec) -> Result<()> {
    let count = spec.env.len();
    if count > limit::ENV_VARS_MAX {
        let things = "environment variables";
        return Err(over("function", name.as_str(), count as u64, limit::ENV_VARS_MAX as u64, things));
    }
    for (variable, text) in &spec.env {
        if variable.is_empty() || variable.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control())
        {
            return Err(value(format!("function `{name}` has an environment variable named `{variable}`"))
                .hint("names hold no `=` and no space"));
        }
        if text.contains('\0') {
            return Err(value(format!("`{variable}` of function `{name}` holds a NUL character")));
        }
        let size = variable.len() + text.len();
        if size > limit::ENV_VAR_BYTES_MAX {
            let (size, most) = show_bytes_over(size as u64, limit::ENV_VAR_BYTES_MAX as u64);
            let message = format!("`{variable}` of function `{name}` has {size}, the limit is {most}");
            return Err(Fault::new(Code::SettingOverLimit, message).hint("put large values in a file"));
        }
    }
    Ok(())
}

fn check_secrets(name: &FunctionName, spec: &FunctionSpec) -> Result<()> {
    let (count, most) = (spec.secrets.len(), limit::SECRETS_PER_FUNCTION_MAX);
    if count > most {
        return Err(over("function", name.as_str(), count as u64, most as u64, "secrets"));
    }
    if let Some(secret) = spec.secrets.first().filter(|_| spec.contract == "static") {
        let what =
            format!("function `{name}` serves files and runs nothing, so it cannot be given `{secret}`");
        return Err(value(what).hint("take `secrets` out, or name them where code reads them"));
    }
    match spec.secrets.iter().find(|secret| spec.env.contains_key(secret.as_str())) {
        None => Ok(()),
        Some(both) => Err(value(format!("function `{name}` has `{both}` in `env` and in `secrets`"))
            .hint("leave it in one of them")),
    }
}

fn check_egress(name: &FunctionName, spec: &FunctionSpec) -> Result<()> {
    let entries = spec.egress.as_deref().unwrap_or_default();
    if entries.len() > limit::EGRESS_ENTRIES_MAX {
        let (count, most) = (entries.len() as u64, limit::EGRESS_ENTRIES_MAX as u64);
        return Err(over("function", name.as_str(), count, most, "egress entries"));
    }
    match entries.iter().find(|entry| !is_host_and_port(entry)) {
        None => Ok(()),
        Some(entry) => Err(value(format!("`egress` of function `{name}` has `{entry}`"))
            .hint("write `host:port`, such as `api.example.com:443` or `*.example.com:443`")),
    }
}

/// `host:port`: a name, `*.name`, an IPv4 address, or an IPv6 address in brackets.
fn is_host_and_port(entry: &str) -> bool {
    let Some((host, port)) = entry.rsplit_once(':') else { return false };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_ok = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.strip_prefix("*.").unwrap_or(host).split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        }),
    };
    host_ok && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn value(message: String) -> Fault {
    Fault::new(Code::ManifestValue, message)
}
