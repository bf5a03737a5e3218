//! What is sent and shown of a function: the request shapes of its operations and `FunctionConfiguration` (Lambda API
//! reference).
//!
//! **How.** What Hob has is a field; everything else a client may send is looked at by name ([`check_rest`]): values that
//! ask for nothing are taken, all others refused by name, so that nothing is ignored in silence.

use super::name::{ACCOUNT, LATEST, arn, topic};
use super::record::About;
use crate::code::Code;
use crate::digest::Digest;
use crate::event::{base64, timestamp};
use crate::fault::{Fault, Result};
use crate::name::TopicName;
use crate::spec::FunctionSpec;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Settings of a function that a request may have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "AWS documents its shapes")]
pub struct Settings {
    pub runtime: Option<String>,
    pub role: Option<String>,
    pub handler: Option<String>,
    pub description: Option<String>,
    pub timeout: Option<u64>,
    pub memory_size: Option<u64>,
    pub environment: Option<Environment>,
    pub layers: Option<Vec<String>>,
    pub dead_letter_config: Option<DeadLetterConfig>,
    pub revision_id: Option<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Where calls go that are given up.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeadLetterConfig {
    /// The ARN of a queue or topic; empty: nowhere.
    #[serde(default)]
    pub target_arn: String,
}

impl DeadLetterConfig {
    /// The topic of Hob; `None`: nowhere.
    ///
    /// # Errors
    /// `HOB-0622` for the ARN of something else.
    pub fn topic(&self) -> Result<Option<TopicName>> {
        match self.target_arn.as_str() {
            "" => Ok(None),
            arn if arn.starts_with("arn:") => topic(arn).map(Some),
            other => Err(refuse(format!("`TargetArn` is `{}`, which is no ARN", short(other)))
                .hint(format!("write `arn:aws:sqs:<region>:{ACCOUNT}:<topic>`"))),
        }
    }
}

/// Variables of a function.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Environment {
    /// By their name.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// What `CreateFunction` has besides.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "AWS documents its shapes")]
pub struct Create {
    pub function_name: String,
    pub code: Map<String, Value>,
    #[serde(default)]
    pub publish: bool,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(flatten)]
    pub settings: Settings,
}

/// What `UpdateFunctionCode` has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "AWS documents its shapes")]
pub struct UpdateCode {
    #[serde(default)]
    pub publish: bool,
    #[serde(default)]
    pub dry_run: bool,
    pub revision_id: Option<String>,
    #[serde(flatten)]
    pub code: Map<String, Value>,
}

