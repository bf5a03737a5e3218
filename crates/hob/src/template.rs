//! The templates of `hob new`: small, complete functions, kept in `crates/hob/templates`.
//!
//! **How.** `{name}` in a file becomes the app's name. To add a template: a folder and one entry in
//! [`TEMPLATES`]; a test creates, runs and calls each whose tool the machine has.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use serde::Serialize;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// One template.
#[derive(Debug, Serialize)]
pub(crate) struct Template {
    /// The word after `--template`.
    pub(crate) name: &'static str,
    /// What it makes.
    pub(crate) summary: &'static str,
    /// Tools that it needs on the machine; empty: none.
    pub(crate) needs: &'static str,
    #[serde(skip)]
    files: &'static [(&'static str, &'static str)],
}

macro_rules! file {
    ($template:literal, $path:literal) => {
        ($path, include_str!(concat!("../templates/", $template, "/", $path)))
    };
    // A name that tools would take for their own in this repository.
    ($template:literal, $path:literal from $stored:literal) => {
        ($path, include_str!(concat!("../templates/", $template, "/", $stored)))
    };
}

/// Every template, in the order in which they are listed.
pub(crate) static TEMPLATES: &[Template] = &[
    Template {
        name: "rust",
        summary: "an HTTP server on $PORT in Rust, without dependencies",
        needs: "cargo",
        files: &[
            file!("rust", "hob.toml"),
            file!("rust", "Cargo.toml" from "Cargo.toml.in"),
            file!("rust", "src/main.rs"),
        ],
    },
    Template {
        name: "rust-wasm",
        summary: "a WASI 0.2 HTTP component in Rust",
        needs: "cargo, rustup target add wasm32-wasip2",
        files: &[
            file!("rust-wasm", "hob.toml"),
            file!("rust-wasm", "Cargo.toml" from "Cargo.toml.in"),
            file!("rust-wasm", "src/lib.rs"),
        ],
    },
    Template {
        name: "javascript",
        summary: "an HTTP server on $PORT with Node.js",
        needs: "node",
        files: &[
            file!("javascript", "hob.toml"),
            file!("javascript", "package.json"),
            file!("javascript", "server.js"),
        ],
    },
    Template {
        name: "python",
        summary: "an HTTP server on $PORT with Python's standard library",
        needs: "python3",
        files: &[file!("python", "hob.toml"), file!("python", "server.py")],
    },
    Template {
        name: "go",
        summary: "an HTTP server on $PORT in Go, without dependencies",
        needs: "go",
        files: &[file!("go", "hob.toml"), file!("go", "go.mod" from "go.mod.in"), file!("go", "main.go")],
    },
    Template {
        name: "c",
        summary: "a CGI program in C, one process for each request",
        needs: "cc",
        files: &[file!("c", "hob.toml"), file!("c", "hello.c")],
    },
    Template {
        name: "shell",
        summary: "a CGI script for the shell, one process for each request",
        needs: "",
        files: &[file!("shell", "hob.toml"), file!("shell", "hello.sh")],
    },
];

/// The template with that name.
///
/// # Errors
/// `HOB-0111` with the names that exist.
pub(crate) fn find(name: &str) -> Result<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        Fault::new(Code::Usage, format!("there is no template `{name}`"))
            .hint(format!("use one of: {}", names.join(", ")))
    })
}

impl Template {
    /// Writes the files into a new folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> std::io::Result<()> {
        for (path, text) in self.files {
            let file = dir.join(path);
            fs::create_dir_all(file.parent().unwrap_or(dir))?;
            let text = text.replace("{name}", name).replace("{crate}", &name.replace('-', "_"));
            fs::write(&file, &text)?;
            if text.starts_with("#!") {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }
}
