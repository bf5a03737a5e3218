//! A story: the reason first, then what mends it, then the path as a tree with times.

use super::mark::{class, mark, owner, word};
use super::text::{clock, plain, sentence, took};
use crate::dashboard::api::{encoded, join};
use hob_core::wire::{Step, Story, Verdict};
use maud::{Markup, html};

/// The answer to a question.
pub(in crate::dashboard) fn story(story: &Story) -> Markup {
    html! {
        section class={ "story " (class(story.verdict)) } aria-label="Why" {
            p class="reason" { (mark(story.verdict, word(story.verdict))) " " (sentence(&story.reason)) }
            @if let Some(fix) = &story.fix { p class="fix" { strong { "Fix: " } (sentence(fix)) } }
            @if story.owner.is_some() || story.code.is_some() || story.trace.is_some() {
                dl class="facts" {
                    @if let Some(who) = story.owner { div { dt { "Who has to act" } dd { (owner(who)) } } }
                    @if let Some(code) = &story.code { div { dt { "Code" } dd { code { (plain(code)) } } } }
                    @if let Some(trace) = &story.trace {
                        div { dt { "Trace" } dd { a href=(join(&["traces", trace])) { code { (plain(trace)) } } } }
                    }
                }
            }
        }
        @if !story.path.is_empty() {
            section aria-labelledby="path" { h2 id="path" { "Path" } (steps(&story.path)) }
        }
        @if !story.next.is_empty() {
            section aria-labelledby="next" {
                h2 id="next" { "Next" }
                ul class="commands" { @for command in &story.next { li { code { (plain(command)) } } } }
            }
        }
    }
}

/// What a page says where nothing is known.
pub(in crate::dashboard) fn unknown(text: &str) -> Markup {
    html! { section class="story unknown" { p class="reason" { (mark(Verdict::Unknown, "unknown")) " " (text) } } }
}

fn steps(all: &[Step]) -> Markup {
    html! {
        ol class="steps" {
            @for step in all {
                li class=(class(step.verdict)) {
                    div class="step" {
                        span class="hidden" { (word(step.verdict)) ": " }
                        span class="what" {
                            @if let Some(id) = &step.id {
                                a href={ "/why?ask=" (encoded(id)) } { (sentence(&step.text)) }
                            } @else { (sentence(&step.text)) }
                        }
                        @if let Some(us) = step.took_us { span class="took" { (took(us)) } }
                        @if let Some(time_ms) = step.time_ms { span class="at" { (clock(time_ms)) } }
                    }
                    @if !step.steps.is_empty() { (steps(&step.steps)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::story;
    use hob_core::wire::{Step, Story, Verdict};

    #[test]
    fn a_guests_words_in_a_story_are_text() {
        let hostile = "<script>alert(1)</script>\u{202e}\" onclick=\"x";
        let step = Step {
            time_ms: Some(1),
            took_us: Some(2),
            text: hostile.into(),
            verdict: Verdict::Bad,
            id: Some(hostile.into()),
            steps: Vec::new(),
        };
        let html = story(&Story {
            subject: hostile.into(),
            verdict: Verdict::Bad,
            reason: hostile.into(),
            fix: Some(hostile.into()),
            owner: None,
            code: Some(hostile.into()),
            path: vec![Step { steps: vec![step.clone()], ..step }],
            next: vec![hostile.into()],
            trace: Some(hostile.into()),
        })
        .into_string();
        assert!(
            !html.contains("<script") && !html.contains("\" onclick") && !html.contains('\u{202e}'),
            "{html}"
        );
        assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    }
}
