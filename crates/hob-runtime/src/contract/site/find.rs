//! Which file a path means.
//!
//! **How.** In this order: the file itself; the page of a folder (`docs/` is `docs/index.html`, `docs` leads
//! to `docs/`); a page without its ending (`about` is `about.html`); for what looks like a page the fallback; the
//! page for what is not found, `404.html` unless the settings name another.
//!
//! **Not here:** reading. All of this is known from the package's list.

use super::super::route::{Matched, decoded};
use super::settings::{Settings, below};
use hob_core::spec::PackageFile;
use http::StatusCode;
use http::header::{ACCEPT, HeaderMap};
use std::collections::BTreeMap;

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This file of the package, with this status.
    File { path: String, status: StatusCode },
    /// A folder, whose address lacks its slash.
    Folder,
    /// No file.
    Nothing,
    /// The path cannot be read.
    Malformed,
}

/// What is looked through.
pub(super) struct Site<'a> {
    pub(super) package: &'a BTreeMap<String, PackageFile>,
    pub(super) root: &'a str,
    pub(super) settings: &'a Settings,
}

impl Site<'_> {
    /// Finds what a request's path means; it is relative to the root, and percent-encoded.
    pub(super) fn find(&self, wanted: &str, headers: &HeaderMap) -> Found {
        if self.package.contains_key(self.root) {
            return Found::File { path: self.root.to_owned(), status: StatusCode::OK };
        }
        let Some(wanted) = decoded(wanted) else { return Found::Malformed };
        let wanted = wanted.trim_start_matches('/');
        if hidden(wanted) {
            return self.missing();
        }
        let ok = |path: String| Found::File { path, status: StatusCode::OK };
        let path = below(self.root, wanted);
        if wanted.is_empty() || wanted.ends_with('/') {
            if let Some(path) = self.there(format!("{wanted}{}", self.settings.index)) {
                return ok(path);
            }
        } else {
            if self.package.contains_key(&path) {
                return ok(path);
            }
            if self.there(format!("{wanted}/{}", self.settings.index)).is_some() {
                return Found::Folder;
            }
            if let Some(path) = self.there(format!("{wanted}.html")) {
                return ok(path);
            }
        }
        match &self.settings.fallback {
            Some(page) if is_page(wanted, headers) => ok(below(self.root, page)),
            _ => self.missing(),
        }
    }

    fn there(&self, path: String) -> Option<String> {
        let path = below(self.root, &path);
        self.package.contains_key(&path).then_some(path)
    }

    fn missing(&self) -> Found {
        let page = self.settings.not_found.as_deref().unwrap_or("404.html");
        match self.there(page.to_owned()) {
            Some(path) => Found::File { path, status: StatusCode::NOT_FOUND },
            None => Found::Nothing,
        }
    }
}

/// The part of a path that a route leaves open: of `/docs/a` by `/docs/*` it is `a`. A route without `*` and the
/// address of a function leave all of it.
pub(super) fn below_route<'a>(route: Option<&str>, path: &'a str) -> &'a str {
    let matched = Matched::new(route, path);
    if matched.is_open() { matched.rest.strip_prefix('/').unwrap_or(matched.rest) } else { path }
}

/// Whether somebody asks for a page, not for something that a page loads: it takes HTML, and the last segment has
/// no ending.
fn is_page(wanted: &str, headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let takes = accept.contains("text/html") || accept.contains("*/*");
    let ending = wanted.rsplit('/').next().is_some_and(|last| last.contains('.'));
    takes && (!ending || accept.contains("text/html"))
}

/// Whether a segment begins with a dot.
fn hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.') && part != ".well-known")
}

#[cfg(test)]
mod tests {
    use super::below_route;

    #[test]
    fn a_route_leaves_the_rest_of_the_path() {
        for (route, path, rest) in [
            (None, "/a/b", "a/b"),
            (Some("/*"), "/a/b", "a/b"),
            (Some("/*"), "/", ""),
            (Some("/docs/*"), "/docs/a/b", "a/b"),
            (Some("/docs/*"), "/docs/", ""),
            (Some("/docs/*"), "/docs", ""),
            (Some("/{lang}/docs/*"), "/en/docs/a", "a"),
            (Some("shop.example.com/docs/*"), "/docs/a", "a"),
            (Some("/favicon.ico"), "/favicon.ico", "/favicon.ico"),
        ] {
            assert_eq!(below_route(route, path), rest, "{route:?} {path}");
        }
    }
}
