//! `hob secret`: values that functions are given and nobody is shown.

use super::{Command, DONE};
use crate::output::shown::{dash, short, time};
use crate::output::{Output, Table};
use crate::settings::Connection;
use clap::Subcommand;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{SECRET_BYTES_MAX, SECRET_REDACTED_BYTES_MIN};
use hob_core::name::{AppName, SecretName};
use hob_core::wire::{SecretInfo, SecretRequest};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

/// Set, list and remove secrets. A function is given those that its manifest names (`secrets = ["API_KEY"]`), as
/// environment variables. No command shows a value.
#[derive(clap::Args)]
#[command(after_help = "\
A value comes from standard input, from a file, or is asked for; never from the command line, which others can see.

Examples:
  hob secret set desk API_KEY < key.txt
  hob secret rotate desk API_KEY --from-file new-key.txt
  hob secret rotate desk API_KEY --to 1")]
pub(super) struct Secret {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Set a secret; functions that have an older value of it are given the new one
    Set(Set),
    /// List the secrets of an app, without their values
    Ls(Ls),
    /// Give a secret that is there another value, or one of its kept versions
    Rotate(Rotate),
    /// Remove a secret that no function names any more
    Rm(Rm),
    /// Encrypt every secret of the node with another key
    Rekey(Rekey),
}

#[derive(clap::Args)]
struct Set {
    /// The app
    app: String,
    /// The secret, and the environment variable that holds it
    name: String,
    /// File that holds the value; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Ls {
    /// The app
    app: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Rotate {
    /// The app
    app: String,
    /// The secret
    name: String,
    /// File that holds the new value; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Go to this kept version instead
    #[arg(long, value_name = "VERSION", conflicts_with = "from_file")]
    to: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Rm {
    /// The app
    app: String,
    /// The secret
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
struct Rekey {
    #[command(flatten)]
    connection: Connection,
}

impl Command for Secret {
    async fn run(self, output: &Output) -> Result<u8> {
        match self.what {
            What::Set(Set { app, name, from_file, connection }) => {
                let (app, name) = (AppName::new(&app)?, SecretName::new(&name)?);
                let asked = SecretRequest { value: value(from_file, output)?, rotate: false };
                let info = connection.client()?.set_secret(&app, &name, &asked).await?;
                done(&info, output);
            }
            What::Ls(Ls { app, connection }) => {
                let app = AppName::new(&app)?;
                let all = connection.client()?.secrets(&app).await?;
                let names: Vec<String> = all.iter().map(|secret| secret.name.to_string()).collect();
                output.result(&all, &names, |output| table(&all, output.wide()));
                if all.is_empty() {
                    output.note(&format!("app `{app}` has no secrets; `hob secret set {app} NAME` sets one"));
                }
            }
            What::Rotate(Rotate { app, name, from_file, to, connection }) => {
                let (app, name) = (AppName::new(&app)?, SecretName::new(&name)?);
                let client = connection.client()?;
                let info = match to {
                    Some(version) => client.use_secret(&app, &name, version).await?,
                    None => {
                        let asked = SecretRequest { value: value(from_file, output)?, rotate: true };
                        client.set_secret(&app, &name, &asked).await?
                    }
                };
                done(&info, output);
            }
            What::Rm(Rm { app, name, connection }) => {
                let (app, name) = (AppName::new(&app)?, SecretName::new(&name)?);
                let client = connection.client()?;
                let known = client.secrets(&app).await?;
                client.remove_secret(&app, &name).await?;
                for number in known.iter().filter(|info| info.name == name).flat_map(|info| &info.kept_by) {
                    let what = format!("revision {number} of `{app}` names {name} still");
                    output.note(&format!("{what}: it is not rolled back to before the secret is set again"));
                }
                let said = |_: &Output| format!("removed {name}");
                output.result(&json!({ "removed": name }), &[name.to_string()], said);
            }
            What::Rekey(Rekey { connection }) => {
                let rekeyed = connection.client()?.rekey().await?;
                let text = format!("{} values are encrypted with key {}", rekeyed.values, rekeyed.key);
                output.result(&rekeyed, std::slice::from_ref(&rekeyed.key), |_| text.clone());
            }
        }
        Ok(DONE)
    }
}

fn done(info: &SecretInfo, output: &Output) {
    let SecretInfo { name, version, .. } = info;
    let used: Vec<&str> = info.used_by.iter().map(|function| function.as_str()).collect();
    let by = match used.as_slice() {
        [] => "no function names it yet".to_owned(),
        some => format!("given to {}", some.join(", ")),
    };
    let text = format!("{name} is at version {version}, {by}");
    output.result(info, &[name.to_string()], |_| text.clone());
}

fn table(all: &[SecretInfo], wide: bool) -> String {
    let mut table = Table::new(4, &["NAME", "VERSION", "SET", "USED BY", "KEPT", "BY"]);
    for secret in all {
        let used: Vec<&str> = secret.used_by.iter().map(|function| function.as_str()).collect();
        let kept: Vec<String> = secret.versions.iter().map(ToString::to_string).collect();
        table.row([
            secret.name.to_string(),
            secret.version.to_string(),
            time(secret.set_ms),
            if used.is_empty() { dash() } else { used.join(",") },
            kept.join(","),
            short(&secret.by, 60),
        ]);
    }
    if all.is_empty() { String::new() } else { table.text(wide) }
}

/// The value: of a file, of standard input, or what a person types where nobody sees it.
fn value(from_file: Option<PathBuf>, output: &Output) -> Result<String> {
    let text = match from_file {
        Some(file) if file.as_os_str() != "-" => std::fs::read(&file).map_err(|error| {
            Fault::new(Code::FileMissing, format!("cannot read `{}`: {error}", file.display()))
        })?,
        None if std::io::stdin().is_terminal() => typed(output)?,
        _ => read_input()?,
    };
    let text = String::from_utf8(text).map_err(|_| {
        Fault::new(Code::SecretInvalid, "the value is no text (UTF-8)")
            .hint("encode it, for example as base64")
    })?;
    // A file that an editor or `echo` has written ends its line.
    let text = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(&text);
    if text.len() < SECRET_REDACTED_BYTES_MIN {
        let note = "a value of less than {} bytes is not taken out of logs and facts";
        output.note(&note.replace("{}", &SECRET_REDACTED_BYTES_MIN.to_string()));
    }
    Ok(text.to_owned())
}

fn read_input() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    // More than a value can have says so at the node.
    let read = std::io::stdin().take(SECRET_BYTES_MAX as u64 * 2).read_to_end(&mut text);
    read.map_err(|error| Fault::new(Code::FileMissing, format!("cannot read standard input: {error}")))?;
    Ok(text)
}

/// A line from the terminal, which shows nothing of it.
fn typed(output: &Output) -> Result<Vec<u8>> {
    let stdin = std::io::stdin();
    let lacks = |error: rustix::io::Errno| {
        Fault::new(Code::MachineLacks, format!("the terminal cannot be silenced: {error}"))
    };
    let before = tcgetattr(&stdin).map_err(lacks)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    output.note("type the value, then Enter; nothing is shown");
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(lacks)?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    // Whatever was typed, the terminal is as before.
    let _ = tcsetattr(&stdin, OptionalActions::Flush, &before);
    read.map_err(|error| Fault::new(Code::FileMissing, format!("cannot read the terminal: {error}")))?;
    Ok(line.into_bytes())
}
