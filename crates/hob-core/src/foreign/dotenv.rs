//! Files of environment variables: `.env` and `.dev.vars`.
//!
//! **How.** As the `dotenv` package of npm reads them, which all tools of these platforms use: `NAME=value`, `export`
//! before it, comments, quotes of three kinds, texts over several lines in quotes, `\n` in double quotes.
//!
//! **Not here:** references to other variables; a value is what it says.

/// One variable with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: String,
}

/// The variables of a text, and the lines that are none.
pub(super) fn read(text: &str) -> (Vec<Variable>, Vec<usize>) {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    let (mut rest, mut line) = (text.trim_start_matches('\u{feff}'), 1);
    while !rest.is_empty() {
        let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let row = rest[..end].trim();
        let bare = row.strip_prefix("export ").unwrap_or(row);
        let mut used = end;
        match bare.split_once('=') {
            _ if row.is_empty() || row.starts_with('#') => {}
            Some((name, value)) if is_name(name.trim()) => {
                let value = match quoted(value.trim(), rest) {
                    Some((value, upto)) => {
                        used = rest[upto..].find('\n').map_or(rest.len(), |at| upto + at + 1);
                        value
                    }
                    None => plain(value),
                };
                all.push(Variable { line, name: name.trim().to_owned(), value });
            }
            _ => wrong.push(line),
        }
        line += rest[..used].matches('\n').count();
        rest = &rest[used..];
    }
    (all, wrong)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// A value in quotes, and where in the rest of the text it ends.
fn quoted(value: &str, rest: &str) -> Option<(String, usize)> {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'))?;
    let begin = rest.find('=')? + rest[rest.find('=')?..].find(quote)? + 1;
    let inner = &rest[begin..];
    let mut before = ' ';
    let end = inner.char_indices().find_map(|(at, c)| {
        let ends = c == quote && before != '\\';
        before = c;
        ends.then_some(at)
    })?;
    let text = match quote {
        '"' => inner[..end].replace("\\n", "\n").replace("\\r", "\r").replace("\\\"", "\""),
        _ => inner[..end].to_owned(),
    };
    Some((text, begin + end + 1))
}

/// A value without quotes: a comment ends it.
fn plain(value: &str) -> String {
    value.split_once('#').map_or(value, |(value, _)| value).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn variables_are_read_as_dotenv_does() {
        let text = "# comment\nA=1\nexport B = two # why\nC=\"x\\ny # z\"\nD='it is'\n\nno variable\nE=\"one\ntwo\"\nF=\nG='a\"b' # c\n";
        let (all, wrong) = read(text);
        let found: Vec<(usize, &str, &str)> =
            all.iter().map(|one| (one.line, one.name.as_str(), one.value.as_str())).collect();
        assert_eq!(
            found,
            [
                (2, "A", "1"),
                (3, "B", "two"),
                (4, "C", "x\ny # z"),
                (5, "D", "it is"),
                (8, "E", "one\ntwo"),
                (10, "F", ""),
                (11, "G", "a\"b"),
            ]
        );
        assert_eq!(wrong, [7]);
        assert_eq!(read("A=\"never ends\nB=1").0.len(), 2);
    }
}
