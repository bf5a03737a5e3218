//! What buttons do: one line for each form, which asks the control API and says what came of it.

use super::api::join;
use super::form::{Fields, parts};
use super::page;
use super::part::text::counted;
use super::visit::{Content, Visit};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::RevisionNumber;
use hob_core::port::BoxFuture;
use hob_core::trigger::StartAt;
use hob_core::wire::{
    LettersReply, LettersRequest, Published, ReplayEvent, ReplayRequest, RollbackRequest, SeekRequest,
    SubscriptionInfo,
};

/// Every form that changes something.
static ACTIONS: &[Action] = &[
    Action::then("/apps/{app}/rollback", |visit, fields| Box::pin(rollback(visit, fields))),
    Action {
        path: "/apps/{app}/functions/{function}/call",
        shows: "/apps/app/functions/function",
        act: |visit, fields| {
            Box::pin(async move { page::function::tried(visit, &fields).await.map(Done::Shown) })
        },
    },
    Action::then("/subscriptions/{app}/{name}/pause", |visit, fields| {
        Box::pin(switch(visit, fields, "subscriptions", "pause", "is paused"))
    }),
    Action::then("/subscriptions/{app}/{name}/resume", |visit, fields| {
        Box::pin(switch(visit, fields, "subscriptions", "resume", "goes on"))
    }),
    Action::then("/subscriptions/{app}/{name}/seek", |visit, fields| Box::pin(seek(visit, fields))),
    Action::then("/schedules/{app}/{name}/pause", |visit, fields| {
        Box::pin(switch(visit, fields, "schedules", "pause", "is paused"))
    }),
    Action::then("/schedules/{app}/{name}/resume", |visit, fields| {
        Box::pin(switch(visit, fields, "schedules", "resume", "goes on"))
    }),
    Action::then("/schedules/{app}/{name}/fire", |visit, _| Box::pin(fire(visit))),
    Action::then("/dead-letters/{topic}/redrive", |visit, fields| {
        Box::pin(deal(visit, fields, "redrive", "delivered once more"))
    }),
    Action::then("/dead-letters/{topic}/drop", |visit, fields| {
        Box::pin(deal(visit, fields, "drop", "forgotten"))
    }),
    Action {
        path: "/topics/{topic}/{sequence}/replay",
        shows: "/topics/topic/1",
        act: |visit, fields| Box::pin(async move { replay(visit, fields).await }),
    },
    Action::then("/theme", |_, fields| {
        Box::pin(
            async move { Ok(Done::Theme(fields.get("theme").to_owned(), fields.get("back").to_owned())) },
        )
    }),
    Action::then("/sign-out", |_, _| Box::pin(async { Ok(Done::Left) })),
];

/// One line of [`ACTIONS`].
pub(super) struct Action {
    /// Segments; `{name}` takes one.
    path: &'static str,
    /// A path of the page that it shows, if it shows one itself.
    pub(super) shows: &'static str,
    /// Does it.
    pub(super) act: fn(Visit, Fields) -> BoxFuture<'static, Result<Done>>,
}

/// What came of it.
pub(super) enum Done {
    /// It is done: go to that page, which says so.
    To(String, String),
    /// It is shown at once.
    Shown(Content),
    /// Other colours from now on; back to that page.
    Theme(String, String),
    /// Signed out.
    Left,
}

impl Action {
    const fn then(path: &'static str, act: fn(Visit, Fields) -> BoxFuture<'static, Result<Done>>) -> Self {
        Self { path, shows: "", act }
    }
}

/// The action at a path, with the parts that its pattern names.
pub(super) fn find(path: &str) -> Option<(&'static Action, Vec<String>)> {
    ACTIONS.iter().find_map(|action| Some((action, parts(action.path, path)?)))
}

async fn rollback(visit: Visit, fields: Fields) -> Result<Done> {
    let app = visit.part(0);
    let to = number(fields.get("to"), "a revision")?;
    let sent = RollbackRequest { to: Some(RevisionNumber(to)) };
    let done = visit.api().change(&format!("/v1{}/rollback", join(&["apps", app])), &sent).await?;
    let notice = match done.previous.filter(|_| done.changed) {
        Some(before) => format!("{app} answers with revision {}; it was {before} before.", done.revision),
        None => format!("{app} answered with revision {} already.", done.revision),
    };
    Ok(Done::To(join(&["apps", app]), notice))
}

