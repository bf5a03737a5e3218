//! Patterns of an event's data: the dialect `data`, in the syntax of EventBridge (EventBridge user guide, "Event
//! patterns").
//!
//! **Why.** Filters of Lambda's event source mappings are about what a message says, and so are rules of EventBridge.
//! CloudEvents' own dialects see attributes only, so this is Hob's own; it costs reading the data as JSON, and only a
//! subscription that has such a filter pays.
//!
//! **How.** An object has a pattern for some of its fields, all of which have to match; a list has alternatives, one of
//! which has to. A value that is a list matches when one of its items does. Data that is not JSON is a text.
//!
//! **Not here:** patterns of attributes ([`alternative`] makes the other dialects of them).

use super::Filter;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A pattern that was checked.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Every field matches; of alternatives at the same level, each of `or` has one that does.
    Fields { fields: Vec<(Box<str>, Pattern)>, or: Vec<Vec<Pattern>> },
    /// One of these holds.
    Any(Vec<Test>),
}

/// One alternative.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Is(Value),
    Text(How, Box<str>),
    Not(Vec<Test>),
    Exists(bool),
    Number(Vec<(Order, f64)>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Prefix,
    Suffix,
    Wildcard,
    IgnoreCase,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// What stands in the way: the path, what it asks for, what is there.
pub(super) type Missed = (String, String, Option<String>);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The path of what cannot be understood, and why.
    pub(super) fn read(value: &Value, path: &str) -> Result<Self, (String, String)> {
        let refuse = |why: &str| Err((path.to_owned(), why.to_owned()));
        match value {
            Value::Array(items) if items.is_empty() => refuse("a list has no alternative"),
            Value::Array(items) => {
                let tests = items.iter().map(test).collect::<Result<_, _>>();
                tests.map(Self::Any).map_err(|why| (path.to_owned(), why))
            }
            Value::Object(map) if map.is_empty() => refuse("a pattern names no field"),
            Value::Object(map) => Self::fields(map, path),
            _ => refuse("a field needs a list of alternatives, such as `[\"paid\"]`"),
        }
    }

    fn fields(map: &Map<String, Value>, path: &str) -> Result<Self, (String, String)> {
        let (mut fields, mut or) = (Vec::new(), Vec::new());
        for (name, value) in map {
            let path = format!("{path}.{name}");
            if name != "$or" {
                fields.push((name.as_str().into(), Self::read(value, &path)?));
                continue;
            }
            let branches = value.as_array().filter(|branches| !branches.is_empty());
            let Some(branches) = branches else {
                return Err((path, "`$or` is no list of patterns".to_owned()));
            };
            or.push(branches.iter().map(|branch| Self::read(branch, &path)).collect::<Result<_, _>>()?);
        }
        Ok(Self::Fields { fields, or })
    }

    /// Whether a value matches; `None`: there is none.
    pub(super) fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Any(tests), _) => tests.iter().any(|test| test.holds_for(value)),
            (Self::Fields { .. }, Some(Value::Array(items))) => {
                items.iter().any(|item| self.matches(Some(item)))
            }
            (Self::Fields { fields, or }, _) => {
                let of = |name: &str| value.and_then(|value| value.get(name));
                fields.iter().all(|(name, pattern)| pattern.matches(of(name)))
                    && or.iter().all(|branches| branches.iter().any(|branch| branch.matches(value)))
            }
        }
    }

    /// The first thing that does not match.
    pub(super) fn missed(&self, value: Option<&Value>, path: &str) -> Option<Missed> {
        if self.matches(value) {
            return None;
        }
        let seen = || value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        match self {
            Self::Any(tests) => {
                let wanted: Vec<String> = tests.iter().map(Test::words).collect();
                Some((path.to_owned(), wanted.join(" or "), seen()))
            }
            Self::Fields { fields, .. } => fields
                .iter()
                .find_map(|(name, pattern)| {
                    pattern.missed(value.and_then(|value| value.get(&**name)), &format!("{path}.{name}"))
                })
                .or_else(|| Some((format!("{path}.$or"), "one of its patterns".to_owned(), seen()))),
        }
    }
}

