//! The environment of a runtime and its extensions (Lambda developer guide, "Using Lambda environment
//! variables").
//!
//! **Two kinds.** What is reserved there is set here whatever the manifest says; what Lambda lets its users
//! change, they may change here.

use super::settings::Settings;
use crate::code::{FunctionCode, Numbered};
use hob_core::aws::name::{self, LATEST};
use hob_core::event::timestamp;
use std::path::Path;
use std::sync::atomic::Ordering;

/// The account that stands in names; Hob has none.
pub(super) const ACCOUNT: &str = "000000000000";
/// The folder of a package in which layers are, as `/opt` is Lambda's.
pub(super) const LAYERS: &str = "opt/";
/// The region, unless `AWS_REGION` of the function says otherwise.
const REGION: &str = "us-east-1";

/// What names the function among AWS's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) region: String,
    /// The name as it is in the manifest.
    pub(super) function: String,
    /// The version: a number, or `$LATEST`.
    pub(super) version: String,
    /// `arn:aws:lambda:<region>:<account>:function:<name>`.
    pub(super) arn: String,
}

impl Names {
    /// Of a function.
    pub(super) fn of(code: &FunctionCode) -> Self {
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| code.spec.env.get(*name));
        let region = region.map_or(REGION, String::as_str).to_owned();
        let number = code.numbered.as_ref().map(|numbered| numbered.version.to_string());
        let (function, version) = (code.name.to_string(), number.unwrap_or_else(|| LATEST.to_owned()));
        let arn = name::arn(&region, &function, None);
        Self { region, function, version, arn }
    }
}

/// The variables of the runtime; `api` is `host:port` of the runtime API, `walled` where the package is behind walls, `now_ms`
/// the time.
pub(super) fn variables(
    code: &FunctionCode,
    settings: &Settings,
    names: &Names,
    api: &str,
    walled: Option<&Path>,
    now_ms: u64,
    stream: u128,
) -> Vec<(String, String)> {
    let (root, day) = (walled.unwrap_or(&code.dir).display().to_string(), timestamp(now_ms));
    let day = day.get(..10).unwrap_or_default().replace('-', "/");
    let provisioned = |numbered: &Numbered| numbered.provisioned.load(Ordering::Relaxed) > 0;
    let kept = code.spec.scale.keeps_some() || code.numbered.as_ref().is_some_and(provisioned);
    let reserved = [
        ("_HANDLER", settings.handler.clone()),
        ("AWS_LAMBDA_RUNTIME_API", api.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", names.function.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", names.version.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", (code.spec.memory_bytes >> 20).to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", names.function)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("{day}/[{}]{stream:032x}", names.version)),
        (
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            if kept { "provisioned-concurrency" } else { "on-demand" }.to_owned(),
        ),
        ("AWS_LAMBDA_LOG_FORMAT", if settings.log_json { "JSON" } else { "Text" }.to_owned()),
        ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", settings.runtime)),
        ("AWS_REGION", names.region.clone()),
        ("AWS_DEFAULT_REGION", names.region.clone()),
        ("LAMBDA_TASK_ROOT", root.clone()),
        ("LAMBDA_RUNTIME_DIR", root.clone()),
    ];
    let opt = if walled.is_some() { format!("/{LAYERS}") } else { format!("{root}/{LAYERS}") };
    let layers = code.spec.package.keys().any(|path| path.starts_with(LAYERS)).then(|| {
        [
            ("PYTHONPATH", format!("{opt}python")),
            ("NODE_PATH", format!("{opt}nodejs/node_modules")),
            ("LAMBDA_LAYERS_ROOT", opt.trim_end_matches('/').to_owned()),
        ]
    });
    let free = [
        ("TZ", ":UTC".to_owned()),
        ("LD_LIBRARY_PATH", format!("{root}:{root}/lib:{opt}lib")),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
    ];
    let concurrency = code.spec.scale.concurrency;
    let several = (concurrency > 1).then(|| ("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string()));
    let free = free.into_iter().chain(layers.into_iter().flatten());
    let free = free.filter(|(name, _)| !code.spec.env.contains_key(*name));
    let all = reserved.into_iter().chain(several).chain(free);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Names, variables};
    use crate::code::Numbered;
    use crate::contract::lambda::settings::Settings;
    use crate::contract::lambda::tests::code;
    use hob_core::digest::Digest;
    use hob_core::spec::PackageFile;

    #[test]
    fn what_is_reserved_wins_and_what_is_free_does_not() {
        let env = [("TZ", "Europe/Berlin"), ("_HANDLER", "mine"), ("AWS_REGION", "eu-central-1")];
        let code = code(|spec| {
            spec.env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            spec.scale.concurrency = 8;
            let file = PackageFile { digest: Digest::of(b""), size: 0, executable: false };
            spec.package.insert("opt/python/a.py".to_owned(), file);
        });
        let settings = Settings::read(&code.spec).unwrap();
        let found =
            variables(&code, &settings, &Names::of(&code), "127.0.0.1:9001", None, 1_764_145_777_000, 42);
        let of = |name: &str| found.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        for (name, expected) in [
            ("_HANDLER", Some("bootstrap")),
            ("AWS_LAMBDA_RUNTIME_API", Some("127.0.0.1:9001")),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", Some("128")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", Some("2025/11/26/[$LATEST]0000000000000000000000000000002a")),
            ("AWS_LAMBDA_MAX_CONCURRENCY", Some("8")),
            ("AWS_REGION", Some("eu-central-1")),
            ("AWS_LAMBDA_FUNCTION_VERSION", Some("$LATEST")),
            ("AWS_EXECUTION_ENV", Some("AWS_Lambda_provided.al2023")),
            ("TZ", None),
            ("PYTHONPATH", Some("/package/opt/python")),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
        assert_eq!(Names::of(&code).arn, "arn:aws:lambda:eu-central-1:000000000000:function:guest");
        for (provisioned, kind) in [(0, "on-demand"), (2, "provisioned-concurrency")] {
            let numbered = Some(Numbered { version: 7, provisioned: provisioned.into() });
            let mut code = super::super::tests::code(|_| ());
            code.numbered = numbered;
            let found = variables(&code, &settings, &Names::of(&code), "", None, 1_764_145_777_000, 1);
            for expected in [
                ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "2025/11/26/[7]00000000000000000000000000000001"),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", kind),
            ] {
                let is = |(name, value): &(String, String)| (name.as_str(), value.as_str()) == expected;
                assert!(found.iter().any(is), "{expected:?}");
            }
        }
    }
}
