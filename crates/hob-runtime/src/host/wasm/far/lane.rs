//! What runs on one lane after another: a call, an instance, a program.

use super::super::check::Runnable;
use super::super::fresh::Fresh;
use super::super::kept::Kept;
use super::super::spin;
use super::super::walled::{Inward, Outward, put_exit};
use super::super::{WasmUnit, program};
use super::ways::{Listed, Whose};
use super::{Far, lock, used};
use crate::code::FunctionCode;
use crate::invocation::{Context as Call, Invocation, Origin, Reply, Timing, Trail};
use crate::unit::{Instance, Launch, Program as _};
use crate::worker::lane::{Lane, Lost, PENDING_BYTES_MAX};
use crate::worker::outbox::Outbox;
use crate::worker::serve::{Answerer, serve};
use crate::worker::wire::{Asked, Broken, Frame, Kind, Known, Used, take_request};
use futures_util::FutureExt as _;
use futures_util::task::AtomicWaker;
use hob_core::code::Code;
use hob_core::fact::CallCause;
use hob_core::fault::{Fault, Result};
use hob_core::id::InvocationId;
use hob_core::port::{BoxFuture, Spawn};
use hob_core::trace::TraceContext;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Carries whatever the node begins on a lane, one after another, until it closes it.
pub(super) async fn carry(far: Arc<Far>, end: OwnedFd) {
    let Ok(mut lane) = Lane::new(end) else { return };
    loop {
        // The end of what was carried last.
        if lane.flush().await.is_err() {
            return;
        }
        let Ok(frame) = lane.next().await else { return };
        let done = match frame.kind {
            Kind::Call => call(&far, &mut lane, frame).await,
            Kind::Open => instance(&far, &mut lane, frame).await,
            Kind::Start => program(&far, &mut lane, frame).await,
            // What was left of a request that was answered before its end.
            Kind::Data | Kind::Trailers | Kind::End | Kind::BrokeOff => Ok(()),
            _ => return,
        };
        far.used.notify_one();
        if done.is_err() {
            return;
        }
    }
}

fn context(code: &FunctionCode, known: &Known) -> Arc<Call> {
    Arc::new(Call {
        id: InvocationId(known.id),
        trace: TraceContext { trace_id: known.trace, span_id: known.span, flags: known.flags },
        app: code.app.clone(),
        revision: code.revision,
        function: code.name.clone(),
        deadline: Instant::now() + Duration::from_micros(known.left_us),
        depth: 0,
        hops: 0,
        secure: known.secure,
        peer: None,
        route: None,
        origin: Origin::now(CallCause::Control),
        timing: Timing::default(),
        trail: Trail::default(),
    })
}

async fn call(far: &Arc<Far>, lane: &mut Lane, mut frame: Frame) -> std::result::Result<(), Lost> {
    let asked = Asked::take(&mut frame.content)?;
    let request = take_request(&mut frame.content)?;
    let known = asked.call.ok_or(Broken("a call without one"))?;
    far.used.notify_one();
    let unit = match far.unit(asked.function) {
        Ok(unit) => unit,
        Err(fault) => {
            lane.put(Kind::Failed, |put| put.fault(&fault));
            lane.put(Kind::Over, |_| {});
            return Ok(());
        }
    };
    let context = context(&unit.code, &known);
    let mut whose = vec![Whose::Call(known.id)];
    if !asked.kept {
        whose.push(Whose::Instance(asked.instance));
    }
    let listed = far.ways.list(whose);
    let kept = lock(&far.instances).get(&asked.instance).filter(|_| asked.kept).cloned();
    let after = Arc::new(After { running: AtomicUsize::new(0), over: AtomicWaker::new() });
    let lasting = Lasting { spawn: Arc::clone(&far.spawn), after: Arc::clone(&after) };
    let mut answerer = Answering {
        listed,
        unit: Arc::clone(&unit),
        context: Arc::clone(&context),
        kept: kept.clone(),
        after,
        told: None,
    };
    let captured = far.captured.clone();
    let handle = async move |request| {
        let invocation = Invocation { context, request };
        if let Some(reply) = captured.and_then(|captured| captured(&invocation)) {
            return Ok(reply);
        }
        if asked.kept {
            let closed = || Fault::new(Code::QueueFull, "the instance takes no more calls").retry_after(1);
            return kept.ok_or_else(closed)?.call(invocation).await;
        }
        alone(unit, asked.instance, lasting, invocation).await
    };
    serve(lane, request, handle, &mut answerer).await
}