impl Test {
    /// Whether it holds for a value or one of its items.
    fn holds_for(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), _) => value.is_some() == *wanted,
            (_, None) => false,
            // Nothing of a list may be what is not wanted.
            (Self::Not(_), Some(Value::Array(items))) => items.iter().all(|item| self.holds(item)),
            (_, Some(Value::Array(items))) => items.iter().any(|item| self.holds(item)),
            (_, Some(value)) => self.holds(value),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Is(Value::Number(wanted)) => {
                value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, wanted)| same(value, wanted))
            }
            Self::Is(wanted) => value == wanted,
            Self::Text(how, wanted) => value.as_str().is_some_and(|text| how.holds(text, wanted)),
            Self::Not(tests) => !tests.iter().any(|test| test.holds(value)),
            Self::Exists(wanted) => *wanted,
            Self::Number(bounds) => value
                .as_f64()
                .is_some_and(|value| bounds.iter().all(|(order, bound)| order.holds(value, *bound))),
        }
    }

    /// In words, for people.
    fn words(&self) -> String {
        match self {
            Self::Is(Value::String(text)) => text.clone(),
            Self::Is(value) => value.to_string(),
            Self::Text(How::Prefix, text) => format!("{text}…"),
            Self::Text(How::Suffix, text) => format!("…{text}"),
            Self::Text(How::Wildcard, text) => text.to_string(),
            Self::Text(How::IgnoreCase, text) => format!("{text} in any case"),
            Self::Not(tests) => {
                let words: Vec<String> = tests.iter().map(Self::words).collect();
                format!("anything but {}", words.join(", "))
            }
            Self::Exists(true) => "any value".to_owned(),
            Self::Exists(false) => "no value".to_owned(),
            Self::Number(bounds) => {
                let words: Vec<String> =
                    bounds.iter().map(|(order, bound)| format!("{} {bound}", order.sign())).collect();
                words.join(" and ")
            }
        }
    }
}

/// Equal as numbers of JSON are: written in another way they are the same.
fn same(one: f64, other: f64) -> bool {
    one.partial_cmp(&other) == Some(std::cmp::Ordering::Equal)
}

impl How {
    fn holds(self, text: &str, wanted: &str) -> bool {
        match self {
            Self::Prefix => text.starts_with(wanted),
            Self::Suffix => text.ends_with(wanted),
            Self::IgnoreCase => text.to_lowercase() == wanted.to_lowercase(),
            Self::Wildcard => wildcard(text, wanted),
        }
    }
}

/// Whether a text is what a pattern with `*` says; the time grows with the product of both at most.
fn wildcard(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

impl Order {
    const SIGNS: [(&'static str, Self); 5] = [
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        ("=", Self::Equal),
        (">=", Self::GreaterOrEqual),
        (">", Self::Greater),
    ];

    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Equal => same(value, bound),
            Self::GreaterOrEqual => value >= bound,
            Self::Greater => value > bound,
        }
    }
}

/// The only comparison of an alternative that is an object.
fn comparison(value: &Value) -> Result<(&str, &Value), String> {
    let map = value.as_object().filter(|map| map.len() == 1);
    let one = map.and_then(|map| map.iter().next());
    one.map(|(name, value)| (name.as_str(), value))
        .ok_or_else(|| format!("the alternative `{value}` is neither a value nor one comparison"))
}

fn test(value: &Value) -> Result<Test, String> {
    if !value.is_object() && !value.is_array() {
        return Ok(Test::Is(value.clone()));
    }
    let (name, wanted) = comparison(value)?;
    let text = |how: How| match wanted {
        Value::String(text) => Ok(Test::Text(how, text.as_str().into())),
        _ => Err(format!("`{name}` is `{wanted}`, and has to be a text")),
    };
    match name {
        "prefix" => text(How::Prefix),
        "suffix" => text(How::Suffix),
        "wildcard" => text(How::Wildcard),
        "equals-ignore-case" => text(How::IgnoreCase),
        "exists" => wanted.as_bool().map(Test::Exists).ok_or_else(|| "`exists` is true or false".to_owned()),
        "numeric" => numeric(wanted).map(Test::Number),
        "anything-but" => match wanted {
            Value::Array(items) => items.iter().map(test).collect::<Result<_, _>>().map(Test::Not),
            // `{"anything-but": {"prefix": ["a", "b"]}}`: each of them.
            Value::Object(_) => {
                let (name, wanted) = comparison(wanted)?;
                let all = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                let one = |item: Value| test(&Value::Object(Map::from_iter([(name.to_owned(), item)])));
                all.into_iter().map(one).collect::<Result<_, _>>().map(Test::Not)
            }
            one => Ok(Test::Not(vec![Test::Is(one.clone())])),
        },
        _ => Err(format!("`{name}` is no comparison that Hob knows")),
    }
}