async fn switch(visit: Visit, fields: Fields, kind: &str, verb: &str, then: &str) -> Result<Done> {
    let (app, name) = (visit.part(0), visit.part(1));
    visit.api().act(&format!("/v1{}", join(&["apps", app, kind, name, verb]))).await?;
    let back = fields.some("back").map_or_else(|| format!("/{kind}"), str::to_owned);
    Ok(Done::To(back, format!("{app}/{name} {then}.")))
}

async fn seek(visit: Visit, fields: Fields) -> Result<Done> {
    let (app, name) = (visit.part(0), visit.part(1));
    let to = match fields.get("to") {
        "beginning" => StartAt::Beginning,
        "now" => StartAt::Now,
        _ => StartAt::Sequence(number(fields.get("sequence"), "an event")?),
    };
    let path = format!("/v1{}", join(&["apps", app, "subscriptions", name, "seek"]));
    let info: SubscriptionInfo = visit.api().post(&path, &SeekRequest { to }).await?;
    let notice = format!("{app}/{name} goes on at event {}.", info.cursor);
    Ok(Done::To(join(&["subscriptions", app, name]), notice))
}

async fn fire(visit: Visit) -> Result<Done> {
    let (app, name) = (visit.part(0), visit.part(1));
    let path = format!("/v1{}", join(&["apps", app, "schedules", name, "fire"]));
    let run: Published = visit.api().post(&path, &()).await?;
    Ok(Done::To("/schedules".to_owned(), format!("{app}/{name} runs now: {}/{}.", run.topic, run.sequence)))
}

async fn deal(visit: Visit, fields: Fields, verb: &str, then: &str) -> Result<Done> {
    let topic = visit.part(0);
    let sequences: Vec<u64> = fields.all("letter").filter_map(|text| text.parse().ok()).collect();
    // No letters mean all of them to the control API, which a person has to say.
    if sequences.is_empty() && fields.get("all") != "yes" {
        return Err(Fault::new(Code::ControlRequest, "no letter is chosen").hint("choose at least one"));
    }
    let path = format!("/v1{}", join(&["dead-letters", topic, verb]));
    let reply: LettersReply = visit.api().post(&path, &LettersRequest { sequences }).await?;
    let was = if reply.letters == 1 { "is" } else { "are" };
    let notice = format!("{} {was} {then}.", counted(reply.letters, "letter"));
    Ok(Done::To(join(&["dead-letters", topic]), notice))
}

async fn replay(visit: Visit, fields: Fields) -> Result<Done> {
    let sequence = number(visit.part(1), "an event")?;
    let to = fields.get("to");
    let (app, function) = to.split_once('/').unwrap_or((to, ""));
    let asked = ReplayRequest {
        app: app.to_owned().try_into()?,
        function: Some(function)
            .filter(|name| !name.is_empty())
            .map(|name| name.to_owned().try_into())
            .transpose()?,
        revision: None,
        from: Some(sequence),
        since_ms: None,
        until_ms: None,
        limit: Some(1),
    };
    let path = format!("/v1{}/replay", join(&["topics", visit.part(0)]));
    let told: Vec<ReplayEvent> = visit.api().post_lines(&path, &asked).await?;
    page::event::replayed(visit, &told).await.map(Done::Shown)
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T> {
    text.trim().parse().map_err(|_| {
        Fault::new(Code::ControlRequest, format!("{what} is named by its number"))
            .hint("write for example `3`")
    })
}

#[cfg(test)]
mod tests {
    use super::{ACTIONS, find};
    use crate::dashboard::Page;

    #[test]
    fn every_action_is_found_and_shows_a_page_that_exists() {
        for action in ACTIONS {
            let own = action.path.replace(['{', '}'], "");
            assert!(std::ptr::eq(find(&own).unwrap().0, action), "{own}");
            assert!(action.shows.is_empty() || Page::find(action.shows).is_some(), "{own}");
        }
    }
}
