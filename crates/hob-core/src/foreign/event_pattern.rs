//! EventBridge patterns as filters: `source` and `detail-type` are the event's `source` and `type`, `detail` its data.
//!
//! **Why.** A function that gets other events than its pattern names does what nobody wrote, so a clause that
//! no filter can express is an error and not a loss.

use super::tree::Node;
use crate::filter::pattern::alternative;
use crate::filter::{Filter, Filters};

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
        if entry.key == "detail" {
            let filter = Filter::Data(entry.value.json());
            Filters::compile(std::slice::from_ref(&filter))
                .map_err(|fault| (entry.line, fault.message().to_owned()))?;
            filters.push(filter);
            continue;
        }
        let attribute = ATTRIBUTES.iter().find(|(key, _)| *key == entry.key).map(|(_, attribute)| *attribute);
        let Some(attribute) = attribute else {
            let why = format!("filters see `source`, `detail-type`, `id` and `detail`, not `{}`", entry.key);
            return Err((entry.line, why));
        };
        let Some(items) = entry.value.list() else {
            return Err((entry.line, format!("`{}` has to be a list of alternatives", entry.key)));
        };
        let each: Result<Vec<Filter>, String> =
            items.iter().map(|item| alternative(attribute, &item.json())).collect();
        let mut each = each.map_err(|why| (entry.line, why))?;
        match each.len() {
            0 => return Err((entry.line, format!("`{}` has no alternative", entry.key))),
            1 => filters.push(each.remove(0)),
            _ => filters.push(Filter::Any(each)),
        }
    }
    Ok(filters)
}
