//! Limits of whoever shares a node: spaces, API tokens, the audit log.

use std::time::Duration;

/// Spaces of a node, `default` among them.
pub const SPACES_MAX: usize = 64;
/// Apps of a space, unless the operator says otherwise; `default` has no quota unless it is given one.
pub const SPACE_APPS_DEFAULT: u64 = 100;
/// Functions of a space's current revisions.
pub const SPACE_FUNCTIONS_DEFAULT: u64 = 500;
/// Memory of a space's instances together, bytes.
pub const SPACE_MEMORY_BYTES_DEFAULT: u64 = 1 << 30;
/// Artifacts, layers, topics and facts of a space together, bytes.
pub const SPACE_STORAGE_BYTES_DEFAULT: u64 = 10 << 30;
/// Topics of a space, those that Hob makes for itself not counted.
pub const SPACE_TOPICS_DEFAULT: u64 = 1000;
/// Requests, events and calls of functions that a space gets in a second.
pub const SPACE_REQUESTS_PER_SECOND_DEFAULT: u64 = 1000;
/// Calls of a space's functions that run at a time, whoever makes them.
pub const SPACE_CALLS_DEFAULT: u64 = 500;
/// So long a call that can be made later waits for its place among those of its space, before it is put back.
pub const SPACE_TURN_WAIT: Duration = Duration::from_secs(2);
/// For so long what a space stores is reckoned, before it is measured again.
pub const SPACE_STORAGE_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of log records that are kept of a space beside `default`.
pub const SPACE_LOG_BYTES_KEPT: u64 = 8 << 20;
/// Bodies with events that a space beside `default` may have in memory at a time, bytes.
pub const SPACE_INGRESS_BYTES_MAX: usize = 32 << 20;
/// Facts of a space take one part of this many of its storage quota at most; the oldest go.
pub const SPACE_FACTS_SHARE: u64 = 8;
/// For so long a space that is removed lets its calls finish.
pub const SPACE_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// API tokens that are good.
pub const TOKENS_MAX: usize = 1000;
/// Revoked tokens that are remembered, so that whoever still uses one is told so; the oldest are forgotten.
pub const TOKENS_REVOKED_KEPT: usize = 1000;
/// The name of an API token.
pub const TOKEN_NAME_BYTES_MAX: usize = 64;
/// How long an API token is good, unless somebody says otherwise.
pub const TOKEN_LIFETIME_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long an API token is good at most.
pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// How exactly the last use of an API token is known: it is not written with every request.
pub const TOKEN_USE_NOTED: Duration = Duration::from_secs(3600);
/// How often the last uses of API tokens are written.
pub const TOKEN_USE_FLUSH_EVERY: Duration = Duration::from_secs(60);
/// The name of a secret.
pub const SECRET_NAME_BYTES_MAX: usize = 64;
/// The value of a secret.
pub const SECRET_BYTES_MAX: usize = 32 << 10;
/// Secrets of one space.
pub const SECRETS_MAX: usize = 500;
/// Secrets that one function names.
pub const SECRETS_PER_FUNCTION_MAX: usize = 64;
/// Versions of a secret that are kept, the current one too.
pub const SECRET_VERSIONS_KEPT: usize = 3;
/// Shorter values are not looked for in what is kept of functions: they would be found everywhere.
pub const SECRET_REDACTED_BYTES_MIN: usize = 6;
/// How much of a value is looked for; what follows is compared.
pub const SECRET_BEGINNING_BYTES: usize = 48;
/// Lines of a value that are looked for by themselves.
pub const SECRET_LINES_MAX: usize = 64;
/// Keys in a file of keys for secrets: the first one is used, the others open what was encrypted before.
pub const SECRET_KEYS_MAX: usize = 8;
/// How long a new value waits for a deploy of its app that is under way.
pub const SECRET_TURN_TIMEOUT: Duration = Duration::from_secs(120);
/// Wrong tokens that one address may show in a row before no more are judged.
pub const ATTEMPTS_MAX: u32 = 20;
/// After so long one more wrong token of an address is judged.
pub const ATTEMPT_REFILL: Duration = Duration::from_secs(6);
/// Addresses whose wrong tokens are counted; of more the ones not seen for longest are forgotten.
pub const ATTEMPT_ADDRESSES_MAX: usize = 4096;
/// One file of the audit log; the oldest are removed whole.
pub const AUDIT_SEGMENT_BYTES: u64 = 4 << 20;
/// The audit log on disk: the oldest files go above this.
pub const AUDIT_BYTES_MAX: u64 = 128 << 20;
/// How long the audit log is kept: 400 days.
pub const AUDIT_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// What a line of the audit log says of one thing, such as a path.
pub const AUDIT_TEXT_BYTES_MAX: usize = 256;
/// How long actions that change nothing are counted together, after the first of their kind was told.
pub const AUDIT_TALLY_EVERY: Duration = Duration::from_secs(600);
/// How long the first of its kind may wait to be written with others.
pub const AUDIT_TALLY_WAIT: Duration = Duration::from_secs(1);
/// Kinds of actions that are counted apart; of more only operation and outcome are told.
pub const AUDIT_TALLIES_MAX: usize = 1024;
/// Lines of the audit log that wait while it cannot be written; further ones are lost, and that is logged.
pub const AUDIT_UNWRITTEN_MAX: usize = 4096;
/// Lines of the audit log that one request lists.
pub const AUDIT_LISTED_MAX: usize = 10_000;
