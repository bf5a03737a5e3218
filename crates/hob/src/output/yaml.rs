//! Writes a JSON value as YAML 1.2 (yaml.org/spec/1.2.2) that old and new readers read alike.
//!
//! **Why.** JSON's types need five rules of YAML; a library would bring fifty.
//!
//! **How.** Text stays plain only when it is made of harmless characters and cannot be read as
//! something else (`yes`, `0x1`, `1e3`, `~`, dates); everything else is double-quoted as in JSON,
//! which YAML includes (section 7.3.1).

use serde_json::Value;

/// The document, with a newline at its end.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut out),
        Value::Array(list) if !list.is_empty() => block(value, 0, &mut out),
        _ => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                out.push_str(&format!("{pad}{}:", text(key)));
                nested(item, indent + 2, out);
            }
        }
        Value::Array(list) => {
            for item in list {
                out.push_str(&format!("{pad}-"));
                nested(item, indent + 2, out);
            }
        }
        _ => unreachable!("only collections are written as blocks"),
    }
}

fn nested(value: &Value, indent: usize, out: &mut String) {
    let empty = match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    };
    if empty {
        out.push_str(&format!(" {}\n", scalar(value)));
        return;
    }
    out.push('\n');
    block(value, indent, out);
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn text(string: &str) -> String {
    if plain(string) { string.to_owned() } else { Value::String(string.to_owned()).to_string() }
}

/// Whether no reader, of YAML 1.1 or 1.2, can take the text for anything but text.
fn plain(string: &str) -> bool {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
    let first = string.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && string.chars().all(|c| c.is_ascii_alphanumeric() || "_-./@+*{}".contains(c))
        && !words.contains(&string.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::write;
    use serde_json::json;

    #[test]
    fn text_that_looks_like_something_else_is_quoted() {
        let value = json!({
            "name": "front-desk", "route": "/a/{id}", "url": "http://a", "no": "no", "number": "012", "empty": "",
            "line": "a\nb", "list": [1, {"a": [], "b": {}}, ["x"]], "none": null,
        });
        let expected = "\
name: front-desk
route: /a/{id}
url: \"http://a\"
\"no\": \"no\"
number: \"012\"
empty: \"\"
line: \"a\\nb\"
list:
  - 1
  -
    a: []
    b: {}
  -
    - x
none: null
";
        assert_eq!(write(&value), expected);
        assert_eq!(write(&json!("y")), "\"y\"\n");
    }
}
