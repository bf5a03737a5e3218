//! The node's side of a function whose instances live in its space's worker.
//!
//! **How.** The worker is given the function's code once ([`Walled::ready`]), and again when another worker has taken
//! its place. A call is an exchange on a lane; a kept instance and a program have a lane each, too. What the worker says
//! beside an answer comes to [`Beside`]: it knows whose lane that is, and takes nothing else for it.
//!
//! **Invariants.** Deadline, identity and egress stay here: the pool gives a call up at its deadline, whatever the
//! worker does, and each request that a guest sends is made in the name of the lane's call.

mod exit;
mod instance;
mod program;
mod said;

pub(super) use program::{Inward, Outward, put_exit};

use super::compile::Compiled;
use super::engine::Grade;
use super::passed::At;
use super::{Calls, File, Script, Shared};
use crate::code::FunctionCode;
use crate::crowd::{Member, also_queued};
use crate::invocation::{Context, Invocation, Reply};
use crate::log;
use crate::unit::{Instance, Launch, Program};
use crate::worker::exchange::{Asker, Exchange, Rest};
use crate::worker::lane::{Lane, Lost};
use crate::worker::near::{Link, Meter, Use, Worker};
use crate::worker::wire::{Asked, Broken, Frame, Kind, Known, Line, Load, Loaded, Take, Used};
use arc_swap::ArcSwapOption;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::WORKER_SLACK;
use hob_core::log_line::Level;
use hob_core::name::SpaceName;
use hob_core::port::BoxFuture;
use hob_core::unit::micros;
use said::Said;
use std::fs::File as OpenFile;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A function that runs in its space's worker.
pub(super) struct Walled {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    file: File,
    code: Arc<FunctionCode>,
    script: Option<Arc<Script>>,
    /// Its number in every worker.
    function: u64,
    member: Arc<Member>,
    ready: ArcSwapOption<Ready>,
    loading: tokio::sync::Mutex<()>,
}

/// A worker that has a function's code.
pub(super) struct Ready {
    link: Arc<Link>,
    meter: Arc<Meter>,
    loaded: Loaded,
    grade: Grade,
}

impl Ready {
    /// What was found in the code.
    pub(super) fn loaded(&self) -> Loaded {
        self.loaded
    }

    fn is_usable(&self) -> bool {
        self.link.is_alive() && !self.link.is_worn()
    }
}

impl Walled {
    /// A function of this space.
    ///
    /// # Errors
    /// `HOB-0901` in a worker itself.
    pub(super) fn new(
        shared: &Arc<Shared>,
        space: &SpaceName,
        file: File,
        (code, script): (Arc<FunctionCode>, Option<Arc<Script>>),
    ) -> Result<Arc<Self>> {
        let fleet = shared.fleet.clone().ok_or_else(|| Fault::internal("a worker has no workers"))?;
        Ok(Arc::new(Self {
            shared: Arc::clone(shared),
            worker: fleet.of(space),
            file,
            script,
            function: fleet.next_function(),
            member: shared.environment.crowd.member(&shared.environment.space, &code),
            ready: ArcSwapOption::empty(),
            loading: tokio::sync::Mutex::default(),
            code,
        }))
    }

    /// The digest of its WASM file.
    pub(super) fn digest(&self) -> Digest {
        self.file.digest
    }

    /// The function.
    pub(super) fn code(&self) -> &Arc<FunctionCode> {
        &self.code
    }

    /// How good the code is that the worker has; `None` when none has it.
    pub(super) fn grade(&self) -> Option<Grade> {
        self.ready.load().as_ref().filter(|ready| ready.link.is_alive()).map(|ready| ready.grade)
    }

    /// Memory of its instances when the worker said so last, bytes.
    pub(super) fn held_bytes(&self) -> u64 {
        self.ready
            .load()
            .as_ref()
            .filter(|ready| ready.link.is_alive())
            .map_or(0, |ready| ready.meter.held_bytes())
    }

