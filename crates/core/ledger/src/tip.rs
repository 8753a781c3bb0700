//! The tip: what the next entry is built on, and checked against.

use std::sync::Arc;

use synod_crypto::SALT_SIZE;
use synod_types::{ConfigurationChange, ConfigurationStep, Digest, Epoch, LogIndex, Seqno, Time, View};

use crate::block::SealedBlock;
use crate::chain::{block_entry_digest, chain_next, configuration_entry_digest, engine_entry_digest};
use crate::check::BlockRefused;
use crate::genesis::GenesisPublic;
use crate::governance::GovernancePublic;
use crate::header::BlockKind;
use crate::signers::Signers;

/// Where the log stands after an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The network.
    pub network: Digest,
    /// The entry's index.
    pub index: LogIndex,
    /// The view in which the entry was proposed.
    pub entry_view: View,
    /// The chain over every entry up to this one.
    pub chain: Digest,
    /// The last transaction.
    pub seqno: Seqno,
    /// The view of the last transaction.
    pub tx_view: View,
    /// The root over all transactions.
    pub root: Digest,
    /// The time of the last block.
    pub time: Time,
    /// The highest seqno that a block said was committed.
    pub committed: Seqno,
    /// The epoch of the session keys.
    pub epoch: Epoch,
    /// The last view that a block opened.
    pub open_view: View,
    /// That view's salt.
    pub salt: [u8; SALT_SIZE],
    /// Under whose keys the next block verifies.
    pub signers: Arc<Signers>,
    /// Whether the administrative part lies in the clear: genesis chose.
    pub admin_is_public: bool,
}

impl Tip {
    /// The tip after an engine entry, with which a view begins.
    ///
    /// # Errors
    /// If the entry does not follow this tip, or its view has begun already.
    pub fn after_engine_entry(&self, index: LogIndex, view: View) -> Result<Self, BlockRefused> {
        self.check_follows(index, view)?;
        if view == self.entry_view {
            return Err(BlockRefused::ViewBegunTwice { view });
        }
        let chain = chain_next(self.chain, engine_entry_digest(index, view));
        Ok(Self { index, entry_view: view, chain, ..self.clone() })
    }

    /// The tip after an entry that changes the configuration.
    ///
    /// # Errors
    /// If the entry does not follow this tip, its view is not open, or it does not lead towards the node list in force:
    /// who joins must be listed, who leaves must not.
    pub fn after_configuration_entry(
        &self,
        index: LogIndex,
        view: View,
        change: ConfigurationChange,
    ) -> Result<Self, BlockRefused> {
        self.check_follows(index, view)?;
        if view != self.open_view {
            return Err(BlockRefused::ViewNotOpened { view });
        }
        let is_listed = self.signers.keys().node(change.node).is_some();
        if is_listed == (change.step == ConfigurationStep::Remove) {
            return Err(BlockRefused::ConfigurationNotGoverned { change });
        }
        let chain = chain_next(self.chain, configuration_entry_digest(index, view, change));
        Ok(Self { index, entry_view: view, chain, ..self.clone() })
    }

    pub(crate) fn check_follows(&self, index: LogIndex, view: View) -> Result<(), BlockRefused> {
        if index != self.index.next() {
            return Err(BlockRefused::IndexOutOfOrder { expected: self.index.next(), found: index });
        }
        if view < self.entry_view {
            return Err(BlockRefused::ViewBackwards { before: self.entry_view, found: view });
        }
        Ok(())
    }

    /// The tip that a checked genesis block leaves.
    pub(crate) fn after_genesis(block: &SealedBlock, public: &GenesisPublic) -> Self {
        let signers = Arc::new(Signers::new(public.keys.clone()));
        Self::after_block(block, signers, public.admin.is_some())
    }

    /// The tip after a block that was built on this one, and whose public part says this.
    pub(crate) fn after(&self, block: &SealedBlock, public: Option<&GovernancePublic>) -> Self {
        let header = &block.header;
        let signers = match (header.kind, public) {
            // Nodes that were removed may still open views, until the first transaction after their removal.
            (BlockKind::ViewStart, _) => Arc::clone(&self.signers),
            (_, Some(public)) if public.changes_signers() => Arc::new(self.signers.after(public)),
            _ if self.signers.has_retiring() => Arc::new(self.signers.without_retiring()),
            _ => Arc::clone(&self.signers),
        };
        let mut next = Self::after_block(block, signers, self.admin_is_public);
        if header.count == 0 {
            next.tx_view = self.tx_view;
        }
        next
    }

    fn after_block(block: &SealedBlock, signers: Arc<Signers>, admin_is_public: bool) -> Self {
        let header = &block.header;
        let entry = block_entry_digest(header.index, header.view, header.digest());
        Self {
            network: header.network,
            index: header.index,
            entry_view: header.view,
            chain: chain_next(header.chain, entry),
            seqno: header.last_seqno(),
            tx_view: header.view,
            root: header.root,
            time: header.time,
            committed: header.committed,
            epoch: header.epoch,
            open_view: header.view,
            salt: header.salt,
            signers,
            admin_is_public,
        }
    }
}
