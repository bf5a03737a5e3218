//! What failures have in common that successes do not, and what printed lines tell.
//!
//! **Why.** A function's own failure is known only by its answer, by what it printed, and by whom it happens to. All
//! three are text from other people's programs, so what is read out of them are the words that runtimes and
//! libraries use everywhere.

use crate::code::Owner;
use std::collections::BTreeMap;

/// Attributes of one thing that failed or did not.
pub(super) type Traits = BTreeMap<String, String>;

/// The attribute and value that all of `failed` have and none of `passed` has; `None` when there is none, or
/// when there is too little to tell. The first one by name wins, but for `id` and `time`, which tell nothing.
pub(super) fn distinguishing(failed: &[Traits], passed: &[Traits]) -> Option<(String, String)> {
    let first = failed.first().filter(|_| !passed.is_empty())?;
    let tells = |name: &str| !matches!(name, "id" | "time" | "traceparent" | "tracestate" | "expirytime");
    first.iter().find_map(|(name, value)| {
        let has = |traits: &Traits| traits.get(name) == Some(value);
        (tells(name) && failed.iter().all(has) && !passed.iter().any(has))
            .then(|| (name.clone(), value.clone()))
    })
}

/// What printed words are a sign of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symptom {
    /// What it is, as the middle of a sentence.
    pub(super) what: &'static str,
    /// What mends it; `{f}` stands for the function.
    pub(super) fix: &'static str,
    /// Who has to act.
    pub(super) owner: Owner,
}

