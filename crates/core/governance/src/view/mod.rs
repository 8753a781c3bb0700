//! What people and programs are shown of governance: documents made of the tables, the same by a node and by an audit.
//!
//! Each function here is pure: tables in, a value out that `serde` writes as JSON. Ids and digests are 64 hexadecimal
//! digits, times are microseconds since the Unix epoch, transactions are `view.seqno`. The bytes that somebody signed
//! are not shown: who needs them opens the ledger.

mod event;
mod list;
mod missed;
mod proposal;
mod reasons;
mod rules;

use synod_types::{Digest, Seqno, Time, TxId};

use crate::constitution::Constitution;
use crate::document::{Change, to_toml};
use crate::tables::{Read, Tables};

pub use event::{EventFields, EventView, event};
pub use list::{PROPOSALS_LISTED_MAX, ProposalList, Wanted, Which, proposals};
pub use missed::{EventPlace, event_time, missed};
pub use proposal::{BallotView, DecisionView, ProposalView, Submitted, Summary, proposal};
pub use reasons::{ReasonView, reasons};
pub use rules::{RuleList, RuleView, rules};

/// As of when a document holds, and what is needed to name transactions.
#[derive(Clone, Copy)]
pub struct AsOf<'a> {
    /// The network.
    pub network: Digest,
    /// The last transaction that the tables hold.
    pub txid: TxId,
    /// The ledger time of that transaction.
    pub time: Time,
    /// The id of a governance transaction, by its seqno: the tables keep seqnos only. `None` if the view in which it
    /// was ordered is not known any more.
    pub txid_of: &'a dyn Fn(Seqno) -> Option<TxId>,
}

impl AsOf<'_> {
    fn txid_text(&self, seqno: u64) -> Option<String> {
        (self.txid_of)(Seqno(seqno)).map(|txid| txid.to_string())
    }
}

impl std::fmt::Debug for AsOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AsOf({})", self.txid)
    }
}

/// The constitution in force.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConstitutionView {
    /// The network.
    pub network: String,
    /// The transaction as of which it is in force.
    pub txid: String,
    /// The ledger time of that transaction.
    pub time: u64,
    /// The document, see [`crate::document`].
    pub toml: String,
}

/// The constitution in force; `None` if the tables are no network's.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn constitution(tables: Tables<'_>, as_of: &AsOf<'_>) -> Read<Option<ConstitutionView>> {
    let constitution = Constitution::from_state(tables.0)?;
    Ok(constitution.map(|constitution| ConstitutionView {
        network: as_of.network.to_hex(),
        txid: as_of.txid.to_string(),
        time: as_of.time.0,
        toml: to_toml(&constitution),
    }))
}

/// What a proposal would change.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChangeList {
    /// The network.
    pub network: String,
    /// The transaction as of which this holds.
    pub txid: String,
    /// Each difference once.
    pub changes: Vec<Change>,
}

/// The differences that [`crate::document::dry_run`] found.
pub fn changes(changes: Vec<Change>, as_of: &AsOf<'_>) -> ChangeList {
    ChangeList { network: as_of.network.to_hex(), txid: as_of.txid.to_string(), changes }
}
