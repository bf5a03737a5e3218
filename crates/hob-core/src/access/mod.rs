//! Who may do what on a node: scopes, principals, and the one decision that every operation goes through.
//!
//! **Why.** A program that sends events needs no right to deploy, and somebody who looks needs no right to change
//! anything. What is decided here holds for the control API, the dashboard and whatever else asks for operations.
//!
//! **How.** Each operation of the control API names a [`Need`]; whoever asks is a [`Principal`]; [`Principal::may`] is
//! the decision. [`token`] is how a program shows who it is, [`attempts`] how often it may be wrong, [`audit`] what
//! is written down about it, and [`tally`] what of that is counted.
//!
//! **Not here:** where tokens and the audit log are kept (`hob-node`).

pub mod attempts;
pub mod audit;
pub mod tally;
pub mod token;

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::name::SpaceName;
use crate::near::nearest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A right to do one kind of thing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// See which apps, topics, subscriptions and schedules there are, and how they are set.
    Read,
    /// See what happens in them: logs, traces, facts, metrics, costs, the content of events. Includes `read`.
    Observe,
    /// Deploy, roll back and remove apps. Includes `read`.
    Deploy,
    /// Pause, move and fire triggers, replay events, deal with dead letters. Includes `read`.
    Operate,
    /// Call functions.
    Invoke,
    /// Publish events.
    Publish,
    /// Set, list and remove secrets; their values are never shown to anybody.
    Secrets,
    /// Everything, tokens and the audit log among it.
    Admin,
}

impl Scope {
    /// Every scope, the weakest first.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Observe,
        Self::Deploy,
        Self::Operate,
        Self::Invoke,
        Self::Publish,
        Self::Secrets,
        Self::Admin,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Observe => "observe",
            Self::Deploy => "deploy",
            Self::Operate => "operate",
            Self::Invoke => "invoke",
            Self::Publish => "publish",
            Self::Secrets => "secrets",
            Self::Admin => "admin",
        }
    }

    /// The scope of that word.
    ///
    /// # Errors
    /// A sentence that names the known ones.
    pub fn parse(word: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word);
        Self::ALL.into_iter().find(|scope| scope.word() == word).ok_or_else(|| {
            let near =
                nearest(word, words).map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
            format!("there is no scope `{word}`{near}; the scopes are {}", words.join(", "))
        })
    }

    /// Whether who has this may do what needs `other`.
    pub const fn includes(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Observe | Self::Deploy | Self::Operate => {
                matches!(other, Self::Read) || self as u8 == other as u8
            }
            _ => self as u8 == other as u8,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Some scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Everything.
    pub fn all() -> Self {
        Self::from_iter([Scope::Admin])
    }

    /// Whether they allow what needs `scope`.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.iter().any(|own| own.includes(scope))
    }

    /// What of them changes nothing.
    #[must_use]
    pub fn read_only(&self) -> Self {
        [Scope::Read, Scope::Observe].into_iter().filter(|scope| self.allow(*scope)).collect()
    }

    /// Whether they allow any change.
    pub fn change(&self) -> bool {
        self.0.iter().any(|scope| !matches!(scope, Scope::Read | Scope::Observe))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.word()).collect();
        f.write_str(&words.join(","))
    }
}

/// What an operation needs of whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To be known.
    Nothing,
    /// This scope, in the space that is asked about.
    Space(Scope),
    /// This scope for the whole node: what it shows or changes belongs to no space.
    Node(Scope),
}

impl Need {
    /// The scope.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Nothing => None,
            Self::Space(scope) | Self::Node(scope) => Some(scope),
        }
    }
}

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// How people know it: `owner`, `token ci`, `key HOB…`. It goes into the audit log.
    pub name: String,
    /// The space that it belongs to; `None`: it may go everywhere.
    pub space: Option<SpaceName>,
    /// What it may do.
    pub scopes: Scopes,
    /// Until when, milliseconds since the Unix epoch; `None`: for ever.
    pub expires_ms: Option<u64>,
}

impl Principal {
    /// Somebody who may do everything.
    pub fn operator(name: impl Into<String>) -> Self {
        Self { name: name.into(), space: None, scopes: Scopes::all(), expires_ms: None }
    }

    /// The same with nothing that changes anything.
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self { scopes: self.scopes.read_only(), ..self.clone() }
    }

    /// The space that a request is about: the one it names, else the principal's own, else `default`.
    ///
    /// # Errors
    /// `HOB-0723` for another space than the principal's own.
    pub fn space(&self, asked: Option<&SpaceName>) -> Result<SpaceName> {
        match (&self.space, asked) {
            (Some(own), Some(asked)) if own != asked => Err(self.foreign(asked, own)),
            (Some(space), _) | (None, Some(space)) => Ok(space.clone()),
            (None, None) => Ok(SpaceName::default_space()),
        }
    }

    /// Whether this principal may do what needs `need` in `space`.
    ///
    /// # Errors
    /// `HOB-0720` after its time, `HOB-0722` without the scope, `HOB-0723` in another space, and for what belongs to no
    /// space unless it may go everywhere.
    pub fn may(&self, need: Need, space: &SpaceName, now_ms: u64) -> Result<()> {
        if self.expires_ms.is_some_and(|end| end <= now_ms) {
            return Err(expired(&self.name));
        }
        if let Some(scope) = need.scope().filter(|scope| !self.scopes.allow(*scope)) {
            let what = format!("{} may not do this: it needs the scope `{scope}`", self.name);
            let has = if self.scopes.is_empty() { "none".to_owned() } else { format!("`{}`", self.scopes) };
            return Err(Fault::new(Code::ScopeMissing, what).hint(format!(
                "it has {has}; an operator makes another with `hob token create --scope {scope}`"
            )));
        }
        match (need, &self.space) {
            (_, None) | (Need::Nothing, _) => Ok(()),
            (Need::Space(_), Some(own)) if own == space => Ok(()),
            (Need::Space(_), Some(own)) => Err(self.foreign(space, own)),
            (Need::Node(_), Some(own)) => {
                let what =
                    format!("{} belongs to the space `{own}`, and this is about the whole node", self.name);
                Err(Fault::new(Code::SpaceDenied, what).hint("use a token without a space"))
            }
        }
    }

    fn foreign(&self, asked: &SpaceName, own: &SpaceName) -> Fault {
        let what = format!("{} belongs to the space `{own}`, not to `{asked}`", self.name);
        Fault::new(Code::SpaceDenied, what).hint("use a token of that space, or one without a space")
    }
}