/// Words that runtimes and libraries print, in lower case, and what they are a sign of. The first that fits counts.
const SYMPTOMS: &[(&[&str], Symptom)] = &[
    (
        &[
            "certificate verify failed",
            "certificate_verify_failed",
            "self-signed certificate",
            "self signed certificate",
            "unable to get local issuer certificate",
            "unable to verify the first certificate",
            "ssl certificate problem",
            "certificate has expired",
            "certificate is not valid",
            "certificate is valid for",
            "invalid peer certificate",
            "x509: certificate",
            "hostname mismatch",
            "err_tls_cert",
            "cert_has_expired",
        ],
        Symptom {
            what: "the certificate of a system that it calls is not accepted",
            fix: "mend that certificate (its name, its dates, who signed it), or give `{f}` the certificate authority that signed it",
            owner: Owner::Dependency,
        },
    ),
    (
        &[
            "no module named",
            "cannot find module",
            "cannot find package",
            "err_module_not_found",
            "cannot load such file",
        ],
        Symptom {
            what: "a module that it imports is not there",
            fix: "add the module to `files` of `{f}` in `hob.toml`, or install it on the machine, then `hob deploy`",
            owner: Owner::Code,
        },
    ),
    (
        &["address already in use", "eaddrinuse"],
        Symptom {
            what: "the port that it wants is taken",
            fix: "let `{f}` listen on the port that its environment variable `PORT` names",
            owner: Owner::Code,
        },
    ),
    (
        &["connection refused", "econnrefused"],
        Symptom {
            what: "a system that it calls takes no connections",
            fix: "start that system, or correct the address and port that `{f}` calls",
            owner: Owner::Dependency,
        },
    ),
    (
        &[
            "name or service not known",
            "could not resolve host",
            "temporary failure in name resolution",
            "nodename nor servname",
            "getaddrinfo",
            "enotfound",
            "no such host",
            "failed to lookup address",
        ],
        Symptom {
            what: "the name of a system that it calls is not known",
            fix: "correct the host name that `{f}` calls",
            owner: Owner::Dependency,
        },
    ),
    (
        &["timed out", "etimedout", "timeouterror", "deadline exceeded", "i/o timeout"],
        Symptom {
            what: "a system that it calls did not answer in time",
            fix: "see whether that system is up and fast, or give it more time in `{f}`",
            owner: Owner::Dependency,
        },
    ),
    (
        &[
            "memoryerror",
            "cannot allocate memory",
            "heap out of memory",
            "outofmemoryerror",
            "memory allocation of",
            "enomem",
        ],
        Symptom {
            what: "it ran out of memory",
            fix: "raise `memory` of `{f}` in `hob.toml`, or let it use less",
            owner: Owner::Limit,
        },
    ),
    (
        &["no space left on device", "enospc", "disk quota exceeded"],
        Symptom {
            what: "the disk is full",
            fix: "make room on the machine's disk; `hob doctor` shows how much there is",
            owner: Owner::Platform,
        },
    ),
    (
        &["too many open files", "emfile"],
        Symptom {
            what: "it has too many files or connections open",
            fix: "let `{f}` close what it opens, or lower `scale.concurrency`",
            owner: Owner::Code,
        },
    ),
    (
        &["no such file or directory", "enoent", "filenotfounderror"],
        Symptom {
            what: "a file that it needs is not there",
            fix: "add the file to `files` of `{f}` in `hob.toml`, or correct its path",
            owner: Owner::Code,
        },
    ),
    (
        &[
            "permission denied",
            "eacces",
            "permissionerror",
            "operation not permitted",
            "read-only file system",
        ],
        Symptom {
            what: "it may not use a file that it needs",
            fix: "let `{f}` write below its working folder or `/tmp`, or correct the rights of the file",
            owner: Owner::Code,
        },
    ),
    (
        &["command not found"],
        Symptom {
            what: "a command that it runs is not there",
            fix: "install that command on the machine, or correct its name in `{f}`",
            owner: Owner::Code,
        },
    ),
    (
        &[
            "401 unauthorized",
            "error 401",
            "error: 401",
            "403 forbidden",
            "error 403",
            "error: 403",
            "access denied",
        ],
        Symptom {
            what: "a system that it calls refuses its credentials",
            fix: "give `{f}` valid credentials in `env`, then `hob deploy`",
            owner: Owner::Caller,
        },
    ),
    (
        &[
            "jsondecodeerror",
            "unexpected end of json",
            "in json at position",
            "is not valid json",
            "expected value at line",
        ],
        Symptom {
            what: "it got something that is not the JSON it expects",
            fix: "compare what was sent with what `{f}` reads, and let `{f}` refuse the rest with status 400",
            owner: Owner::Code,
        },
    ),
    (
        &["syntaxerror", "syntax error"],
        Symptom {
            what: "its code cannot be read",
            fix: "correct the syntax of `{f}`, then `hob deploy`",
            owner: Owner::Code,
        },
    ),
];

/// What the newest printed line that tells something is a sign of, and that line.
pub(super) fn symptom(lines: &[String]) -> Option<(Symptom, &str)> {
    lines.iter().rev().filter(|line| !is_noise(line)).find_map(|line| {
        let lower = line.to_ascii_lowercase();
        // A shell says `sh: 3: frobnicate: not found`.
        let no_command = lower.ends_with(": not found") && !lower.contains("404");
        let word = if no_command { "command not found" } else { lower.as_str() };
        let found = SYMPTOMS.iter().find(|(words, _)| words.iter().any(|sign| begins_in(word, sign)));
        found.map(|(_, symptom)| (*symptom, line.as_str()))
    })
}

/// Whether a sign stands in a text where a word begins: `enotfound` is not in `filenotfounderror`.
fn begins_in(text: &str, sign: &str) -> bool {
    text.match_indices(sign).any(|(at, _)| !text[..at].ends_with(|before: char| before.is_alphanumeric()))
}

/// The printed line that tells most: the last one that reads like an error, else the last one.
pub(super) fn telling(lines: &[String]) -> Option<String> {
    let said = || lines.iter().enumerate().rev().filter(|(_, line)| !is_noise(line));
    let (at, line) = said().find(|(_, line)| is_error(line)).or_else(|| said().next())?;
    // Rust says where on one line, and what on the next one.
    match lines.get(at + 1).filter(|_| line.contains("panicked at") && line.trim_end().ends_with(':')) {
        Some(what) => Some(format!("{} {}", line.trim(), what.trim())),
        None => Some(line.trim().to_owned()),
    }
}

