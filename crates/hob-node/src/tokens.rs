//! API tokens: made, shown once, judged, revoked; and the operator's own token, which a file holds.
//!
//! **Why.** One token for everybody cannot be taken from one of them. A token of the node's own making has a name, an
//! end and only the rights that it needs.
//!
//! **How.** Records are in the control state, one key each, and all of them in memory: judging reads nothing. Only the
//! secret's digest is kept, and digests are compared in constant time, also where there is no token of that id, so that
//! an answer tells nothing about which ids there are. When a token was last used is noted in memory and written now and
//! then. A token of a space ends with it: whoever makes a space of the same name later is a stranger to it.
//!
//! **Not here:** what a token looks like and when it is good ([`hob_core::access::token`]).

use crate::caller::Caller;
use crate::clock::now_ms;
use crate::identity::{random, same_secret};
use crate::sync::lock;
use crate::task::Tasks;
use hob_core::access::Principal;
use hob_core::access::attempts::Attempts;
use hob_core::access::token::{self, Record};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{TOKEN_USE_FLUSH_EVERY, TOKENS_REVOKED_KEPT};
use hob_core::name::SpaceName;
use hob_core::port::{Expect, State, Write};
use hob_core::wire::{TokenInfo, TokenMade, TokenRequest};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// What keys of records begin with.
const KEYS: &str = "access/tokens/";

/// The tokens of one node.
pub(crate) struct Tokens {
    state: Arc<dyn State>,
    inner: Mutex<Inner>,
    attempts: Mutex<Attempts>,
    /// Held while a record is made or revoked, so that limits hold.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Inner {
    records: HashMap<String, Record>,
    /// Ids of those whose last use is not written yet.
    used: HashSet<String>,
}

impl Tokens {
    /// Reads the tokens of a node, and begins to note when they are used.
    ///
    /// # Errors
    /// `HOB-06xx` when the state cannot be read.
    pub(crate) async fn open(state: Arc<dyn State>, tasks: &Tasks) -> Result<Arc<Self>> {
        let mut records = HashMap::new();
        for (key, entry) in state.scan(KEYS).await? {
            let record: Record = serde_json::from_slice(&entry.value).map_err(|error| {
                Fault::new(Code::StoreCorrupt, format!("the record `{key}` cannot be read")).detail(error)
            })?;
            records.insert(record.id.clone(), record);
        }
        let tokens = Arc::new(Self {
            state,
            inner: Mutex::new(Inner { records, ..Inner::default() }),
            attempts: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        });
        let noting = Arc::clone(&tokens);
        tasks.start("token use", async move {
            loop {
                tokio::time::sleep(TOKEN_USE_FLUSH_EVERY).await;
                noting.note().await;
            }
        });
        Ok(tokens)
    }

    /// Who shows this token, whether it is one of the node's or one of `own`, the operator's.
    ///
    /// # Errors
    /// `HOB-0701` for none and for one that is wrong, whatever is wrong with it; `HOB-0720` and `HOB-0721` for one that
    /// was right once; `HOB-0725` after too many wrong ones from that address.
    pub(crate) fn judge(
        &self,
        given: Option<&str>,
        own: &[String],
        address: IpAddr,
        via: &'static str,
    ) -> Result<Caller> {
        let (now_ms, given) = (now_ms(), given.unwrap_or_default());
        let from = address.to_canonical().to_string();
        if let Some(judged) = self.made(given, now_ms) {
            let (id, principal) = judged?;
            return Ok(Caller { principal, token: Some(id), from, via });
        }
        // Nobody has to guess to show nothing.
        if given.is_empty() {
            return Err(unknown());
        }
        lock(&self.attempts).check(address, now_ms)?;
        let same = |token: &String| same_secret(given.as_bytes(), token.as_bytes());
        // All of them, so that the time says nothing about which.
        if own.iter().filter(|token| same(token)).count() > 0 {
            return Ok(Caller::operator("operator", from, via));
        }
        lock(&self.attempts).failed(address, now_ms);
        Err(unknown())
    }

    /// Judges a token of the node's own making; `None` for what is none.
    fn made(&self, given: &str, now_ms: u64) -> Option<Result<(String, Principal)>> {
        let (id, secret) = token::parse(given)?;
        let digest = Digest::of(secret.as_bytes());
        let mut inner = lock(&self.inner);
        let known = inner.records.get(id).map(|record| record.secret);
        // Without a record something is compared all the same.
        let expected = known.unwrap_or_else(|| Digest::of(b""));
        if !same_secret(digest.bytes(), expected.bytes()) || known.is_none() {
            return None;
        }
        let record = inner.records.get_mut(id)?;
        let judged = record.principal(now_ms).map(|principal| (record.id.clone(), principal));
        if judged.is_ok() && record.used(now_ms) {
            inner.used.insert(id.to_owned());
        }
        Some(judged)
    }

