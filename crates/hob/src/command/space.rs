//! `hob space`: tenants of a node, and what each of them has and may have.

use super::{Command, DONE};
use crate::output::shown::{dash, time_or_dash};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::SpaceName;
use hob_core::space::{Quotas, Resource, UNLIMITED};
use hob_core::wire::{SpaceInfo, SpaceState, Use};
use serde_json::json;

/// See spaces, make, limit and remove them. A space is a tenant of the node: it has its own apps, topics, logs, facts
/// and keys, and sees nothing of any other. Commands work in the space that `--space` or `HOB_SPACE` names, and in
/// `default` without.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  hob space create team --memory 512MiB --requests 100
  hob deploy --space team shop/
  HOB_SPACE=team hob ls
  hob space show team
  hob space set team --apps 20 --storage unlimited")]
pub(super) struct Space {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List spaces
    Ls(Ls),
    /// Show what a space has and may have
    Show(Show),
    /// Make a space
    Create(Create),
    /// Change what a space may have
    Set(Set),
    /// Remove a space. There is no way back
    Rm(Rm),
}

#[derive(clap::Args)]
struct Ls {
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Show {
    /// The space [default: the one that commands work in]
    name: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Create {
    /// The space
    name: String,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Set {
    /// The space
    name: String,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Rm {
    /// The space
    name: String,
    /// Remove the apps and topics in it too; without, only an empty space goes
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
}

/// One flag for each resource; each takes a number or `unlimited`.
#[derive(Default, clap::Args)]
#[command(next_help_heading = "Quotas, as a number or `unlimited`")]
struct Limits {
    /// Apps
    #[arg(long, value_name = "COUNT")]
    apps: Option<String>,
    /// Functions of all apps
    #[arg(long, value_name = "COUNT")]
    functions: Option<String>,
    /// Memory of all instances, such as `512MiB`
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Artifacts, layers, topics and facts, such as `10GiB`
    #[arg(long, value_name = "SIZE")]
    storage: Option<String>,
    /// Topics
    #[arg(long, value_name = "COUNT")]
    topics: Option<String>,
    /// Requests, events and calls of functions in a second
    #[arg(long, value_name = "COUNT")]
    requests: Option<String>,
    /// Calls of functions that run at a time
    #[arg(long, value_name = "COUNT")]
    calls: Option<String>,
}

impl Limits {
    fn quotas(self) -> Result<Quotas> {
        let given = [
            (Resource::Apps, self.apps),
            (Resource::Functions, self.functions),
            (Resource::Memory, self.memory),
            (Resource::Storage, self.storage),
            (Resource::Topics, self.topics),
            (Resource::Requests, self.requests),
            (Resource::Calls, self.calls),
        ];
        let given = given.into_iter().filter_map(|(resource, text)| Some((resource, text?)));
        given
            .map(|(resource, text)| Ok((resource, resource.parse(&text)?)))
            .collect::<Result<_>>()
            .map(Quotas)
    }
}

impl Command for Space {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Ls(Ls { connection }) => {
                let all = connection.client()?.spaces().await?;
                let names: Vec<String> = all.iter().map(|info| info.space.to_string()).collect();
                output.result(&all, &names, |output| list(&all, output.wide()));
            }
            What::Show(Show { name, connection }) => {
                let client = connection.client()?;
                let info = match name {
                    Some(name) => client.space(&SpaceName::new(&name)?).await?,
                    None => client.own_space().await?,
                };
                shown(output, &info);
            }
            What::Create(Create { name, limits, connection }) => {
                let (name, quotas) = (SpaceName::new(&name)?, limits.quotas()?);
                let info = connection.client()?.create_space(name, quotas).await?;
                output.note(&format!("made space `{}`; work in it with `--space {0}`", info.space));
                shown(output, &info);
            }
            What::Set(Set { name, limits, connection }) => {
                let (name, quotas) = (SpaceName::new(&name)?, limits.quotas()?);
                if quotas.0.is_empty() {
                    let fault = Fault::new(Code::Usage, "`hob space set` changes nothing without a quota");
                    return Err(fault.hint(format!("write for example `hob space set {name} --apps 20`")));
                }
                shown(output, &connection.client()?.set_space(&name, quotas).await?);
            }
            What::Rm(Rm { name, yes, connection }) => {
                let (name, client) = (SpaceName::new(&name)?, connection.client()?);
                client.remove_space(&name, yes).await?;
                let said = |_: &Output| format!("removed space `{name}`");
                output.result(&json!({ "removed": name }), &[name.to_string()], said);
            }
        }
        Ok(DONE)
    }
}

fn shown(output: &Output, info: &SpaceInfo) {
    output.result(info, &[info.space.to_string()], |_| detail(info));
}

fn list(all: &[SpaceInfo], wide: bool) -> String {
    let columns = [
        "SPACE",
        "STATE",
        "FULLEST",
        "APPS",
        "FUNCTIONS",
        "MEMORY",
        "STORAGE",
        "TOPICS",
        "DOMAIN",
        "CREATED",
    ];
    let mut table = Table::new(7, &columns);
    for info in all {
        let used =
            |resource: Resource| info.use_of.get(&resource).map_or_else(dash, |of| resource.show(of.used));
        table.row([
            info.space.to_string(),
            state(info.state).to_owned(),
            fullest(info).map_or_else(dash, |(word, percent)| format!("{word} {percent} %")),
            used(Resource::Apps),
            used(Resource::Functions),
            used(Resource::Memory),
            used(Resource::Storage),
            used(Resource::Topics),
            info.domain.clone(),
            time_or_dash(info.created_ms),
        ]);
    }
    table.text(wide)
}

fn detail(info: &SpaceInfo) -> String {
    let mut table = Table::new(4, &["QUOTA", "USED", "OF", "FULL"]);
    for (resource, of) in &info.use_of {
        let limit = of.limit.map_or_else(|| UNLIMITED.to_owned(), |limit| resource.show(limit));
        let full = percent(*of).map_or_else(dash, |percent| format!("{percent} %"));
        table.row([resource.row().word.to_owned(), resource.show(of.used), limit, full]);
    }
    let SpaceInfo { space, domain, .. } = info;
    format!("space {space}, {}: apps answer at <app>.{domain}\n\n{}", state(info.state), table.text(false))
}

/// How much of a quota is used; `None` where there is no limit.
fn percent(Use { used, limit }: Use) -> Option<u64> {
    match limit? {
        0 => Some(100),
        limit => Some(used.saturating_mul(100) / limit),
    }
}

/// The quota that is used up first, if there is one.
fn fullest(info: &SpaceInfo) -> Option<(&'static str, u64)> {
    let shares = info.use_of.iter().filter_map(|(resource, of)| Some((resource.row().word, percent(*of)?)));
    // Of several the first, in the order in which they are shown.
    shares.fold(None, |most, one| match most {
        Some((_, percent)) if percent >= one.1 => most,
        _ => Some(one),
    })
}

fn state(state: SpaceState) -> &'static str {
    match state {
        SpaceState::Ready => "ready",
        SpaceState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Space, percent};
    use clap::Args as _;
    use hob_core::space::{Quotas, RESOURCES, Resource};
    use hob_core::wire::Use;

    #[test]
    fn how_full_a_quota_is() {
        for (used, limit, expected) in
            [(0, None, None), (0, Some(0), Some(100)), (1, Some(3), Some(33)), (7, Some(5), Some(140))]
        {
            assert_eq!(percent(Use { used, limit }), expected, "{used} of {limit:?}");
        }
    }

    #[test]
    fn every_resource_has_its_flag() {
        let command = Space::augment_args(clap::Command::new("space"));
        for of in ["create", "set"] {
            let own = command.find_subcommand(of).unwrap();
            for row in RESOURCES {
                assert!(own.get_arguments().any(|arg| arg.get_long() == Some(row.word)), "{of} {}", row.word);
            }
        }
        let text = |text: &str| Some(text.to_owned());
        let limits =
            Limits { apps: text("3"), memory: text("1MiB"), calls: text("unlimited"), ..Limits::default() };
        let expected =
            [(Resource::Apps, Some(3)), (Resource::Memory, Some(1 << 20)), (Resource::Calls, None)];
        assert_eq!(limits.quotas().unwrap(), Quotas(expected.into_iter().collect()));
        assert!(Limits { apps: text("few"), ..Limits::default() }.quotas().is_err());
    }
}
