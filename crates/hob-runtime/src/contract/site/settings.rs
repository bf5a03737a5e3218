//! The contract's own settings: `[functions.<name>.static]`.

use super::super::setting;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{STATIC_HEADERS_MAX, STATIC_IMMUTABLE_MAX};
use hob_core::spec::{FunctionSpec, files_root};
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;

const KEYS: [&str; 6] = ["index", "fallback", "not-found", "cache", "immutable", "headers"];
/// What files are answered with unless `cache` says otherwise: they may be kept, and are asked for each time.
const CACHE_DEFAULT: HeaderValue = HeaderValue::from_static("no-cache");
/// The names of headers that say what a body is: they are not the manifest's to set.
const OWN: [&str; 8] = [
    "content-length",
    "content-encoding",
    "content-range",
    "transfer-encoding",
    "connection",
    "etag",
    "vary",
    "location",
];

/// How files are served.
#[derive(Debug)]
pub(super) struct Settings {
    /// The page of a folder.
    pub(super) index: String,
    /// The page that stands for every path without a file: a single-page app.
    pub(super) fallback: Option<String>,
    /// The page that goes with 404.
    pub(super) not_found: Option<String>,
    /// `cache-control` of all but [`Settings::immutable`].
    pub(super) cache: HeaderValue,
    /// Below these paths nothing ever changes: names hold a hash of the content.
    pub(super) immutable: Vec<String>,
    /// Headers of every answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// `HOB-0102` for an unknown key, `HOB-0103` for a wrong value, `HOB-0108` for a page that is not there,
    /// `HOB-0109` above a limit.
    pub(super) fn read(spec: &FunctionSpec) -> Result<Self> {
        let mut settings = Self {
            index: "index.html".to_owned(),
            fallback: None,
            not_found: None,
            cache: CACHE_DEFAULT,
            immutable: Vec::new(),
            headers: Vec::new(),
        };
        for (key, value) in &spec.settings {
            match key.as_str() {
                "index" => settings.index = name(value)?,
                "fallback" => settings.fallback = Some(page(spec, key, value)?),
                "not-found" => settings.not_found = Some(page(spec, key, value)?),
                "cache" => settings.cache = cache(value)?,
                "immutable" => settings.immutable = immutable(value)?,
                "headers" => settings.headers = headers(value)?,
                _ => return Err(setting::unknown("static", key, &KEYS)),
            }
        }
        Ok(settings)
    }
}

fn wrong(key: &str, value: &Value, hint: &str) -> Fault {
    setting::wrong("static", key, value, hint)
}

fn name(value: &Value) -> Result<String> {
    match value.as_str() {
        Some(name) if !name.is_empty() && !name.contains('/') => Ok(name.to_owned()),
        _ => Err(wrong("index", value, "write the name of a file, such as `index.html`")),
    }
}

/// The path of a file below the root.
fn page(spec: &FunctionSpec, key: &str, value: &Value) -> Result<String> {
    let Some(path) = value.as_str() else {
        return Err(wrong(key, value, "write the path of a file, such as `index.html`"));
    };
    let root = spec.run.first().map_or("", |first| files_root(first));
    if spec.package.contains_key(&below(root, path)) {
        return Ok(path.to_owned());
    }
    let message = format!("`{key}` of contract `static` is `{path}`, which is no file of the function");
    Err(Fault::new(Code::FileMissing, message).hint("the path is relative to the folder that `run` names"))
}

/// The path of a file in the package.
pub(super) fn below(root: &str, path: &str) -> String {
    match (root, path) {
        ("", path) => path.to_owned(),
        (root, "") => root.to_owned(),
        (root, path) => format!("{root}/{path}"),
    }
}

fn cache(value: &Value) -> Result<HeaderValue> {
    let header = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
    header.ok_or_else(|| wrong("cache", value, "write a `cache-control`, such as `public, max-age=3600`"))
}

fn immutable(value: &Value) -> Result<Vec<String>> {
    let hint = "write path prefixes, such as [\"assets/\"]";
    let list = value.as_array().ok_or_else(|| wrong("immutable", value, hint))?;
    let texts: Option<Vec<String>> = list.iter().map(|one| one.as_str().map(str::to_owned)).collect();
    let texts = texts.ok_or_else(|| wrong("immutable", value, hint))?;
    bounded("immutable", texts.len(), STATIC_IMMUTABLE_MAX)?;
    Ok(texts.into_iter().map(|text| text.trim_start_matches('/').to_owned()).collect())
}

fn headers(value: &Value) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let hint = "write a table, such as { x-frame-options = \"DENY\" }";
    let table = value.as_object().ok_or_else(|| wrong("headers", value, hint))?;
    bounded("headers", table.len(), STATIC_HEADERS_MAX)?;
    let read = |(name, text): (&String, &Value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let text = HeaderValue::from_str(text.as_str()?).ok()?;
        (!OWN.contains(&name.as_str())).then_some((name, text))
    };
    let hint = "a header has a name and a text, and is none that says how a body is sent";
    table.iter().map(read).collect::<Option<Vec<_>>>().ok_or_else(|| wrong("headers", value, hint))
}

fn bounded(key: &str, count: usize, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    let message = format!("`{key}` of contract `static` has {count} entries, the limit is {limit}");
    Err(Fault::new(Code::SettingOverLimit, message))
}
