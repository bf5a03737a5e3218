//! `hob key`: access keys with which requests to the AWS Lambda API are signed.

use super::{Command, DONE};
use crate::output::shown::time;
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::wire::{AccessKeyInfo, LambdaAccess};

/// Make and remove access keys. A node with `--lambda` checks that requests to its AWS Lambda API are signed with one of
/// them; it makes the first by itself.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(hob key env)\" && aws lambda list-functions
  hob key create -o json")]
pub(super) struct Key {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List access keys
    Ls(Ls),
    /// Make an access key
    Create(Create),
    /// Print a key and the API's address as variables for the shell
    Env(Env),
    /// Remove an access key: requests that are signed with it are refused from then on
    Rm(Rm),
}

#[derive(clap::Args)]
struct Ls {
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Create {
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Env {
    /// The key's id [default: the oldest]
    id: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Rm {
    /// The key's id
    id: String,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Key {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Ls(Ls { connection }) => {
                let all = connection.client()?.keys().await?;
                let names: Vec<String> = all.iter().map(|key| key.id.clone()).collect();
                output.result(&all, &names, |output| table(&all, output.wide()));
            }
            What::Create(Create { connection }) => {
                let access = connection.client()?.create_key().await?;
                output.result(&access, std::slice::from_ref(&access.key.id), |_| variables(&access));
            }
            What::Env(Env { id, connection }) => {
                let client = connection.client()?;
                let id = match id {
                    Some(id) => id,
                    None => client.keys().await?.into_iter().next().map(|key| key.id).ok_or_else(none)?,
                };
                let access = client.key(&id).await?;
                output.result(&access, std::slice::from_ref(&access.key.id), |_| variables(&access));
            }
            What::Rm(Rm { id, connection }) => {
                connection.client()?.remove_key(&id).await?;
                output.note(&format!("removed {id}"));
            }
        }
        Ok(DONE)
    }
}

fn none() -> Fault {
    Fault::new(Code::KeyNotFound, "there is no access key").hint("hob key create")
}

fn table(all: &[AccessKeyInfo], wide: bool) -> String {
    let mut table = Table::new(2, &["ID", "CREATED"]);
    for key in all {
        table.row([key.id.clone(), time(key.created_ms)]);
    }
    if all.is_empty() { String::new() } else { table.text(wide) }
}

/// What every client of AWS reads from its environment.
fn variables(access: &LambdaAccess) -> String {
    let LambdaAccess { endpoint, region, key } = access;
    let pairs = [
        ("AWS_ENDPOINT_URL_LAMBDA", endpoint),
        ("AWS_ACCESS_KEY_ID", &key.id),
        ("AWS_SECRET_ACCESS_KEY", &key.secret),
        ("AWS_DEFAULT_REGION", region),
    ];
    pairs.map(|(name, value)| format!("export {name}={value}")).join("\n")
}
