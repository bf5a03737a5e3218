//! Media types, as far as events need them: which are JSON, which are text.
//!
//! **Why.** The media type alone decides how data is written in the JSON format.
//!
//! **How.** Only the part before the first `;` counts, in any case (RFC 9110, section 8.3.1).

/// Types of text besides `text/*`, `*/xml` and `*+xml`, in which bytes are usually UTF-8.
const TEXT: [&str; 8] = [
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/sql",
    "application/toml",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/yaml",
];

/// The media type without its parameters.
pub(super) fn essence(media: &str) -> &str {
    media.split(';').next().unwrap_or_default().trim()
}

/// Whether it has the form `type/subtype` and could be a header value.
pub(super) fn is_valid(media: &str) -> bool {
    let token = |text: &str| !text.is_empty() && !text.contains([' ', '/', ',', '"']);
    media.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && media.trim().len() == media.len()
        && essence(media).split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// Whether it is `*/json` or `*/*+json`.
pub(super) fn is_json(media: &str) -> bool {
    subtype_is(media, "json")
}

/// Whether data of this type may be written as a string, if it is UTF-8.
pub(super) fn is_text(media: &str) -> bool {
    let essence = essence(media);
    subtype_is(media, "xml")
        || essence.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("text/"))
        || TEXT.iter().any(|text| essence.eq_ignore_ascii_case(text))
}

/// Whether it is one of those that announce an event, not data (HTTP binding 1.0.2, section 3).
pub(super) fn is_event(media: &str) -> bool {
    starts_with(media, "application/cloudevents")
}

/// Whether it announces a batch of events.
pub(super) fn is_batch(media: &str) -> bool {
    starts_with(media, "application/cloudevents-batch")
}

/// Whether it names another encoding of characters than UTF-8 or its part ASCII.
pub(super) fn is_foreign_charset(media: &str) -> bool {
    let parameters = media.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset")).any(|(_, value)| {
        let value = value.trim().trim_matches('"');
        !["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known))
    })
}

fn starts_with(media: &str, prefix: &str) -> bool {
    media.trim_start().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether the subtype is this, or ends with `+` and this.
fn subtype_is(media: &str, suffix: &str) -> bool {
    let Some((_, subtype)) = essence(media).split_once('/') else { return false };
    let last = subtype.rsplit('+').next().unwrap_or_default();
    last.eq_ignore_ascii_case(suffix)
}
