//! API tokens: what one looks like, what is kept of it, and when it is good.
//!
//! **Why.** What is kept must not open anything. A token is 256 random bits, so one round of SHA-256 hides it as well
//! as a slow hash would: there is nothing to guess.
//!
//! **How.** `hob_<id>_<secret>`: the id is found in a table, the secret's digest is compared. What begins with `hob_`
//! is found by scanners of leaked secrets.

use super::{Principal, Scope, Scopes};
use crate::code::Code;
use crate::digest::Digest;
use crate::fault::{Fault, Result};
use crate::limit::{
    TOKEN_LIFETIME_DEFAULT, TOKEN_LIFETIME_MAX, TOKEN_NAME_BYTES_MAX, TOKEN_USE_NOTED, TOKENS_MAX,
};
use crate::name::SpaceName;
use crate::unit::{millis, show_duration};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What every token begins with.
const PREFIX: &str = "hob_";
/// Digits of an id.
pub const ID_DIGITS: usize = 12;
/// Digits of a secret: 256 bits.
pub const SECRET_DIGITS: usize = 64;

/// A token as it is shown once, when it is made.
pub fn text(id: &str, secret: &str) -> String {
    format!("{PREFIX}{id}_{secret}")
}

/// The id and the secret of a token; `None` for what is none.
pub fn parse(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (digits(id, ID_DIGITS) && digits(secret, SECRET_DIGITS)).then_some((id, secret))
}

/// What somebody who wants a token says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// How people will know it, such as the program that uses it.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The only space that it may be used in; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
    /// How long it is good, milliseconds; absent: 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_ms: Option<u64>,
}

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TokenInfo {
    /// Its id, which is a part of it.
    pub id: String,
    /// How people know it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The only space that it may be used in; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Until when it is good.
    pub expires_ms: u64,
    /// When it was last used, to the hour; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_ms: Option<u64>,
    /// Who made it.
    pub by: String,
}

/// A token that was just made: the only time that it is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TokenMade {
    /// The token itself.
    pub token: String,
    /// What is kept of it.
    pub info: TokenInfo,
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// How people know it.
    pub name: String,
    /// The digest of its secret's text.
    pub secret: Digest,
    /// What it may do.
    pub scopes: Scopes,
    /// Where; `None`: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Until when it is good.
    pub expires_ms: u64,
    /// Since when it is not good any more, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
    /// When it was last used, to within [`TOKEN_USE_NOTED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_ms: Option<u64>,
    /// Who made it.
    pub by: String,
}

