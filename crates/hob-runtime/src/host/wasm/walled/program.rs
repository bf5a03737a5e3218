//! A program in a worker: its standard streams cross on its lane.

use super::super::pipe::{PipeReader, PipeWriter, pipe};
use super::super::running::{Ending, KILLED, Running, Stopped};
use super::{Beside, Ready, Walled};
use crate::host::wasm::Calls;
use crate::unit::{Exit, Launch};
use crate::worker::lane::{Lane, Lost, PENDING_BYTES_MAX};
use crate::worker::near::Use;
use crate::worker::serve::Inflow;
use crate::worker::wire::{Broken, Frame, Kind, Put, Take};
use bytes::{Buf as _, Bytes};
use hob_core::limit::{WALL_PART_BYTES_MAX, WALL_WINDOW_BYTES, WORKER_SLACK};
use hob_core::unit::millis;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How a program has ended.
pub(in super::super) fn put_exit(into: &mut Put<'_>, exit: &Exit) {
    let (kind, number, text) = match exit {
        Exit::Code(code) => (0, *code, ""),
        Exit::Signal(signal) => (1, *signal, ""),
        Exit::MemoryLimit => (2, 0, ""),
        Exit::Deadline => (3, 0, ""),
        Exit::Trap(text) => (4, 0, text.as_str()),
    };
    into.u8(kind);
    into.u64(u64::from(number.cast_unsigned()));
    into.bytes(text.as_bytes());
}

fn take_exit(from: &mut Take) -> std::result::Result<Exit, Broken> {
    let (kind, number, text) = (from.u8()?, from.u64()?, from.text()?);
    let number = u32::try_from(number).map_err(|_| Broken("an exit code"))?.cast_signed();
    Ok(match kind {
        0 => Exit::Code(number),
        1 => Exit::Signal(number),
        2 => Exit::MemoryLimit,
        3 => Exit::Deadline,
        4 => Exit::Trap(text),
        _ => return Err(Broken("an unknown end of a program")),
    })
}

/// One standard stream on its way over a lane: what one end reads is sent as parts, as far as the other has room.
pub(in super::super) struct Outward<R> {
    /// Until its end.
    pub(in super::super) from: Option<R>,
    credit: usize,
}

impl<R: AsyncRead + Unpin> Outward<R> {
    pub(in super::super) fn new(from: Option<R>) -> Self {
        Self { from, credit: WALL_WINDOW_BYTES }
    }

    pub(in super::super) fn more(&mut self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.credit = self.credit.saturating_add(bytes).min(WALL_WINDOW_BYTES);
    }

    /// Adds what there is to what the lane sends.
    pub(in super::super) fn poll(&mut self, lane: &mut Lane, context: &mut Context<'_>) {
        while let Some(from) = &mut self.from
            && self.credit > 0
            && lane.pending() < PENDING_BYTES_MAX
        {
            let mut part = vec![0; self.credit.min(WALL_PART_BYTES_MAX)];
            let mut buffer = ReadBuf::new(&mut part);
            let Poll::Ready(read) = Pin::new(from).poll_read(context, &mut buffer) else { return };
            let count = buffer.filled().len();
            if read.is_err() || count == 0 {
                self.from = None;
                lane.put(Kind::End, |_| {});
                return;
            }
            part.truncate(count);
            self.credit -= count;
            lane.put_data(part.into());
        }
    }
}

/// The other way: parts that have come are written as there is room.
pub(in super::super) struct Inward<W> {
    pub(in super::super) inflow: Inflow,
    /// Until its end.
    to: Option<W>,
    part: Bytes,
}

impl<W: AsyncWrite + Unpin> Inward<W> {
    pub(in super::super) fn new(to: Option<W>) -> Self {
        Self { inflow: Inflow::default(), to, part: Bytes::new() }
    }

