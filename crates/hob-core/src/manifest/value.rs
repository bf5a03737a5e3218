//! Values of a manifest with their line: read as what a key wants, or refused with the fix.

use super::{Written, words};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::name::SecretName;
use crate::unit;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// One `key = value` of the text.
pub(super) struct Item<'a> {
    /// The key alone.
    pub(super) key: &'a str,
    /// The key with those above it: `functions.letter.timeout`.
    pub(super) path: String,
    /// Where the key stands.
    pub(super) line: usize,
    text: &'a str,
    file: &'a str,
    value: &'a DeValue<'a>,
}

/// The entries of a table, in the order of the text.
pub(super) fn entries<'a>(
    text: &'a str,
    file: &'a str,
    above: &str,
    table: &'a DeTable<'a>,
) -> Vec<Item<'a>> {
    let mut found: Vec<(usize, Item<'a>)> = table
        .iter()
        .map(|(key, value)| {
            let name: &str = key.get_ref();
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
            let (start, line) = (key.span().start, line_of(text, key.span().start));
            (start, Item { key: name, path, line, text, file, value: value.get_ref() })
        })
        .collect();
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, item)| item).collect()
}

/// The line of a byte, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

impl Item<'_> {
    /// `hob.toml:12`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(super) fn entries(&self) -> Result<Vec<Item<'_>>> {
        match self.value {
            DeValue::Table(table) => Ok(entries(self.text, self.file, &self.path, table)),
            _ => Err(self.wrong("a table", &format!("write `[{}]` and its keys below", self.path))),
        }
    }

    /// The tables of a list of tables, each with the line on which it begins.
    pub(super) fn tables(&self) -> Result<Vec<(usize, Vec<Item<'_>>)>> {
        let wrong =
            || self.wrong("a list of tables", &format!("write `[[{}]]` and its keys below", self.path));
        let DeValue::Array(items) = self.value else { return Err(wrong()) };
        let table = |item: &'_ toml::Spanned<DeValue<'_>>| line_of(self.text, item.span().start);
        let mut tables = Vec::new();
        for item in items {
            let DeValue::Table(entries_of) = item.get_ref() else { return Err(wrong()) };
            tables.push((table(item), entries(self.text, self.file, &self.path, entries_of)));
        }
        Ok(tables)
    }

    /// `hob.toml:14`, for a line inside the value.
    pub(super) fn place_of(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.value, DeValue::Integer(_))
    }

    /// The value as JSON, whatever it is.
    pub(super) fn json(&self) -> Value {
        json(self.value)
    }

    pub(super) fn any(&self) -> Written<Value> {
        self.written(self.json())
    }

    /// Text that `parse` understands; what it says against it is `why; fix`.
    pub(super) fn parsed<T>(&self, parse: impl Fn(&str) -> Result<T, String>) -> Result<Written<T>> {
        let text = self.text()?;
        parse(&text.value).map(|value| self.written(value)).map_err(|error| {
            let (why, fix) = error.split_once("; ").unwrap_or((&error, "see the reference of the manifest"));
            self.refuse(format!("`{}`: {why}", self.path)).hint(fix)
        })
    }

    pub(super) fn text(&self) -> Result<Written<String>> {
        match self.value {
            DeValue::String(text) => Ok(self.written(text.to_string())),
            other => Err(self.wrong("text", &format!("write `{} = \"{}\"`", self.key, plain(other)))),
        }
    }

    /// Text or a list of texts.
    pub(super) fn list(&self) -> Result<Written<Vec<String>>> {
        const EXAMPLE: &str = "write `[\"one\", \"two\"]`";
        match self.value {
            DeValue::String(text) => Ok(self.written(vec![text.to_string()])),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
                let texts: Option<Vec<String>> = texts.collect();
                texts.map(|texts| self.written(texts)).ok_or_else(|| self.wrong("a list of texts", EXAMPLE))
            }
            _ => Err(self.wrong("text or a list of texts", EXAMPLE)),
        }
    }

    /// A command line: words, or text that is split into words.
    pub(super) fn command(&self) -> Result<Written<Vec<String>>> {
        let words = match self.value {
            DeValue::String(text) => words::split(text).map_err(|why| {
                self.refuse(format!("`{}` {why}", self.path))
                    .hint("for a shell, write `run = [\"sh\", \"-c\", \"…\"]`")
            })?,
            _ => self.list()?.value,
        };
        if words.first().is_none_or(String::is_empty) {
            return Err(self
                .refuse(format!("`{}` is empty", self.path))
                .hint("name a file, such as `run = \"hello.wasm\"`"));
        }
        Ok(self.written(words))
    }

    /// Paths below the function's folder.
    pub(super) fn paths(&self) -> Result<Written<Vec<String>>> {
        let paths = self.list()?;
        paths.value.iter().try_for_each(|path| self.below(path))?;
        Ok(paths)
    }

    /// A path below the manifest's folder.
    pub(super) fn path(&self) -> Result<Written<String>> {
        let path = self.text()?;
        self.below(&path.value)?;
        Ok(path)
    }

    fn below(&self, path: &str) -> Result<()> {
        let outside =
            path.starts_with('/') || path.contains('\\') || path.split('/').any(|part| part == "..");
        if path.is_empty() || outside {
            let fault = self.refuse(format!("`{}` is `{path}`, which is not below the folder", self.path));
            return Err(fault.hint("write a relative path with `/` and without `..`"));
        }
        Ok(())
    }

    pub(super) fn boolean(&self) -> Result<Written<bool>> {
        match self.value {
            DeValue::Boolean(value) => Ok(self.written(*value)),
            _ => Err(self.wrong("true or false", &format!("write `{} = true`", self.key))),
        }
    }

    pub(super) fn number(&self) -> Result<Written<u32>> {
        let fix = format!("write a whole number such as `{} = 10`", self.key);
        match self.value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix())
                .map(|number| self.written(number))
                .map_err(|_| self.refuse(format!("`{}` cannot be {number}", self.path)).hint(fix)),
            _ => Err(self.wrong("a whole number", &fix)),
        }
    }

    /// A list of whole numbers.
    pub(super) fn numbers(&self) -> Result<Written<Vec<u32>>> {
        let wrong = || {
            self.wrong("a list of whole numbers", &format!("write for example `{} = [80, 100]`", self.key))
        };
        let serde_json::Value::Array(items) = self.json() else { return Err(wrong()) };
        let number = |item: &Value| item.as_u64().and_then(|number| u32::try_from(number).ok());
        let numbers: Option<Vec<u32>> = items.iter().map(number).collect();
        numbers.map(|numbers| self.written(numbers)).ok_or_else(wrong)
    }

    pub(super) fn duration(&self) -> Result<Written<Duration>> {
        self.measure("a time", "s", unit::parse_duration)
    }

    pub(super) fn bytes(&self) -> Result<Written<u64>> {
        self.measure("a size", " MiB", unit::parse_bytes)
    }

    /// A number of processors, in thousandths.
    pub(super) fn processors(&self) -> Result<Written<u32>> {
        let number = match self.value {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::String(text) => text,
            _ => return Err(self.wrong("a number", &format!("write for example `{} = 0.5`", self.key))),
        };
        unit::parse_processors(number).map(|milli| self.written(milli)).map_err(|error| {
            let (why, fix) = error.split_once("; ").unwrap_or((&error, "write a number"));
            self.refuse(format!("`{}`: {why}", self.path)).hint(fix)
        })
    }

    /// A number with its unit, as text.
    fn measure<T>(&self, what: &str, unit: &str, parse: fn(&str) -> Result<T, String>) -> Result<Written<T>> {
        match self.value {
            DeValue::String(text) => parse(text).map(|value| self.written(value)).map_err(|error| {
                let (why, fix) = error.split_once("; ").unwrap_or((&error, "write a number and its unit"));
                self.refuse(format!("`{}`: {why}", self.path)).hint(fix)
            }),
            DeValue::Integer(number) => Err(self.wrong(
                &format!("{what} with its unit"),
                &format!("write for example `{} = \"{number}{unit}\"`", self.key),
            )),
            _ => Err(self.wrong(
                &format!("{what} with its unit"),
                &format!("write for example `{} = \"30{unit}\"`", self.key),
            )),
        }
    }

    /// A table of texts.
    pub(super) fn texts(&self) -> Result<Written<BTreeMap<String, String>>> {
        let pairs = self.entries()?.into_iter().map(|item| Ok((item.key.to_owned(), item.text()?.value)));
        Ok(self.written(pairs.collect::<Result<_>>()?))
    }

    /// Names of secrets.
    pub(super) fn secrets(&self) -> Result<Written<BTreeSet<SecretName>>> {
        let Written { value, line } = self.list()?;
        let names = value.iter().map(|name| SecretName::new(name).map_err(|fault| fault.at(self.place())));
        Ok(Written { value: names.collect::<Result<_>>()?, line })
    }

    /// A table as JSON, for a contract's own settings.
    pub(super) fn settings(&self) -> Result<Written<Map<String, Value>>> {
        let Value::Object(map) = self.json() else {
            return Err(self.wrong("a table", "write `{ key = value }`"));
        };
        Ok(self.written(map))
    }

    fn written<T>(&self, value: T) -> Written<T> {
        Written { value, line: self.line }
    }

    fn refuse(&self, message: String) -> Fault {
        Fault::new(Code::ManifestValue, message).at(self.place())
    }

    pub(super) fn wrong(&self, wanted: &str, fix: &str) -> Fault {
        let is = kind(self.value);
        self.refuse(format!("`{}` is {is}, but has to be {wanted}", self.path)).hint(fix)
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A value as the text that was probably meant.
fn plain(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::String(text) => text.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => "…".to_owned(),
    }
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(date) => Value::String(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
}
