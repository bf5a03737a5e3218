//! With which errors each operation answers, for the OpenAPI document.
//!
//! **Why.** Clients are generated from the document, and what it does not name they cannot tell apart. A document that says
//! "something went wrong" of everything names nothing.
//!
//! **How.** What follows from an operation's row (who may ask, a body, a query, names in its path) is added to what
//! [`ERRORS`] says of it; a code has its status ([`Code::status`]). Every operation has a row there, which a test sees to,
//! and tests that call operations hold what is answered against the document.

use super::{Operation, Payload};
use crate::audit::Weight;
use hob_core::access::Need;
use hob_core::code::Code::{self, *};
use std::collections::{BTreeMap, BTreeSet};

/// One line of [`ERRORS`].
struct Row {
    /// Of the operation.
    id: &'static str,
    /// Groups of codes.
    codes: &'static [&'static [Code]],
    /// Codes that it answers with another status than their own.
    other: &'static [(u16, Code)],
    /// It answers with whatever a function does.
    any: bool,
}

const fn row(id: &'static str, codes: &'static [&'static [Code]]) -> Row {
    Row { id, codes, other: &[], any: false }
}

/// What is stored cannot be read.
const READ: &[Code] = &[StoreIo, StoreCorrupt];
/// Something cannot be stored.
const WRITE: &[Code] = &[StoreIo, StoreCorrupt, StoreConflict, StoreFull];
/// What is in a topic cannot be read.
const TOPIC: &[Code] = &[StoreIo, LogDamaged];
/// Something cannot be added to a topic.
const APPEND: &[Code] =
    &[StoreIo, StoreFull, LogDamaged, LogReadOnly, TopicFull, SpaceQuota, EventTooLarge, EventMalformed];
/// An instance does not start: what it is, and what it does.
const START: &[Code] = &[
    ComponentInvalid,
    CompileLimit,
    ProgramMissing,
    StartTimeout,
    StartExit,
    ResourcesTooLarge,
    InitFailed,
    ScriptInvalid,
    ScriptThrew,
    QueueTimeout,
    MemoryLimit,
    WorkerEnded,
    WorkerMissing,
    StartRefused,
    WallsMissing,
    MachineLacks,
    DeployConflict,
    Stopping,
];
const APP: &[Code] = &[AppNotFound];
const SUBSCRIPTION: &[Code] = &[AppNotFound, SubscriptionNotFound];
const SCHEDULE: &[Code] = &[AppNotFound, ScheduleNotFound];
const OPERATOR: &[Code] = &[SpaceForbidden];
const KEYS: &[Code] = &[AwsOff, KeysUnusable];
const SECRET_KEYS: &[Code] = &[SecretKeyUnusable, SecretDamaged];

/// What each operation answers with besides what follows from its row in the table of operations.
static ERRORS: &[Row] = &[
    row("node.get", &[]),
    row("node.health", &[READ]),
    row("node.openapi", &[]),
    row("apps.list", &[]),
    row("apps.get", &[APP]),
    row("apps.remove", &[APP, WRITE, &[DeployConflict, Stopping]]),
    // What is wrong with a deploy is its last line, after status 200.
    row("apps.deploy", &[]),
    row("apps.revision", &[APP, &[RevisionNotFound]]),
    row("apps.rollback", &[]),
    row("artifacts.missing", &[READ]),
    row("artifacts.put", &[WRITE, &[ArtifactTooLarge, DigestMismatch, UploadTruncated, SpaceQuota]]),
    row("logs.read", &[]),
    row("why.ask", &[READ, TOPIC]),
    row("facts.list", &[READ]),
    Row { any: true, ..row("functions.call", &[APP, &[FunctionNotFound, SpaceRate, SpaceCalls]]) },
    row("topics.list", &[TOPIC]),
    row("topics.get", &[TOPIC, &[TopicNotFound]]),
    row(
        "events.publish",
        &[APPEND, &[TopicReserved, EventLoop, RequestMalformed, RequestTimeout, SpaceRate, IngressFull]],
    ),
    row("events.read", &[TOPIC, &[TopicNotFound]]),
    row("events.purge", &[TOPIC, &[TopicNotFound, LogReadOnly]]),
    row(
        "events.replay",
        &[TOPIC, &[TopicNotFound, AppNotFound, RevisionNotFound, FunctionNotFound, SubscriptionNotFound]],
    ),
    row("subscriptions.list", &[]),
    row("subscriptions.get", &[SUBSCRIPTION]),
    row("subscriptions.pause", &[SUBSCRIPTION, WRITE]),
    row("subscriptions.resume", &[SUBSCRIPTION, WRITE]),
    row("subscriptions.seek", &[SUBSCRIPTION, WRITE, TOPIC]),
    row("schedules.list", &[]),
    row("schedules.get", &[SCHEDULE]),
    row("schedules.fire", &[SCHEDULE, APPEND]),
    row("schedules.pause", &[SCHEDULE, WRITE]),
    row("schedules.resume", &[SCHEDULE, WRITE]),
    row("letters.topics", &[TOPIC]),
    row("letters.list", &[TOPIC, &[TopicNotFound, DeadLetterNotFound]]),
    row("letters.get", &[TOPIC, &[TopicNotFound, DeadLetterNotFound]]),
    row(
        "letters.redrive",
        &[APPEND, WRITE, &[TopicNotFound, DeadLetterNotFound, SubscriptionNotFound, SpaceRate]],
    ),
    row("letters.drop", &[WRITE, TOPIC, &[TopicNotFound, DeadLetterNotFound]]),
    row("calls.get", &[TOPIC, &[AsyncCallNotFound]]),
    row("metrics.read", &[]),
    row("metrics.scrape", &[]),
    row("metrics.all", &[OPERATOR, READ, TOPIC]),
    row("usage.read", &[READ]),
    row("top.read", &[APP]),
    row("functions.cool", &[APP, &[FunctionNotFound]]),
    Row { other: &[(404, ControlRequest)], ..row("cost.get", &[READ, &[ManifestValue]]) },
    row("prices.get", &[]),
    row("budgets.list", &[]),
    row("alerts.list", &[]),
    row("dashboard.link", &[&[DashboardOff]]),
    row("keys.list", &[KEYS]),
    row("keys.create", &[KEYS, &[SettingOverLimit]]),
    row("keys.get", &[KEYS, &[KeyNotFound]]),
    row("keys.remove", &[KEYS, &[KeyNotFound]]),
    row("space.get", &[READ, TOPIC]),
    row("spaces.list", &[OPERATOR, READ, TOPIC]),
    row("spaces.create", &[OPERATOR, WRITE, &[SpaceExists, SettingOverLimit, Stopping, DataLocked]]),
    row("spaces.get", &[OPERATOR, READ, TOPIC, &[SpaceNotFound]]),
    row("spaces.set", &[OPERATOR, WRITE, TOPIC, &[SpaceNotFound, Stopping]]),
    row("spaces.remove", &[OPERATOR, WRITE, TOPIC, &[SpaceNotFound, SpaceNotEmpty, Stopping]]),
    row("tokens.list", &[]),
    row("tokens.create", &[OPERATOR, WRITE, &[SettingOverLimit, SpaceDenied, SpaceNotFound]]),
    row("tokens.revoke", &[WRITE, &[TokenNotFound]]),
    row("audit.list", &[&[AuditBroken]]),
    row("audit.verify", &[&[AuditBroken]]),
    row("secrets.list", &[]),
    row(
        "secrets.set",
        &[WRITE, SECRET_KEYS, START, &[SecretInvalid, SecretNotFound, SettingOverLimit, SecretNotSet]],
    ),
    row("secrets.use", &[WRITE, SECRET_KEYS, START, &[SecretInvalid, SecretNotFound, SecretNotSet]]),
    row("secrets.remove", &[WRITE, &[SecretInvalid, SecretNotFound, SecretInUse]]),
    row("secrets.rekey", &[OPERATOR, WRITE, SECRET_KEYS, &[SpaceUnavailable, SpaceNotFound, Stopping]]),
];

/// What an operation answers with when it is not done, by status; and whether it may be anything else besides.
pub(super) fn of(operation: &Operation) -> (BTreeMap<u16, BTreeSet<&'static str>>, bool) {
    let known = ERRORS.iter().find(|row| row.id == operation.id);
    let mut found: BTreeMap<u16, BTreeSet<&'static str>> = BTreeMap::new();
    let mut add = |status: u16, code: Code| {
        found.entry(status).or_default().insert(code.text());
    };
    for code in
        always(operation).chain(known.iter().flat_map(|row| row.codes.iter().copied().flatten().copied()))
    {
        add(code.status(), code);
    }
    for (status, code) in known.iter().flat_map(|row| row.other) {
        add(*status, *code);
    }
    if matches!(operation.request, Payload::Json(_)) {
        add(413, ControlRequest);
    }
    (found, known.is_some_and(|row| row.any))
}

/// What follows from the operation's own row.
fn always(operation: &Operation) -> impl Iterator<Item = Code> {
    let mut codes = vec![Unauthorized, TokenExpired, TokenRevoked, Forbidden, TooManyAttempts, Internal];
    if operation.needs.scope().is_some() {
        codes.extend([ScopeMissing, SpaceDenied]);
    }
    if matches!(operation.needs, Need::Space(_)) {
        // The header `hob-space` may name anything.
        codes.extend([ControlRequest, SpaceNotFound, SpaceUnavailable]);
    }
    if operation.query.is_some() || matches!(operation.request, Payload::Json(_)) {
        codes.push(ControlRequest);
    }
    if operation.path.contains('{') {
        codes.extend([NameInvalid, ControlRequest]);
    }
    if operation.weight() != Weight::Look {
        codes.push(AuditUnwritable);
    }
    codes.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::OPERATIONS;
    use super::{ERRORS, of};
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_a_row_and_every_row_an_operation() {
        let operations: Vec<&str> = OPERATIONS.iter().copied().flatten().map(|one| one.id).collect();
        let rows: Vec<&str> = ERRORS.iter().map(|row| row.id).collect();
        let (known, told): (BTreeSet<_>, BTreeSet<_>) = (operations.iter().collect(), rows.iter().collect());
        assert_eq!(known, told, "say in `ERRORS` with which codes an operation answers");
        assert_eq!((rows.len(), operations.len()), (told.len(), known.len()), "each once");
    }

    #[test]
    fn statuses_follow_from_who_may_ask_and_what_is_sent() {
        let statuses = |id: &str| -> Vec<u16> {
            let operation = OPERATIONS.iter().copied().flatten().find(|one| one.id == id).unwrap();
            of(operation).0.into_keys().collect()
        };
        for (id, expected) in [
            ("node.get", &[401, 403, 429, 500][..]),
            ("apps.list", &[400, 401, 403, 404, 429, 500, 503]),
            ("apps.deploy", &[400, 401, 403, 404, 413, 429, 500, 503]),
            ("spaces.create", &[400, 401, 403, 409, 413, 429, 500, 503, 507]),
            ("events.publish", &[400, 401, 403, 404, 408, 413, 429, 500, 503, 507, 508]),
        ] {
            assert_eq!(statuses(id), expected, "{id}");
        }
    }
}
