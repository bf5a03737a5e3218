//! The dashboard: what a node knows and can do, as web pages of its own, on a listener of its own.
//!
//! **Why.** Some people look before they type. What they see must be what the command line would say, and
//! must work on a machine without internet, with a keyboard alone, and without script.
//!
//! **How.** Pages are HTML made here ([`page`], one file each, one line in [`PAGES`]); buttons are forms
//! ([`action`], one line each in [`action::ACTIONS`]). Both ask the operations of the control API in this
//! process ([`api`]) and nothing else, so a page cannot know or do what the command line cannot. While a
//! page is open, [`live`] makes it again now and then and sends what has changed. [`guard`] says who may
//! come in.
//!
//! ```text
//! browser ─▶ serve ─▶ guard ─▶ PAGES / ACTIONS ─▶ api ─▶ control::answer ─▶ OPERATIONS
//! ```
//!
//! **Invariants.**
//! 1. Text becomes HTML only through `maud`, which escapes it: nothing from a guest is ever markup.
//! 2. A `GET` changes nothing, but for the link that signs in.
//! 3. Everything that a page loads is part of the program.
//!
//! **Not here:** who is signed in ([`crate::sign_in`]).

mod action;
mod api;
mod asset;
mod form;
mod guard;
mod layout;
mod live;
mod page;
mod part;
mod serve;
mod visit;

pub(crate) use serve::{Boards, Parts, serve};

use crate::control::Control;
use crate::sign_in::SignIn;
use crate::task::Tasks;
use hob_core::fault::Result;
use hob_core::limit::DASHBOARD_STREAMS_MAX;
use hob_core::name::SpaceName;
use hob_core::port::BoxFuture;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use visit::{Content, Visit};

/// A form as browsers send it, and the cookies that come with it.
pub(crate) fn fuzz(bytes: &[u8]) {
    let fields = form::Fields::of(&String::from_utf8_lossy(bytes));
    let _ = fields.some("a").or_else(|| fields.all("b").next());
    if let Ok(value) = http::HeaderValue::from_bytes(bytes) {
        let headers = http::HeaderMap::from_iter([(http::header::COOKIE, value)]);
        let key = guard::cookie(&headers, "hob-dashboard-8081");
        assert!(key.is_none_or(|key| !key.contains(';')), "{key:?}");
    }
}

/// Every page, in the order of the navigation.
static PAGES: &[Page] = &[
    Page::listed("See", "/", "Overview", page::overview::show),
    Page::listed("See", "/apps", "Apps", page::apps::show),
    Page::inner("/apps/{app}", "/apps", page::app::show),
    Page::inner("/apps/{app}/compare", "/apps", page::compare::show),
    Page::inner("/apps/{app}/functions/{function}", "/apps", page::function::show),
    Page::listed("See", "/top", "Right now", page::top::show),
    Page::listed("See", "/requests", "Requests", page::requests::show),
    Page::inner("/requests/{id}", "/requests", page::request::show),
    Page::listed("See", "/traces", "Traces", page::traces::show),
    Page::inner("/traces/{trace}", "/traces", page::trace::show),
    Page::listed("See", "/logs", "Logs", page::logs::show),
    Page::listed("See", "/why", "Ask why", page::why::show),
    Page::listed("Events", "/topics", "Topics", page::topics::show),
    Page::inner("/topics/{topic}", "/topics", page::topic::show),
    Page::inner("/topics/{topic}/{sequence}", "/topics", page::event::show),
    Page::listed("Events", "/subscriptions", "Subscriptions", page::subscriptions::show),
    Page::inner("/subscriptions/{app}/{name}", "/subscriptions", page::subscription::show),
    Page::listed("Events", "/schedules", "Schedules", page::schedules::show),
    Page::listed("Events", "/dead-letters", "Dead letters", page::letters::show),
    Page::inner("/dead-letters/{topic}", "/dead-letters", page::letter_topic::show),
    Page::listed("Run", "/cost", "Cost", page::cost::show),
    Page::listed("Run", "/alerts", "Alerts", page::alerts::show),
    Page::listed("Run", "/node", "Node", page::node::show),
];

/// One line of [`PAGES`].
struct Page {
    /// The group of the navigation that it is listed in; `None`: it is reached from other pages.
    group: Option<&'static str>,
    /// Segments; `{name}` takes one.
    path: &'static str,
    /// The path of the listed page that it belongs to: itself, if it is one.
    below: &'static str,
    /// What the navigation calls it.
    title: &'static str,
    /// Makes it.
    show: fn(Visit) -> Shown,
}

/// A page in the making.
type Shown = BoxFuture<'static, Result<Content>>;

impl Page {
    const fn listed(
        group: &'static str,
        path: &'static str,
        title: &'static str,
        show: fn(Visit) -> Shown,
    ) -> Self {
        Self { group: Some(group), path, below: path, title, show }
    }

    const fn inner(path: &'static str, below: &'static str, show: fn(Visit) -> Shown) -> Self {
        Self { group: None, path, below, title: "", show }
    }

    /// The page at a path, with the parts that its pattern names.
    fn find(path: &str) -> Option<(&'static Self, Vec<String>)> {
        PAGES.iter().find_map(|page| Some((page, form::parts(page.path, path)?)))
    }
}

/// The dashboard of one space.
struct Dashboard {
    /// The space that it shows, unless that is `default`.
    space: Option<SpaceName>,
    control: Arc<Control>,
    sign_in: Arc<SignIn>,
    tasks: Arc<Tasks>,
    /// What may stand in for a link: the tokens of the control API.
    tokens: Vec<String>,
    guard: guard::Guard,
    /// Windows that can be shown changes.
    streams: Arc<Semaphore>,
}

impl Dashboard {
    fn new(control: Arc<Control>, sign_in: Arc<SignIn>, tokens: Vec<String>, guard: guard::Guard) -> Self {
        Self {
            tasks: Arc::clone(&control.tasks),
            space: control.node.space.clone(),
            control,
            sign_in,
            tokens,
            guard,
            streams: Arc::new(Semaphore::new(DASHBOARD_STREAMS_MAX)),
        }
    }

    /// Whether a session goes on, without being seen by this.
    fn is_signed_in(&self, key: &str, now: Instant) -> bool {
        self.sign_in.look(key, now).is_some_and(|caller| self.control.tokens.still_good(&caller))
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGES, Page};

    #[test]
    fn every_path_has_one_page_and_every_page_a_place_in_the_navigation() {
        for page in PAGES {
            let own = page.path.replace(['{', '}'], "");
            let (found, _) = Page::find(&own).unwrap();
            assert!(std::ptr::eq(found, page), "{own} is also {}", found.path);
            assert!(PAGES.iter().any(|listed| listed.group.is_some() && listed.path == page.below), "{own}");
        }
        let parts = Page::find("/topics/desk%2E1/7").unwrap().1;
        assert_eq!(parts, ["desk.1", "7"]);
        assert!(Page::find("/nowhere").is_none() && Page::find("/apps/").is_none());
    }
}
