//! Who may use the dashboard: links that sign a browser in, and the browsers that are signed in.
//!
//! **Why.** The dashboard can do what the command line can. A person who may use that gets in with a link
//! from it; there are no accounts and no passwords to keep.
//!
//! **How.** Links and sessions are random texts in memory, few, and gone when they are old: a restart of
//! the node signs everybody out. Secrets are compared in constant time. Each session has a second secret
//! that its forms carry, so that no other site can send one in the person's name.
//!
//! **Not here:** cookies and headers ([`crate::dashboard`]).

use crate::identity::{same_secret, secret};
use crate::sync::lock;
use hob_core::limit::{
    DASHBOARD_LINK_TIMEOUT, DASHBOARD_LINKS_MAX, DASHBOARD_SESSION_AGE, DASHBOARD_SESSION_IDLE,
    DASHBOARD_SESSIONS_MAX,
};
use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};
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
}

struct Session {
    key: String,
    token: String,
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

    /// A link that signs in once, soon.
    pub(crate) fn link(&self, now: Instant) -> String {
        let code = secret();
        let link = self.shown(&code);
        let mut inner = lock(&self.inner);
        inner.forget(now);
        if inner.links.len() == DASHBOARD_LINKS_MAX {
            inner.links.pop_front();
        }
        inner.links.push_back(Link { code, made: now });
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

    /// Signs in with a link's code; the key of the new session. The code is good for nothing afterwards.
    pub(crate) fn redeem(&self, code: &str, now: Instant) -> Option<String> {
        let lasting = self.lasting.get().is_some_and(|own| same_secret(code.as_bytes(), own.as_bytes()));
        let mut inner = lock(&self.inner);
        inner.forget(now);
        let known = inner.links.len();
        inner.links.retain(|link| !same_secret(code.as_bytes(), link.code.as_bytes()));
        let good = lasting || inner.links.len() < known;
        good.then(|| inner.open(now))
    }

    /// Whether a code is that of a link which is good now. It is not used up by this.
    pub(crate) fn knows(&self, code: &str, now: Instant) -> bool {
        let lasting = self.lasting.get().is_some_and(|own| same_secret(code.as_bytes(), own.as_bytes()));
        let mut inner = lock(&self.inner);
        inner.forget(now);
        lasting || inner.links.iter().any(|link| same_secret(code.as_bytes(), link.code.as_bytes()))
    }

    /// Signs in somebody who has shown otherwise that he may; the key of the new session.
    pub(crate) fn open(&self, now: Instant) -> String {
        let mut inner = lock(&self.inner);
        inner.forget(now);
        inner.open(now)
    }

    /// The token of the session with this key, which is seen by this.
    pub(crate) fn visit(&self, key: &str, now: Instant) -> Option<String> {
        let mut inner = lock(&self.inner);
        inner.forget(now);
        inner.find(key).map(|session| {
            session.seen = now;
            session.token.clone()
        })
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
    fn open(&mut self, now: Instant) -> String {
        if self.sessions.len() == DASHBOARD_SESSIONS_MAX {
            let oldest = (0..self.sessions.len()).min_by_key(|at| self.sessions[*at].seen);
            oldest.map(|at| self.sessions.swap_remove(at));
        }
        let session = Session { key: secret(), token: secret(), began: now, seen: now, notice: None };
        let key = session.key.clone();
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
    use hob_core::limit::{
        DASHBOARD_LINK_TIMEOUT, DASHBOARD_LINKS_MAX, DASHBOARD_SESSION_AGE, DASHBOARD_SESSION_IDLE,
        DASHBOARD_SESSIONS_MAX,
    };
    use std::time::{Duration, Instant};

    fn code(link: &str) -> &str {
        link.split_once("/sign-in?code=").unwrap().1
    }

    #[test]
    fn a_link_signs_in_once_and_not_for_long() {
        let (sign_in, start) = (SignIn::new("http://127.0.0.1:1".into()), Instant::now());
        let link = sign_in.link(start);
        assert!(sign_in.redeem("", start).is_none() && sign_in.redeem(&code(&link)[1..], start).is_none());
        let key = sign_in.redeem(code(&link), start).unwrap();
        assert!(sign_in.redeem(code(&link), start).is_none(), "it works once");
        assert_ne!(sign_in.visit(&key, start).unwrap(), key, "forms do not carry the cookie's secret");

        let late = sign_in.link(start);
        assert!(sign_in.redeem(code(&late), start + DASHBOARD_LINK_TIMEOUT).is_none());
        let links: Vec<String> = (0..=DASHBOARD_LINKS_MAX).map(|_| sign_in.link(start)).collect();
        assert!(sign_in.redeem(code(&links[0]), start).is_none(), "the oldest is forgotten");
        assert!(sign_in.redeem(code(&links[1]), start).is_some());

        let lasting = sign_in.lasting_link();
        for _ in 0..2 {
            assert!(sign_in.redeem(code(&lasting), start).is_some());
        }
    }

    #[test]
    fn sessions_end_and_are_few() {
        let (sign_in, start) = (SignIn::new(String::new()), Instant::now());
        let moment = Duration::from_secs(1);
        let key = sign_in.open(start);
        sign_in.tell(&key, "done".into());
        assert_eq!((sign_in.told(&key), sign_in.told(&key)), (Some("done".into()), None));
        let mut now = start;
        while now + DASHBOARD_SESSION_IDLE < start + DASHBOARD_SESSION_AGE + moment {
            assert!(sign_in.visit(&key, now).is_some(), "it is seen");
            now += DASHBOARD_SESSION_IDLE - moment;
        }
        assert!(sign_in.visit(&key, start + DASHBOARD_SESSION_AGE).is_none(), "it is too old");
        let key = sign_in.open(now);
        assert!(sign_in.visit(&key, now + DASHBOARD_SESSION_IDLE).is_none(), "it was not seen");

        let first = sign_in.open(now);
        for at in (1..).take(DASHBOARD_SESSIONS_MAX) {
            sign_in.open(now + moment * at);
        }
        assert!(sign_in.visit(&first, now + moment * 100).is_none(), "the one not seen for longest");
        let last = sign_in.open(now + moment * 100);
        sign_in.leave(&last);
        assert!(sign_in.visit(&last, now + moment * 100).is_none());
    }
}