    /// Writes what there is, and has the other side told how much was.
    pub(in super::super) fn poll(&mut self, lane: &mut Lane, context: &mut Context<'_>) {
        loop {
            if self.part.is_empty() {
                match self.inflow.poll_bytes(context, WALL_PART_BYTES_MAX) {
                    Poll::Ready(Ok(Some(part))) => self.part = part,
                    Poll::Ready(Ok(None) | Err(_)) => {
                        self.to = None;
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            match &mut self.to {
                // Nobody reads it any more: what still comes goes nowhere.
                None => self.part.clear(),
                Some(to) => match Pin::new(to).poll_write(context, &self.part) {
                    Poll::Ready(Ok(written)) => self.part.advance(written),
                    Poll::Ready(Err(_)) => self.to = None,
                    Poll::Pending => break,
                },
            }
        }
        if let Some(bytes) = self.inflow.told() {
            lane.put(Kind::Credit, |put| put.u64(bytes));
        }
    }

    /// Whether nothing that came waits to be written.
    fn is_idle(&self) -> bool {
        self.part.is_empty() && self.inflow.is_empty()
    }

    /// Whether all that came was written.
    pub(in super::super) fn is_done(&self) -> bool {
        self.to.is_none() && self.part.is_empty()
    }
}

/// Has the worker start a program. What stands against that is how it ends.
pub(super) fn start(
    unit: Arc<Walled>,
    (ready, mut lane, using): (&Ready, Lane, Use),
    launch: Launch,
) -> Running {
    let asked = unit.asked(launch.instance, false, launch.context.as_deref());
    lane.put(Kind::Start, |put| {
        asked.put(put);
        put.json(&(launch.stdin, launch.stdout, &launch.args, &launch.env));
    });
    let (stdin, given) = launch.stdin.then(pipe).unzip();
    let (printed, stdout) = launch.stdout.then(pipe).unzip();
    let calls = Calls::One(launch.context.clone());
    let beside = Beside::new(&unit, &ready.meter, using, (calls, launch.context, launch.instance));
    let (running, exit, stopped) = Running::new(stdin, stdout);
    let (stdin, stdout) = (Outward::new(given), Inward::new(printed));
    let life = Life { lane, beside, stdin, stdout, exit, over: false, late: None };
    let spawn = Arc::clone(&unit.shared.environment.spawn);
    spawn.spawn("wasm-program", Box::pin(life.live(stopped)));
    running
}

/// The node's end of a program.
struct Life {
    lane: Lane,
    beside: Beside,
    stdin: Outward<PipeReader>,
    stdout: Inward<PipeWriter>,
    exit: Ending,
    /// The worker is done with it.
    over: bool,
    /// When the worker has to be.
    late: Option<Pin<Box<Sleep>>>,
}

impl Life {
    async fn live(mut self, mut stopped: Stopped) {
        let done = std::future::poll_fn(|context| self.poll(&mut stopped, context)).await;
        let Self { lane, beside, stdout, exit, .. } = self;
        match done {
            Ok(true) if lane.is_clean() => beside.link().give_back(lane),
            Ok(_) => {}
            Err(lost) => {
                let fault = beside.lost(&lost);
                beside.platform(format!("the program was lost: {fault}"));
            }
        }
        // What it has printed is whole before its end is known.
        drop(stdout);
        exit.send_if_modified(|exit| {
            let unknown = exit.is_none();
            if unknown {
                *exit = Some(Exit::Signal(KILLED));
            }
            unknown
        });
    }

    /// Until all was said (then true), or nobody wants the program any more.
    fn poll(
        &mut self,
        stopped: &mut Stopped,
        context: &mut Context<'_>,
    ) -> Poll<std::result::Result<bool, Lost>> {
        while let Poll::Ready(stop) = stopped.poll_recv(context) {
            let Some(grace) = stop else { return Poll::Ready(Ok(false)) };
            self.lane.put(Kind::Stop, |put| put.u64(millis(grace)));
            self.late = Some(Box::pin(sleep(grace + WORKER_SLACK)));
        }
        while !self.over
            && let Poll::Ready(frame) = self.lane.poll_next(context)?
        {
            self.take(frame)?;
        }
        if !self.over
            && let Some(late) = &mut self.late
        {
            while late.as_mut().poll(context).is_ready() {
                if self.stdout.is_idle() {
                    return Poll::Ready(Err(Broken("a program that was not over in time").into()));
                }
                // What it has printed is not taken here.
                late.set(sleep(WORKER_SLACK));
            }
        }
        self.stdout.poll(&mut self.lane, context);
        if self.over {
            // The rest of what it has printed is here.
            return if self.stdout.is_done() {
                Poll::Ready(Ok(self.stdin.from.is_none()))
            } else {
                Poll::Pending
            };
        }
        loop {
            self.stdin.poll(&mut self.lane, context);
            let full = self.lane.pending() >= PENDING_BYTES_MAX;
            ready!(self.lane.poll_flush(context))?;
            if !full {
                return Poll::Pending;
            }
        }
    }

    fn take(&mut self, mut frame: Frame) -> std::result::Result<(), Broken> {
        match frame.kind {
            Kind::Data | Kind::End => self.stdout.inflow.put(frame)?,
            Kind::Credit => self.stdin.more(frame.content.u64()?),
            Kind::Exited => {
                let exit = take_exit(&mut frame.content)?;
                self.exit.send_replace(Some(exit));
                self.late = Some(Box::pin(sleep(WORKER_SLACK)));
            }
            Kind::Failed => {
                let fault = frame.content.fault()?;
                self.exit.send_replace(Some(Exit::Trap(fault.to_string())));
                self.late = Some(Box::pin(sleep(WORKER_SLACK)));
            }
            Kind::Over => self.over = true,
            _ => self.beside.take(frame)?,
        }
        Ok(())
    }
}
