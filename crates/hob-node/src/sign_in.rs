//! Who may use the dashboard: links that sign a browser in, and the browsers that are signed in.
//!
//! **Why.** The dashboard can do what the command line can. A person who may use that gets in with a link
//! from it; there are no accounts and no passwords to keep.
//!
//! **How.** Links and sessions are random texts in memory, few, and gone when they are old: a restart of
//! the node signs everybody out. Secrets are compared in constant time. Each session has a second secret
//! that its forms carry, so that no other site can send one in the person's name. A link carries the rights of whoever
//! asked for it into the session, and a session has a key that nobody has seen before it.
//!
//! **Not here:** cookies and headers ([`crate::dashboard`]).

use crate::caller::{Caller, DASHBOARD};
use crate::identity::{same_secret, secret};
use crate::sync::lock;
use hob_core::limit::{
    DASHBOARD_LINK_TIMEOUT, DASHBOARD_LINKS_MAX, DASHBOARD_SESSION_AGE, DASHBOARD_SESSION_IDLE,
    DASHBOARD_SESSIONS_MAX,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// Links and sessions of one node.
pub(crate) struct SignIn {
    /// Address of the dashboard, such as `http://127.0.0.1:8081`.
    url: String,
    inner: Mutex<Inner>,
    /// The code of the link that lasts as long as the node, once somebody has asked for it.
    lasting: OnceLock<String>,
}

#[derive(Default)]
struct Inner {
    links: VecDeque<Link>,
    sessions: Vec<Session>,
}

struct Link {
    code: String,
    made: Instant,
    /// Who asked for it.
    caller: Caller,
}

struct Session {
    key: String,
    token: String,
    caller: Arc<Caller>,
    began: Instant,
    seen: Instant,
    /// What the next page says first.
    notice: Option<String>,
}

impl SignIn {
    /// Nobody is signed in to the dashboard at `url`.
    pub(crate) fn new(url: String) -> Self {
        Self { url, inner: Mutex::default(), lasting: OnceLock::new() }
    }

    /// Address of the dashboard.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A link that signs in once, soon, with the rights of `caller`.
    pub(crate) fn link(&self, caller: Caller, now: Instant) -> String {
        let code = secret();
        let link = self.shown(&code);
        let mut inner = lock(&self.inner);
        inner.forget(now);
        if inner.links.len() == DASHBOARD_LINKS_MAX {
            inner.links.pop_front();
        }
        inner.links.push_back(Link { code, made: now, caller });
        link
    }

    /// A link that signs in as often as somebody likes, for a node that lives as long as a command in a
    /// terminal: it is shown there and nowhere else.
    pub(crate) fn lasting_link(&self) -> String {
        self.shown(self.lasting.get_or_init(secret))
    }

    fn shown(&self, code: &str) -> String {
        format!("{}/sign-in?code={code}", self.url)
    }

    /// Who signs in with a link's code, `from` there. The code is good for nothing afterwards.
    pub(crate) fn redeem(&self, code: &str, from: String, now: Instant) -> Option<Caller> {
        let lasting = self.lasting.get().is_some_and(|own| same_secret(code.as_bytes(), own.as_bytes()));
        let mut inner = lock(&self.inner);
        inner.forget(now);
        let same = |link: &Link| same_secret(code.as_bytes(), link.code.as_bytes());
        // All of them, so that the time says nothing about which.
        let all = inner.links.iter().enumerate();
        let found = all.fold(None, |found, (at, link)| if same(link) { Some(at) } else { found });
        let caller = match found.and_then(|at| inner.links.remove(at)) {
            Some(link) => link.caller,
            None if lasting => Caller::operator("owner", String::new(), DASHBOARD),
            None => return None,
        };
        Some(Caller { from, via: DASHBOARD, ..caller })
    }

    /// Whether a code is that of a link which is good now. It is not used up by this.
    pub(crate) fn knows(&self, code: &str, now: Instant) -> bool {
        let lasting = self.lasting.get().is_some_and(|own| same_secret(code.as_bytes(), own.as_bytes()));
        let mut inner = lock(&self.inner);
        inner.forget(now);
        lasting || inner.links.iter().any(|link| same_secret(code.as_bytes(), link.code.as_bytes()))
    }

    /// Begins a session of somebody who has shown that he may; its key, which is always a new one.
    pub(crate) fn open(&self, caller: Caller, now: Instant) -> String {
        let mut inner = lock(&self.inner);
        inner.forget(now);
        inner.open(caller, now)
    }

    /// The token of the session with this key and whose it is; it is seen by this.
    pub(crate) fn visit(&self, key: &str, now: Instant) -> Option<(String, Arc<Caller>)> {
        let mut inner = lock(&self.inner);
        inner.forget(now);
        inner.find(key).map(|session| {
            session.seen = now;
            (session.token.clone(), Arc::clone(&session.caller))
        })
    }

    /// Whose the session with this key is; it is not seen by this.
    pub(crate) fn look(&self, key: &str, now: Instant) -> Option<Arc<Caller>> {
        let mut inner = lock(&self.inner);
        inner.forget(now);
        inner.find(key).map(|session| Arc::clone(&session.caller))
    }

    /// Signs out.
    pub(crate) fn leave(&self, key: &str) {
        lock(&self.inner).sessions.retain(|session| !same_secret(key.as_bytes(), session.key.as_bytes()));
    }

    /// Says something on the session's next page.
    pub(crate) fn tell(&self, key: &str, notice: String) {
        if let Some(session) = lock(&self.inner).find(key) {
            session.notice = Some(notice);
        }
    }

    /// What the session's next page says first.
    pub(crate) fn told(&self, key: &str) -> Option<String> {
        lock(&self.inner).find(key).and_then(|session| session.notice.take())
    }
}

impl Inner {
    fn open(&mut self, caller: Caller, now: Instant) -> String {
        if self.sessions.len() == DASHBOARD_SESSIONS_MAX {
            let oldest = (0..self.sessions.len()).min_by_key(|at| self.sessions[*at].seen);
            oldest.map(|at| self.sessions.swap_remove(at));
        }
        let (key, token, caller) = (secret(), secret(), Arc::new(caller));
        let session = Session { key: key.clone(), token, caller, began: now, seen: now, notice: None };
        self.sessions.push(session);
        key
    }

    fn find(&mut self, key: &str) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| same_secret(key.as_bytes(), session.key.as_bytes()))
    }

    fn forget(&mut self, now: Instant) {
        self.links.retain(|link| now.duration_since(link.made) < DASHBOARD_LINK_TIMEOUT);
        self.sessions.retain(|session| {
            now.duration_since(session.seen) < DASHBOARD_SESSION_IDLE
                && now.duration_since(session.began) < DASHBOARD_SESSION_AGE
        });
    }
}

