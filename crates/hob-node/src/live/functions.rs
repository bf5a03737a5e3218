//! The functions of one revision; each gets its pool at its first call.
//!
//! **Why.** Most deployed functions are idle, and most kept revisions are never called. What waits for a call that may
//! never come should cost next to nothing.
//!
//! **How.** A function is a place of a few bytes, found by the hash of its name; names and settings are those of the
//! app's description. The pool, with its copy of the settings, its gate and its witness, is made when somebody asks
//! for the function, and stays.
//!
//! A version of a function (AWS Lambda's) has a pool of its own, made the same way: the same code, told another number.
//!
//! **Invariants.** A function, and each of its versions, has one pool at most. A pool that is made after [`Functions::stop`] is stopped.

use futures_util::FutureExt as _;
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::spec::{AppSpec, FunctionSpec};
use hob_runtime::code::FunctionCode;
use hob_runtime::pool::{Pool, Stats};
use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Makes what a function needs once it is called.
pub trait Maker: Send + Sync {
    /// A function's code and settings.
    fn code(&self, of: Of<'_>) -> Arc<FunctionCode>;

    /// Its empty pool.
    ///
    /// # Errors
    /// `HOB-0103` for an unknown host or contract.
    fn pool(&self, code: Arc<FunctionCode>) -> Result<Arc<Pool>>;
}

/// Which function.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    /// The app.
    pub app: &'a AppName,
    /// The revision.
    pub revision: RevisionNumber,
    /// The function.
    pub name: &'a FunctionName,
    /// Its settings.
    pub spec: &'a FunctionSpec,
    /// Whether it keeps its minimum of instances.
    pub keeps_minimum: bool,
    /// The number by which it is called, if it is a version.
    pub number: Option<u32>,
}

/// A function's place.
struct Slot {
    /// Of its name. Two names of an app can have the same, and then share their places.
    hash: u64,
    pool: OnceLock<Arc<Pool>>,
}

/// The pool of a version. One stands behind the other: a revision has few versions, nearly always none.
struct Numbered {
    pool: Arc<Pool>,
    next: OnceLock<Box<Numbered>>,
}

/// The functions of one revision, private ones too.
pub struct Functions {
    spec: Arc<AppSpec>,
    revision: RevisionNumber,
    keeps_minimum: bool,
    maker: Arc<dyn Maker>,
    /// In the order of the hashes.
    slots: Box<[Slot]>,
    numbered: OnceLock<Box<Numbered>>,
    stopped: AtomicBool,
}

impl Functions {
    /// Functions without pools. `maker` has to know the host and contract of each.
    pub fn new(
        spec: Arc<AppSpec>,
        revision: RevisionNumber,
        keeps_minimum: bool,
        maker: Arc<dyn Maker>,
    ) -> Self {
        let hashes = spec.functions.keys().map(|name| hash(name.as_str()));
        let mut slots: Box<[Slot]> = hashes.map(|hash| Slot { hash, pool: OnceLock::new() }).collect();
        slots.sort_unstable_by_key(|slot| slot.hash);
        let (numbered, stopped) = (OnceLock::new(), AtomicBool::new(false));
        Self { spec, revision, keeps_minimum, maker, slots, numbered, stopped }
    }

    /// The pool of a function, which is made if this is the first time; `None` when there is no such function.
    pub fn get(&self, name: &(impl Borrow<str> + ?Sized)) -> Option<&Arc<Pool>> {
        let name: &str = name.borrow();
        if let Some(pool) = self.made_of(name) {
            return Some(pool);
        }
        let (name, spec) = self.spec.functions.get_key_value(name)?;
        let code = self.maker.code(self.of(name, spec));
        for slot in self.same(name.as_str()) {
            let pool = match slot.pool.get() {
                Some(pool) => pool,
                None => {
                    let made = self.maker.pool(Arc::clone(&code));
                    // Hosts and contracts were looked at before the revision was shown, so this does not happen.
                    let made = made.inspect_err(|fault| tracing::error!(%fault, %name, "no pool")).ok()?;
                    slot.pool.get_or_init(|| made)
                }
            };
            if pool.code().name == *name {
                self.stop_late(pool);
                return Some(pool);
            }
        }
        None
    }