/// Whether a line tells nothing by itself: frames of stacks, frames around them, advice about them.
fn is_noise(line: &str) -> bool {
    const BEGINS: [&str; 14] = [
        "at ",
        "File \"",
        "note: ",
        "Traceback",
        "goroutine ",
        "exit status",
        "Node.js v",
        "stack backtrace",
        "During handling of",
        "The above exception",
        "[Previous line",
        "Exception occurred during processing",
        "...",
        "^",
    ];
    let text = line.trim();
    let frame = text
        .split_once(": ")
        .is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    let rule = text.bytes().all(|byte| matches!(byte, b'-' | b'=' | b'^' | b'~' | b' '));
    rule || frame || BEGINS.iter().any(|begin| text.starts_with(begin))
}

fn is_error(line: &str) -> bool {
    const SIGNS: [&str; 16] = [
        "error",
        "exception",
        "panic",
        "fatal",
        "fail",
        "cannot",
        "can't",
        "denied",
        "not found",
        "refused",
        "invalid",
        "missing",
        "not set",
        "unset",
        "required",
        "abort",
    ];
    let lower = line.to_ascii_lowercase();
    SIGNS.iter().any(|sign| lower.contains(sign))
}

/// Names of environment variables that a program says it misses.
pub(super) fn missing_variable(lines: &[String]) -> Option<String> {
    lines.iter().rev().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let says = [
            "keyerror",
            "not set",
            "unset",
            "not defined",
            "environment variable",
            "not present",
            "missing",
            "undefined",
            "required",
        ];
        says.iter().any(|word| lower.contains(word)).then(|| variable(line)).flatten()
    })
}

/// The first word that looks like the name of a variable: capitals, digits and `_`, at least one `_` or in quotes.
fn variable(line: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_uppercase()) {
        let word: String = rest[start..].chars().take_while(|c| is_part(*c)).collect();
        let before = rest[..start].chars().next_back();
        let after = rest[start + word.len()..].chars().next();
        let quoted = matches!(before, Some('\'' | '"' | '`' | '$' | '{'))
            || matches!(after, Some('\'' | '"' | '`' | ':'));
        let whole = !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
        if whole && word.len() >= 3 && (word.contains('_') || quoted) {
            return Some(word);
        }
        rest = &rest[start + word.len().max(1)..];
    }
    None
}

