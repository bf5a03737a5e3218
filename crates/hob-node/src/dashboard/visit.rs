//! One look at a page: what was asked, and what is shown.

use super::Dashboard;
use super::api::Api;
use super::form::Fields;
use hob_core::access::Scope;
use hob_core::fault::{Fault, Result};
use maud::{Markup, PreEscaped, Render, html};
use std::sync::Arc;

/// Who looks, and at what.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) dashboard: Arc<Dashboard>,
    /// What pages ask, for whoever looks.
    pub(super) api: Api,
    /// Path and query.
    pub(super) at: String,
    /// The parts of the path that the page's pattern names.
    pub(super) parts: Vec<String>,
    /// What stands behind `?`.
    pub(super) query: Fields,
    /// The key of the session.
    pub(super) key: String,
    /// What forms carry.
    pub(super) token: String,
    /// The chosen colours.
    pub(super) theme: Option<&'static str>,
}

impl Visit {
    /// What pages ask.
    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// The `at`-th part of the path as text.
    pub(super) fn part(&self, at: usize) -> &str {
        self.parts.get(at).map_or("", String::as_str)
    }

    /// The `at`-th part of the path as a name.
    ///
    /// # Errors
    /// `HOB-0104` when it is none.
    pub(super) fn name<T: TryFrom<String, Error = Fault>>(&self, at: usize) -> Result<T> {
        T::try_from(self.part(at).to_owned())
    }

    /// A field of the query as a name, if it is one.
    pub(super) fn asked<T: TryFrom<String>>(&self, field: &str) -> Option<T> {
        self.query.some(field).and_then(|text| T::try_from(text.to_owned()).ok())
    }

    /// A form of one button: what it sends besides the token, and where. Whoever may only look has none.
    pub(super) fn button(&self, to: &str, label: &str, fields: &[(&str, &str)]) -> Markup {
        if !self.may_change() {
            return html! {};
        }
        html! {
            form method="post" action=(to) class="inline" {
                (self.hidden())
                @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                button type="submit" { (label) }
            }
        }
    }

    /// The same behind a question, for what cannot be taken back.
    pub(super) fn asked_button(&self, to: &str, label: &str, sure: &str, fields: &[(&str, &str)]) -> Markup {
        if !self.may_change() {
            return html! {};
        }
        html! {
            details class="sure" {
                summary { (label) }
                form method="post" action=(to) {
                    (self.hidden())
                    @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                    button type="submit" class="bad" { (sure) }
                }
            }
        }
    }

    /// Whether there is anything to press for whoever looks; the control API judges each press.
    pub(super) fn may_change(&self) -> bool {
        [Scope::Operate, Scope::Deploy].into_iter().any(|scope| self.api.allows(scope))
    }

    /// What makes a form one of this session.
    pub(super) fn hidden(&self) -> Markup {
        html! { input type="hidden" name="_token" value=(self.token); }
    }
}

/// A page without its frame.
pub(super) struct Content {
    pub(super) title: String,
    /// The pages above it, each with its path.
    pub(super) trail: Vec<(String, String)>,
    pub(super) blocks: Vec<Block>,
    pub(super) follow: Option<Follow>,
}

/// A part of a page, top to bottom.
pub(super) struct Block {
    /// The name of one that is shown anew when it has changed.
    pub(super) id: Option<&'static str>,
    pub(super) html: Markup,
}

/// Makes a row of a line of the control API's answer; `None`: it is left out.
pub(super) type MakeRow = Box<dyn Fn(&[u8]) -> Option<Markup> + Send + Sync>;

/// New rows of a page's list, as they come.
pub(super) struct Follow {
    /// The operation that tells them, line by line; it begins with what the page shows already.
    pub(super) path: String,
    pub(super) row: MakeRow,
}

impl Content {
    /// A page with nothing on it.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), trail: Vec::new(), blocks: Vec::new(), follow: None }
    }

    /// Says that it is below another page.
    pub(super) fn below(mut self, path: impl Into<String>, title: impl Into<String>) -> Self {
        self.trail.push((path.into(), title.into()));
        self
    }

    /// Adds a part that stays as it is.
    pub(super) fn still(mut self, html: Markup) -> Self {
        self.blocks.push(Block { id: None, html });
        self
    }

    /// Adds a part that is shown anew when it has changed.
    pub(super) fn live(mut self, id: &'static str, html: Markup) -> Self {
        self.blocks.push(Block { id: Some(id), html });
        self
    }

    /// Says how new rows are told.
    pub(super) fn follow(mut self, path: String, row: MakeRow) -> Self {
        self.follow = Some(Follow { path, row });
        self
    }

    /// Whether anything of it changes while it is open.
    pub(super) fn is_live(&self) -> bool {
        self.follow.is_some() || self.blocks.iter().any(|block| block.id.is_some())
    }
}

impl Render for Block {
    fn render(&self) -> Markup {
        match self.id {
            Some(id) => html! { div id=(id) class="block" data-live { (self.html) } },
            None => PreEscaped(self.html.0.clone()),
        }
    }
}
