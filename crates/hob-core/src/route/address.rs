//! What a host name says by itself: which app, function or revision it is the address of.

use crate::name::{AppName, FunctionName, RevisionNumber};

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
pub fn address(host: &str, domain: &str) -> Address {
    let label = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    label.and_then(read).unwrap_or(Address::Other)
}

/// Names hold no `--`, so the label can be read in one way only.
fn read(label: &str) -> Option<Address> {
    let Some((left, app)) = label.split_once("--") else {
        return AppName::new(label).ok().map(Address::App);
    };
    let app = AppName::new(app).ok()?;
    match left.strip_prefix("rev-").and_then(number) {
        Some(revision) => Some(Address::Revision(revision, app)),
        None => FunctionName::new(left).ok().map(|function| Address::Function(function, app)),
    }
}

/// Only the usual form: `rev-012` is not another address of revision 12.
fn number(digits: &str) -> Option<RevisionNumber> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok().map(RevisionNumber)).flatten()
}