    /// Whether who came in with a token could still do so.
    pub(crate) fn still_good(&self, caller: &Caller) -> bool {
        let Some(id) = &caller.token else { return true };
        lock(&self.inner).records.get(id).is_some_and(|record| record.principal(now_ms()).is_ok())
    }

    /// The tokens that were not revoked, the oldest first.
    pub(crate) fn list(&self) -> Vec<TokenInfo> {
        let inner = lock(&self.inner);
        let all = inner.records.values().filter(|record| record.revoked_ms.is_none());
        let mut all: Vec<TokenInfo> = all.map(Record::info).collect();
        all.sort_unstable_by(|left, right| (left.created_ms, &left.id).cmp(&(right.created_ms, &right.id)));
        all
    }

    /// Makes a token; it is on disk when this returns, and never shown again. `there` says whether there is a space: one
    /// that is being removed has to be gone for it before [`Tokens::revoke_where`] is asked to end its tokens.
    ///
    /// # Errors
    /// Those of [`Record::new`]; `HOB-0723` for a space of which `by` is not; those of `there`; `HOB-06xx`.
    pub(crate) async fn create(
        &self,
        asked: TokenRequest,
        by: &Caller,
        there: impl Fn(&SpaceName) -> Result<()> + Send,
    ) -> Result<TokenMade> {
        let _changing = self.changing.lock().await;
        let now_ms = now_ms();
        let count = lock(&self.inner).records.values().filter(|one| one.principal(now_ms).is_ok()).count();
        let (id, secret) = (random(token::ID_DIGITS)?, random(token::SECRET_DIGITS)?);
        let record = Record::new(asked, count, &by.who(), id, &secret, now_ms)?;
        let space = record.space.clone().unwrap_or_else(SpaceName::default_space);
        by.principal.space(Some(&space))?;
        record.space.as_ref().map_or(Ok(()), there)?;
        self.state.commit(vec![write(&record, Expect::Absent)?]).await?;
        let made = TokenMade { token: token::text(&record.id, &secret), info: record.info() };
        lock(&self.inner).records.insert(record.id.clone(), record);
        Ok(made)
    }

    /// Revokes a token: from now on it is refused. The oldest revoked ones are forgotten above a limit.
    ///
    /// # Errors
    /// `HOB-0724` when there is none of that id, `HOB-06xx`.
    pub(crate) async fn revoke(&self, id: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let good = lock(&self.inner).records.get(id).filter(|record| record.revoked_ms.is_none()).cloned();
        self.end(vec![good.ok_or_else(|| not_found(id))?]).await
    }

    /// Revokes every token that is bound to one of these spaces, all of them or none; how many. `lost` is asked with the
    /// space and with when the token was made.
    ///
    /// # Errors
    /// `HOB-06xx`.
    pub(crate) async fn revoke_where(&self, lost: impl Fn(&SpaceName, u64) -> bool + Send) -> Result<usize> {
        let _changing = self.changing.lock().await;
        let is_lost = |record: &&Record| {
            let bound = record.space.as_ref().filter(|_| record.revoked_ms.is_none());
            bound.is_some_and(|space| lost(space, record.created_ms))
        };
        let all: Vec<Record> = lock(&self.inner).records.values().filter(is_lost).cloned().collect();
        let count = all.len();
        if count > 0 {
            self.end(all).await?;
        }
        Ok(count)
    }

    /// Writes that these are revoked. Call it with `changing` held.
    async fn end(&self, mut revoked: Vec<Record>) -> Result<()> {
        let now_ms = now_ms();
        revoked.iter_mut().for_each(|record| record.revoked_ms = Some(now_ms));
        let forgotten = oldest(lock(&self.inner).records.values().chain(&revoked));
        revoked.retain(|record| !forgotten.contains(&record.id));
        let gone =
            forgotten.iter().map(|id| Write { key: format!("{KEYS}{id}"), expect: Expect::Any, value: None });
        let writes = gone.map(Ok).chain(revoked.iter().map(|record| write(record, Expect::Any)));
        self.state.commit(writes.collect::<Result<_>>()?).await?;
        let mut inner = lock(&self.inner);
        inner.records.retain(|id, _| !forgotten.contains(id));
        inner.records.extend(revoked.into_iter().map(|record| (record.id.clone(), record)));
        Ok(())
    }

    /// Writes when tokens were last used, as far as that is news.
    pub(crate) async fn note(&self) {
        let _changing = self.changing.lock().await;
        let writes: Vec<Write> = {
            let mut inner = lock(&self.inner);
            let used = std::mem::take(&mut inner.used);
            let records = used.iter().filter_map(|id| inner.records.get(id));
            records.filter_map(|record| write(record, Expect::Any).ok()).collect()
        };
        if writes.is_empty() {
            return;
        }
        if let Err(fault) = self.state.commit(writes).await {
            tracing::warn!(%fault, "when tokens were last used cannot be written");
        }
    }
}

