//! EventBridge patterns as filters: `source` and `detail-type` are the event's `source` and `type`.
//!
//! **Why.** A function that gets other events than its pattern names does what nobody wrote, so a clause that
//! no filter can express is an error and not a loss.

use super::tree::Node;
use crate::filter::Filter;
use std::collections::BTreeMap;

/// Keys of an event of EventBridge and the attributes of CloudEvents that mean the same.
const ATTRIBUTES: &[(&str, &str)] = &[("source", "source"), ("detail-type", "type"), ("id", "id")];

/// The filters of a pattern; all have to match.
///
/// # Errors
/// The line and the reason of the first clause that no filter can express.
pub(super) fn filters(pattern: &Node) -> Result<Vec<Filter>, (usize, String)> {
    let Some(entries) = pattern.entries() else {
        return Err((pattern.line, format!("is {}, but has to be a map", pattern.kind())));
    };
    let mut filters = Vec::new();
    for entry in entries {
        let attribute = ATTRIBUTES.iter().find(|(key, _)| *key == entry.key).map(|(_, attribute)| *attribute);
        let Some(attribute) = attribute else {
            let why = format!("filters see an event's attributes, not `{}`", entry.key);
            return Err((entry.line, why));
        };
        let Some(items) = entry.value.list() else {
            return Err((entry.line, format!("`{}` has to be a list of alternatives", entry.key)));
        };
        let each: Result<Vec<Filter>, String> =
            items.iter().map(|item| alternative(attribute, item)).collect();
        let mut each = each.map_err(|why| (entry.line, why))?;
        match each.len() {
            0 => return Err((entry.line, format!("`{}` has no alternative", entry.key))),
            1 => filters.push(each.remove(0)),
            _ => filters.push(Filter::Any(each)),
        }
    }
    Ok(filters)
}

fn alternative(attribute: &str, item: &Node) -> Result<Filter, String> {
    let one = |text: &str| BTreeMap::from([(attribute.to_owned(), text.to_owned())]);
    if let Some(text) = item.text() {
        return Ok(Filter::Exact(one(text)));
    }
    let entries = item.entries().unwrap_or_default();
    let [entry] = entries else { return Err("an alternative is neither text nor one comparison".to_owned()) };
    let text = entry.value.text();
    match (entry.key.as_str(), text) {
        ("prefix", Some(text)) => Ok(Filter::Prefix(one(text))),
        ("suffix", Some(text)) => Ok(Filter::Suffix(one(text))),
        ("wildcard", Some(text)) => Ok(Filter::Sql(format!("{attribute} LIKE '{}'", like(text)))),
        ("equals-ignore-case", Some(text)) => {
            Ok(Filter::Sql(format!("LOWER({attribute}) = '{}'", text.to_lowercase().replace('\'', "\\'"))))
        }
        ("exists", Some("true")) => Ok(Filter::Sql(format!("EXISTS {attribute}"))),
        ("exists", Some("false")) => Ok(Filter::Sql(format!("NOT EXISTS {attribute}"))),
        ("anything-but", Some(text)) => Ok(Filter::Not(Box::new(Filter::Exact(one(text))))),
        ("anything-but", None) => {
            let inner = match entry.value.list() {
                Some(items) => items.iter().map(|item| alternative(attribute, item)).collect(),
                None => alternative(attribute, &entry.value).map(|filter| vec![filter]),
            };
            Ok(Filter::Not(Box::new(Filter::Any(inner?))))
        }
        (comparison, _) => Err(format!("no filter can say `{comparison}`")),
    }
}

/// `a*b` as a pattern of CESQL's LIKE.
fn like(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('%', "\\%").replace('_', "\\_");
    escaped.replace('*', "%")
}