/// A call in an instance of its own.
async fn alone(
    unit: Arc<WasmUnit>,
    instance: u64,
    lasting: Lasting,
    invocation: Invocation,
) -> Result<Reply> {
    let current = unit.current().await?;
    match &current.runnable {
        Runnable::Http02(pre) => {
            Fresh::lasting(unit, pre.clone(), instance, Arc::new(lasting)).call(invocation).await
        }
        Runnable::Spin(trigger) => spin::Once::new(unit, trigger.clone(), instance).call(invocation).await,
        _ => Err(Fault::internal("a call of what takes none by itself")),
    }
}

/// What goes on after an answer.
struct After {
    running: AtomicUsize,
    over: AtomicWaker,
}

struct Running(Arc<After>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.over.wake();
    }
}

/// Starts what goes on after an answer, and knows when that has ended.
struct Lasting {
    spawn: Arc<dyn Spawn>,
    after: Arc<After>,
}

impl Spawn for Lasting {
    fn spawn(&self, kind: &'static str, future: BoxFuture<'static, ()>) {
        self.after.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(Arc::clone(&self.after));
        let work = async move {
            future.await;
            drop(running);
        };
        self.spawn.spawn(kind, Box::pin(work));
    }
}

/// A call, as the answering half of its exchange sees it.
struct Answering {
    listed: Listed,
    unit: Arc<WasmUnit>,
    context: Arc<Call>,
    kept: Option<Arc<dyn Instance>>,
    after: Arc<After>,
    told: Option<Used>,
}

