//! Which coding of a file a caller gets: as it is, compressed ahead, or compressed here.
//!
//! **How.** `accept-encoding` as in RFC 9110, 12.5.3. A file beside it with `.br` or `.gz` at its end was made for
//! that and wins over compressing; only text and the like is compressed.

use hob_core::limit::{STATIC_GZIP_BYTES_MAX, STATIC_GZIP_BYTES_MIN};
use hob_core::spec::PackageFile;
use http::header::{ACCEPT_ENCODING, HeaderMap};
use std::collections::BTreeMap;

/// How a file is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is.
    Identity,
    /// By another file of the package, with this `content-encoding`.
    Ready(String, &'static str),
    /// Compressed with gzip.
    Gzip,
}

/// Chooses, and says whether others might have got another one.
pub(super) fn choose(
    package: &BTreeMap<String, PackageFile>,
    path: &str,
    kind: &mime_guess::Mime,
    headers: &HeaderMap,
) -> (Coding, bool) {
    let size = package.get(path).map_or(0, |file| file.size);
    let ready = [("br", format!("{path}.br")), ("gzip", format!("{path}.gz"))]
        .into_iter()
        .filter(|(_, path)| package.contains_key(path))
        .collect::<Vec<_>>();
    let shrinks = (STATIC_GZIP_BYTES_MIN..=STATIC_GZIP_BYTES_MAX).contains(&size) && compressible(kind);
    let varies = shrinks || !ready.is_empty();
    if !varies {
        return (Coding::Identity, false);
    }
    let taken = |coding: &str| takes(headers, coding);
    let coding = match ready.into_iter().find(|(coding, _)| taken(coding)) {
        Some((coding, path)) => Coding::Ready(path, coding),
        None if shrinks && taken("gzip") => Coding::Gzip,
        None => Coding::Identity,
    };
    (coding, true)
}

/// Whether a caller takes a coding.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    let mut any = false;
    for list in headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for one in list.split(',') {
            let mut parts = one.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let wanted = weight.and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0) > 0.0;
            if name.eq_ignore_ascii_case(coding) {
                return wanted;
            }
            any |= name == "*" && wanted;
        }
    }
    any
}

fn compressible(kind: &mime_guess::Mime) -> bool {
    let (family, name) = (kind.type_().as_str(), kind.subtype().as_str());
    let suffix = kind.suffix().map(|suffix| suffix.as_str());
    family == "text"
        || matches!(suffix, Some("json" | "xml"))
        || matches!(
            name,
            "json" | "javascript" | "xml" | "wasm" | "x-javascript" | "ld+json" | "manifest+json"
        )
        || (family == "font" && matches!(name, "ttf" | "otf"))
}

#[cfg(test)]
mod tests {
    use super::takes;
    use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

    #[test]
    fn codings_are_taken_as_the_standard_says() {
        for (header, coding, expected) in [
            ("gzip, br", "gzip", true),
            ("gzip;q=0", "gzip", false),
            ("GZIP; q=0.5", "gzip", true),
            ("*", "br", true),
            ("*;q=0", "br", false),
            ("br;q=0, *", "br", false),
            ("identity", "gzip", false),
            ("", "gzip", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(header));
            assert_eq!(takes(&headers, coding), expected, "{header:?} {coding}");
        }
        assert!(!takes(&HeaderMap::new(), "gzip"), "without the header nobody is sure to take it");
    }
}
