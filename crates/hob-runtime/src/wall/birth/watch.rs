//! A watch over a birth into a room in which other programs run already.
//!
//! **Why.** Whoever is born there is seen by them, as the same user: they may stop it (SIGSTOP cannot be blocked) where no landlock of version 6 keeps signals from
//! it, and the node's thread that starts programs would wait for it for ever.
//!
//! **How.** A thread waits for the end of the birth, which is told by dropping the [`Watch`]. If it does not come in time, the room ends, with everything in it:
//! that the birth is held up is that room's own doing.

use rustix::process::{Signal, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Ends a process, and so its room, if this is not dropped in time.
pub(super) struct Watch {
    _until: Sender<()>,
}

impl Watch {
    /// # Errors
    /// When the system makes no thread.
    pub(super) fn over(process: OwnedFd, longest: Duration) -> io::Result<Self> {
        let (until, over) = channel();
        let wait = move || {
            if over.recv_timeout(longest) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!("an instance ends: a program that was started in it was held up by another");
                let _ = pidfd_send_signal(&process, Signal::KILL);
            }
        };
        std::thread::Builder::new().name("hob-birth".to_owned()).spawn(wait)?;
        Ok(Self { _until: until })
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn who_does_not_come_to_an_end_is_ended() {
        let mut stopped = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&stopped);
        kill_process(pid, Signal::STOP).unwrap();
        let of = || pidfd_open(pid, PidfdFlags::empty()).unwrap();
        // One that comes to its end ends nobody.
        drop(Watch::over(of(), Duration::from_secs(60)).unwrap());
        assert!(stopped.try_wait().unwrap().is_none());
        let _watch = Watch::over(of(), Duration::from_millis(1)).unwrap();
        assert_eq!(stopped.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    }
}
