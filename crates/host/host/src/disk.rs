//! The disk thread: everything queued while the previous sync ran is written and synced together.

use std::sync::mpsc::{Receiver, TryRecvError};

use synod_types::Untrusted;
use synod_types::boundary::{Append, LedgerRange, Ticket, ToEnclave};

use crate::ledger::{Ledger, LedgerError};
use crate::network::Sink;

/// Work for the disk thread, done in order.
#[derive(Debug)]
pub enum Job {
    /// File records.
    Append(Append),
    /// Read records back.
    Read(Ticket, LedgerRange),
    /// Nothing comes after this.
    Stop,
}

/// Works until told to stop or until the disk fails; after a failed write nothing more is tried,
/// because nobody can say what reached the disk.
pub fn run(mut ledger: Ledger, jobs: &Receiver<Job>, sink: &Sink) -> Result<(), LedgerError> {
    let mut appends = Vec::new();
    loop {
        // If every sender is gone, so is the enclave.
        let mut next = jobs.recv().unwrap_or(Job::Stop);
        let other = loop {
            match next {
                Job::Append(append) => appends.push(append),
                other => break Some(other),
            }
            if size(&appends) >= GROUP_BYTES_MAX {
                break None;
            }
            match jobs.try_recv() {
                Ok(job) => next = job,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break None,
            }
        };
        if let Some(last) = appends.last() {
            let ticket = last.ticket;
            ledger.write(&appends)?;
            sink(ToEnclave::Persisted { ticket });
            appends.clear();
        }
        match other {
            Some(Job::Read(ticket, range)) => {
                let records = ledger.read(range).map_err(|error| error.to_string());
                let records = records.map(|records| records.into_iter().map(Untrusted::new).collect());
                sink(ToEnclave::LedgerRead { ticket, records });
            }
            Some(Job::Stop) => return Ok(()),
            Some(Job::Append(_)) | None => {}
        }
    }
}

fn size(appends: &[Append]) -> usize {
    appends.iter().flat_map(|append| &append.records).map(|record| record.payload.len()).sum()
}

/// How much one group may hold: bounds the memory of the disk thread and the time of one sync.
const GROUP_BYTES_MAX: usize = 64 << 20;
