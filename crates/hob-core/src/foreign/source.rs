//! The files of which a manifest is made, and which of them a line is in.
//!
//! **Why.** A setting is told by file and line, whichever of several files it stands in; but what comes out of a
//! translation knows numbers of lines alone.
//!
//! **How.** Lines count on from file to file: the first line of the second file comes after the last one of the first.
//! [`Lines`] turns such a number back into a file and a line. With one file nothing changes.
//!
//! **Not here:** reading files. Which ones are missing is said by [`super::Imported::wanted`].

use super::tree::{Node, Value};
use crate::fault::Fault;
use std::collections::BTreeMap;

/// One file of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file as messages name it.
    pub file: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// A file and its text.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }
}

/// Where each file begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Lines before the file, and its name; the first has none before it.
    starts: Vec<(usize, String)>,
    /// The folder of the first.
    folder: Option<String>,
}

impl Lines {
    /// The files of a manifest, then those that it names, by their path from its folder.
    pub(super) fn of(sources: &[Source], files: &BTreeMap<String, Option<String>>) -> Self {
        let folder = sources.first().and_then(|first| first.file.rsplit_once('/'));
        let folder = folder.map(|(folder, _)| folder.to_owned());
        let beside = files.iter().filter_map(|(path, text)| Some((path, text.as_deref()?)));
        let beside = beside.map(|(path, text)| (below(folder.as_deref(), path), text));
        let own = sources.iter().map(|source| (source.file.clone(), source.text.as_str()));
        let (mut starts, mut before) = (Vec::new(), 0);
        for (file, text) in own.chain(beside) {
            starts.push((before, file));
            before += text.lines().count() + 1;
        }
        Self { starts, folder }
    }

    /// How many lines come before a file, which is named as messages do, or by its path from the manifest's folder.
    pub(super) fn before(&self, file: &str) -> usize {
        let beside = below(self.folder.as_deref(), file);
        let known = |(_, name): &&(usize, String)| name == file || *name == beside;
        self.starts.iter().find(known).map_or(0, |(before, _)| *before)
    }

    /// The file and the line in it.
    pub fn place(&self, line: usize) -> (&str, usize) {
        match self.starts.iter().rev().find(|(before, _)| *before < line.max(1)) {
            Some((before, file)) => (file, line - before),
            None => ("", line),
        }
    }

    /// The place as messages name it.
    pub fn at(&self, line: usize) -> String {
        let (file, line) = self.place(line);
        format!("{file}:{line}")
    }

    /// A fault whose place is a line of the first file, moved to the file that is meant.
    pub fn corrected(&self, fault: Fault) -> Fault {
        let first = self.starts.first().map_or("", |(_, file)| file);
        let place = fault.place().and_then(|place| place.strip_prefix(first)?.strip_prefix(':'));
        match place.and_then(|line| line.parse().ok()) {
            Some(line) => fault.at(self.at(line)),
            None => fault,
        }
    }
}

fn below(folder: Option<&str>, path: &str) -> String {
    folder.map_or_else(|| path.to_owned(), |folder| format!("{folder}/{path}"))
}

/// Moves a tree to where its file begins.
pub(super) fn moved(node: &mut Node, lines: usize) {
    node.line += lines;
    match &mut node.value {
        Value::Scalar { .. } | Value::Unknown(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| moved(item, lines)),
        Value::Map(entries) => {
            for entry in entries {
                entry.line += lines;
                moved(&mut entry.value, lines);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Source};
    use crate::code::Code;
    use crate::fault::Fault;
    use std::collections::BTreeMap;

    #[test]
    fn a_line_is_told_by_its_file() {
        let sources = [Source::new("shop/a.yaml", "1\n2\n"), Source::new("shop/b.yaml", "1")];
        let files =
            BTreeMap::from([("c/d.yml".to_owned(), Some("1\n2".to_owned())), ("none.yml".to_owned(), None)]);
        let lines = Lines::of(&sources, &files);
        for (line, at) in [
            (0, "shop/a.yaml:0"),
            (1, "shop/a.yaml:1"),
            (3, "shop/a.yaml:3"),
            (4, "shop/b.yaml:1"),
            (6, "shop/c/d.yml:1"),
            (7, "shop/c/d.yml:2"),
        ] {
            assert_eq!(lines.at(line), at);
            let fault = Fault::new(Code::ManifestValue, "x").at(format!("shop/a.yaml:{line}"));
            assert_eq!(lines.corrected(fault).place(), Some(at));
        }
        let elsewhere = Fault::new(Code::ManifestValue, "x").at("functions.a");
        assert_eq!(lines.corrected(elsewhere).place(), Some("functions.a"));
        assert_eq!((lines.before("c/d.yml"), lines.before("shop/b.yaml")), (5, 3));
    }
}