/// The attributes that an expression names outside of its texts, as far as `value` knows them.
pub fn named_in(expression: &str, value: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let outside = expression.split(['\'', '"']).step_by(2);
    for word in outside.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric())) {
        if found.iter().any(|(name, _)| name == word) {
            continue;
        }
        found.extend(value(word).map(|value| (word.to_owned(), value)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Traits, distinguishing, missing_variable, named_in, symptom, telling};

    fn traits(text: &str) -> Traits {
        text.split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(n, v)| (n.into(), v.into()))
            .collect()
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn failures_are_told_by_what_only_they_have() {
        for (failed, passed, expected) in [
            (vec!["id=1 key=7 type=a", "id=2 key=7 type=a"], vec!["id=3 key=8 type=a"], Some(("key", "7"))),
            (vec!["id=1 key=7 type=a"], vec!["id=3 key=8 type=b"], Some(("key", "7"))),
            (vec!["id=1 key=7", "id=2 key=8"], vec!["id=3 key=9"], None),
            (vec!["id=1 key=7"], vec!["id=3 key=7"], None),
            (vec!["id=1 key=7"], vec![], None),
            (vec![], vec!["id=1"], None),
        ] {
            let all = |texts: &[&str]| texts.iter().map(|text| traits(text)).collect::<Vec<_>>();
            let found = distinguishing(&all(&failed), &all(&passed));
            assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())), "{failed:?} {passed:?}");
        }
    }

    #[test]
    fn a_missing_variable_is_found_in_what_was_printed() {
        for (line, expected) in [
            ("KeyError: 'API_KEY'", Some("API_KEY")),
            ("KeyError: 'TOKEN'", Some("TOKEN")),
            ("sh: 3: SMTP_PASSWORD: parameter not set", Some("SMTP_PASSWORD")),
            ("Error: environment variable DATABASE_URL is required", Some("DATABASE_URL")),
            ("thread 'main' panicked: STRIPE_KEY: NotPresent, not present", Some("STRIPE_KEY")),
            ("panic: MAIL_FROM not defined", Some("MAIL_FROM")),
            ("ValueError: bad input", None),
            ("KeyError: 'name'", None),
            ("HTTP 404 NOT FOUND", None),
        ] {
            assert_eq!(missing_variable(&lines(line)).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn printed_words_are_signs() {
        for (printed, expected) in [
            (
                "ssl.SSLCertVerificationError: certificate verify failed: self-signed certificate",
                "certificate",
            ),
            (
                "Error: unable to verify the first certificate\n    at TLSSocket.onConnectSecure",
                "certificate",
            ),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                "certificate",
            ),
            ("ModuleNotFoundError: No module named 'stripe'", "module"),
            ("Error: Cannot find module 'left-pad'\nRequire stack:\n- /x.js", "module"),
            ("OSError: [Errno 98] Address already in use", "port"),
            ("dial tcp 127.0.0.1:5432: connect: connection refused", "takes no connections"),
            ("Error: getaddrinfo ENOTFOUND db.example", "name"),
            ("TimeoutError: timed out", "in time"),
            ("MemoryError", "memory"),
            ("cp: write error: No space left on device", "disk"),
            ("open /etc/app.toml: no such file or directory", "file"),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'mail.txt'", "file"),
            ("sh: 3: frobnicate: not found", "command"),
            ("urllib.error.HTTPError: HTTP Error 401: Unauthorized", "credentials"),
            ("json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)", "JSON"),
            ("HTTP Error 404: Not Found", ""),
            ("all is well", ""),
        ] {
            let printed = lines(printed);
            let what = symptom(&printed).map_or("", |(symptom, _)| symptom.what);
            assert!(
                if expected.is_empty() { what.is_empty() } else { what.contains(expected) },
                "{printed:?}: {what}"
            );
        }
    }

    #[test]
    fn the_line_that_tells_most_is_found() {
        for (printed, expected) in [
            (
                "Traceback (most recent call last):\n  File \"x.py\", line 1\nValueError: 3 is no weight",
                "ValueError: 3 is no weight",
            ),
            (
                "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`",
                "thread 'main' panicked at src/main.rs:2:5: index out of bounds",
            ),
            ("/x/y.js:3\nError: boom\n    at main (/x/y.js:3:9)\n\nNode.js v20.0.0", "Error: boom"),
            ("panic: no cat\n\ngoroutine 1 [running]:\nmain.main()\nexit status 2", "panic: no cat"),
            ("ValueError: bad\n----------------------------------------", "ValueError: bad"),
            ("begin\ncounting the stars", "counting the stars"),
        ] {
            assert_eq!(telling(&lines(printed)).as_deref(), Some(expected), "{printed}");
        }
        assert_eq!(telling(&lines("\n  ")), None);
    }

    #[test]
    fn an_expression_names_attributes() {
        let value = |name: &str| matches!(name, "type" | "amount").then(|| format!("<{name}>"));
        let found = named_in("type = 'amount' AND INT(amount) > 100 OR type LIKE 'x%'", value);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["type", "amount"]);
        assert_eq!(named_in("'type'", value), []);
    }
}
