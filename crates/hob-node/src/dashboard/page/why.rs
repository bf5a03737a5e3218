//! The page that answers a question.
//!
//! **How.** One box takes what somebody has at hand; [`question`] sees what it is: a request such as
//! `POST /x`, or else something with a name, which the node tells apart itself.

use crate::dashboard::Shown;
use crate::dashboard::form::Fields;
use crate::dashboard::part::story;
use crate::dashboard::part::text::short;
use crate::dashboard::visit::{Content, Visit};
use hob_core::wire::WhyQuery;
use maud::{Markup, html};

/// Name, label and an example of a field.
type Field = (&'static str, &'static str, &'static str);

/// Questions that need more than an id, each with its fields: name, label, an example.
const QUESTIONS: [(&str, &[Field]); 4] = [
    ("Why does a request not arrive?", &[("route", "Request", "POST /orders")]),
    ("Why does nobody get an event?", &[("topic", "Topic", "orders"), ("type", "Type", "order.placed")]),
    ("Why does a schedule not run?", &[("cron", "Schedule", "shop/nightly")]),
    ("How is a function?", &[("function", "Function", "shop/rate")]),
];

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let Some(asked) = question(&visit.query) else {
            return Ok(Content::new("Ask why").still(introduction()).still(questions(&visit.query)));
        };
        let told = visit.api().why(&asked).await?;
        let answer = story::story(&told);
        Ok(Content::new(short(&told.subject, 120))
            .below("/why", "Ask why")
            .still(answer)
            .still(questions(&visit.query)))
    })
}

/// What somebody asks; `None`: nothing yet.
fn question(query: &Fields) -> Option<WhyQuery> {
    let text = |name: &str| query.some(name).map(str::to_owned);
    let mut asked = WhyQuery {
        route: text("route"),
        topic: text("topic"),
        kind: text("type"),
        cron: text("cron"),
        function: text("function"),
        ..WhyQuery::default()
    };
    match text("ask") {
        Some(ask) if is_request(&ask) => asked.route = Some(ask),
        Some(ask) => asked.id = Some(ask),
        None => {}
    }
    (asked != WhyQuery::default()).then_some(asked)
}

/// Whether a text reads like a request: a method, a blank and an address.
fn is_request(text: &str) -> bool {
    let Some((method, target)) = text.split_once(' ') else { return text.starts_with('/') };
    let target = target.trim();
    method.bytes().all(|byte| byte.is_ascii_uppercase())
        && (target.starts_with('/') || target.contains("://"))
}

fn introduction() -> Markup {
    html! {
        p { "Type into the box above what you have: the id of a request, an event as " code { "topic/17" }
            " or by its own id, a call, a trace, " code { "app/trigger" } ", an error code, or a request such as "
            code { "POST /orders" } "." }
    }
}

fn questions(query: &Fields) -> Markup {
    html! {
        section aria-labelledby="questions" {
            h2 id="questions" { "Questions without an id" }
            div class="questions" {
                @for (title, fields) in QUESTIONS {
                    form class="card" method="get" action="/why" {
                        h3 { (title) }
                        @for (name, label, example) in fields {
                            div { label for={ "q-" (name) } { (label) }
                                input id={ "q-" (name) } name=(name) value=(query.get(name)) placeholder=(example) spellcheck="false"; }
                        }
                        button type="submit" { "Ask" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::question;
    use crate::dashboard::form::Fields;

    #[test]
    fn one_box_takes_what_somebody_has() {
        for (query, id, route) in [
            ("ask=0198", Some("0198"), None),
            ("ask=orders%2F17", Some("orders/17"), None),
            ("ask=POST+%2Fx", None, Some("POST /x")),
            ("ask=GET+http%3A%2F%2Fa.localhost%2F", None, Some("GET http://a.localhost/")),
            ("ask=%2Fx", None, Some("/x")),
            ("ask=two+words", Some("two words"), None),
            ("route=GET+%2F", None, Some("GET /")),
        ] {
            let asked = question(&Fields::of(query)).unwrap();
            assert_eq!((asked.id.as_deref(), asked.route.as_deref()), (id, route), "{query}");
        }
        assert!(question(&Fields::of("ask=+&topic=")).is_none());
    }
}
