//! `.env` beside a `serverless.yml`.
//!
//! **How.** With `useDotenv: true`, and always from version 4 on, `.env.<stage>` is read, or `.env` where there is none.
//! The environment of the command comes before both (Serverless Framework, guide "Environment Variables").

use super::variable::Variables;
use crate::foreign::Given;
use crate::foreign::dotenv;
use crate::foreign::note::Notes;
use crate::foreign::tree::Node;

/// What is given, with the variables of those files.
pub(super) fn with_files(root: &Node, given: &Given, notes: &mut Notes) -> Given {
    let mut given = given.clone();
    let asked = root.get("useDotenv").and_then(Node::boolean) == Some(true);
    let version = root.get("frameworkVersion").and_then(Node::text).unwrap_or_default();
    let fourth = version.trim_start_matches(|c: char| !c.is_ascii_digit()).starts_with('4');
    if !asked && !fourth {
        return given;
    }
    let stage = Variables::of(root, &given, notes.lines.clone()).stage();
    let file = [format!(".env.{stage}"), ".env".to_owned()].into_iter().find_map(|file| {
        match given.files.get(&file) {
            Some(text) => text.clone().map(|text| (file, text)),
            None => {
                notes.wanted.insert(file);
                None
            }
        }
    });
    let Some((file, text)) = file else { return given };
    let before = notes.lines.before(&file);
    let (variables, wrong) = dotenv::read(&text);
    for line in wrong {
        notes.warn(before + line, &file, "it is no `NAME=value`");
    }
    for variable in variables {
        given.environment.entry(variable.name).or_insert(variable.value);
    }
    given
}
