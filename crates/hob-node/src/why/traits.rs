//! What events and requests are like, so that failures can be told from successes.

use hob_core::event::Event;
use hob_core::fact::Call;
use std::collections::BTreeMap;

/// Attributes that are the same for every event of a topic, or different for each, tell nothing.
const SILENT: [&str; 3] = ["specversion", "datacontenttype", "dataschema"];

/// An event's attributes as text.
pub(super) fn of_event(event: &Event) -> BTreeMap<String, String> {
    let names =
        ["source", "type", "subject"].into_iter().map(str::to_owned).chain(event.extensions.keys().cloned());
    names
        .filter(|name| !SILENT.contains(&name.as_str()) && !name.starts_with("hob"))
        .filter_map(|name| event.text(&name).map(|value| (name.clone(), value.into_owned())))
        .collect()
}

/// A request's.
pub(super) fn of_request(call: &Call) -> BTreeMap<String, String> {
    [("path".to_owned(), call.path.clone()), ("method".to_owned(), call.method.clone())].into()
}
