//! URLs as the WHATWG standard has them, in the parts that class `URL` shows.

use url::{Url, quirks};

/// Parses `text`, relative to `base` if there is one; `None` when it is no URL. Then `part` is set to `value`, as
/// the setter of class `URL` does it (URL Standard, 6.1): a value that does not fit changes nothing.
pub(crate) fn parse(text: &str, base: Option<&str>, part: &str, value: &str) -> Option<Vec<String>> {
    let base = match base {
        Some(base) => Some(Url::parse(base).ok()?),
        None => None,
    };
    let mut url = Url::options().base_url(base.as_ref()).parse(text).ok()?;
    let ignored = match part {
        "protocol" => quirks::set_protocol(&mut url, value),
        "username" => quirks::set_username(&mut url, value),
        "password" => quirks::set_password(&mut url, value),
        "host" => quirks::set_host(&mut url, value),
        "hostname" => quirks::set_hostname(&mut url, value),
        "port" => quirks::set_port(&mut url, value),
        "pathname" => {
            quirks::set_pathname(&mut url, value);
            Ok(())
        }
        "search" => {
            quirks::set_search(&mut url, value);
            Ok(())
        }
        "hash" => {
            quirks::set_hash(&mut url, value);
            Ok(())
        }
        _ => Ok(()),
    };
    let _ = ignored;
    let parts = [
        quirks::href(&url),
        quirks::protocol(&url),
        quirks::username(&url),
        quirks::password(&url),
        quirks::host(&url),
        quirks::hostname(&url),
        quirks::port(&url),
        quirks::pathname(&url),
        quirks::search(&url),
        quirks::hash(&url),
    ];
    Some(parts.into_iter().map(str::to_owned).chain([quirks::origin(&url)]).collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parts_can_be_read_and_set() {
        let href = |text, base, part, value| parse(text, base, part, value).map(|parts| parts[0].clone());
        for (text, base, part, value, expected) in [
            ("https://a.example/b?c#d", None, "", "", Some("https://a.example/b?c#d")),
            ("../x", Some("https://a.example/b/c/d"), "", "", Some("https://a.example/b/x")),
            ("https://a.example", None, "port", "8443", Some("https://a.example:8443/")),
            ("https://a.example", None, "port", "words", Some("https://a.example/")),
            ("https://a.example", None, "search", "q=ü", Some("https://a.example/?q=%C3%BC")),
            ("no url", None, "", "", None),
            ("x", Some("also none"), "", "", None),
        ] {
            assert_eq!(href(text, base, part, value).as_deref(), expected, "{text} {base:?} {part}={value}");
        }
        let parts = parse("https://u:p@h:1/p?q#f", None, "", "").unwrap();
        assert_eq!(parts[1..].join(" "), "https: u p h:1 h 1 /p ?q #f https://h:1");
    }
}
