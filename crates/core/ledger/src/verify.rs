//! The offline verifier: goes through ledger files without any key.
//!
//! The genesis block names the public keys of service and nodes, governance blocks change them; everything must be
//! signed by those in force and continue what stands before. What cannot be seen offline: whether the files are all there were (a
//! ledger cut off at a block's end is a shorter ledger), and whether the last entries were committed. The
//! report therefore says apart how far the ledger is signed, and how far its own blocks say it is committed.
//! Engine entries are unsigned, and covered by the next block: those after the last block are reported, not proven.

use std::sync::Arc;

use bytes::Bytes;
use synod_crypto::VerifyingKey;
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::chunk::{Damage, Placed, Scan, Tail, parse_file_name};
use synod_types::{ConfigurationChange, Decode, DecodeError, Digest, LogIndex, Seqno, TxId, View};

use crate::block::SealedBlock;
use crate::check::{BlockRefused, check};
use crate::genesis::{GenesisPublic, check_genesis};
use crate::signers::Signers;
use crate::tip::Tip;

/// Verifies a ledger, file by file, in order.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    expected: Option<VerifyingKey>,
    state: Option<State>,
    /// Where the file before ended without being whole.
    torn: Option<TornTail>,
    files: u64,
    /// What the first file's header says, until the genesis block says the same.
    network: Option<Digest>,
}

#[derive(Clone, Debug)]
struct State {
    genesis: GenesisPublic,
    tip: Tip,
    blocks: u64,
    engine_entries: u64,
    engine_entries_after_last_block: u64,
    /// From this seqno on, transactions are of this view.
    views: Vec<(Seqno, View)>,
}

/// An entry that was verified.
#[derive(Clone, Debug)]
pub struct VerifiedEntry<'a> {
    /// Its file.
    pub file: &'a str,
    /// The offset of its record in the file.
    pub offset: u64,
    /// Its place in the log.
    pub index: LogIndex,
    /// The view in which it was proposed.
    pub view: View,
    /// The key of the service that is in force there: a block is signed with it, and receipts out of it verify under it.
    pub service: &'a VerifyingKey,
    /// The block; none for an engine entry.
    pub block: Option<&'a SealedBlock>,
}

/// What a verifier found, if nothing was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The network.
    pub network: Digest,
    /// The key that the network began with: it signed everything, or endorsed what did.
    pub service: VerifyingKey,
    /// The key that signs from here on.
    pub service_in_force: VerifyingKey,
    /// How many files there were.
    pub files: u64,
    /// How many blocks.
    pub blocks: u64,
    /// How many transactions.
    pub transactions: u64,
    /// How many entries of the consensus engine.
    pub engine_entries: u64,
    /// How many of them stand after the last block, where nothing signed covers them yet.
    pub engine_entries_after_last_block: u64,
    /// The last entry.
    pub last_index: LogIndex,
    /// The last transaction that service and leader signed.
    pub last_signed: TxId,
    /// The last transaction that a block says was committed.
    pub last_known_committed: LastKnown,
    /// The root over all transactions.
    pub root: Digest,
    /// The incomplete write at the end, if there is one: not tampering, and not counted.
    pub torn_tail: Option<TornTail>,
}

/// How far a ledger says of itself that it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastKnown {
    /// No block says so of any transaction.
    Nothing,
    /// Up to this transaction.
    Transaction(TxId),
}

/// An incomplete write at the end of the last file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub file: String,
    /// The offset at which it begins.
    pub offset: u64,
}

/// The first thing that is wrong with a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: at byte {offset}: {reason}")]
pub struct Failure {
    /// The file.
    pub file: String,
    /// The offset in the file at which the offending header, payload or record begins.
    pub offset: u64,
    /// What is wrong there.
    pub reason: FailureReason,
}

