//! What a webhook is about: a decision on values, without I/O.
//!
//! **How.** The kind of the event gives the label ([`KINDS`]); where people wrote text, their words
//! do ([`WORDS`]). The state of things gives the priority. A kind that GitHub adds tomorrow is
//! `other`, never a failure.

use serde_json::Value;

/// What triage says.
pub struct Verdict {
    /// One word.
    pub label: &'static str,
    /// `high`, `normal` or `low`.
    pub priority: &'static str,
    /// One sentence.
    pub reason: String,
}

/// The label of each kind of event.
const KINDS: &[(&str, &[&str])] = &[
    (
        "access",
        &[
            "deploy_key",
            "github_app_authorization",
            "installation",
            "installation_repositories",
            "member",
            "membership",
            "org_block",
            "organization",
            "team",
            "team_add",
        ],
    ),
    (
        "build",
        &[
            "check_run",
            "check_suite",
            "deployment",
            "deployment_review",
            "deployment_status",
            "page_build",
            "status",
            "workflow_dispatch",
            "workflow_job",
            "workflow_run",
        ],
    ),
    ("code", &["create", "delete", "gollum", "push"]),
    ("community", &["fork", "marketplace_purchase", "sponsorship", "star", "watch"]),
    ("conversation", &["commit_comment", "discussion", "discussion_comment", "issue_comment", "issues"]),
    ("planning", &["label", "milestone", "project", "project_card", "project_column", "projects_v2_item"]),
    ("release", &["package", "release"]),
    (
        "review",
        &[
            "merge_group",
            "pull_request",
            "pull_request_review",
            "pull_request_review_comment",
            "pull_request_review_thread",
        ],
    ),
    (
        "security",
        &["code_scanning_alert", "dependabot_alert", "repository_vulnerability_alert", "security_advisory"],
    ),
    (
        "settings",
        &[
            "branch_protection_rule",
            "meta",
            "ping",
            "public",
            "repository",
            "repository_dispatch",
            "repository_import",
        ],
    ),
];

/// Words that say what people write about, the weightiest label first.
const WORDS: &[(&str, &[&str])] = &[
    ("security", &["cve-", "security", "vulnerab", "exploit"]),
    ("bug", &["bug", "crash", "error", "broken", "fails", "regression"]),
    ("question", &["question", "how do", "how to", "why "]),
    ("feature", &["feature", "enhancement", "proposal", "support for", "would be nice"]),
];

/// Where a kind keeps its subject.
const SUBJECTS: &[&str] = &["issue", "discussion", "comment"];

/// Where a kind keeps how things stand.
const STATES: &[&str] =
    &["check_run", "check_suite", "workflow_run", "workflow_job", "deployment_status", "alert", "build"];

/// Decides.
pub fn of(event: &str, payload: &Value) -> Verdict {
    let kind =
        KINDS.iter().find_map(|(label, kinds)| kinds.contains(&event).then_some(*label)).unwrap_or("other");
    let (label, reason) = match word(payload).filter(|_| kind == "conversation") {
        Some((label, word)) => (label, format!("it says `{}`", word.trim())),
        None => (kind, format!("`{event}` events are about this")),
    };
    let (priority, why) = priority(label, event, payload);
    let reason = match why {
        Some(why) => format!("{reason}, and {why}"),
        None => reason,
    };
    Verdict { label, priority, reason }
}

/// The first telling word of a title, text or label, with its label.
fn word(payload: &Value) -> Option<(&'static str, &'static str)> {
    let mut text = String::new();
    for subject in SUBJECTS.iter().map(|name| &payload[*name]) {
        for field in ["title", "body"] {
            text.push_str(subject[field].as_str().unwrap_or_default());
            text.push('\n');
        }
        for label in subject["labels"].as_array().into_iter().flatten() {
            text.push_str(label["name"].as_str().unwrap_or_default());
            text.push('\n');
        }
    }
    let text = text.to_lowercase();
    WORDS.iter().find_map(|(label, words)| {
        words.iter().find(|word| text.contains(**word)).map(|word| (*label, *word))
    })
}

/// How urgent it is, and why if it is out of the ordinary.
fn priority(label: &str, event: &str, payload: &Value) -> (&'static str, Option<&'static str>) {
    let action = payload["action"].as_str().unwrap_or_default();
    if matches!(
        action,
        "closed"
            | "closed_by_user"
            | "deleted"
            | "dismiss"
            | "dismissed"
            | "fixed"
            | "resolve"
            | "resolved"
            | "withdrawn"
    ) {
        return ("low", Some("it is over"));
    }
    if failed(payload) {
        return ("high", Some("it failed"));
    }
    if payload["forced"] == true {
        return ("high", Some("history was rewritten"));
    }
    match (label, event) {
        ("security", _) => ("high", None),
        (_, "deploy_key" | "public") => ("high", Some("it opens a door")),
        ("community" | "planning", _) => ("low", None),
        _ => ("normal", None),
    }
}

/// Whether something that runs for the repository ended badly.
fn failed(payload: &Value) -> bool {
    let bad = |value: &Value| {
        matches!(
            value.as_str(),
            Some("failure" | "error" | "errored" | "timed_out" | "action_required" | "startup_failure")
        )
    };
    bad(&payload["state"])
        || STATES
            .iter()
            .map(|name| &payload[*name])
            .any(|thing| bad(&thing["conclusion"]) || bad(&thing["state"]) || bad(&thing["status"]))
}