/// Settings that ask for nothing, by what they say then.
const HARMLESS: &[(&str, &[&str])] = &[
    ("PackageType", &[r#""Zip""#]),
    ("TracingConfig", &[r#"{"Mode":"PassThrough"}"#]),
    ("EphemeralStorage", &[r#"{"Size":512}"#]),
    ("SnapStart", &[r#"{"ApplyOn":"None"}"#]),
    ("LoggingConfig", &[r#"{"LogFormat":"Text"}"#]),
    ("VpcConfig", &[r#"{"SubnetIds":[],"SecurityGroupIds":[]}"#]),
    ("KMSKeyArn", &[r#""""#]),
];

/// Refuses settings that Hob does not have.
///
/// # Errors
/// `HOB-0622`, which names the first one.
pub fn check_rest(rest: &Map<String, Value>) -> Result<()> {
    for (name, value) in rest {
        let empty = match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        let text = value.to_string();
        let harmless =
            HARMLESS.iter().any(|(known, values)| known == name && values.contains(&text.as_str()));
        if name == "Architectures" {
            check_architecture(value)?;
        } else if !empty && !harmless {
            return Err(
                refuse(format!("`{name}` = `{}` is not offered by Hob", short(&text))).hint(hint(name))
            );
        }
    }
    Ok(())
}

fn hint(name: &str) -> &'static str {
    match name {
        "PackageType" | "ImageConfig" => "give a zip archive",
        _ => "leave it out",
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The architecture of this program, as AWS names it.
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

fn check_architecture(value: &Value) -> Result<()> {
    let own = architecture();
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(one)]) if one == own => Ok(()),
        _ => Err(refuse(format!("`Architectures` is `{value}`, and this machine is `{own}`"))
            .hint(format!("build for `{own}`, or leave it out"))),
    }
}

fn refuse(what: String) -> Fault {
    Fault::new(Code::AwsRequest, what)
}

/// The archive in a request.
///
/// # Errors
/// `HOB-0622` where there is none, or code is elsewhere.
pub fn archive(code: &Map<String, Value>) -> Result<Vec<u8>> {
    let known = ["ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri", "SourceKMSKeyArn"];
    if let Some(elsewhere) = known[1..].iter().find(|name| code.contains_key(**name)) {
        return Err(refuse(format!("code named by `{elsewhere}` cannot be fetched by Hob"))
            .hint("send the archive itself: `ZipFile`"));
    }
    let rest = code.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    check_rest(&rest.map(|(name, value)| (name.clone(), value.clone())).collect())?;
    let text = code.get("ZipFile").and_then(Value::as_str);
    let text =
        text.ok_or_else(|| refuse("there is no `ZipFile`".to_owned()).hint("send the archive itself"))?;
    base64::decode(text).ok_or_else(|| refuse("`ZipFile` is not base64".to_owned()))
}

/// The command that runs a function, by its runtime (Lambda developer guide, "Lambda runtimes"): the runtime clients
/// are the official ones, and the machine has to have them.
///
/// # Errors
/// `HOB-0622` for a runtime that Hob does not run, or a handler that is none.
pub fn command(runtime: &str, handler: &str) -> Result<Vec<String>> {
    let words: &[&str] = match runtime {
        "provided" | "provided.al2" | "provided.al2023" => &["bootstrap"],
        python if python.starts_with("python3.") => &["python3", "-m", "awslambdaric", handler],
        node if node.starts_with("nodejs") => &["npx", "--no-install", "aws-lambda-ric", handler],
        other => {
            return Err(refuse(format!("runtime `{other}` is not one that Hob runs")).hint(
                "use `provided.al2023` with a `bootstrap`, `python3.x` or `nodejs20.x`; or deploy it as a program of its own",
            ));
        }
    };
    if handler.is_empty() || handler.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(refuse(format!("`{handler}` is no handler")).hint("write for example `app.handler`"));
    }
    Ok(words.iter().map(|word| (*word).to_owned()).collect())
}

/// What is shown of a function or one of its versions.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its name.
    pub name: &'a str,
    /// The region of the request.
    pub region: &'a str,
    /// The version: a number, or `$LATEST`.
    pub version: &'a str,
    /// What stands behind the name in its ARN.
    pub qualifier: Option<&'a str>,
    /// The digest of the app's content.
    pub content: Digest,
    /// Its settings.
    pub spec: &'a FunctionSpec,
    /// What was said of it.
    pub about: &'a About,
}

impl Shown<'_> {
    /// `FunctionConfiguration`. What is deployed serves, so nobody has to wait for a state.
    pub fn configuration(&self) -> Value {
        let Self { name, region, version, spec, about, .. } = self;
        let mut shown = json!({
            "FunctionName": name,
            "FunctionArn": arn(region, name, self.qualifier),
            "Runtime": about.runtime,
            "Role": about.role,
            "Handler": about.handler,
            "CodeSize": about.code_bytes,
            "CodeSha256": about.code_sha256,
            "Description": about.description,
            "Timeout": spec.timeout_ms.div_ceil(1000),
            "MemorySize": spec.memory_bytes >> 20,
            "LastModified": modified(about.modified_ms),
            "Version": version,
            "TracingConfig": { "Mode": "PassThrough" },
            "RevisionId": about.revision_id(self.content),
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
            "Architectures": [architecture()],
            "EphemeralStorage": { "Size": 512 },
            "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
            "LoggingConfig": { "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}") },
        });
        if !about.layers.is_empty() {
            shown["Layers"] = about.layers.iter().map(|arn| json!({ "Arn": arn })).collect();
        }
        if let Some(arn) = &about.dead_letter {
            shown["DeadLetterConfig"] = json!({ "TargetArn": arn });
        }
        if !spec.env.is_empty() {
            shown["Environment"] = json!({ "Variables": spec.env });
        }
        if *version == LATEST && about.runtime.is_empty() {
            shown["Description"] = json!(format!("deployed by Hob's own tools: contract {}", spec.contract));
        }
        shown
    }
}

/// `2026-11-21T01:02:03.000+0000`.
fn modified(ms: u64) -> String {
    let text = timestamp(ms);
    let seconds = text.get(..19).unwrap_or(&text);
    format!("{seconds}.{:03}+0000", ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::{DeadLetterConfig, architecture, archive, check_rest, command, modified};
    use serde_json::{Map, Value, json};

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn what_hob_does_not_have_is_named() {
        for (rest, expected) in [
            (json!({}), "ok"),
            (json!({"PackageType": "Zip", "VpcConfig": {}, "TracingConfig": {"Mode": "PassThrough"}}), "ok"),
            (json!({"EphemeralStorage": {"Size": 512}, "SnapStart": {"ApplyOn": "None"}}), "ok"),
            (
                json!({"TracingConfig": {"Mode": "Active"}}),
                "`TracingConfig` = `{\"Mode\":\"Active\"}` is not offered by Hob",
            ),
            (json!({"PackageType": "Image"}), "`PackageType` = `\"Image\"` is not offered by Hob"),
            (json!({"Unheard": 1}), "`Unheard` = `1` is not offered by Hob"),
        ] {
            let found = check_rest(&map(rest.clone()));
            let found = found.map_or_else(|fault| fault.message().to_owned(), |()| "ok".to_owned());
            assert_eq!(found, expected, "{rest}");
        }
        let other = if architecture() == "arm64" { "x86_64" } else { "arm64" };
        assert!(check_rest(&map(json!({"Architectures": [architecture()]}))).is_ok());
        assert!(check_rest(&map(json!({"Architectures": [other]}))).is_err());
    }

    #[test]
    fn dead_letters_go_to_queues_and_topics() {
        for (target, expected) in [
            ("", Ok("")),
            ("arn:aws:sqs:eu-west-1:000000000000:failed", Ok("failed")),
            ("arn:aws:sns:eu-west-1:000000000000:failed", Ok("failed")),
            ("failed", Err("HOB-0622")),
            ("arn:aws:lambda:eu-west-1:000000000000:function:f", Err("HOB-0622")),
            ("arn:aws:sqs:eu-west-1:000000000000:", Err("HOB-0622")),
            ("arn:aws:sqs:eu-west-1:000000000000:hob.calls.desk", Err("HOB-0805")),
        ] {
            let found = DeadLetterConfig { target_arn: target.to_owned() }.topic();
            let found = found.map(|topic| topic.map_or_else(String::new, |topic| topic.to_string()));
            let found = found.map_err(|fault| fault.code().text());
            assert_eq!(found.as_deref().map_err(|code| *code), expected, "{target}");
        }
    }

    #[test]
    fn code_is_in_the_request() {
        for (code, expected) in [
            (json!({"ZipFile": "UEs="}), Some(b"PK".to_vec())),
            (json!({"ZipFile": "UEs"}), Some(b"PK".to_vec())),
            (json!({"ZipFile": "!"}), None),
            (json!({"S3Bucket": "a", "S3Key": "b"}), None),
            (json!({"ImageUri": "a"}), None),
            (json!({}), None),
        ] {
            assert_eq!(archive(&map(code.clone())).ok(), expected, "{code}");
        }
    }

    #[test]
    fn runtimes_are_commands() {
        for (runtime, handler, expected) in [
            ("provided.al2023", "bootstrap", "bootstrap"),
            ("python3.13", "app.handler", "python3 -m awslambdaric app.handler"),
            ("nodejs20.x", "index.handler", "npx --no-install aws-lambda-ric index.handler"),
            ("java21", "a.B::c", "HOB-0622"),
            ("python2.7", "app.handler", "HOB-0622"),
            ("python3.13", "app handler", "HOB-0622"),
            ("python3.13", "", "HOB-0622"),
        ] {
            let found = command(runtime, handler);
            let found = found.map_or_else(|fault| fault.code().text().to_owned(), |words| words.join(" "));
            assert_eq!(found, expected, "{runtime} {handler}");
        }
        assert_eq!(modified(1_795_681_800_042), "2026-11-26T08:30:00.042+0000");
    }
}
