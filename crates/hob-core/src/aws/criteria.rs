//! Which events a mapping delivers, as Lambda's clients write it (Lambda developer guide, "Control which events Lambda
//! sends to your function").
//!
//! **How.** `FilterCriteria` has patterns of a record, of which one has to match. The record's `body` is an event's data,
//! and its message attributes are the event's attributes; so a pattern becomes filters of the bus. What names another
//! part of a record is refused by name.

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::filter::pattern::alternative;
use crate::filter::{Filter, Filters};
use crate::limit::AWS_FILTERS_MAX;
use serde::Deserialize;
use serde_json::Value;

/// `FilterCriteria`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Criteria {
    /// Of these one has to match; none: every record is delivered.
    #[serde(default)]
    pub filters: Vec<Criterion>,
}

/// One of [`Criteria::filters`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Criterion {
    /// The pattern, as JSON text.
    pub pattern: Option<String>,
}

impl Criteria {
    /// The filters that say the same of events.
    ///
    /// # Errors
    /// `HOB-0622` for too many, a pattern that is no JSON, one that cannot be understood, or a part of a record that no
    /// event has.
    pub fn filters(&self) -> Result<Vec<Filter>> {
        if self.filters.len() > AWS_FILTERS_MAX {
            let count = self.filters.len();
            return Err(refuse(format!(
                "`FilterCriteria` has {count} filters, the limit is {AWS_FILTERS_MAX}"
            )));
        }
        let each = self.filters.iter().map(|one| pattern(one.pattern.as_deref().unwrap_or("{}")));
        let each = each.collect::<Result<Vec<_>>>()?;
        // A pattern that asks for nothing lets everything through.
        let Some(mut each) = each.into_iter().collect::<Option<Vec<Filter>>>() else { return Ok(Vec::new()) };
        let filters = match each.len() {
            0 | 1 => each,
            _ => vec![Filter::Any(std::mem::take(&mut each))],
        };
        Filters::compile(&filters)
            .map_err(|fault| refuse(format!("`FilterCriteria`: {}", fault.message())))?;
        Ok(filters)
    }
}

/// The filter of one pattern; `None`: everything matches.
fn pattern(text: &str) -> Result<Option<Filter>> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| refuse(format!("the pattern `{}` is not JSON: {error}", short(text))))?;
    of_record(&value).map_err(|why| {
        refuse(format!("the pattern `{}` cannot be honoured: {why}", short(text)))
            .hint("filters see `body` and `messageAttributes.<name>.stringValue`")
    })
}

/// The filter that says of an event what a pattern says of its record.
///
/// # Errors
/// In words, for what no filter can say.
pub fn of_record(value: &Value) -> Result<Option<Filter>, String> {
    let map = value.as_object().ok_or("it is no object")?;
    let mut all = Vec::new();
    for (part, value) in map {
        match part.as_str() {
            "body" | "data" => all.push(Filter::Data(value.clone())),
            "messageAttributes" | "MessageAttributes" => {
                for (name, value) in value.as_object().ok_or_else(|| format!("`{part}` is no object"))? {
                    let inner = value.as_object().ok_or_else(|| format!("`{name}` is no object"))?;
                    for (field, value) in inner {
                        match field.as_str() {
                            "stringValue" | "Value" => all.push(attribute(name, value)?),
                            other => return Err(format!("no filter sees `{part}.{name}.{other}`")),
                        }
                    }
                }
            }
            other => return Err(format!("no filter sees `{other}`")),
        }
    }
    Ok(match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Filter::All(all)),
    })
}

/// The filter of an SNS `FilterPolicy`; `body` says that it is about the message and not about its attributes.
///
/// # Errors
/// In words, for what no filter can say.
pub fn of_policy(value: &Value, body: bool) -> Result<Option<Filter>, String> {
    if body {
        return Ok(Some(Filter::Data(value.clone())));
    }
    let map = value.as_object().ok_or("it is no object")?;
    let mut all = map.iter().map(|(name, value)| attribute(name, value)).collect::<Result<Vec<_>, _>>()?;
    Ok(match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Filter::All(all)),
    })
}

/// One of these alternatives holds for an attribute.
fn attribute(name: &str, value: &Value) -> Result<Filter, String> {
    let lower = name.to_ascii_lowercase();
    if lower.is_empty() || !lower.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Err(format!(
            "`{name}` is no name of an event's attribute, which has letters and digits only"
        ));
    }
    let items = value.as_array().filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| format!("`{name}` needs a list of alternatives"))?;
    let mut each = items.iter().map(|item| alternative(&lower, item)).collect::<Result<Vec<_>, _>>()?;
    Ok(if each.len() == 1 { each.remove(0) } else { Filter::Any(each) })
}

fn refuse(what: String) -> Fault {
    Fault::new(Code::AwsRequest, what)
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::{Criteria, Criterion, of_policy};
    use serde_json::json;

    fn criteria(patterns: &[&str]) -> Criteria {
        let filters = patterns.iter().map(|text| Criterion { pattern: Some((*text).to_owned()) });
        Criteria { filters: filters.collect() }
    }

    #[test]
    fn patterns_of_records_are_filters_of_events() {
        for (patterns, expected) in [
            (&[][..], "[]"),
            (&["{}"], "[]"),
            (&[r#"{"body":{"status":["paid"]}}"#], r#"[{"data":{"status":["paid"]}}]"#),
            (
                &[r#"{"body":{"n":[{"numeric":[">",1]}]}}"#, r#"{"body":{"x":[{"exists":true}]}}"#],
                r#"[{"any":[{"data":{"n":[{"numeric":[">",1]}]}},{"data":{"x":[{"exists":true}]}}]}]"#,
            ),
            (
                &[
                    r#"{"messageAttributes":{"Country":{"stringValue":["UK",{"prefix":"D"}]}},"body":{"a":[1]}}"#,
                ],
                r#"[{"all":[{"data":{"a":[1]}},{"any":[{"exact":{"country":"UK"}},{"prefix":{"country":"D"}}]}]}]"#,
            ),
        ] {
            let filters = criteria(patterns).filters().unwrap();
            let found: serde_json::Value = serde_json::to_value(&filters).unwrap();
            let all = |value: &serde_json::Value| {
                let mut text: Vec<char> = value.to_string().chars().collect();
                text.sort_unstable();
                text
            };
            // The order of what has to match together is not said.
            assert_eq!(all(&found), all(&serde_json::from_str(expected).unwrap()), "{patterns:?}: {found}");
        }
        for (patterns, word) in [
            (&["{"][..], "not JSON"),
            (&[r#"{"eventSource":["aws:sqs"]}"#], "`eventSource`"),
            (&[r#"{"messageAttributes":{"a":{"dataType":["String"]}}}"#], "`messageAttributes.a.dataType`"),
            (&[r#"{"messageAttributes":{"a-b":{"stringValue":["x"]}}}"#], "`a-b`"),
            (&[r#"{"body":{"a":[{"cidr":"10.0.0.0/8"}]}}"#], "`cidr`"),
            (&["{}", "{}", "{}", "{}", "{}", "{}", "{}", "{}", "{}", "{}", "{}"], "the limit is 10"),
        ] {
            let fault = criteria(patterns).filters().unwrap_err();
            assert!(fault.message().contains(word), "{patterns:?}: {fault}");
        }
        let policy = json!({ "kind": ["a", { "anything-but": "b" }] });
        assert!(of_policy(&policy, false).unwrap().is_some() && of_policy(&policy, true).unwrap().is_some());
    }
}
