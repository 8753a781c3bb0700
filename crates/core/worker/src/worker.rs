//! The worker's value: messages in, executed blocks out.

use synod_kv::{Layers, Tx, WriteSet};
use synod_types::{AdapterId, Seqno};

use crate::block::{Block, Slot, assert_own};
use crate::{
    AdapterKit, AdapterSettings, Apply, Committed, Configure, Execute, Executed, Reader, SetupError, ToWorker, settings,
};

/// Holds the adapters and their maps; executes, applies, truncates and commits blocks.
///
/// It begins empty, at seqno 0. The genesis transaction arrives like any block from elsewhere: as
/// an [`Apply`] of seqno 1 and a commit of it. All it is told is decided by the manager and agreed
/// on by the nodes, so a message that breaks the contract is an error in this program, and an assertion.
pub struct Worker {
    slots: Vec<Slot>,
    layers: Layers,
    reader: Reader,
}

impl Worker {
    /// A worker with these adapters, numbered in this order, and no state.
    pub fn new(adapters: &[AdapterKit]) -> Self {
        assert!(adapters.iter().all(|kit| kit.name != settings::WORKER), "no adapter bears the worker's name");
        let slots = adapters.iter().map(|kit| Slot { name: kit.name, adapter: (kit.adapter)() }).collect();
        Self { slots, layers: Layers::default(), reader: Reader::new(adapters) }
    }

    /// What the genesis transaction writes in the adapters' maps, and in the worker's own.
    ///
    /// # Errors
    /// If an adapter refuses its settings.
    ///
    /// # Panics
    /// If the settings name an adapter that is not among `adapters`.
    pub fn genesis(adapters: &[AdapterKit], settings: &[(AdapterId, &[u8])]) -> Result<WriteSet, SetupError> {
        let empty = Layers::default();
        let mut genesis = WriteSet::default();
        for (id, settings) in settings {
            let kit = adapters.get(usize::from(id.0)).expect("settings name adapters of this network");
            let mut tx = Tx::new(empty.tip());
            (kit.adapter)().genesis(&mut tx, settings)?;
            let writes = tx.into_write_set();
            assert_own(kit.name, &writes);
            genesis.merge(writes);
            let mut tx = Tx::new(empty.tip());
            AdapterSettings::begin(&mut tx, kit.name, settings);
            genesis.merge(tx.into_write_set());
        }
        Ok(genesis)
    }

    /// Takes one message. Only [`ToWorker::Execute`] and [`ToWorker::Configure`] are answered.
    ///
    /// # Panics
    /// If the message breaks its contract, or an adapter does.
    pub fn handle(&mut self, message: ToWorker) -> Option<Executed> {
        match message {
            ToWorker::Execute(execute) => return Some(self.execute(&execute)),
            ToWorker::Configure(configure) => return Some(self.configure(&configure)),
            ToWorker::Apply(apply) => self.apply(&apply),
            ToWorker::Truncate { to } => self.layers.truncate(to),
            ToWorker::Commit { upto } => self.commit(upto),
        }
        None
    }

    /// A handle for threads that read.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The last seqno of the last block, committed or not.
    pub fn tip(&self) -> Seqno {
        self.layers.tip_seqno()
    }

    /// The committed state, the layers and the tip.
    pub const fn layers(&self) -> &Layers {
        &self.layers
    }

    fn execute(&mut self, Execute { env, calls }: &Execute) -> Executed {
        self.assert_next(env.first_seqno);
        let mut block = Block::new(*env, self.layers.tip_mut(), &mut self.slots);
        calls.iter().for_each(|call| block.call(call));
        let (executed, last) = block.close();
        if let Some(last) = last {
            self.layers.push(last);
        }
        executed
    }

    fn configure(&mut self, Configure { env, decided }: &Configure) -> Executed {
        self.assert_next(env.first_seqno);
        let slot =
            self.slots.get_mut(usize::from(decided.adapter.0)).expect("settings are those of this network's adapters");
        let (writes, reply) = settings::configure((slot.name, &mut *slot.adapter), self.layers.tip(), decided);
        self.layers.tip_mut().apply(&writes, env.first_seqno);
        self.layers.push(env.first_seqno);
        Executed { env: *env, outcomes: vec![settings::outcome(&writes, reply)] }
    }

    fn apply(&mut self, Apply { first_seqno, write_sets }: &Apply) {
        self.assert_next(*first_seqno);
        assert!(!write_sets.is_empty(), "a block to apply holds a transaction");
        let mut last = *first_seqno;
        for (seqno, writes) in (first_seqno.0..).map(Seqno).zip(write_sets.iter()) {
            self.layers.tip_mut().apply(writes, seqno);
            last = seqno;
        }
        self.layers.push(last);
    }

    fn commit(&mut self, upto: Seqno) {
        if upto == self.layers.committed_seqno() {
            return;
        }
        let state = self.layers.commit(upto).clone();
        self.reader.publish(Committed { seqno: upto, state });
    }

    fn assert_next(&self, first_seqno: Seqno) {
        assert!(first_seqno == self.tip().next(), "a block begins at {first_seqno}, but the tip is {}", self.tip());
    }
}