/// The fault of somebody whose time is over.
pub(crate) fn expired(name: &str) -> Fault {
    Fault::new(Code::TokenExpired, format!("{name} has expired"))
        .hint("ask an operator for another: `hob token create`")
}

#[cfg(test)]
mod tests {
    use super::{Need, Principal, Scope, Scopes};
    use crate::name::SpaceName;

    fn principal(space: Option<&str>, scopes: &[Scope]) -> Principal {
        Principal {
            name: "token ci".into(),
            space: space.map(|name| SpaceName::new(name).unwrap()),
            scopes: scopes.iter().copied().collect(),
            expires_ms: Some(100),
        }
    }

    #[test]
    fn who_may_do_what() {
        use Need::{Node, Nothing, Space};
        use Scope::{Admin, Deploy, Invoke, Observe, Operate, Publish, Read, Secrets};
        for (own, scopes, need, space, now_ms, expected) in [
            (None, &[Read][..], Space(Read), "default", 0, "ok"),
            (None, &[Read], Node(Read), "default", 0, "ok"),
            (None, &[Read], Space(Observe), "default", 0, "HOB-0722"),
            (None, &[Deploy], Space(Read), "default", 0, "ok"),
            (None, &[Observe], Space(Read), "default", 0, "ok"),
            (None, &[Operate], Space(Deploy), "default", 0, "HOB-0722"),
            (None, &[Deploy], Space(Observe), "default", 0, "HOB-0722"),
            (None, &[Deploy], Space(Secrets), "default", 0, "HOB-0722"),
            (None, &[Publish], Space(Read), "default", 0, "HOB-0722"),
            (None, &[Invoke, Publish], Space(Publish), "blue", 0, "ok"),
            (None, &[Secrets], Space(Admin), "default", 0, "HOB-0722"),
            (None, &[Admin], Node(Secrets), "default", 0, "ok"),
            (None, &[], Space(Read), "default", 0, "HOB-0722"),
            (None, &[], Nothing, "default", 0, "ok"),
            (None, &[Admin], Space(Read), "default", 100, "HOB-0720"),
            (None, &[Admin], Nothing, "default", 100, "HOB-0720"),
            (Some("blue"), &[Deploy], Space(Deploy), "blue", 99, "ok"),
            (Some("blue"), &[Deploy], Space(Deploy), "default", 0, "HOB-0723"),
            (Some("blue"), &[Admin], Space(Read), "red", 0, "HOB-0723"),
            (Some("blue"), &[Admin], Node(Read), "blue", 0, "HOB-0723"),
            (Some("blue"), &[Read], Nothing, "blue", 0, "ok"),
        ] {
            let space = SpaceName::new(space).unwrap();
            let judged = principal(own, scopes).may(need, &space, now_ms);
            let judged = judged.map_or_else(|fault| fault.code().text(), |()| "ok");
            assert_eq!(judged, expected, "{own:?} {scopes:?} {need:?} {space}");
        }
    }

    #[test]
    fn which_space_is_meant() {
        for (own, asked, expected) in [
            (None, None, "default"),
            (None, Some("blue"), "blue"),
            (Some("blue"), None, "blue"),
            (Some("blue"), Some("blue"), "blue"),
            (Some("blue"), Some("default"), "HOB-0723"),
        ] {
            let asked = asked.map(|name| SpaceName::new(name).unwrap());
            let found = principal(own, &[]).space(asked.as_ref());
            let found = found.map_or_else(|fault| fault.code().text().to_owned(), |space| space.to_string());
            assert_eq!(found, expected, "{own:?} {asked:?}");
        }
    }

    #[test]
    fn scopes_are_words_and_admin_is_all_of_them() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.word()), Ok(scope));
            assert!(Scopes::all().allow(scope) && scope.includes(scope), "{scope}");
            assert_eq!(scope.includes(Scope::Admin), scope == Scope::Admin, "{scope}");
        }
        assert!(Scope::parse("depoly").unwrap_err().contains("did you mean `deploy`?"));
        assert_eq!(Scopes::all().read_only().to_string(), "read,observe");
        assert_eq!(Scopes::from_iter([Scope::Deploy]).read_only().to_string(), "read");
        assert!(!Scopes::all().read_only().change() && Scopes::all().change());
        let text = serde_json::to_string(&Scopes::from_iter([Scope::Publish, Scope::Invoke])).unwrap();
        assert_eq!(text, r#"["invoke","publish"]"#);
    }
}
