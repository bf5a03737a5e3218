//! `hob new`: a folder with a working function.

use super::{Command, DONE};
use crate::output::{Output, Table};
use crate::template::{TEMPLATES, Template, find};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use serde_json::json;
use std::path::PathBuf;

/// Create a folder with a working function. `hob new --list` shows the templates.
#[derive(clap::Args)]
pub(super) struct New {
    /// Folder to create; its name becomes the app's
    #[arg(required_unless_present = "list")]
    path: Option<PathBuf>,
    /// Template to begin with
    #[arg(short, long, value_name = "TEMPLATE", default_value = "python")]
    template: String,
    /// List the templates
    #[arg(long)]
    list: bool,
}

impl Command for New {
    async fn run(self, output: &Output) -> Result<u8> {
        let Some(path) = self.path.filter(|_| !self.list) else {
            list(output);
            return Ok(DONE);
        };
        let template = find(&self.template)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = AppName::new(&name)?;
        if path.exists() {
            return Err(Fault::new(Code::Usage, format!("`{}` exists already", path.display()))
                .hint("choose another name"));
        }
        template.write(&path, name.as_str()).map_err(|error| {
            Fault::new(Code::Usage, format!("cannot write `{}`: {error}", path.display()))
        })?;
        let value = json!({ "app": name, "template": template.name, "path": path });
        output.result(&value, &[path.display().to_string()], |_| {
            let needs = if template.needs.is_empty() {
                String::new()
            } else {
                format!("needs: {}\n", template.needs)
            };
            format!(
                "made `{}` from template `{}`\n{needs}next: `hob run {}`",
                path.display(),
                template.name,
                path.display()
            )
        });
        Ok(DONE)
    }
}

fn list(output: &Output) {
    let names: Vec<String> = TEMPLATES.iter().map(|template| template.name.to_owned()).collect();
    output.result(&TEMPLATES, &names, |output| {
        let mut table = Table::new(3, &["TEMPLATE", "WHAT", "NEEDS"]);
        for Template { name, summary, needs, .. } in TEMPLATES {
            table.row([(*name).to_owned(), (*summary).to_owned(), (*needs).to_owned()]);
        }
        table.text(output.wide())
    });
}