    /// The worker, once it has the function's code.
    ///
    /// # Errors
    /// `HOB-0513` without a worker; what that finds in the code.
    pub(super) async fn ready(&self) -> Result<Arc<Ready>> {
        if let Some(ready) = self.ready.load_full().filter(|ready| ready.is_usable()) {
            return Ok(ready);
        }
        let _loading = self.loading.lock().await;
        if let Some(ready) = self.ready.load_full().filter(|ready| ready.is_usable()) {
            return Ok(ready);
        }
        let ready = loop {
            let link = self.worker.link().await?;
            match self.load(Arc::clone(&link)).await {
                // It has just made room for another one.
                Err(_) if link.is_retired() => {}
                loaded => break Arc::new(loaded?),
            }
        };
        self.ready.store(Some(Arc::clone(&ready)));
        if ready.grade == Grade::Quick {
            // Better code may have come meanwhile; else it comes later.
            match self.shared.made.look(self.file.digest, Grade::Optimised) {
                Some(better) => self.exchange(&better),
                None => self.shared.optimise_later(self.file.clone()),
            }
        }
        Ok(ready)
    }

    /// The worker, and a lane to it.
    ///
    /// # Errors
    /// As [`Walled::ready`] and [`Link::lane`].
    async fn lane(&self, waits: bool) -> Result<(Arc<Ready>, Lane, Use)> {
        loop {
            let ready = self.ready().await?;
            match ready.link.lane(waits) {
                // It has just made room for another one.
                Err(_) if ready.link.is_retired() => {}
                Err(fault) => return Err(fault),
                Ok((lane, using)) => return Ok((ready, lane, using)),
            }
        }
    }

    /// Gives the code to a worker; makes it anew when it is gone or of another version.
    async fn load(&self, link: Arc<Link>) -> Result<Ready> {
        let found = self.shared.made.find(self.file.digest);
        let loaded = match found {
            Some(found) => self.pass(&link, &found).await,
            None => Err(Fault::internal("the compiled file is gone")),
        };
        match loaded {
            Err(fault) if fault.code() == Code::Internal => {
                tracing::warn!(file = self.file.name, %fault, "compiling again: the compiled code cannot be loaded");
                let compiled = self.shared.made.compile_anew(&self.file.source()).await?;
                self.pass(&link, &compiled).await
            }
            loaded => loaded,
        }
    }

    async fn pass(&self, link: &Arc<Link>, found: &Compiled) -> Result<Ready> {
        let file = open(found)?;
        let meter = Meter::new(&self.code.cpu, &self.member, link.memory_bytes_max);
        let load = Load {
            function: self.function,
            app: self.code.app.clone(),
            revision: self.code.revision,
            name: self.code.name.clone(),
            spec: self.code.spec.clone(),
            file: self.file.name.clone(),
            digest: self.file.digest,
            quick: found.grade == Grade::Quick,
            script: self.script.as_ref().map(|script| (script.name.clone(), script.text.clone())),
        };
        let loaded = link.load((self.function, file.into(), found.bytes), &meter, &load).await?;
        Ok(Ready { link: Arc::clone(link), meter, loaded, grade: found.grade })
    }

    /// Gives better code to the worker that has the function.
    pub(super) fn exchange(&self, found: &Compiled) {
        let Some(ready) = self.ready.load_full().filter(|ready| ready.link.is_alive()) else { return };
        let Ok(file) = open(found) else { return };
        ready.link.exchange(self.function, file.into(), found.bytes);
        let Ready { link, meter, loaded, .. } = &*ready;
        let better =
            Ready { link: Arc::clone(link), meter: Arc::clone(meter), loaded: *loaded, grade: found.grade };
        self.ready.store(Some(Arc::new(better)));
    }

    /// An instance: one that is kept is started now.
    ///
    /// # Errors
    /// Why it does not start.
    pub(super) async fn open(self: &Arc<Self>, instance: u64) -> Result<Box<dyn Instance>> {
        if self.ready().await?.loaded.per_call {
            return Ok(Box::new(Once { unit: Arc::clone(self), instance }));
        }
        Ok(Box::new(instance::Kept::open(Arc::clone(self), instance).await?))
    }

