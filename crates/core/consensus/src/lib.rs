//! Consensus: TiKV's `raft` behind a narrow surface.
//!
//! One [`Consensus`] value is one node's part in replicating one log. It is a deterministic value:
//! calls and time go in, [`Effect`]s come out, and nothing here touches a clock, a random number
//! generator, a socket or a file. The log's entries are sealed blocks ([`LogRecord`]s), which this
//! crate never parses, and the engine's own empty entries, one at each change of leader.
//!
//! # How it is driven
//!
//! ```text
//!  handle_timeout(now)   first in every event: moves the clock, may start an election
//!  place, propose        leader: where the next block goes; then that block, sealed for that place
//!  admit, step           a peer's bytes are checked; the caller verifies the new entries; then they count
//!  persisted(number)     the host synced an append; acknowledgements and commits follow
//!  poll_effect           to the end after each of these, before the next `admit` or `place`
//!  poll_timeout          when to call handle_timeout again if nothing else happens
//! ```
//!
//! One node alone, from its genesis block to a committed block of its own:
//!
//! ```
//! use synod_consensus::{Config, Consensus, Effect, EntryKind, LogRecord, Restored};
//! use synod_types::{LogIndex, NodeId, Seqno, Time, View};
//!
//! let genesis = LogRecord {
//!     index: LogIndex(1),
//!     view: View(1),
//!     kind: EntryKind::Block,
//!     first_seqno: Seqno(1),
//!     count: 1,
//!     payload: "genesis".into(),
//! };
//! let config = Config::new(NodeId(1), [NodeId(1)], 42);
//! let mut node = Consensus::new(&config, Restored::new(&genesis)?, Time(0))?;
//!
//! // Nobody leads, so at its timeout it stands for election, alone, and wins.
//! node.handle_timeout(node.poll_timeout().expect("there is always one"));
//! let place = node.place()?;
//! assert_eq!((place.index, place.view, place.first_seqno), (LogIndex(3), View(2), Seqno(2)));
//! let block = LogRecord { index: place.index, view: place.view, first_seqno: place.first_seqno, ..genesis };
//! node.propose(&block)?;
//!
//! let mut committed = vec![];
//! while let Some(effect) = node.poll_effect() {
//!     match effect {
//!         Effect::Append(append) => node.persisted(append.number), // after writing and syncing it
//!         Effect::Committed { records } => committed.extend(records),
//!         _ => {}
//!     }
//! }
//! assert_eq!(committed.last(), Some(&block));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What stands around the engine, and why
//!
//! - **Group commit** (Raft dissertation, section 10.2.1): a leader's messages go at once and its
//!   own sync runs beside them; a follower's go only after [`Consensus::persisted`] for everything
//!   they speak of (the answer to a heartbeat speaks of nothing on disk). An entry is told as [`Effect::Committed`] only after this node's own sync.
//! - **Truncation** is told exactly: [`Effect::Truncated`] names the first entry that a newer
//!   leader replaced. Nothing else ever removes an entry, so an entry of a deposed leader stays,
//!   and may commit, until then.
//! - **Peer input** is decoded by a bounded codec of our own and checked by [`Consensus::admit`]
//!   before the engine sees it, because the engine panics on many malformed messages and its
//!   protobuf parser is not for untrusted bytes. `MsgPropose`, snapshots and configuration changes
//!   have no encoding at all.
//! - **Elections** use PreVote and CheckQuorum. The engine draws its election timeout from the
//!   thread's generator; we overwrite each draw with one from [`Config::seed`], so runs replay.
//! - **Reads** use ReadIndex with a quorum's confirmation; no clock enters a safety argument.
//!
//! The engine is `raft` 0.7.0; where a comment says what the engine does, it names the function.

mod acks;
mod admit;
mod clock;
mod config;
mod consensus;
mod effect;
mod format;
mod log;
mod misbehaviour;
mod promise;
mod reads;
mod ready;
mod restored;
mod storage;
mod sync_gate;
mod translate;

pub use admit::{Admitted, NewEntries};
pub use config::{Config, ConfigError};
pub use consensus::{
    ChangeError, Consensus, PeerProgress, Place, ProposeError, StaleAdmission, TooManyReads, TransferError,
};
pub use effect::{Append, Effect, Role, Vote};
pub use log::RecordsRefused;
pub use misbehaviour::PeerMisbehaved;
pub use promise::{Broken, Promise};
pub use restored::{RestoreError, Restored};
pub use synod_types::boundary::{EntryKind, LogRecord};

#[cfg(test)]
mod tests;
