//! The file of recorded results: one section for each scenario, each with the run that it is from.
//!
//! **Why.** A run of some scenarios must not take away what another run has recorded of the others.

const INTRODUCTION: &str = "# Recorded results

Written by `cargo run --release -p hob-bench -- --record`, which replaces the sections of the scenarios that it has
run. Only ratios within one run carry over to another machine, and where the load average is not near 0 others
were at work on this one too.
";

/// The whole file: sections of `fresh` in place of the old ones with their titles, in the order of
/// `titles`; sections with other titles stay, at the end.
pub(super) fn merge(old: &str, fresh: &[(&str, String)], titles: &[&str]) -> String {
    let mut sections: Vec<(&str, &str)> = old
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .map(|(title, text)| (title, text.trim()))
        .collect();
    for (title, text) in fresh {
        sections.retain(|(known, _)| known != title);
        sections.push((title, text.trim()));
    }
    let place = |title: &str| titles.iter().position(|known| *known == title).unwrap_or(titles.len());
    sections.sort_by_key(|(title, _)| place(title));
    let sections: Vec<String> =
        sections.iter().map(|(title, text)| format!("\n## {title}\n\n{text}\n")).collect();
    format!("{INTRODUCTION}{}", sections.concat())
}

#[cfg(test)]
mod tests {
    use super::{INTRODUCTION, merge};

    #[test]
    fn what_was_not_run_stays_and_what_was_run_is_replaced() {
        let titles = ["A", "B", "C"];
        let first = merge("", &[("C", "c1".to_owned()), ("A", "a1\n".to_owned())], &titles);
        assert_eq!(first, format!("{INTRODUCTION}\n## A\n\na1\n\n## C\n\nc1\n"));
        let other = format!("{first}\n## Other\n\nkept\n");
        let second = merge(&other, &[("B", "b2".to_owned()), ("C", "c2".to_owned())], &titles);
        assert_eq!(
            second,
            format!("{INTRODUCTION}\n## A\n\na1\n\n## B\n\nb2\n\n## C\n\nc2\n\n## Other\n\nkept\n")
        );
    }
}
