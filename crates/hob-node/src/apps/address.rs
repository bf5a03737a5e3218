//! How a node writes the addresses of apps, functions and revisions.

use hob_core::name::{AppName, FunctionName, RevisionNumber};

/// The gateway as callers see it.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Whether the gateway speaks TLS.
    pub secure: bool,
    /// Domain below which apps get their addresses.
    pub domain: String,
    /// The gateway's real port.
    pub port: u16,
}

impl Addresses {
    /// Where an app answers.
    pub fn app(&self, app: &AppName) -> String {
        self.url(&format!("{app}"))
    }

    /// Where a function answers by its own address.
    pub fn function(&self, function: &FunctionName, app: &AppName) -> String {
        self.url(&format!("{function}--{app}"))
    }

    /// Where a kept revision answers.
    pub fn revision(&self, number: RevisionNumber, app: &AppName) -> String {
        self.url(&format!("rev-{number}--{app}"))
    }

    fn url(&self, label: &str) -> String {
        let (scheme, default_port) = if self.secure { ("https", 443) } else { ("http", 80) };
        let port = if self.port == default_port { String::new() } else { format!(":{}", self.port) };
        format!("{scheme}://{label}.{}{port}", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::Addresses;
    use hob_core::name::{AppName, FunctionName, RevisionNumber};

    #[test]
    fn the_port_is_written_unless_it_is_the_default() {
        let (app, function) = (AppName::new("desk").unwrap(), FunctionName::new("stats").unwrap());
        for (secure, port, root) in [
            (false, 8080, "http://{}desk.localhost:8080"),
            (false, 80, "http://{}desk.localhost"),
            (true, 443, "https://{}desk.localhost"),
            (true, 80, "https://{}desk.localhost:80"),
        ] {
            let addresses = Addresses { secure, domain: "localhost".into(), port };
            assert_eq!(addresses.app(&app), root.replace("{}", ""));
            assert_eq!(addresses.function(&function, &app), root.replace("{}", "stats--"));
            assert_eq!(addresses.revision(RevisionNumber(3), &app), root.replace("{}", "rev-3--"));
        }
    }
}
