//! `hob why`: the reason why something did or did not happen.

use super::moment::time_ms;
use super::{Command, DONE};
use crate::output::Output;
use crate::output::shown::{harmless, time};
use crate::settings::Connection;
use hob_core::fault::Result;
use hob_core::name::AppName;
use hob_core::why::text::took;
use hob_core::wire::{Step, Story, Verdict, WhyQuery};

/// Ask why something did or did not happen: by an id (of a request, event, call, trace, dead letter, subscription,
/// schedule or error), or by what you expected. The reason comes first, then what mends it, then how it came to that.
#[derive(clap::Args)]
pub(super) struct Why {
    /// A request or call id, `topic/17`, an event's id, an asynchronous call, a trace, `app/name`, or `HOB-0501`
    #[arg(value_name = "ID", required_unless_present_any = ["route", "topic", "cron", "function"])]
    id: Option<String>,
    /// A request you would make: "POST /orders" or "GET shop.localhost/x"
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["id", "topic", "cron", "function"])]
    route: Option<String>,
    /// A topic you publish to
    #[arg(long, conflicts_with_all = ["id", "cron", "function"])]
    topic: Option<String>,
    /// With `--topic`: the type of your events
    #[arg(long = "type", value_name = "TYPE", requires = "topic")]
    kind: Option<String>,
    /// A schedule you waited for
    #[arg(long, value_name = "[APP/]NAME", conflicts_with_all = ["id", "function"])]
    cron: Option<String>,
    /// A function
    #[arg(long, value_name = "[APP/]FUNCTION", conflicts_with = "id")]
    function: Option<String>,
    /// With `--function`: look back so far, such as `1h`
    #[arg(long, value_name = "TIME", value_parser = time_ms, requires = "function")]
    since: Option<u64>,
    /// The app, where the question leaves it open
    #[arg(long)]
    app: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Why {
    async fn run(self, output: &Output) -> Result<u8> {
        let Self { id, route, topic, kind, cron, function, since, app, connection } = self;
        let app = app.as_deref().map(AppName::new).transpose()?;
        let query = WhyQuery { id, route, topic, kind, cron, function, app, since_ms: since };
        let story = connection.client()?.why(&query).await?;
        output.result(&story, std::slice::from_ref(&story.reason), |output| text(&story, output));
        Ok(DONE)
    }
}

fn text(story: &Story, output: &Output) -> String {
    let mut lines =
        vec![format!("{} {}", mark(story.verdict, output), output.strong(&harmless(&story.reason)))];
    if let Some(fix) = &story.fix {
        lines.push(format!("  {} {}", output.dim_result("fix:"), harmless(fix)));
    }
    let mut about = vec![story.subject.clone()];
    about.extend(story.owner.map(|owner| format!("up to: {}", whose(owner))));
    about.extend(story.code.clone());
    lines.push(format!("  {}", output.dim_result(&harmless(&about.join(" · ")))));
    if !story.path.is_empty() {
        lines.push(String::new());
        path(&story.path, "  ", output, &mut lines);
    }
    if !story.next.is_empty() {
        lines.push(String::new());
        lines.extend(
            story.next.iter().map(|next| format!("  {} {}", output.dim_result("next:"), harmless(next))),
        );
    }
    lines.join("\n")
}

/// Who has to act, in words for a person.
fn whose(owner: hob_core::code::Owner) -> &'static str {
    use hob_core::code::Owner;
    match owner {
        Owner::Platform => "Hob or the machine",
        Owner::Code => "the function's code",
        Owner::Limit => "a limit in the settings",
        Owner::Dependency => "a system that is called",
        Owner::Caller => "whoever sends or configures",
    }
}

/// A sign of how it went, which reads without colour too.
fn mark(verdict: Verdict, output: &Output) -> String {
    match verdict {
        Verdict::Good => output.dim_result("ok"),
        Verdict::Waiting => output.attention("waiting:"),
        Verdict::Skipped => output.attention("left out:"),
        Verdict::Bad => output.alarm("failed:"),
        Verdict::Unknown => output.attention("unknown:"),
    }
}

/// Steps below each other, as a tree.
pub(super) fn path(steps: &[Step], indent: &str, output: &Output, lines: &mut Vec<String>) {
    for (at, step) in steps.iter().enumerate() {
        let last = at + 1 == steps.len();
        let branch = if last { "└─ " } else { "├─ " };
        let sign = match step.verdict {
            Verdict::Good => "",
            Verdict::Waiting => "… ",
            Verdict::Skipped => "- ",
            Verdict::Bad => "x ",
            Verdict::Unknown => "? ",
        };
        let when = step.time_ms.map(|ms| format!("{} ", clock(ms))).unwrap_or_default();
        let took = step.took_us.map(|us| format!(" ({})", took(us))).unwrap_or_default();
        let text = harmless(&step.text);
        let text = if step.verdict == Verdict::Bad { output.alarm(&text) } else { text };
        lines.push(format!(
            "{indent}{branch}{}{sign}{text}{}",
            output.dim_result(&when),
            output.dim_result(&took)
        ));
        let below = format!("{indent}{}", if last { "   " } else { "│  " });
        path(&step.steps, &below, output, lines);
    }
}

/// The time of day with milliseconds, in UTC; the date is in the reason where it matters.
fn clock(time_ms: u64) -> String {
    let second = time(time_ms);
    let day =
        second.split_once('T').map_or(second.as_str(), |(_, rest)| rest).trim_end_matches('Z').to_owned();
    format!("{day}.{:03}", time_ms % 1000)
}