/// What is wrong with a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailureReason {
    /// Bytes are neither a record nor a torn tail.
    #[error(transparent)]
    Damaged(Damage),
    /// A file that others follow ends early.
    #[error("the file ends early, though {next} follows it")]
    EndsEarly {
        /// The file that follows.
        next: String,
    },
    /// A file's header names another network than the genesis block.
    #[error("the file is of another network")]
    OtherNetwork,
    /// A file does not begin where the one before ended.
    #[error("the file begins with record {found} where {expected} belongs")]
    RecordsMissing {
        /// The index that belongs here.
        expected: LogIndex,
        /// The index found.
        found: LogIndex,
    },
    /// A file's name says that it begins with another record.
    #[error("the file begins with record {found}, its name says otherwise")]
    NameDiffers {
        /// The index found.
        found: LogIndex,
    },
    /// A payload is not a block.
    #[error("payload is not a block: {0}")]
    NotABlock(DecodeError),
    /// A record says other things of its block than the block itself.
    #[error("record and block differ")]
    RecordDiffers,
    /// A block does not continue the ledger, or was not signed.
    #[error(transparent)]
    Refused(BlockRefused),
    /// The genesis block is signed by another service than the one expected.
    #[error("the ledger is of another service than the one expected")]
    OtherService,
    /// There is no genesis block.
    #[error("the ledger holds no genesis block")]
    NoGenesis,
}

impl Verifier {
    /// A verifier that takes the service key from the genesis block.
    pub fn new() -> Self {
        Self::default()
    }

    /// A verifier that refuses a ledger that began with any other key of the service than `service`. Which keys follow
    /// that one, the ledger says.
    pub fn expecting(service: VerifyingKey) -> Self {
        Self { expected: Some(service), ..Self::default() }
    }

    /// Verifies the next file; `on_entry` sees each entry once it is verified.
    ///
    /// # Errors
    /// The first thing that is wrong. The verifier is of no use afterwards.
    pub fn file(
        &mut self,
        name: &str,
        bytes: Bytes,
        mut on_entry: impl FnMut(&VerifiedEntry<'_>),
    ) -> Result<(), Failure> {
        let fail = |offset: usize, reason| Failure { file: name.to_owned(), offset: offset as u64, reason };
        let damaged = |damage: Damage| fail(damage.offset, FailureReason::Damaged(damage));
        if let Some(TornTail { file, offset }) = self.torn.take() {
            return Err(Failure { file, offset, reason: FailureReason::EndsEarly { next: name.to_owned() } });
        }
        self.files += 1;
        let mut scan = Scan::new(bytes).map_err(damaged)?;
        self.check_file_header(name, &scan).map_err(|reason| fail(0, reason))?;
        self.network = scan.header().map(|header| header.network);
        for placed in scan.by_ref() {
            let placed = placed.map_err(damaged)?;
            let (signers, block) = self.record(&placed).map_err(|reason| fail(placed.offset, reason))?;
            on_entry(&VerifiedEntry {
                file: name,
                offset: placed.offset as u64,
                index: placed.record.index,
                view: placed.record.view,
                service: &signers.keys().service,
                block: block.as_ref(),
            });
        }
        if let Tail::Torn { offset } = scan.tail() {
            self.torn = Some(TornTail { file: name.to_owned(), offset: offset as u64 });
        }
        Ok(())
    }

    fn check_file_header(&self, name: &str, scan: &Scan) -> Result<(), FailureReason> {
        let Some(header) = scan.header() else { return Ok(()) };
        let found = header.first_index;
        if parse_file_name(name).is_some_and(|named| named != found) {
            return Err(FailureReason::NameDiffers { found });
        }
        let expected = self.state.as_ref().map_or(LogIndex(1), |state| state.tip.index.next());
        if found != expected {
            return Err(FailureReason::RecordsMissing { expected, found });
        }
        match &self.state {
            Some(state) if state.tip.network != header.network => Err(FailureReason::OtherNetwork),
            _ => Ok(()),
        }
    }

    /// Verifies a record; returns who signs there, and the block in it.
    fn record(&mut self, placed: &Placed) -> Result<(Arc<Signers>, Option<SealedBlock>), FailureReason> {
        let record = &placed.record;
        let Some(state) = &mut self.state else {
            let block = block_of(record)?;
            let state = State::genesis(&block, self.expected.as_ref())?;
            if self.network != Some(state.tip.network) {
                return Err(FailureReason::OtherNetwork);
            }
            let signers = Arc::clone(&state.tip.signers);
            self.state = Some(state);
            return Ok((signers, Some(block)));
        };
        let signers = Arc::clone(&state.tip.signers);
        match record.kind {
            EntryKind::Block => {
                let block = block_of(record)?;
                state.block(&block)?;
                Ok((signers, Some(block)))
            }
            EntryKind::Engine | EntryKind::Configuration => {
                state.engine_entry(record)?;
                Ok((signers, None))
            }
        }
    }

    /// Ends verification.
    ///
    /// # Errors
    /// If there was no genesis block.
    pub fn finish(self) -> Result<Report, Failure> {
        let Some(state) = self.state else {
            let (file, offset) = self.torn.map_or((String::new(), 0), |torn| (torn.file, torn.offset));
            return Err(Failure { file, offset, reason: FailureReason::NoGenesis });
        };
        let tip = &state.tip;
        Ok(Report {
            network: tip.network,
            files: self.files,
            blocks: state.blocks,
            transactions: tip.seqno.0,
            engine_entries: state.engine_entries,
            engine_entries_after_last_block: state.engine_entries_after_last_block,
            last_index: tip.index,
            last_signed: TxId::new(tip.tx_view, tip.seqno),
            last_known_committed: state.last_known(tip.committed),
            root: tip.root,
            service_in_force: tip.signers.keys().service.clone(),
            torn_tail: self.torn,
            service: state.genesis.keys.service,
        })
    }

    /// Verifies all of `files`, in order.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(mut self, files: impl IntoIterator<Item = (String, Bytes)>) -> Result<Report, Failure> {
        for (name, bytes) in files {
            self.file(&name, bytes, |_| ())?;
        }
        self.finish()
    }
}

