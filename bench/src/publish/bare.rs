//! The limit: append and `fdatasync` in this process, one thread that commits what is queued.
//!
//! **Why.** Whoever acknowledges after a sync can at best do this: no network, no format, no index, no
//! check for duplicates. A group is all that waits when the last sync ends.

use super::DATA;
use crate::Result;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// Publications that share one write: as many bytes as Hob lets share one.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// Where the word that a publication is on disk goes.
type Answer = oneshot::Sender<std::result::Result<(), String>>;

/// A file and the way to its thread, which ends with the last clone of this.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    queue: Sender<Answer>,
    file: PathBuf,
}

impl Bare {
    /// Begins an empty file.
    pub(crate) fn create(folder: &Path, batch: usize) -> Result<Self> {
        let path = folder.join("bare");
        let mut file = File::create(&path)?;
        let (queue, queued) = channel();
        std::thread::spawn(move || commit(&queued, &mut file, batch * DATA.len()));
        Ok(Self { queue, file: path })
    }

    pub(super) async fn publish(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(answer)?;
        Ok(answered.await??)
    }

    pub(super) fn stored(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len() / DATA.len() as u64)
    }
}

fn commit(queued: &Receiver<Answer>, file: &mut File, bytes: usize) {
    let (mut waiting, mut buffer): (Vec<Answer>, Vec<u8>) = (Vec::new(), Vec::new());
    while let Ok(first) = queued.recv() {
        waiting.push(first);
        while (waiting.len() + 1) * bytes <= GROUP_BYTES_MAX {
            let Ok(next) = queued.try_recv() else { break };
            waiting.push(next);
        }
        buffer.resize(waiting.len() * bytes, DATA[0]);
        let written: io::Result<()> = file.write_all(&buffer).and_then(|()| file.sync_data());
        let written = written.map_err(|error| error.to_string());
        for answer in waiting.drain(..) {
            // A publisher that has gone is counted as failed where it was.
            drop(answer.send(written.clone()));
        }
    }
}
