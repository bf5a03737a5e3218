//! The frame of every page: navigation, the box that asks why, colours, and what a page says first.

use super::asset::{ICON, SCRIPT, STYLE};
use super::visit::{Content, Visit};
use super::{PAGES, Page};
use crate::dashboard::part::text::{plain, sentence};
use hob_core::fault::Fault;
use maud::{DOCTYPE, Markup, html};

/// A whole page.
pub(super) fn page(visit: &Visit, page: Option<&Page>, content: &Content, notice: Option<&str>) -> Markup {
    let below = page.map_or("", |page| page.below);
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[visit.theme] {
            (head(&content.title))
            body data-at=[content.is_live().then_some(visit.at.as_str())] {
                a class="skip" href="#main" { "Skip to content" }
                (top(visit))
                (navigation(below))
                main id="main" tabindex="-1" {
                    @if !content.trail.is_empty() {
                        nav class="trail" aria-label="Breadcrumb" {
                            ol { @for (path, title) in &content.trail { li { a href=(path) { (title) } } } }
                        }
                    }
                    div class="title" {
                        h1 { (plain(&content.title)) }
                        @if content.is_live() {
                            button type="button" class="quiet" data-live-switch hidden aria-pressed="true" {
                                span class="pulse" aria-hidden="true" {} "Live"
                            }
                        }
                    }
                    p class="notice" role="status" hidden[notice.is_none()] { (plain(notice.unwrap_or_default())) }
                    @for block in &content.blocks { (block) }
                }
            }
        }
    }
}

/// A page for somebody who is not signed in.
pub(super) fn outside(theme: Option<&str>, title: &str, refresh: Option<&str>, inside: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme] {
            (head_with(title, refresh))
            body class="outside" {
                main id="main" { (logo()) h1 { (title) } (inside) }
            }
        }
    }
}

/// What a page says instead of itself.
pub(super) fn failure(fault: &Fault) -> Content {
    let summary = fault.code().summary();
    Content::new("That did not work").still(html! {
        section class="story bad" {
            p class="reason" { (sentence(fault.message())) }
            @if let Some(hint) = fault.hint_text() { p class="fix" { (sentence(hint)) } }
            p class="muted" { code { (fault.code()) } " · " (summary) }
        }
    })
}

fn head(title: &str) -> Markup {
    head_with(title, None)
}

fn head_with(title: &str, refresh: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            @if let Some(to) = refresh { meta http-equiv="refresh" content={ "0;url=" (to) }; }
            title { (plain(title)) " · Hob" }
            link rel="icon" href=(ICON.path()) type="image/svg+xml";
            link rel="stylesheet" href=(STYLE.path());
            script src=(SCRIPT.path()) defer {}
        }
    }
}

fn logo() -> Markup {
    html! {
        span class="logo" {
            svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" {
                path class="house" d="M4 21V9.5L12 3l8 6.5V21h-5v-5.5a3 3 0 0 0-6 0V21z" {}
                circle class="ember" cx="12" cy="10.2" r="1.8" {}
            }
            "Hob"
        }
    }
}

fn top(visit: &Visit) -> Markup {
    let question = if visit.at.starts_with("/why") { visit.query.get("ask") } else { "" };
    html! {
        header class="top" {
            a class="home" href="/" aria-label="Hob, overview" { (logo()) }
            @if let Some(space) = &visit.dashboard.space { span class="muted" { "space " (space) } }
            form class="search" role="search" action="/why" method="get" {
                label for="ask" class="hidden" { "Ask why" }
                input id="ask" type="search" name="ask" value=(question) autocomplete="off" spellcheck="false"
                    placeholder="Ask why: an id, an event, POST /route, app/trigger …";
                button type="submit" { "Why?" }
            }
            form class="inline" method="post" action="/theme" data-theme-switch {
                (visit.hidden())
                input type="hidden" name="back" value=(visit.at);
                @match visit.theme {
                    Some("dark") => button class="quiet" name="theme" value="light" { "Light" },
                    Some(_) => button class="quiet" name="theme" value="dark" { "Dark" },
                    None => {
                        button class="quiet when-light" name="theme" value="dark" { "Dark" }
                        button class="quiet when-dark" name="theme" value="light" { "Light" }
                    }
                }
            }
            form class="inline" method="post" action="/sign-out" {
                (visit.hidden())
                button class="quiet" type="submit" { "Sign out" }
            }
        }
    }
}

fn navigation(below: &str) -> Markup {
    let mut groups: Vec<&str> = PAGES.iter().filter_map(|page| page.group).collect();
    groups.dedup();
    groups.sort_by_key(|group| PAGES.iter().position(|page| page.group == Some(group)));
    groups.dedup();
    html! {
        nav class="side" aria-label="Pages" {
            @for group in groups {
                p id={ "group-" (group) } { (group) }
                ul aria-labelledby={ "group-" (group) } {
                    @for page in PAGES.iter().filter(|page| page.group == Some(group)) {
                        li {
                            a href=(page.path) aria-current=[(page.path == below).then_some("page")] { (page.title) }
                        }
                    }
                }
            }
        }
    }
}
