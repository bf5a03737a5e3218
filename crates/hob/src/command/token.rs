//! `hob token`: API tokens, with which programs and people use the control API over TCP.

use super::{Command, DONE};
use crate::output::shown::{dash, short, time, time_or_dash};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::access::Scope;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::unit::{millis, parse_duration};
use hob_core::wire::{TokenInfo, TokenRequest};
use serde_json::json;
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
  hob token create shop --scope invoke,publish --expires 7d -o json
  hob token create guest --scope deploy --space guests
  hob token rm ci")]
pub(super) struct Token {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List tokens
    Ls(Ls),
    /// Make a token and print it, this once. With `--space` it is good in that space only, else in all
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
    /// The token's id, or its name if no other has that
    #[arg(value_name = "ID")]
    token: String,
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
                if all.is_empty() {
                    output.note("no tokens yet; `hob token create NAME --scope SCOPE` makes one");
                }
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
            What::Rm(Rm { token, connection }) => {
                let client = connection.client()?;
                let id = id_of(&client.tokens().await?, &token)?;
                client.revoke_token(&id).await?;
                output.result(&json!({ "revoked": id }), std::slice::from_ref(&id), |_| {
                    format!("revoked {id}")
                });
            }
        }
        Ok(DONE)
    }
}

/// The id of the token that is meant.
///
/// # Errors
/// `HOB-0111` for a name that several have. What nobody knows is the node's to say.
fn id_of(all: &[TokenInfo], meant: &str) -> Result<String> {
    let named: Vec<&str> = all.iter().filter(|one| one.name == meant).map(|one| one.id.as_str()).collect();
    match named.as_slice() {
        _ if all.iter().any(|one| one.id == meant) => Ok(meant.to_owned()),
        [] => Ok(meant.to_owned()),
        [id] => Ok((*id).to_owned()),
        several => {
            let what = format!("{} tokens are called `{meant}`", several.len());
            Err(Fault::new(Code::Usage, what).hint(format!("name one by its id: {}", several.join(", "))))
        }
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

#[cfg(test)]
mod tests {
    use super::id_of;
    use hob_core::wire::TokenInfo;

    #[test]
    fn a_token_is_meant_by_its_id_or_by_a_name_that_it_alone_has() {
        let token = |id: &str, name: &str| -> TokenInfo {
            let info = serde_json::json!({
                "id": id, "name": name, "scopes": ["read"], "created_ms": 1, "by": "owner", "expires_ms": 2
            });
            serde_json::from_value(info).unwrap()
        };
        let all = [token("0a", "ci"), token("0b", "shop"), token("0c", "shop"), token("ci", "0b")];
        for (meant, expected) in [
            ("0a", Ok("0a")),
            // An id goes before a name.
            ("ci", Ok("ci")),
            ("0b", Ok("0b")),
            ("shop", Err("0b, 0c")),
            ("nobody", Ok("nobody")),
        ] {
            match (id_of(&all, meant), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(fault), Err(named)) => assert!(fault.hint_text().unwrap().contains(named), "{fault}"),
                (found, expected) => panic!("{meant}: {found:?}, not {expected:?}"),
            }
        }
        assert_eq!(id_of(&all[..1], "ci").unwrap(), "0a");
    }
}
