//! Which records of a batch have failed, as a function says it (Lambda developer guide, "Implementing partial batch
//! responses").

use serde_json::Value;

/// The identifiers of the records that failed; none: all of them are done.
///
/// # Errors
/// Why the answer cannot be understood, which means that all of them have failed.
pub fn item_failures(answer: &[u8]) -> Result<Vec<String>, &'static str> {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let said: Value = serde_json::from_slice(answer).map_err(|_| "the answer to the batch is not JSON")?;
    let list = match &said {
        Value::Null => return Ok(Vec::new()),
        Value::Object(map) if map.is_empty() => return Ok(Vec::new()),
        Value::Object(map) => map.get("batchItemFailures"),
        _ => None,
    };
    match list {
        Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(identifier).collect(),
        _ => Err("the answer to the batch has no list `batchItemFailures`"),
    }
}

fn identifier(item: &Value) -> Result<String, &'static str> {
    let found = item.get("itemIdentifier").and_then(Value::as_str).filter(|text| !text.is_empty());
    found.map(str::to_owned).ok_or("an entry of `batchItemFailures` has no `itemIdentifier`")
}

#[cfg(test)]
mod tests {
    use super::item_failures;

    #[test]
    fn answers_name_what_failed_or_fail_as_a_whole() {
        for (answer, expected) in [
            (r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}"#, Some("a,b")),
            (r#"{"batchItemFailures":[]}"#, Some("")),
            (r#"{"batchItemFailures":null}"#, Some("")),
            ("{}", Some("")),
            ("null", Some("")),
            ("", Some("")),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, None),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, None),
            (r#"{"batchItemFailures":[{"itemId":"a"}]}"#, None),
            (r#"{"failures":[]}"#, None),
            (r#""done""#, None),
            ("done", None),
        ] {
            let found = item_failures(answer.as_bytes()).ok().map(|all| all.join(","));
            assert_eq!(found.as_deref(), expected, "{answer}");
        }
    }
}
