//! The node: what it is, what it has left, and what the machine offers.

use crate::dashboard::Shown;
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::text::{count, plain, when};
use crate::dashboard::visit::{Content, Visit};
use hob_core::unit::show_bytes;
use hob_core::wire::{NodeHealth, NodeInfo, Verdict};
use maud::{Markup, html};

/// Of the disk so much has to be free, or it is said: one in so many bytes.
const FREE_SHARE: u64 = 10;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let node: NodeInfo = visit.api().get("/v1/node").await?;
        let health: NodeHealth = visit.api().get("/v1/node/health").await?;
        Ok(Content::new("Node").live("node", about(&node, &health)).still(machine(&health)))
    })
}

fn about(node: &NodeInfo, health: &NodeHealth) -> Markup {
    let little =
        health.disk_free_bytes.zip(health.disk_bytes).is_some_and(|(free, all)| free < all / FREE_SHARE);
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "not known".to_owned(), show_bytes);
    html! {
        dl class="facts" {
            div { dt { "Version" } dd { (node.version) } }
            div { dt { "Answers at" } dd { a href=(node.url) { (node.url) } } }
            div { dt { "Apps below" } dd { (node.domain) } }
            div { dt { "Process" } dd { (node.pid) } }
            div { dt { "Since" } dd { (when(node.started_ms)) } }
            div { dt { "Memory of the node" } dd { (bytes(health.memory_bytes)) } }
            div { dt { "Data folder" } dd { code { (plain(&health.data)) } } }
            div { dt { "Free on its disk" } dd { (bytes(health.disk_free_bytes)) " of " (bytes(health.disk_bytes)) " "
                @if little { (mark(Verdict::Bad, "little")) } } }
            div { dt { "Facts" } dd { (count(health.facts)) " kept, " (show_bytes(health.facts_bytes)) } }
            div { dt { "Facts dropped" } dd { (count(health.facts_dropped)) } }
        }
    }
}

fn machine(health: &NodeHealth) -> Markup {
    html! {
        section aria-labelledby="machine" {
            h2 id="machine" { "What this machine offers" }
            div class="scroll" tabindex="0" role="region" aria-label="Machine" {
                table {
                    caption class="hidden" { "As hob doctor says" }
                    thead { tr { th scope="col" { "What" } th scope="col" { "Found" } th scope="col" { "Seen" } th scope="col" { "Effect" } } }
                    tbody {
                        @for finding in &health.machine {
                            tr {
                                th scope="row" { (finding.name) }
                                td { @if finding.found { (mark(Verdict::Good, "yes")) } @else { (mark(Verdict::Skipped, "no")) } }
                                td class="text" { (plain(&finding.seen)) }
                                td class="text" { (finding.effect) }
                            }
                        }
                    }
                }
            }
            p class="foot" { "The same in a terminal: " code { "hob doctor" } }
        }
    }
}
