//! Every error code has a page that explains it, and every page a code.

use crate::{files, read, report};
use hob_core::code::Code;

const SECTIONS: &[&str] = &["## What it means", "## What to do"];

#[test]
fn every_code_has_its_page() {
    let mut problems = Vec::new();
    let pages: Vec<String> = files().into_iter().filter(|path| path.starts_with("docs/errors/")).collect();
    for code in Code::ALL {
        let path = format!("docs/errors/{code}.md");
        if !pages.contains(&path) {
            problems.push(format!("{path}: is missing; it explains {code} ({})", code.summary()));
            continue;
        }
        let text = read(&path);
        let title = format!("# {code}: {}", code.summary());
        if text.lines().next() != Some(&title) {
            problems.push(format!("{path}: the first line is `{title}`"));
        }
        if !text.contains(&format!("```text\n{code} ")) {
            problems.push(format!("{path}: shows an example of the message"));
        }
        for section in SECTIONS {
            let words = text
                .split(section)
                .nth(1)
                .map_or(0, |rest| rest.split("\n#").next().unwrap_or("").split_whitespace().count());
            if words < 5 {
                problems.push(format!("{path}: the section `{section}` is missing or empty"));
            }
        }
    }
    for page in &pages {
        let code = page.trim_start_matches("docs/errors/").trim_end_matches(".md");
        if Code::parse(code).is_none() {
            problems.push(format!("{page}: is the page of no code"));
        }
    }
    report(&problems);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut problems = Vec::new();
    let all = files();
    for path in all.iter().filter(|path| path.ends_with(".md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in read(path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !crate::root().join(folder).join(file).exists() {
                problems.push(format!("{path}: links to `{target}`, which is not there"));
            }
        }
    }
    report(&problems);
}
