//! Who asks something of the node, from where, and through which entrance.
//!
//! **Not here:** what a caller may do ([`hob_core::access`]), and how somebody becomes one: [`crate::control`],
//! [`crate::tokens`], [`crate::sign_in`].

use hob_core::access::audit::{Act, Book};
use hob_core::access::{Principal, Scope};
use hob_core::limit::AUDIT_TEXT_BYTES_MAX;
use hob_core::name::SpaceName;

/// The control API.
pub(crate) const CONTROL: &str = "control";
/// The dashboard.
pub(crate) const DASHBOARD: &str = "dashboard";
/// The AWS Lambda API.
pub(crate) const LAMBDA: &str = "lambda";
/// Nobody outside: the node itself.
pub(crate) const NODE: &str = "node";

/// Somebody who is known, and how he came.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who it is, and what he may do.
    pub(crate) principal: Principal,
    /// The id of the API token that was shown, if one was.
    pub(crate) token: Option<String>,
    /// A user of this machine or an address.
    pub(crate) from: String,
    /// The entrance.
    pub(crate) via: &'static str,
}

impl Caller {
    /// Somebody who may do everything.
    pub(crate) fn operator(name: &str, from: String, via: &'static str) -> Self {
        Self { principal: Principal::operator(name), token: None, from, via }
    }

    /// How the audit log names him.
    pub(crate) fn who(&self) -> String {
        match &self.token {
            Some(id) => format!("{} ({id})", self.principal.name),
            None => self.principal.name.clone(),
        }
    }

    /// An act of his, whose outcome is not known yet.
    pub(crate) fn act(&self, operation: &str, on: Option<String>, space: SpaceName) -> Act {
        let act = act(self.who(), self.from.clone(), self.via, operation, on, space);
        Act { book: self.book(), ..act }
    }

    /// Which chain of the audit log has his lines.
    fn book(&self) -> Book {
        match &self.principal {
            Principal { space: Some(_), .. } => Book::Guests,
            Principal { scopes, .. } if scopes.allow(Scope::Admin) => Book::Operators,
            _ => Book::Tokens,
        }
    }
}

/// An act of somebody who did not say who he is, or not so that he was believed; how it ended is not known yet.
pub(crate) fn stranger(
    from: String,
    via: &str,
    operation: &str,
    on: Option<String>,
    space: SpaceName,
) -> Act {
    Act { book: Book::Guests, ..act("nobody".to_owned(), from, via, operation, on, space) }
}

/// An act of somebody who may do everything, whose outcome is not known yet.
pub(crate) fn act(
    who: String,
    from: String,
    via: &str,
    operation: &str,
    on: Option<String>,
    space: SpaceName,
) -> Act {
    let on = on.map(|text| short(&text)).filter(|text| !text.is_empty());
    let (via, operation) = (via.to_owned(), operation.to_owned());
    Act { who, from, via, operation, on, space, outcome: String::new(), book: Book::Operators }
}

/// The beginning of a text that somebody has chosen, harmless in a terminal.
fn short(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut out = String::new();
    for c in text.chars().map(harmless) {
        if out.len() + c.len_utf8() > AUDIT_TEXT_BYTES_MAX {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{CONTROL, Caller};
    use hob_core::access::audit::Book;
    use hob_core::access::{Scope, Scopes};
    use hob_core::name::SpaceName;

    #[test]
    fn each_has_his_chain() {
        let team = SpaceName::new("team").ok();
        for (scopes, space, book) in [
            (vec![Scope::Admin], None, Book::Operators),
            (vec![Scope::Read, Scope::Admin], None, Book::Operators),
            (vec![Scope::Deploy, Scope::Secrets], None, Book::Tokens),
            (vec![Scope::Read], team.clone(), Book::Guests),
            (vec![Scope::Admin], team, Book::Guests),
        ] {
            let mut caller = Caller::operator("token", String::new(), CONTROL);
            caller.principal.space = space;
            caller.principal.scopes = Scopes::from_iter(scopes);
            assert_eq!(caller.book(), book, "{:?}", caller.principal);
        }
    }
}
