//! What WAGI has more than CGI (Spin, executor `wagi`): its variables, its command line, and its idea of an answer.
//!
//! **Why.** A module that was written for it takes its route apart by these variables, and its own mistakes are to be
//! seen: output without headers is a failed call there, not a text.

use super::answer::{self, Answer};
use crate::contract::route::{Matched, decoded};
use crate::invocation::Context;
use http::request::Parts;

/// How it names itself.
const SOFTWARE: &str = "WAGI/1";
/// The command line unless the manifest says otherwise.
pub(super) const ARGV: &str = "${SCRIPT_NAME} ${ARGS}";

/// The variables that it adds, or has other values for.
pub(super) fn variables(head: &Parts, context: &Context) -> Vec<(String, String)> {
    let matched = Matched::new(context.route.as_deref(), head.uri.path());
    let peer = context.peer.map_or_else(String::new, |peer| peer.to_string());
    let translated = decoded(matched.rest).unwrap_or_default();
    let fixed = [
        ("SERVER_SOFTWARE", SOFTWARE),
        ("SCRIPT_NAME", matched.fixed()),
        ("PATH_INFO", matched.rest),
        ("PATH_TRANSLATED", &translated),
        ("X_RAW_PATH_INFO", matched.rest),
        ("X_MATCHED_ROUTE", &matched.raw),
        ("X_RAW_COMPONENT_ROUTE", &matched.raw),
        ("X_COMPONENT_ROUTE", matched.fixed()),
        ("X_BASE_PATH", "/"),
        ("X_CLIENT_ADDR", &peer),
    ];
    let own = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let segments = matched.segments.iter().map(|(name, value)| {
        (format!("X_PATH_MATCH_{}", name.replace('-', "_").to_ascii_uppercase()), (*value).to_owned())
    });
    own.into_iter().chain(segments).collect()
}

/// The arguments of a template. Its first word is the program's own name, which the host gives. `${ARGS}` is the
/// query, split at `&`; a word that looks like an option is passed on, as programs for WAGI expect.
pub(super) fn arguments(template: &str, head: &Parts) -> Vec<String> {
    let mut all = Vec::new();
    for word in template.split_ascii_whitespace().skip(1) {
        if word == "${ARGS}" {
            let query = head.uri.query().unwrap_or_default().split('&');
            all.extend(query.filter(|part| !part.is_empty()).map(str::to_owned));
        } else {
            all.push(word.replace("${SCRIPT_NAME}", head.uri.path()));
        }
    }
    all
}

/// What was printed, as a response.
///
/// # Errors
/// What is wrong with the headers, in words; also when there are none.
pub(super) fn read(printed: Vec<u8>) -> Result<Answer, &'static str> {
    if !answer::has_headers(&printed) {
        return Err("there is no `Content-Type`, `Location` or `Status`");
    }
    answer::read(printed, true, None)
}
