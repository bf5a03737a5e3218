//! Every topic of dead letters.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::text::{count, maybe_when};
use crate::dashboard::visit::{Content, Visit};
use hob_core::wire::DeadLetterTopicInfo;
use maud::html;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let topics: Vec<DeadLetterTopicInfo> = visit.api().get("/v1/dead-letters").await?;
        Ok(Content::new("Dead letters").live("letters", html! {
            @if topics.iter().all(|topic| topic.letters == 0) {
                p class="calm" { span class="mark good" { "none" } " No event was given up that is not dealt with." }
            }
            @if !topics.is_empty() {
                table data-sortable {
                    caption class="hidden" { "Topics of dead letters" }
                    thead { tr { th scope="col" { "Topic" } th scope="col" class="number" { "Letters" } th scope="col" { "Newest" } } }
                    tbody {
                        @for topic in &topics {
                            tr {
                                th scope="row" { a href=(join(&["dead-letters", topic.topic.as_str()])) { (topic.topic) } }
                                td class="number" { span class=[(topic.letters > 0).then_some("bad-text")] { (count(topic.letters)) } }
                                td { (maybe_when(topic.newest_ms)) }
                            }
                        }
                    }
                }
            }
        }))
    })
}