impl Record {
    /// A token that somebody asks for, unless it goes beyond a limit. `count` is how many there are.
    ///
    /// # Errors
    /// `HOB-0109` for too many, a long name, or a long life; `HOB-0704` without a scope, and for `admin` in a space.
    pub fn new(
        asked: TokenRequest,
        count: usize,
        by: &str,
        id: String,
        secret: &str,
        now_ms: u64,
    ) -> Result<Self> {
        let TokenRequest { name, scopes, space, lifetime_ms } = asked;
        let over =
            |what: String, hint: &str| Err(Fault::new(Code::SettingOverLimit, what).hint(hint.to_owned()));
        if count >= TOKENS_MAX {
            return over(
                format!("there are {count} tokens, the limit is {TOKENS_MAX}"),
                "remove one: `hob token rm ID`",
            );
        }
        if name.is_empty() || name.len() > TOKEN_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let what =
                format!("a token's name has 1 to {TOKEN_NAME_BYTES_MAX} characters, this has {}", name.len());
            return over(what, "name it after the program that uses it, such as `ci`");
        }
        let refuse =
            |what: &str, hint: &str| Err(Fault::new(Code::ControlRequest, what).hint(hint.to_owned()));
        if scopes.is_empty() {
            return refuse("a token without a scope may do nothing", "name at least one, such as `read`");
        }
        if space.is_some() && scopes.allow(Scope::Admin) {
            let hint = "leave the space out, or name the scopes that it needs";
            return refuse("`admin` is about the whole node, and the token is for one space", hint);
        }
        let lifetime = lifetime_ms.map_or(TOKEN_LIFETIME_DEFAULT, Duration::from_millis);
        if lifetime.is_zero() || lifetime > TOKEN_LIFETIME_MAX {
            let (asked, most) = (show_duration(lifetime), show_duration(TOKEN_LIFETIME_MAX));
            return over(
                format!("a token cannot live for {asked}, the limit is {most}"),
                "give it an earlier end",
            );
        }
        Ok(Self {
            id,
            name,
            secret: Digest::of(secret.as_bytes()),
            scopes,
            space,
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(millis(lifetime)),
            revoked_ms: None,
            used_ms: None,
            by: by.to_owned(),
        })
    }

    /// Who it stands for, once its secret was right.
    ///
    /// # Errors
    /// `HOB-0720` after its time, `HOB-0721` after it was revoked.
    pub fn principal(&self, now_ms: u64) -> Result<Principal> {
        let name = format!("token {}", self.name);
        if self.revoked_ms.is_some() {
            return Err(Fault::new(Code::TokenRevoked, format!("{name} (`{}`) was revoked", self.id))
                .hint("ask an operator for another: `hob token create`"));
        }
        if self.expires_ms <= now_ms {
            return Err(super::expired(&format!("{name} (`{}`)", self.id)));
        }
        Ok(Principal {
            name,
            space: self.space.clone(),
            scopes: self.scopes.clone(),
            expires_ms: Some(self.expires_ms),
        })
    }

    /// Notes that it is used; true when that is news worth keeping.
    pub fn used(&mut self, now_ms: u64) -> bool {
        let fresh = self.used_ms.is_some_and(|then| now_ms < then.saturating_add(millis(TOKEN_USE_NOTED)));
        if !fresh {
            self.used_ms = Some(now_ms);
        }
        !fresh
    }

    /// What is shown of it.
    pub fn info(&self) -> TokenInfo {
        TokenInfo {
            id: self.id.clone(),
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            space: self.space.clone(),
            created_ms: self.created_ms,
            expires_ms: self.expires_ms,
            used_ms: self.used_ms,
            by: self.by.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, TokenRequest, parse, text};
    use crate::access::{Scope, Scopes};
    use crate::limit::{TOKEN_LIFETIME_MAX, TOKEN_USE_NOTED, TOKENS_MAX};
    use crate::name::SpaceName;
    use crate::unit::millis;

    fn asked(change: impl FnOnce(&mut TokenRequest)) -> TokenRequest {
        let mut asked = TokenRequest {
            name: "ci".into(),
            scopes: Scopes::from_iter([Scope::Deploy]),
            space: None,
            lifetime_ms: Some(1000),
        };
        change(&mut asked);
        asked
    }

    #[test]
    fn only_a_whole_token_is_one() {
        let (id, secret) = ("0123456789ab", &"c".repeat(64));
        let whole = text(id, secret);
        assert_eq!(parse(&whole), Some((id, secret.as_str())));
        for bad in
            ["", "hob_", "hob__", &whole[1..], &whole[..whole.len() - 1], &format!("{whole}0"), "Bearer x"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_is_made_within_limits() {
        let blue = SpaceName::new("blue").ok();
        for (asked, count, expected) in [
            (asked(|_| {}), 0, "ok"),
            (asked(|asked| asked.space = blue.clone()), 0, "ok"),
            (asked(|_| {}), TOKENS_MAX, "HOB-0109"),
            (asked(|asked| asked.name = String::new()), 0, "HOB-0109"),
            (asked(|asked| asked.name = "x".repeat(65)), 0, "HOB-0109"),
            (asked(|asked| asked.name = "a\nb".into()), 0, "HOB-0109"),
            (asked(|asked| asked.lifetime_ms = Some(0)), 0, "HOB-0109"),
            (asked(|asked| asked.lifetime_ms = Some(millis(TOKEN_LIFETIME_MAX) + 1)), 0, "HOB-0109"),
            (asked(|asked| asked.scopes = Scopes::default()), 0, "HOB-0704"),
            (asked(|asked| (asked.space, asked.scopes) = (blue.clone(), Scopes::all())), 0, "HOB-0704"),
        ] {
            let shown = format!("{asked:?}");
            let made = Record::new(asked, count, "owner", "0".into(), "s", 5);
            assert_eq!(made.map_or_else(|fault| fault.code().text(), |_| "ok"), expected, "{shown}");
        }
    }

    #[test]
    fn a_token_is_good_until_its_end() {
        let mut record = Record::new(asked(|_| {}), 0, "owner", "0".into(), "s", 5).unwrap();
        let judged = |record: &Record, now_ms| {
            record.principal(now_ms).map_or_else(|fault| fault.code().text().to_owned(), |who| who.name)
        };
        assert_eq!(judged(&record, 1004), "token ci");
        assert_eq!(judged(&record, 1005), "HOB-0720");
        assert!(record.used(10) && !record.used(10 + millis(TOKEN_USE_NOTED) - 1));
        assert!(record.used(10 + millis(TOKEN_USE_NOTED)));
        record.revoked_ms = Some(7);
        assert_eq!(judged(&record, 1004), "HOB-0721");
        let kept = serde_json::to_string(&record).unwrap();
        assert!(!kept.contains(r#""s""#), "the secret is not kept: {kept}");
    }
}
