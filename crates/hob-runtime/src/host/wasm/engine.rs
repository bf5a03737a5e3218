//! The WASM engine of one node: how code is compiled, where instances live, how guests yield.
//!
//! **Why.** All functions of a node share one engine, so that instances come from one pool of
//! reserved slots: taking a slot costs microseconds where mapping memory anew costs tens of them.
//!
//! **How.** Slots are address space only and cost no memory while they are free. A machine that does
//! not grant the address space (`ulimit -v`, several nodes in a process) gets instances on demand,
//! and a line in the log says why. Every [`limit::WASM_EPOCH_TICK`] a running guest is made to yield
//! to the async runtime, so a guest that loops never holds a worker thread. The ticking thread sleeps
//! when no guest has been alive for a while, and ends with the engine. For a while, since waking it for each
//! call costs more than its ticks.
//!
//! **Invariants.** [`config`] decides what machine code looks like, for the node and for the
//! compiling child alike; the allocation of instances has no influence on it.

use crate::crowd::Crowd;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use wasmtime::{
    Config, CustomCodeMemory, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    RegallocAlgorithm,
};

/// How often the ticking thread looks whether the engine still exists while no guest is alive.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// Memory that a free slot keeps, to save its next user page faults.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// What decides how code is compiled.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_component_model_async(true)
        .max_wasm_stack(limit::WASM_STACK_BYTES_MAX)
        // Wasmtime's own backtraces do not need it, and registering it slows down loading.
        .native_unwind_info(false);
    config
}

/// How good machine code is. Both kinds mean the same and fit the same engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    /// Made in a hurry, to serve until the other kind is there.
    Quick,
    /// As good as the compiler can.
    Optimised,
}

impl Grade {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Optimised => "optimised",
        }
    }

    /// Has a compiler make this kind.
    ///
    /// **Why not Winch**, wasmtime's compiler in one pass: its code has another calling convention, so that an
    /// engine takes either its code or Cranelift's. There would be two engines, each with reserved slots.
    pub(super) fn set(self, config: &mut Config) {
        if self == Self::Quick {
            config.cranelift_opt_level(OptLevel::None);
            config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
        }
    }
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limit::WASM_INSTANCES_MAX)
        .total_core_instances(limit::WASM_INSTANCES_MAX * 4)
        .total_memories(limit::WASM_INSTANCES_MAX)
        .total_tables(limit::WASM_INSTANCES_MAX * 2)
        .total_stacks(limit::WASM_INSTANCES_MAX)
        .table_elements(limit::WASM_TABLE_ELEMENTS_MAX)
        .max_tables_per_module(8)
        .max_memories_per_module(4)
        .max_unused_warm_slots(64)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES / 8)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Opens an engine. `pooling` forces a pool or forbids it; `None` takes one if the machine allows it. `publish` makes
/// code executable that wasmtime has not mapped itself.
///
/// # Errors
/// `HOB-0903` when a pool is demanded and the machine does not allow it.
pub(super) fn open(pooling: Option<bool>, publish: Option<Arc<dyn CustomCodeMemory>>) -> Result<Engine> {
    let config = || {
        let mut config = config();
        config.with_custom_code_memory(publish.clone());
        config
    };
    // Wasmtime makes an error whenever it drops a component's store. Where `RUST_BACKTRACE` is set, each
    // would walk the stack, which costs a fifth of a call; a trap's own WASM backtrace is another thing.
    wasmtime::error::disable_backtrace();
    if pooling != Some(false) {
        let mut pooled = config();
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
        match Engine::new(&pooled) {
            Ok(engine) => return Ok(engine),
            Err(error) if pooling == Some(true) => {
                return Err(Fault::new(
                    Code::MachineLacks,
                    format!(
                        "this machine does not grant the address space for a pool of {} WASM instances",
                        limit::WASM_INSTANCES_MAX
                    ),
                )
                .hint("raise `ulimit -v`, or let Hob make instances on demand")
                .detail(format!("{error:#}")));
            }
            Err(error) => {
                tracing::warn!(
                    reason = format!("{error:#}"),
                    "no pool of WASM instances: they are made on demand, which is slower"
                );
            }
        }
    }
    Engine::new(&config()).map_err(|error| Fault::internal(format!("{error:#}")))
}

/// Names everything that decides whether compiled code can be loaded: version, settings, processor.
pub(super) fn fingerprint(engine: &Engine) -> String {
    // The hash's keys are fixed; if its algorithm changes with the compiler, code is compiled anew.
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Makes running guests yield while there are any.
#[derive(Debug)]
pub(super) struct Ticker {
    alive: Arc<AtomicUsize>,
    thread: std::thread::Thread,
}

impl Ticker {
    /// Starts the ticking thread.
    ///
    /// # Errors
    /// `HOB-0903` when the machine gives no thread.
    pub(super) fn start(engine: &Engine, crowd: &Arc<Crowd>) -> Result<Arc<Self>> {
        let (engine, crowd) = (engine.weak(), Arc::clone(crowd));
        let alive = Arc::new(AtomicUsize::new(0));
        let seen = Arc::downgrade(&alive);
        let thread = std::thread::Builder::new()
            .name("hob-epoch".to_owned())
            .spawn(move || {
                let mut idle_ticks = 0;
                while let (Some(alive), Some(engine)) = (seen.upgrade(), engine.upgrade()) {
                    engine.increment_epoch();
                    crowd.tick();
                    idle_ticks = if alive.load(Ordering::SeqCst) == 0 { idle_ticks + 1 } else { 0 };
                    // Nothing is held while waiting, so that engine and ticker can end.
                    drop((alive, engine));
                    if idle_ticks >= limit::WASM_IDLE_TICKS {
                        idle_ticks -= 1;
                        std::thread::park_timeout(IDLE_TICK);
                    } else {
                        std::thread::sleep(limit::WASM_EPOCH_TICK);
                    }
                }
            })
            .map_err(|error| {
                Fault::new(Code::MachineLacks, "cannot start the thread that times WASM guests").detail(error)
            })?;
        Ok(Arc::new(Self { alive, thread: thread.thread().clone() }))
    }

    /// Ticks for as long as the returned guard lives.
    pub(super) fn guest(self: &Arc<Self>) -> Alive {
        if self.alive.fetch_add(1, Ordering::SeqCst) == 0 {
            self.thread.unpark();
        }
        Alive(Arc::clone(self))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

/// A guest is alive.
#[derive(Debug)]
pub(super) struct Alive(Arc<Ticker>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