/// `[">", 0, "<=", 5]`.
fn numeric(value: &Value) -> Result<Vec<(Order, f64)>, String> {
    let refuse = || format!("`numeric` is `{value}`, and has to be such as `[\">\", 0, \"<=\", 5]`");
    let items = value.as_array().filter(|items| matches!(items.len(), 2 | 4)).ok_or_else(refuse)?;
    let pairs = items.chunks_exact(2).map(|pair| {
        let order = Order::SIGNS.iter().find(|(sign, _)| pair[0].as_str() == Some(*sign));
        Some((order?.1, pair[1].as_f64()?))
    });
    pairs.collect::<Option<_>>().ok_or_else(refuse)
}

/// The filter of one alternative for an attribute, which is a text.
///
/// # Errors
/// In words, for a comparison that no dialect of attributes can express.
pub(crate) fn alternative(attribute: &str, value: &Value) -> Result<Filter, String> {
    let one = |text: &str| BTreeMap::from([(attribute.to_owned(), text.to_owned())]);
    let plain = match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    if let Some(text) = plain {
        return Ok(Filter::Exact(one(&text)));
    }
    if value.is_null() {
        return Ok(Filter::Sql(format!("NOT EXISTS {attribute}")));
    }
    let (name, wanted) = comparison(value)?;
    match (name, wanted) {
        ("prefix", Value::String(text)) => Ok(Filter::Prefix(one(text))),
        ("suffix", Value::String(text)) => Ok(Filter::Suffix(one(text))),
        ("wildcard", Value::String(text)) => Ok(Filter::Sql(format!("{attribute} LIKE '{}'", like(text)))),
        ("equals-ignore-case", Value::String(text)) => {
            Ok(Filter::Sql(format!("LOWER({attribute}) = '{}'", quoted(&text.to_lowercase()))))
        }
        ("exists", Value::Bool(true)) => Ok(Filter::Sql(format!("EXISTS {attribute}"))),
        ("exists", Value::Bool(false)) => Ok(Filter::Sql(format!("NOT EXISTS {attribute}"))),
        ("numeric", _) => {
            let clauses = numeric(wanted)?.into_iter().map(|(order, bound)| {
                let whole = bound.fract() == 0.0 && bound.abs() < f64::from(i32::MAX);
                whole
                    .then(|| format!("INT({attribute}) {} {bound}", order.sign()))
                    .ok_or_else(|| format!("`{bound}` is no whole number, which attributes have only"))
            });
            Ok(Filter::Sql(clauses.collect::<Result<Vec<_>, _>>()?.join(" AND ")))
        }
        ("anything-but", _) => {
            let all = match wanted {
                Value::Array(items) => items.iter().map(|item| alternative(attribute, item)).collect(),
                one => alternative(attribute, one).map(|filter| vec![filter]),
            };
            Ok(Filter::Not(Box::new(Filter::Any(all?))))
        }
        _ => Err(format!("no filter can say `{name}` of an attribute")),
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

/// `a*b` as a pattern of CESQL's LIKE.
fn like(text: &str) -> String {
    quoted(text).replace('%', "\\%").replace('_', "\\_").replace('*', "%")
}

#[cfg(test)]
mod tests {
    use super::{Pattern, alternative, wildcard};
    use serde_json::{Value, json};

    #[test]
    fn patterns_match_as_event_bridge_says() {
        let data = json!({
            "status": "paid", "total": 12.5, "tags": ["new", "gift"], "to": { "country": "UK", "street": null },
            "lines": [{ "sku": "a-1" }, { "sku": "b-2" }],
        });
        for (pattern, expected) in [
            (json!({ "status": ["paid"] }), None),
            (json!({ "status": ["open", "paid"], "total": [12.5] }), None),
            (json!({ "status": ["open"] }), Some("data.status: open, has paid")),
            (json!({ "status": [{ "prefix": "pa" }] }), None),
            (json!({ "status": [{ "suffix": "en" }] }), Some("data.status: …en, has paid")),
            (json!({ "status": [{ "equals-ignore-case": "PAID" }] }), None),
            (json!({ "status": [{ "wildcard": "p*d" }] }), None),
            (json!({ "status": [{ "anything-but": ["open", "lost"] }] }), None),
            (
                json!({ "status": [{ "anything-but": "paid" }] }),
                Some("data.status: anything but paid, has paid"),
            ),
            (json!({ "status": [{ "anything-but": { "prefix": "x" } }] }), None),
            (json!({ "total": [{ "numeric": [">", 0, "<=", 12.5] }] }), None),
            (json!({ "total": [{ "numeric": ["<", 12] }] }), Some("data.total: < 12, has 12.5")),
            (json!({ "total": ["12.5"] }), Some("data.total: 12.5, has 12.5")),
            (json!({ "tags": ["gift"] }), None),
            (
                json!({ "tags": [{ "anything-but": "gift" }] }),
                Some("data.tags: anything but gift, has [\"new\",\"gift\"]"),
            ),
            (json!({ "to": { "country": ["UK", "DE"], "street": [null] } }), None),
            (json!({ "to": { "town": [{ "exists": false }], "country": [{ "exists": true }] } }), None),
            (json!({ "to": { "town": [{ "exists": true }] } }), Some("data.to.town: any value, has nothing")),
            (json!({ "lines": { "sku": ["b-2"] } }), None),
            (json!({ "$or": [{ "status": ["open"] }, { "total": [{ "numeric": ["=", 12.5] }] }] }), None),
            (
                json!({ "$or": [{ "status": ["open"] }, { "total": [1] }] }),
                Some("data.$or: one of its patterns, has "),
            ),
            (json!({ "missing": { "deep": ["x"] } }), Some("data.missing.deep: x, has nothing")),
        ] {
            let read = Pattern::read(&pattern, "data").unwrap_or_else(|why| panic!("{pattern}: {why:?}"));
            let missed = read.missed(Some(&data), "data");
            let found = missed.map(|(path, wanted, seen)| {
                format!("{path}: {wanted}, has {}", seen.unwrap_or_else(|| "nothing".to_owned()))
            });
            match (expected, &found) {
                (Some(expected), Some(found)) => assert!(found.starts_with(expected), "{pattern}: {found}"),
                _ => assert_eq!(found.as_deref(), expected, "{pattern}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_understood_has_a_path() {
        for (pattern, path, word) in [
            (json!({}), "data", "names no field"),
            (json!("x"), "data", "list of alternatives"),
            (json!({ "a": "x" }), "data.a", "list of alternatives"),
            (json!({ "a": [] }), "data.a", "no alternative"),
            (json!({ "a": [{ "cidr": "10.0.0.0/8" }] }), "data.a", "`cidr`"),
            (json!({ "a": [{ "prefix": 1 }] }), "data.a", "has to be a text"),
            (json!({ "a": [{ "numeric": [">"] }] }), "data.a", "`numeric`"),
            (json!({ "a": [{ "exists": 1 }] }), "data.a", "true or false"),
            (json!({ "a": { "b": [{ "x": 1, "y": 2 }] } }), "data.a.b", "neither a value"),
            (json!({ "$or": {} }), "data.$or", "no list"),
        ] {
            let (at, why) = Pattern::read(&pattern, "data").err().unwrap_or_else(|| panic!("{pattern}"));
            assert!(at == path && why.contains(word), "{pattern}: {at}: {why}");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a*", true),
            ("abc", "*c", true),
            ("abc", "a*c", true),
            ("ac", "a*c", true),
            ("abcb", "a*b", true),
            ("abc", "*", true),
            ("", "*", true),
            ("abc", "a*d", false),
            ("ab", "ab*b", false),
            ("xabc", "a*", false),
            ("a1b2c", "a*b*c", true),
        ] {
            assert_eq!(wildcard(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn alternatives_of_attributes_are_other_dialects() {
        for (value, expected) in [
            (json!("x"), r#"{"exact":{"kind":"x"}}"#),
            (json!(7), r#"{"exact":{"kind":"7"}}"#),
            (json!({ "prefix": "a" }), r#"{"prefix":{"kind":"a"}}"#),
            (json!({ "exists": false }), r#"{"sql":"NOT EXISTS kind"}"#),
            (json!({ "numeric": [">", 0, "<=", 5] }), r#"{"sql":"INT(kind) > 0 AND INT(kind) <= 5"}"#),
            (
                json!({ "anything-but": ["a", "b"] }),
                r#"{"not":{"any":[{"exact":{"kind":"a"}},{"exact":{"kind":"b"}}]}}"#,
            ),
            (json!({ "wildcard": "a*_" }), r#"{"sql":"kind LIKE 'a%\\_'"}"#),
        ] {
            let filter = alternative("kind", &value).unwrap();
            assert_eq!(serde_json::to_string(&filter).unwrap(), expected, "{value}");
            crate::filter::Filters::compile(&[filter]).unwrap();
        }
        for value in
            [json!({ "cidr": "10.0.0.0/8" }), json!({ "numeric": [">", 0.5] }), Value::Array(Vec::new())]
        {
            assert!(alternative("kind", &value).is_err(), "{value}");
        }
    }
}
