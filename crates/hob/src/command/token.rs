//! `hob token`: API tokens, with which programs and people use the control API over TCP.

use super::{Command, DONE};
use crate::output::shown::{dash, short, time, time_or_dash};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::access::Scope;
use hob_core::fault::Result;
use hob_core::unit::{millis, parse_duration};
use hob_core::wire::{TokenInfo, TokenRequest};
use std::time::Duration;

/// Make and revoke API tokens. A token may do what its scopes say, until it expires; the node keeps only a digest of it.
#[derive(clap::Args)]
#[command(after_help = "\
Scopes:
  read     see apps, topics, subscriptions and schedules, and their settings
  observe  see logs, traces, metrics, costs and events; includes read
  deploy   deploy, roll back and remove apps; includes read
  operate  pause, move and fire triggers, replay events; includes read
  invoke   call functions
  publish  publish events
  secrets  set, list and remove secrets
  admin    everything

Examples:
  hob token create ci --scope deploy > ci.token
  hob token create shop --scope invoke,publish --expires 7d -o json")]
pub(super) struct Token {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List tokens
    Ls(Ls),
    /// Make a token and print it, this once; with `--space` it is good in that space alone
    Create(Create),
    /// Revoke a token: it is refused from then on
    Rm(Rm),
}

#[derive(clap::Args)]
struct Ls {
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Create {
    /// How people will know it, such as the program that uses it
    name: String,
    /// What it may do; repeat for several
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', required = true, value_parser = Scope::parse)]
    scopes: Vec<Scope>,
    /// How long it is good [default: 30d]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Rm {
    /// The token's id
    id: String,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Token {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Ls(Ls { connection }) => {
                let all = connection.client()?.tokens().await?;
                let names: Vec<String> = all.iter().map(|token| token.id.clone()).collect();
                output.result(&all, &names, |output| table(&all, output.wide()));
            }
            What::Create(Create { name, scopes, expires, connection }) => {
                let space = connection.space()?;
                let scopes = scopes.into_iter().collect();
                let asked = TokenRequest { name, scopes, space, lifetime_ms: expires.map(millis) };
                let made = connection.client()?.create_token(&asked).await?;
                output.result(&made, std::slice::from_ref(&made.info.id), |_| made.token.clone());
                let (id, end) = (&made.info.id, time(made.info.expires_ms));
                output.note(&format!("token {id} is good until {end}; it is not shown again"));
            }
            What::Rm(Rm { id, connection }) => {
                connection.client()?.revoke_token(&id).await?;
                output.note(&format!("revoked {id}"));
            }
        }
        Ok(DONE)
    }
}

fn table(all: &[TokenInfo], wide: bool) -> String {
    let columns = ["ID", "NAME", "SCOPES", "SPACE", "EXPIRES", "USED", "CREATED", "BY"];
    let mut table = Table::new(6, &columns);
    for token in all {
        table.row([
            token.id.clone(),
            short(&token.name, 40),
            token.scopes.to_string(),
            token.space.as_ref().map_or_else(dash, ToString::to_string),
            time(token.expires_ms),
            time_or_dash(token.used_ms),
            time(token.created_ms),
            short(&token.by, 80),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text(wide) }
}