#[cfg(test)]
mod tests {
    use super::SignIn;
    use crate::caller::{CONTROL, Caller};
    use hob_core::limit::{
        DASHBOARD_LINK_TIMEOUT, DASHBOARD_LINKS_MAX, DASHBOARD_SESSION_AGE, DASHBOARD_SESSION_IDLE,
        DASHBOARD_SESSIONS_MAX,
    };
    use std::time::{Duration, Instant};

    fn owner() -> Caller {
        Caller::operator("owner", "uid 1000".into(), CONTROL)
    }

    fn code(link: &str) -> &str {
        link.split_once("/sign-in?code=").unwrap().1
    }

    #[test]
    fn a_link_signs_in_once_and_not_for_long() {
        let (sign_in, start) = (SignIn::new("http://127.0.0.1:1".into()), Instant::now());
        let link = sign_in.link(owner(), start);
        assert!(
            sign_in.redeem("", String::new(), start).is_none()
                && sign_in.redeem(&code(&link)[1..], String::new(), start).is_none()
        );
        let caller = sign_in.redeem(code(&link), "10.0.0.1".into(), start).unwrap();
        assert_eq!(
            (caller.who().as_str(), caller.from.as_str(), caller.via),
            ("owner", "10.0.0.1", "dashboard")
        );
        let key = sign_in.open(caller, start);
        assert!(sign_in.redeem(code(&link), String::new(), start).is_none(), "it works once");
        assert_ne!(sign_in.visit(&key, start).unwrap().0, key, "forms do not carry the cookie's secret");

        let late = sign_in.link(owner(), start);
        assert!(sign_in.redeem(code(&late), String::new(), start + DASHBOARD_LINK_TIMEOUT).is_none());
        let links: Vec<String> = (0..=DASHBOARD_LINKS_MAX).map(|_| sign_in.link(owner(), start)).collect();
        assert!(sign_in.redeem(code(&links[0]), String::new(), start).is_none(), "the oldest is forgotten");
        assert!(sign_in.redeem(code(&links[1]), String::new(), start).is_some());

        let lasting = sign_in.lasting_link();
        for _ in 0..2 {
            assert!(sign_in.redeem(code(&lasting), String::new(), start).is_some());
        }
    }

    #[test]
    fn sessions_end_and_are_few() {
        let (sign_in, start) = (SignIn::new(String::new()), Instant::now());
        let moment = Duration::from_secs(1);
        let key = sign_in.open(owner(), start);
        sign_in.tell(&key, "done".into());
        assert_eq!((sign_in.told(&key), sign_in.told(&key)), (Some("done".into()), None));
        let mut now = start;
        while now + DASHBOARD_SESSION_IDLE < start + DASHBOARD_SESSION_AGE + moment {
            assert!(sign_in.visit(&key, now).is_some(), "it is seen");
            now += DASHBOARD_SESSION_IDLE - moment;
        }
        assert!(sign_in.visit(&key, start + DASHBOARD_SESSION_AGE).is_none(), "it is too old");
        let key = sign_in.open(owner(), now);
        assert!(sign_in.visit(&key, now + DASHBOARD_SESSION_IDLE).is_none(), "it was not seen");

        let first = sign_in.open(owner(), now);
        for at in (1..).take(DASHBOARD_SESSIONS_MAX) {
            sign_in.open(owner(), now + moment * at);
        }
        assert!(sign_in.visit(&first, now + moment * 100).is_none(), "the one not seen for longest");
        let last = sign_in.open(owner(), now + moment * 100);
        sign_in.leave(&last);
        assert!(sign_in.visit(&last, now + moment * 100).is_none());
    }
}
