//! The log from the last committed entry on: what each entry leaves as the tip.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use synod_governance::Event;
use synod_kv::State;
use synod_ledger::{Content, SealedBlock, ServiceIdentity, Tip};
use synod_types::boundary::LogRecord;
use synod_types::{Digest, LogIndex, View};
use synod_worker::Apply;

use crate::governing::Governance;
use crate::requests::ageing;
use crate::settings::{SettingsProgress, handed};
use crate::synced::LogEnd;

/// What a block of another node holds.
#[derive(Debug)]
pub struct Readable {
    /// Its requests.
    pub content: Content,
    /// What the worker needs of it.
    pub apply: Apply,
}

/// One entry of the log, checked.
#[derive(Clone, Debug)]
pub struct Position {
    /// What the next entry is built on.
    pub tip: Tip,
    /// The chain digest that the entry was checked on.
    pub parent_chain: Digest,
    /// The entry, as the host files it.
    pub record: LogRecord,
    /// The block, if the entry is one of ours.
    pub block: Option<Arc<SealedBlock>>,
    /// What the block holds, opened as it was checked; none for a block that this node sealed, or without transactions.
    pub content: Option<Arc<Readable>>,
    /// What the governance transaction did, if the block is of one; its content is then that of the request.
    pub events: Option<Arc<[Event]>>,
    /// The governance tables after the entry.
    pub tables: State,
    /// Which settings adapters were handed up to the entry.
    pub settings: SettingsProgress,
    /// The service's identity after the entry: it signs the next block.
    pub service: Arc<ServiceIdentity>,
    /// The time by which request ids age, from the first entry to this one. See [`ageing`].
    pub age: Duration,
}

impl Position {
    /// The genesis block, which leaves `tip`; its tables are not read yet.
    pub fn genesis(tip: Tip, record: LogRecord, block: SealedBlock, service: Arc<ServiceIdentity>) -> Self {
        Self {
            tip,
            parent_chain: Digest::default(),
            record,
            block: Some(Arc::new(block)),
            content: None,
            events: None,
            tables: State::default(),
            settings: SettingsProgress::default(),
            service,
            age: Duration::ZERO,
        }
    }

    /// An entry that leaves `tip`, checked on `parent`, whose governance tables, settings and service it leaves as they
    /// are.
    pub fn after(parent: &Self, tip: Tip, record: LogRecord, block: Option<SealedBlock>) -> Self {
        let age = parent.age + ageing(&parent.tip, &tip);
        let block = block.map(Arc::new);
        let (tables, settings) = (parent.tables.clone(), parent.settings.clone());
        let (parent_chain, service) = (parent.tip.chain, Arc::clone(&parent.service));
        Self { tip, parent_chain, record, block, content: None, events: None, tables, settings, service, age }
    }

    /// The same, with what the governance transaction in its block leaves.
    #[must_use]
    pub fn governed(self, governance: Governance) -> Self {
        let Governance { tables, events, service } = governance;
        let settings = self.settings.governed(&tables);
        Self { tables, settings, events: Some(events.into()), service: service.unwrap_or(self.service), ..self }
    }

    /// The same, after the content of its block, which may hand settings over.
    #[must_use]
    pub fn handing_over(self, content: &Content) -> Self {
        match handed(content) {
            Some(handed) => Self { settings: self.settings.handed(&handed), ..self },
            None => self,
        }
    }

    /// Whether this is `record`, checked on `parent`.
    pub fn is(&self, record: &LogRecord, parent: &Tip) -> bool {
        self.parent_chain == parent.chain && self.record == *record
    }
}

/// The positions from the last committed entry to the end of the log, and those of entries that
/// were checked but that the engine has not appended yet.
#[derive(Debug)]
pub struct Chain {
    positions: VecDeque<Position>,
    checked: BTreeMap<(LogIndex, View), Position>,
}

impl Chain {
    /// A chain that begins at the committed entry `committed`.
    pub fn new(committed: Position) -> Self {
        Self { positions: VecDeque::from([committed]), checked: BTreeMap::new() }
    }

    /// The last committed entry.
    pub fn committed(&self) -> &Position {
        self.positions.front().expect("the committed position never leaves")
    }

    /// The last entry of the log.
    pub fn last(&self) -> &Position {
        self.positions.back().expect("the committed position never leaves")
    }

    /// The index and the view of the last entry.
    pub fn end(&self) -> LogEnd {
        let tip = &self.last().tip;
        (tip.index, tip.entry_view)
    }

    /// The entry at `index`; `None` if it is below the last committed one or above the last one.
    pub fn at(&self, index: LogIndex) -> Option<&Position> {
        let offset = index.0.checked_sub(self.committed().tip.index.0)?;
        self.positions.get(usize::try_from(offset).ok()?)
    }

    /// The entries that are not committed.
    pub fn uncommitted(&self) -> impl DoubleEndedIterator<Item = &Position> {
        self.positions.iter().skip(1)
    }

    /// Remembers an entry that was checked, for when the engine appends it.
    pub fn note_checked(&mut self, position: Position) {
        self.checked.insert((position.record.index, position.record.view), position);
    }

    /// The noted entry at `index` that was proposed in `view`.
    pub fn checked(&self, index: LogIndex, view: View) -> Option<&Position> {
        self.checked.get(&(index, view))
    }

    /// Appends the noted entry at `index` of `view`.
    ///
    /// # Panics
    /// If it was not noted, or is not the next: the engine appends only what was checked, in order.
    pub fn append_checked(&mut self, index: LogIndex, view: View) -> &Position {
        let position = self.checked.remove(&(index, view)).expect("the engine appends only entries that were checked");
        assert_eq!(index, self.last().tip.index.next(), "the engine appends contiguous entries");
        self.positions.push_back(position);
        // Whatever else was noted for this place or before lost against what was appended.
        self.checked = self.checked.split_off(&(index.next(), View(0)));
        self.last()
    }

    /// Drops the entry at `from` and all after it.
    ///
    /// # Panics
    /// If `from` is committed.
    pub fn truncate(&mut self, from: LogIndex) {
        let committed = self.committed().tip.index;
        assert!(from > committed, "entry {from} is committed: {committed}");
        self.positions.truncate(usize::try_from(from.0 - committed.0).expect("positions are in memory"));
    }

    /// Moves the last committed entry one on, and returns it. Its content is kept no longer.
    ///
    /// # Panics
    /// If there is no uncommitted entry.
    pub fn commit_next(&mut self) -> Position {
        self.positions.pop_front();
        let committed = self.positions.front_mut().expect("only what is in the log commits");
        let whole = committed.clone();
        committed.block = None;
        committed.content = None;
        committed.record.payload = Bytes::new();
        whole
    }
}