    /// The pool of a function, if it has one by now.
    pub fn made_of(&self, name: &str) -> Option<&Arc<Pool>> {
        let pools = self.same(name).filter_map(|slot| slot.pool.get());
        pools.into_iter().find(|pool| pool.code().name.as_str() == name)
    }

    /// The pool of a version of a function, which is made if this is the first time; `None` when there is no such
    /// function.
    pub fn numbered(&self, name: &FunctionName, number: u32) -> Option<&Arc<Pool>> {
        let is = |pool: &Pool| {
            let code = pool.code();
            code.name == *name && code.numbered.as_ref().is_some_and(|numbered| numbered.version == number)
        };
        let pool = match self.numbered_made().find(|pool| is(pool)) {
            Some(pool) => pool,
            None => {
                let (name, spec) = self.spec.functions.get_key_value(name)?;
                let of = Of { keeps_minimum: false, number: Some(number), ..self.of(name, spec) };
                let made = self.maker.pool(self.maker.code(of));
                let made = made.inspect_err(|fault| tracing::error!(%fault, %name, "no pool")).ok()?;
                let mut place = &self.numbered;
                loop {
                    let new = || Box::new(Numbered { pool: Arc::clone(&made), next: OnceLock::new() });
                    let at = place.get_or_init(new);
                    if is(&at.pool) {
                        break &at.pool;
                    }
                    place = &at.next;
                }
            }
        };
        self.stop_late(pool);
        Some(pool)
    }

    fn numbered_made(&self) -> impl Iterator<Item = &Arc<Pool>> {
        let all = std::iter::successors(self.numbered.get(), |at| at.next.get());
        all.map(|at| &at.pool)
    }

    /// Every pool that was made, those of versions too.
    pub fn made(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.slots.iter().filter_map(|slot| slot.pool.get()).chain(self.numbered_made())
    }

    /// The pools of a function and its versions that were made.
    pub fn all_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Pool>> {
        let versions = self.numbered_made().filter(move |pool| pool.code().name.as_str() == name);
        self.made_of(name).into_iter().chain(versions)
    }

    /// What happens in these pools, in sum.
    pub fn stats(&self, name: &str) -> Stats {
        self.all_of(name).map(|pool| pool.stats()).reduce(Stats::and).unwrap_or_default()
    }

    /// The code of a function, without making its pool.
    pub fn code(&self, name: &FunctionName) -> Option<Arc<FunctionCode>> {
        if let Some(pool) = self.made_of(name.as_str()) {
            return Some(Arc::clone(pool.code()));
        }
        Some(self.maker.code(self.of(name, self.spec.functions.get(name)?)))
    }

    /// Whether there is such a function.
    pub fn contains_key(&self, name: &FunctionName) -> bool {
        self.spec.functions.contains_key(name)
    }

    /// Their names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &FunctionName> {
        self.spec.functions.keys()
    }

    /// Lets running calls finish for `grace`, then ends every instance. New calls fail with `HOB-0509`.
    pub async fn stop(&self, grace: Duration) {
        self.stopped.store(true, Ordering::SeqCst);
        futures_util::future::join_all(self.made().map(|pool| pool.stop(grace))).await;
    }

    /// A pool that came too late for [`Functions::stop`] has no instance yet, so that there is nothing to wait for.
    fn stop_late(&self, pool: &Pool) {
        if self.stopped.load(Ordering::SeqCst) {
            let _ = pool.stop(Duration::ZERO).now_or_never();
        }
    }

    /// The places at which a function of this name can be.
    fn same(&self, name: &str) -> impl Iterator<Item = &Slot> {
        let hash = hash(name);
        let from = self.slots.partition_point(|slot| slot.hash < hash);
        self.slots[from..].iter().take_while(move |slot| slot.hash == hash)
    }

    fn of<'a>(&'a self, name: &'a FunctionName, spec: &'a FunctionSpec) -> Of<'a> {
        let Self { revision, keeps_minimum, .. } = *self;
        Of { app: &self.spec.app, revision, name, spec, keeps_minimum, number: None }
    }
}

/// The same in each run: whoever chooses names that collide slows down none but the own app.
fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    hasher.finish()
}