    /// Starts a program.
    ///
    /// # Errors
    /// Why it does not start.
    pub(super) async fn start(self: &Arc<Self>, launch: Launch) -> Result<Box<dyn Program>> {
        let (ready, lane, using) = self.lane(true).await?;
        Ok(Box::new(program::start(Arc::clone(self), (&ready, lane, using), launch)))
    }

    fn asked(&self, instance: u64, kept: bool, call: Option<&Context>) -> Asked {
        Asked { function: self.function, instance, kept, call: call.map(known) }
    }

    /// Sends a call through a lane.
    async fn call(
        self: &Arc<Self>,
        (ready, lane, using): (&Ready, Lane, Use),
        (instance, kept): (u64, Option<instance::Running>),
        invocation: Invocation,
    ) -> Result<Reply> {
        let Invocation { context, request } = invocation;
        let asked = self.asked(instance, kept.is_some(), Some(&context));
        let calls = Calls::One(Some(Arc::clone(&context)));
        let beside = Beside::new(self, &ready.meter, using, (calls, Some(context), instance));
        let caller = Call { beside, kept };
        let reply = Exchange::ask(lane, Kind::Call, |put| asked.put(put), request, caller).await?;
        self.sound(reply)
    }

    /// Takes from an answer what only the node's own connections may say.
    fn sound(&self, mut reply: Reply) -> Result<Reply> {
        let bad = |why| super::failure::bad_response(&self.code, why);
        if reply.status().is_informational() {
            return Err(bad("answered with a status below 200"));
        }
        if reply.headers().get_all(http::header::CONTENT_LENGTH).iter().count() > 1 {
            return Err(bad("answered with two lengths"));
        }
        crate::hop::strip(reply.headers_mut());
        Ok(reply)
    }
}

impl Drop for Walled {
    fn drop(&mut self) {
        if let Some(ready) = self.ready.load_full() {
            ready.link.unload(self.function);
        }
    }
}

fn open(found: &Compiled) -> Result<OpenFile> {
    match &found.at {
        At::Path(path) => OpenFile::open(path).map_err(Fault::internal),
        At::Open(file) => file.try_clone().map_err(Fault::internal),
    }
}

fn known(context: &Context) -> Known {
    Known {
        id: context.id.0,
        trace: context.trace.trace_id,
        span: context.trace.span_id,
        flags: context.trace.flags,
        secure: context.secure,
        left_us: micros(context.deadline.saturating_duration_since(Instant::now())),
    }
}

/// An instance for one call, which makes it.
struct Once {
    unit: Arc<Walled>,
    instance: u64,
}

impl Instance for Once {
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move {
            let (ready, lane, using) = self.unit.lane(true).await?;
            self.unit.call((&ready, lane, using), (self.instance, None), invocation).await
        })
    }

    fn ended(&self) -> BoxFuture<'_, Option<Fault>> {
        Box::pin(std::future::pending())
    }

    fn stop(&self, _grace: Duration) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What a worker says on a lane beside answers, and for whom that counts.
pub(super) struct Beside {
    unit: Arc<Walled>,
    meter: Arc<Meter>,
    using: Use,
    calls: Calls,
    /// The call that is charged.
    context: Option<Arc<Context>>,
    instance: u64,
    said: Said,
    /// Ends the ways out of the lane.
    exits: CancellationToken,
    _end: DropGuard,
}

impl Beside {
    fn new(
        unit: &Arc<Walled>,
        meter: &Arc<Meter>,
        using: Use,
        (calls, context, instance): (Calls, Option<Arc<Context>>, u64),
    ) -> Self {
        let exits = CancellationToken::new();
        let _end = exits.clone().drop_guard();
        let (unit, meter, said) = (Arc::clone(unit), Arc::clone(meter), Said::new(Instant::now()));
        Self { unit, meter, using, calls, context, instance, said, exits, _end }
    }

    fn link(&self) -> &Arc<Link> {
        self.using.link()
    }

