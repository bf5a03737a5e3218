//! The pages, one file each; the table is [`super::PAGES`].

pub(super) mod alerts;
pub(super) mod app;
pub(super) mod apps;
pub(super) mod compare;
pub(super) mod cost;
pub(super) mod event;
pub(super) mod function;
pub(super) mod letter_topic;
pub(super) mod letters;
pub(super) mod logs;
pub(super) mod node;
pub(super) mod overview;
pub(super) mod request;
pub(super) mod requests;
pub(super) mod schedules;
pub(super) mod subscription;
pub(super) mod subscriptions;
pub(super) mod top;
pub(super) mod topic;
pub(super) mod topics;
pub(super) mod trace;
pub(super) mod traces;
pub(super) mod why;