impl State {
    fn genesis(block: &SealedBlock, expected: Option<&VerifyingKey>) -> Result<Self, FailureReason> {
        let (genesis, tip) = check_genesis(block).map_err(FailureReason::Refused)?;
        if expected.is_some_and(|expected| *expected != genesis.keys.service) {
            return Err(FailureReason::OtherService);
        }
        let views = vec![(block.header.first_seqno, block.header.view)];
        Ok(Self { genesis, tip, blocks: 1, engine_entries: 0, engine_entries_after_last_block: 0, views })
    }

    fn block(&mut self, block: &SealedBlock) -> Result<(), FailureReason> {
        self.tip = check(block, &self.tip).map_err(FailureReason::Refused)?;
        self.blocks += 1;
        self.engine_entries_after_last_block = 0;
        if self.views.last().is_none_or(|(_, view)| *view != self.tip.tx_view) {
            self.views.push((block.header.first_seqno, self.tip.tx_view));
        }
        Ok(())
    }

    fn engine_entry(&mut self, record: &LogRecord) -> Result<(), FailureReason> {
        if record.first_seqno != self.tip.seqno.next() {
            return Err(FailureReason::RecordDiffers);
        }
        let next = if record.kind == EntryKind::Configuration {
            let change = ConfigurationChange::from_bytes(&record.payload).map_err(FailureReason::NotABlock)?;
            self.tip.after_configuration_entry(record.index, record.view, change)
        } else {
            self.tip.after_engine_entry(record.index, record.view)
        };
        self.tip = next.map_err(FailureReason::Refused)?;
        self.engine_entries += 1;
        self.engine_entries_after_last_block += 1;
        Ok(())
    }

    fn last_known(&self, committed: Seqno) -> LastKnown {
        let after = self.views.partition_point(|(first, _)| *first <= committed);
        match after.checked_sub(1) {
            Some(run) => LastKnown::Transaction(TxId::new(self.views[run].1, committed)),
            None => LastKnown::Nothing,
        }
    }
}

fn block_of(record: &LogRecord) -> Result<SealedBlock, FailureReason> {
    if record.kind != EntryKind::Block {
        return Err(FailureReason::Refused(BlockRefused::NotAGenesisBlock));
    }
    let block = SealedBlock::from_shared(&record.payload).map_err(FailureReason::NotABlock)?;
    let header = &block.header;
    let same = (header.index, header.view, header.first_seqno, header.count)
        == (record.index, record.view, record.first_seqno, record.count);
    if same { Ok(block) } else { Err(FailureReason::RecordDiffers) }
}
