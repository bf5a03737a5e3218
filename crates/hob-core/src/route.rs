//! Which function answers a request: method, host and path against patterns.

use crate::fault::Result;
use crate::name::{AppName, FunctionName, RevisionNumber};
use crate::spec::RouteSpec;

/// A route, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Methods in upper case; empty: any.
    pub methods: Vec<String>,
    /// Lower-case host, `*.example.com`, or `None` for the app's own addresses.
    pub host: Option<String>,
    /// The path as written, such as `/users/{id}` or `/files/*`.
    pub path: String,
}

impl Pattern {
    /// Reads `[METHOD[,METHOD]] [host]/path`.
    ///
    /// # Errors
    /// `HOB-0105`.
    pub fn parse(_text: &str) -> Result<Self> {
        unimplemented!()
    }
}

/// The routes of one revision, ready for look-ups.
#[derive(Debug, Default)]
pub struct Table {}

impl Table {
    /// Checks and arranges routes.
    ///
    /// # Errors
    /// `HOB-0105` for a route that cannot be understood, `HOB-0106` when two functions claim the same.
    pub fn new(_routes: &[RouteSpec]) -> Result<Self> {
        unimplemented!()
    }

    /// Finds who answers. `host` is lower case without a port; `custom_host` says that it is not one
    /// of the app's own addresses, so that only routes which name it can match.
    pub fn find(&self, _method: &str, _host: &str, _custom_host: bool, _path: &str) -> Match<'_> {
        unimplemented!()
    }

    /// Every host that the routes name, for the node's look-up of custom hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}

/// The outcome of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match<'a> {
    /// This function answers; `path` is the pattern's path.
    Function { function: &'a FunctionName, path: &'a str },
    /// The path exists for these methods only (sorted, for the `Allow` header).
    Method { allowed: Vec<&'a str> },
    /// Nothing matches; the nearest route, for the error's hint.
    Nothing { nearest: Option<String> },
}

/// What a host name says by itself, below the node's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `<app>.<domain>`.
    App(AppName),
    /// `<function>--<app>.<domain>`.
    Function(FunctionName, AppName),
    /// `rev-<n>--<app>.<domain>`.
    Revision(RevisionNumber, AppName),
    /// Some other host: a custom one, an IP address, the bare domain.
    Other,
}

/// Reads a host name (lower case, without port) below `domain`.
pub fn address(_host: &str, _domain: &str) -> Address {
    unimplemented!()
}