/// The ids of revoked records that there is no room for.
fn oldest<'a>(records: impl Iterator<Item = &'a Record>) -> HashSet<String> {
    let revoked = records.filter_map(|record| Some((record.revoked_ms?, record.id.clone())));
    let mut revoked: Vec<(u64, String)> = revoked.collect();
    revoked.sort_unstable();
    let over = revoked.len().saturating_sub(TOKENS_REVOKED_KEPT);
    revoked.into_iter().take(over).map(|(_, id)| id).collect()
}

fn write(record: &Record, expect: Expect) -> Result<Write> {
    let value = serde_json::to_vec(record).map_err(Fault::internal)?;
    Ok(Write { key: format!("{KEYS}{}", record.id), expect, value: Some(value) })
}

/// The same for every token that is not good and never was: nothing is told about which part is wrong.
fn unknown() -> Fault {
    Fault::new(Code::Unauthorized, "the control API needs a valid token")
        .hint("give it with `--token-file` or `HOB_TOKEN_FILE`")
}

fn not_found(id: &str) -> Fault {
    let shown: String = id.chars().take(40).collect();
    Fault::new(Code::TokenNotFound, format!("there is no token `{shown}`")).hint("hob token ls")
}

#[cfg(test)]
mod tests {
    use super::Tokens;
    use crate::caller::{CONTROL, Caller};
    use crate::task::Tasks;
    use hob_core::access::{Scope, Scopes};
    use hob_core::code::Code;
    use hob_core::fault::Fault;
    use hob_core::limit::TOKENS_REVOKED_KEPT;
    use hob_core::name::SpaceName;
    use hob_core::wire::TokenRequest;
    use std::sync::Arc;

    fn asked(space: Option<&str>) -> TokenRequest {
        let space = space.map(|name| SpaceName::new(name).unwrap());
        TokenRequest {
            name: "ci".into(),
            scopes: Scopes::from_iter([Scope::Deploy]),
            space,
            lifetime_ms: None,
        }
    }

    #[tokio::test]
    async fn tokens_of_a_space_end_together_and_are_made_for_none_that_is_not_there() {
        let data = tempfile::tempdir().unwrap();
        let state = hob_bus::open("memory", &hob_bus::EngineSettings::new(data.path())).unwrap().state;
        let (tasks, owner) = (Tasks::new(), Caller::operator("owner", String::new(), CONTROL));
        let tokens = Tokens::open(Arc::clone(&state), &tasks).await.unwrap();
        let there = |space: &SpaceName| match space.as_str() {
            "blue" | "red" => Ok(()),
            _ => Err(Fault::new(Code::SpaceNotFound, "there is no such space")),
        };
        let mut made = Vec::new();
        for (space, expected) in [
            (None, "ok"),
            (Some("blue"), "ok"),
            (Some("red"), "ok"),
            (Some("blue"), "ok"),
            (Some("green"), "HOB-0708"),
        ] {
            let judged = tokens.create(asked(space), &owner, there).await;
            assert_eq!(judged.as_ref().map_or_else(|fault| fault.code().text(), |_| "ok"), expected);
            made.extend(judged.ok().map(|made| made.token));
        }
        let judged = |tokens: &Tokens, token: &str| {
            let judged = tokens.judge(Some(token), &[], [127, 0, 0, 1].into(), CONTROL);
            judged.map_or_else(|fault| fault.code().text(), |_| "ok")
        };
        assert_eq!(tokens.revoke_where(|space, _| space.as_str() == "blue").await.unwrap(), 2);
        assert_eq!(tokens.revoke_where(|space, _| space.as_str() == "blue").await.unwrap(), 0);
        let again = Tokens::open(state, &tasks).await.unwrap();
        for tokens in [&tokens, &again] {
            let all: Vec<&str> = made.iter().map(|token| judged(tokens, token)).collect();
            assert_eq!(all, ["ok", "HOB-0721", "ok", "HOB-0721"]);
        }
        assert_eq!(again.list().len(), 2);

        // More than are remembered: the oldest are unknown, which is as good as revoked.
        for _ in 0..TOKENS_REVOKED_KEPT {
            // Only those that are good count against the limit.
            let made = again.create(asked(Some("red")), &owner, there).await;
            let Ok(made) = made else {
                again.revoke_where(|_, _| true).await.unwrap();
                continue;
            };
            assert_eq!(judged(&again, &made.token), "ok");
        }
        again.revoke_where(|_, _| true).await.unwrap();
        assert_eq!(judged(&again, &made[1]), "HOB-0701");
        assert_eq!((judged(&again, &made[0]), again.list().len()), ("ok", 1));
        tasks.stop().await;
    }
}