impl Answerer for Answering {
    fn outbox(&self) -> Option<&Outbox> {
        Some(&self.listed.outbox)
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.after.over.register(context.waker());
        if self.after.running.load(Ordering::Acquire) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    fn tell(&mut self, lane: &mut Lane) {
        let timing = &self.context.timing;
        let now = Used {
            call_ns: timing.cpu_ns(),
            queued_us: timing.queue_us(),
            started_us: timing.start_us(),
            ..used(&self.unit)
        };
        if self.told.replace(now) != Some(now) {
            lane.put(Kind::Used, |put| now.put(put));
        }
        // Whoever is answered by an instance that has ended has to know it at once.
        if let Some(ended) = self.kept.as_ref().and_then(|kept| kept.ended().now_or_never()) {
            self.kept = None;
            put_ended(lane, ended.as_ref());
        }
    }
}

fn put_ended(lane: &mut Lane, fault: Option<&Fault>) {
    lane.put(Kind::Ended, |put| {
        if let Some(fault) = fault {
            put.fault(fault);
        }
    });
}

/// An instance that is kept, until it has ended or the lane is closed.
async fn instance(far: &Arc<Far>, lane: &mut Lane, mut frame: Frame) -> std::result::Result<(), Lost> {
    let asked = Asked::take(&mut frame.content)?;
    let listed = far.ways.list(vec![Whose::Instance(asked.instance)]);
    far.used.notify_one();
    let open = async {
        let unit = far.unit(asked.function)?;
        let current = unit.current().await?;
        let Runnable::Http03(pre) = &current.runnable else {
            return Err(Fault::internal("an instance of what keeps none"));
        };
        let kept = Kept::open(Arc::clone(&unit), pre.clone(), asked.instance).await?;
        Ok((unit, Arc::new(kept) as Arc<dyn Instance>))
    };
    let mut open = std::pin::pin!(open);
    let opened = std::future::poll_fn(|context| {
        listed.outbox.pour(lane, context);
        let _ = lane.poll_flush(context)?;
        open.as_mut().poll(context).map(Ok::<_, Lost>)
    });
    let (unit, kept) = match opened.await? {
        Ok(opened) => opened,
        Err(fault) => {
            std::future::poll_fn(|context| {
                listed.outbox.pour(lane, context);
                Poll::Ready(())
            })
            .await;
            lane.put(Kind::Failed, |put| put.fault(&fault));
            lane.put(Kind::Over, |_| {});
            return Ok(());
        }
    };
    lock(&far.instances).insert(asked.instance, Arc::clone(&kept));
    lane.put(Kind::Used, |put| used(&unit).put(put));
    lane.put(Kind::Opened, |_| {});
    let done = live(lane, &listed, &*kept).await;
    lock(&far.instances).remove(&asked.instance);
    far.used.notify_one();
    done
}

async fn live(lane: &mut Lane, listed: &Listed, kept: &dyn Instance) -> std::result::Result<(), Lost> {
    let mut ended = Some(kept.ended());
    let mut stopping: Option<BoxFuture<'_, ()>> = None;
    std::future::poll_fn(|context| {
        while let Poll::Ready(mut frame) = lane.poll_next(context)? {
            if frame.kind != Kind::Stop {
                return Poll::Ready(Err(Broken("an order that no instance takes").into()));
            }
            stopping = Some(kept.stop(Duration::from_millis(frame.content.u64()?)));
        }
        if let Some(Poll::Ready(fault)) = ended.as_mut().map(|ended| ended.as_mut().poll(context)) {
            ended = None;
            listed.outbox.pour(lane, context);
            put_ended(lane, fault.as_ref());
        }
        let over = stopping.as_mut().is_some_and(|stopping| stopping.as_mut().poll(context).is_ready());
        listed.outbox.pour(lane, context);
        if over {
            lane.put(Kind::Over, |_| {});
            return Poll::Ready(Ok(()));
        }
        ready!(lane.poll_flush(context))?;
        Poll::Pending
    })
    .await
}

/// A program, until it has ended or the lane is closed.
async fn program(far: &Arc<Far>, lane: &mut Lane, mut frame: Frame) -> std::result::Result<(), Lost> {
    let asked = Asked::take(&mut frame.content)?;
    let (stdin, stdout, args, env) = frame.content.json()?;
    let mut whose = vec![Whose::Instance(asked.instance)];
    whose.extend(asked.call.map(|call| Whose::Call(call.id)));
    let listed = far.ways.list(whose);
    far.used.notify_one();
    let started = async {
        let unit = far.unit(asked.function)?;
        let context = asked.call.map(|call| context(&unit.code, &call));
        let kept = context.clone();
        let launch = Launch {
            instance: asked.instance,
            args,
            env,
            stdin,
            stdout,
            lines: None,
            context,
            behind: Default::default(),
        };
        let program = program::start(Arc::clone(&unit), launch).await?;
        Ok::<_, Fault>((unit, program, kept))
    };
    let (unit, mut running, context) = match started.await {
        Ok(started) => started,
        Err(fault) => {
            lane.put(Kind::Failed, |put| put.fault(&fault));
            lane.put(Kind::Over, |_| {});
            return Ok(());
        }
    };
    let (input, output) = (Inward::new(running.take_stdin()), Outward::new(running.take_stdout()));
    let streams = (input, output);
    follow(lane, &listed, &running, streams, |lane| {
        let timing = context.as_ref().map(|context| &context.timing);
        let now = Used {
            call_ns: timing.and_then(Timing::cpu_ns),
            queued_us: timing.map_or(0, Timing::queue_us),
            ..used(&unit)
        };
        lane.put(Kind::Used, |put| now.put(put));
    })
    .await
}

type Input = Box<dyn tokio::io::AsyncWrite + Send + Unpin>;
type Output = Box<dyn tokio::io::AsyncRead + Send + Unpin>;

async fn follow(
    lane: &mut Lane,
    listed: &Listed,
    running: &super::super::running::Running,
    (mut input, mut output): (Inward<Input>, Outward<Output>),
    tell: impl Fn(&mut Lane),
) -> std::result::Result<(), Lost> {
    let mut exit = Some(crate::unit::Program::exit(running));
    let mut stopping = None;
    std::future::poll_fn(|context| {
        while let Poll::Ready(mut frame) = lane.poll_next(context)? {
            match frame.kind {
                Kind::Data | Kind::End => input.inflow.put(frame)?,
                Kind::Credit => output.more(frame.content.u64()?),
                Kind::Stop => stopping = Some(running.stop(Duration::from_millis(frame.content.u64()?))),
                _ => return Poll::Ready(Err(Broken("an order that no program takes").into())),
            }
        }
        input.poll(lane, context);
        if let Some(stop) = &mut stopping
            && stop.as_mut().poll(context).is_ready()
        {
            stopping = None;
        }
        loop {
            output.poll(lane, context);
            listed.outbox.pour(lane, context);
            if output.from.is_none()
                && let Some(Poll::Ready(ended)) = exit.as_mut().map(|exit| exit.as_mut().poll(context))
            {
                exit = None;
                listed.outbox.pour(lane, context);
                tell(lane);
                lane.put(Kind::Exited, |put| put_exit(put, &ended));
                lane.put(Kind::Over, |_| {});
                return Poll::Ready(Ok(()));
            }
            let full = lane.pending() >= PENDING_BYTES_MAX;
            ready!(lane.poll_flush(context))?;
            if !full {
                return Poll::Pending;
            }
        }
    })
    .await
}
