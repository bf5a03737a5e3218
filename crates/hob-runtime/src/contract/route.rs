//! A route as Spin and WAGI write it, and what of a path it left open.
//!
//! **How.** `{name}` is written `:name` there, and a `*` at the end `...`. What the pattern leaves open is taken
//! from the path as it came; nothing is decoded.

use hob_core::percent;

/// A route that matched, and what it matched.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Matched<'a> {
    /// The route as Spin writes it, such as `/users/:id/...`.
    pub(super) raw: String,
    /// The path below a `...`, with its slash; empty without one.
    pub(super) rest: &'a str,
    /// The named segments.
    pub(super) segments: Vec<(String, &'a str)>,
}

impl<'a> Matched<'a> {
    /// For a path that came by `route`, a pattern as Hob writes it. The address of a function leaves all open.
    pub(super) fn new(route: Option<&str>, path: &'a str) -> Self {
        let pattern = route.and_then(|route| route.find('/').map(|at| &route[at..])).unwrap_or("/*");
        let (mut raw, mut segments, mut rest) = (String::new(), Vec::new(), path);
        for part in pattern.split('/').skip(1) {
            if part == "*" {
                return Self { raw: raw + "/...", rest, segments };
            }
            let sent = rest.strip_prefix('/').unwrap_or(rest);
            let end = sent.find('/').unwrap_or(sent.len());
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => {
                    segments.push((name.to_owned(), &sent[..end]));
                    raw += &format!("/:{name}");
                }
                None => raw += &format!("/{part}"),
            }
            rest = &sent[end..];
        }
        Self { raw, rest: "", segments }
    }

    /// The route without its `...`.
    pub(super) fn fixed(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }

    /// Whether it leaves the end of paths open.
    pub(super) fn is_open(&self) -> bool {
        self.raw.ends_with("/...")
    }
}

/// The text of a path; `None` where its encoding is broken, it is not UTF-8, or holds a NUL.
pub(super) fn decoded(path: &str) -> Option<String> {
    percent::decoded(path).filter(|path| !path.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::Matched;

    #[test]
    fn a_route_is_written_as_spin_does() {
        for (route, path, expected) in [
            (Some("/"), "/", "/ | / |  | "),
            (Some("/hello"), "/hello", "/hello | /hello |  | "),
            (Some("/foo/*"), "/foo/bar", "/foo/... | /foo | /bar | "),
            (Some("/foo/*"), "/foo/", "/foo/... | /foo | / | "),
            (Some("/foo/*"), "/foo", "/foo/... | /foo |  | "),
            (Some("/*"), "/a/b", "/... |  | /a/b | "),
            (None, "/a%2Fb", "/... |  | /a%2Fb | "),
            (Some("/foo/{userid}/*"), "/foo/42/bar", "/foo/:userid/... | /foo/:userid | /bar | userid=42 "),
            (Some("/{a}/x/{b}"), "/1/x/2", "/:a/x/:b | /:a/x/:b |  | a=1 b=2 "),
            (Some("/a/"), "/a/", "/a/ | /a/ |  | "),
        ] {
            let matched = Matched::new(route, path);
            let segments: String =
                matched.segments.iter().map(|(name, value)| format!("{name}={value} ")).collect();
            let shown = format!("{} | {} | {} | {segments}", matched.raw, matched.fixed(), matched.rest);
            assert_eq!(shown, expected, "{route:?} {path}");
        }
    }
}