    /// Takes a frame that is no part of an answer.
    fn take(&mut self, mut frame: Frame) -> std::result::Result<(), Broken> {
        match frame.kind {
            Kind::Log => {
                let line = frame.content.json()?;
                self.said.line(&line)?;
                self.log(line);
            }
            Kind::Dropped => {
                let (lines, bytes) = (frame.content.u64()?, frame.content.u64()?);
                let told = self.said.dropped(lines, bytes, Instant::now());
                self.dropped(told);
            }
            Kind::Used => self.used(&mut frame.content)?,
            Kind::Exit => exit::open(self, frame.content.u64()?)?,
            _ => return Err(Broken("a frame that has no place on its lane")),
        }
        Ok(())
    }

    fn dropped(&self, told: Option<(u64, u64)>) {
        if let Some((lines, bytes)) = told {
            self.platform(format!(
                "dropped {lines} lines ({bytes} bytes): they came faster than the node reads them"
            ));
        }
    }

    fn platform(&self, text: String) {
        let logs = &*self.unit.shared.environment.logs;
        log::platform(logs, &self.unit.code, self.instance, self.context.as_deref(), Level::Warn, text);
    }

    /// A line: of this function and instance, and of a call only if that runs here.
    fn log(&self, line: Line) {
        let Line { invocation, stream, level, text } = line;
        let call = self.calls.with(|calls| match (invocation, calls) {
            (Some(id), calls) => calls.iter().find(|call| call.id == id).cloned(),
            (None, _) => None,
        });
        let logs = &*self.unit.shared.environment.logs;
        log::line(logs, &self.unit.code, (self.instance, call.as_deref()), (stream, level), &text);
    }

    fn used(&mut self, content: &mut Take) -> std::result::Result<(), Broken> {
        let used = Used::take(content)?;
        self.meter.see(&used);
        let (before, now) = self.said.used(&used, Instant::now());
        let Some(context) = &self.context else { return Ok(()) };
        let timing = &context.timing;
        match (before.call_ns, now.call_ns) {
            (before, Some(now_ns)) => timing.spent(now_ns.saturating_sub(before.unwrap_or_default())),
            (Some(_), None) => timing.shared(),
            (None, None) => {}
        }
        also_queued(timing, Duration::from_micros(now.queued_us.saturating_sub(before.queued_us)));
        let started_us = now.started_us.saturating_sub(before.started_us);
        if started_us > 0 {
            timing.started(Duration::from_micros(started_us));
        }
        Ok(())
    }

    fn lost(&self, why: &Lost) -> Fault {
        self.link().fault(why)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let told = self.said.untold();
        self.dropped(told);
    }
}

/// A call on its lane.
struct Call {
    beside: Beside,
    /// In the instance, if that is kept.
    kept: Option<instance::Running>,
}

impl Asker for Call {
    fn beside(&mut self, frame: Frame) -> std::result::Result<(), Broken> {
        match (&self.kept, frame.kind) {
            (Some(running), Kind::Ended) => running.status.ended(&frame.content),
            _ => self.beside.take(frame),
        }
    }

    fn finished(&mut self, lane: Lane) {
        self.beside.link().give_back(lane);
    }

    fn linger(self, rest: Rest<Self>) {
        let spawn = Arc::clone(&self.beside.unit.shared.environment.spawn);
        // What a guest does after its answer ends with its call's deadline. In an instance that is kept others may hold
        // that up: then the lane is closed, and no more.
        let deadline = self.beside.context.as_ref().map(|context| context.deadline);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.unwrap_or_default();
        let (link, alone) = (Arc::clone(self.beside.link()), self.kept.is_none());
        let work = async move {
            let over = rest.finish(self);
            if alone {
                let _ = link.within(left, "a call that was not over in time", over).await;
            } else {
                let _ = timeout(left + WORKER_SLACK, over).await;
            }
        };
        spawn.spawn("wasm-after-answer", Box::pin(work));
    }

    fn lost(&mut self, why: &Lost) -> Fault {
        self.beside.lost(why)
    }
}
