//! Lists in pages (Lambda API reference, `Marker` and `MaxItems`).

use super::Ask;
use super::answer::{Answered, Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One page of what is listed by its key, in order; the marker is the last key of the page before.
pub(super) fn page(name: &str, all: BTreeMap<String, Value>, ask: &Ask, most: usize) -> Answered<Value> {
    let wanted = match ask.query("MaxItems") {
        None => most,
        Some(text) => {
            let number = text.parse::<usize>().ok().filter(|number| (1..=10_000).contains(number));
            number.ok_or_else(|| Refusal::value(format!("`MaxItems` is `{text}`: use 1 to 10000")))?.min(most)
        }
    };
    Ok(cut(name, all, ask.query("Marker").as_deref(), wanted))
}

fn cut(name: &str, all: BTreeMap<String, Value>, after: Option<&str>, most: usize) -> Value {
    let mut rest = all.into_iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let (mut items, mut last) = (Vec::new(), None);
    for (key, value) in rest.by_ref().take(most) {
        items.push(value);
        last = Some(key);
    }
    let mut page = json!({ name: items });
    if let Some(marker) = last.filter(|_| rest.next().is_some()) {
        page["NextMarker"] = marker.into();
    }
    page
}

#[cfg(test)]
mod tests {
    use super::cut;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn pages_follow_each_other() {
        let all: BTreeMap<_, _> = ["a", "b", "c"].map(|key| (key.to_owned(), json!(key))).into();
        for (after, most, expected) in [
            (None, 2, json!({"X": ["a", "b"], "NextMarker": "b"})),
            (Some("b"), 2, json!({"X": ["c"]})),
            (None, 3, json!({"X": ["a", "b", "c"]})),
            (Some("c"), 3, json!({"X": []})),
            (Some("aa"), 1, json!({"X": ["b"], "NextMarker": "b"})),
        ] {
            assert_eq!(cut("X", all.clone(), after, most), expected, "{after:?} {most}");
        }
    }
}
