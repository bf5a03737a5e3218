//! The files that pages load: part of the program, named by their content, so that browsers keep them.

use hob_core::digest::Digest;
use hob_runtime::body::{self, Body};
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use std::sync::OnceLock;

/// The looks.
pub(super) static STYLE: Asset =
    Asset::new("style", "css", "text/css; charset=utf-8", include_bytes!("asset/style.css"));
/// What is nicer with script.
pub(super) static SCRIPT: Asset =
    Asset::new("dashboard", "js", "text/javascript; charset=utf-8", include_bytes!("asset/dashboard.js"));
/// The sign in a browser's tab.
pub(super) static ICON: Asset = Asset::new("icon", "svg", "image/svg+xml", include_bytes!("asset/icon.svg"));

/// Where they are.
pub(super) const FOLDER: &str = "/static/";

/// One file.
pub(super) struct Asset {
    name: &'static str,
    ending: &'static str,
    media: &'static str,
    bytes: &'static [u8],
    path: OnceLock<String>,
}

impl Asset {
    const fn new(
        name: &'static str,
        ending: &'static str,
        media: &'static str,
        bytes: &'static [u8],
    ) -> Self {
        Self { name, ending, media, bytes, path: OnceLock::new() }
    }

    /// Its path; another one when it has another content.
    pub(super) fn path(&self) -> &str {
        self.path.get_or_init(|| {
            format!("{FOLDER}{}-{}.{}", self.name, &Digest::of(self.bytes).hex()[..16], self.ending)
        })
    }
}

/// The file at a path below [`FOLDER`].
pub(super) fn at(path: &str) -> Option<Response<Body>> {
    let asset = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.path() == path)?;
    let mut response = Response::new(body::full(asset.bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Some(response)
}
