//! The governance tables in a node, and what each request needs of them at hand.
//!
//! They lie in maps named `gov.*`, in the node and not in the worker, and change only by governance transactions. Like
//! the worker's maps they have a layer for each governance block that is not committed: what is ordered is judged by the
//! tip, so that a removal holds from the very next transaction on; what is read is what is committed.

use std::collections::HashMap;
use std::sync::Arc;

use synod_governance::entries::AdapterEntry;
use synod_governance::{LastChange, Role, Rules, Shared, Tables};
use synod_kv::{EntryRefused, State, WriteSet};
use synod_types::{ActorId, AdapterId, LogIndex, Seqno, Time};
use synod_worker::{ActorFacts, ActorKind};

use crate::event::Proof;

/// The tables at the committed entry and after each uncommitted governance block.
#[derive(Default)]
pub struct Government {
    committed: View,
    /// Each with the index of its block, oldest first.
    layers: Vec<(LogIndex, View)>,
}

/// The tables at one point, with what is asked for often.
#[derive(Clone, Default)]
struct View {
    state: State,
    actors: Arc<HashMap<ActorId, ActorFacts>>,
    last_change: LastChange,
    adapters: Arc<[String]>,
    rules: Rules,
}

impl Government {
    /// The tables as the genesis block writes them.
    ///
    /// # Errors
    /// If an entry is not one of the tables'.
    pub fn begin(writes: &WriteSet) -> Result<Self, EntryRefused> {
        let mut state = State::default();
        state.apply(writes, Seqno(1));
        Ok(Self { committed: View::default().then(state)?, layers: Vec::new() })
    }

    /// Takes in the tables after a governance block that is not committed yet.
    ///
    /// # Errors
    /// If an entry is not one of the tables'.
    pub fn push(&mut self, index: LogIndex, state: State) -> Result<(), EntryRefused> {
        let view = self.tip().then(state)?;
        self.layers.push((index, view));
        Ok(())
    }

    /// Takes back the blocks from `from` on.
    pub fn truncate(&mut self, from: LogIndex) {
        self.layers.retain(|(index, _)| *index < from);
    }

    /// The block at `index` is committed; whether it was taken in before.
    pub fn commit(&mut self, index: LogIndex) -> bool {
        let is_first = self.layers.first().is_some_and(|(first, _)| *first == index);
        if is_first {
            self.committed = self.layers.remove(0).1;
        }
        is_first
    }

    /// What an actor may do at the tip; `None` if it is neither member nor participant.
    pub fn actor(&self, id: &ActorId) -> Option<ActorFacts> {
        self.tip().actors.get(id).copied()
    }

    /// Whether what a session proved for `actor` holds at the tip, for a transaction at `time`. That `actor` is one is
    /// another question: see [`Self::actor`].
    pub fn holds(&self, proof: &Proof, actor: &ActorId, time: Time) -> bool {
        let tip = self.tip();
        time <= proof.valid_until && !tip.last_change.is_after(proof.seqno, &tip.state, actor)
    }

    /// Everyone who may do anything, as committed, in no particular order.
    pub fn actors(&self) -> impl Iterator<Item = ActorFacts> + '_ {
        self.committed.actors.values().copied()
    }

    /// Whether the network has this adapter.
    pub fn has_adapter(&self, id: AdapterId) -> bool {
        usize::from(id.0) < self.tip().adapters.len()
    }

    /// The adapters' names, in the order of their ids.
    pub fn adapters(&self) -> &[String] {
        &self.committed.adapters
    }

    /// The rules for blocks in force at the tip.
    pub fn rules(&self) -> Rules {
        self.tip().rules
    }

    /// The committed tables.
    pub const fn committed(&self) -> &State {
        &self.committed.state
    }

    /// The tables that the next governance transaction works on.
    pub fn state(&self) -> &State {
        &self.tip().state
    }

    fn tip(&self) -> &View {
        self.layers.last().map_or(&self.committed, |(_, view)| view)
    }
}

impl View {
    /// The tables after the next governance transaction. What it has not written is not read again: most are ballots, and the
    /// tables that they leave alone may be large.
    fn then(&self, state: State) -> Result<Self, EntryRefused> {
        let (tables, shared) = (Tables::new(&state), Shared::between(&self.state, &state));
        let facts = |id, role| (id, ActorFacts { id, kind: kind(role) });
        let actors = match shared.actors() {
            true => Arc::clone(&self.actors),
            false => Arc::new(tables.actors()?.into_iter().map(|(id, actor)| facts(id, actor.role)).collect()),
        };
        let last_change = match shared.actors() && shared.revoked() {
            true => self.last_change,
            false => LastChange::of(&state),
        };
        let name = |adapter: AdapterEntry| adapter.name.as_str().to_owned();
        let adapters = match shared.adapters() {
            true => Arc::clone(&self.adapters),
            false => tables.adapters()?.into_iter().map(name).collect(),
        };
        let rules = tables.settings()?.rules;
        Ok(Self { actors, last_change, adapters, rules, state })
    }
}

/// A role as adapters know it.
pub const fn kind(role: Role) -> ActorKind {
    match role {
        Role::Member => ActorKind::Member,
        Role::Participant => ActorKind::Participant,
    }
}

#[cfg(test)]
mod tests {
    use synod_crypto::x509::{Validity, actor_certificate};
    use synod_crypto::{ActorKey, NodeKey};
    use synod_types::{NodeId, Time};

    use super::*;
    use crate::genesis::Genesis;

    #[test]
    fn the_tables_hold_what_genesis_wrote_and_layers_are_merged_and_taken_back() {
        let validity = Validity { from: Time(0), until: Time(4_000_000_000_000_000) };
        let certificate = |seed, name| actor_certificate(&ActorKey::from_seed(&[seed; 32]), name, validity);
        let (member, participant) = (certificate(1, "Port of Antwerp"), certificate(2, "Line"));
        let mut genesis = Genesis::new("network", Time(1)).unwrap();
        genesis.add_actor(Role::Member, "Port of Antwerp", &member).unwrap();
        genesis.add_actor(Role::Participant, "Line", &participant).unwrap();
        let key = NodeKey::from_seed(&[3; 32]).verifying_key().clone();
        genesis.add_node(NodeId(1), "node 1", member.actor_id(), &key, "127.0.0.1:7001").unwrap();
        genesis.add_adapter("log", "").unwrap();
        let mut government = Government::begin(&genesis.constitution.genesis_writes(Time(1)).unwrap()).unwrap();

        assert_eq!(government.actor(&member.actor_id()).unwrap().kind, ActorKind::Member);
        assert_eq!(government.actor(&participant.actor_id()).unwrap().kind, ActorKind::Participant);
        assert_eq!(government.actor(&ActorId([9; 32])), None);
        assert_eq!(government.adapters(), ["log"]);
        assert!(government.has_adapter(AdapterId(0)) && !government.has_adapter(AdapterId(1)));

        let digest = |government: &Government| (government.state().digest(), government.committed().digest());
        let before = digest(&government);
        let other = |seqno| {
            let mut state = government.state().clone();
            state.apply(&genesis.constitution.genesis_writes(Time(1)).unwrap(), Seqno(seqno));
            state
        };
        let (fifth, sixth) = (other(7), other(8));
        government.push(LogIndex(5), fifth).unwrap();
        government.push(LogIndex(6), sixth).unwrap();
        assert_eq!(digest(&government).1, before.1);
        government.truncate(LogIndex(6));
        assert!(!government.commit(LogIndex(4)) && government.commit(LogIndex(5)) && !government.commit(LogIndex(5)));
        let (tip, committed) = digest(&government);
        assert_eq!(tip, committed);
    }

    #[test]
    fn what_a_transaction_has_not_written_is_not_read_again() {
        let validity = Validity { from: Time(0), until: Time(4_000_000_000_000_000) };
        let certificate = actor_certificate(&ActorKey::from_seed(&[1; 32]), "Port of Antwerp", validity);
        let mut genesis = Genesis::new("network", Time(1)).unwrap();
        genesis.add_actor(Role::Member, "Port of Antwerp", &certificate).unwrap();
        let key = NodeKey::from_seed(&[3; 32]).verifying_key().clone();
        genesis.add_node(NodeId(1), "node 1", certificate.actor_id(), &key, "127.0.0.1:7001").unwrap();
        genesis.add_adapter("log", "").unwrap();
        let writes = genesis.constitution.genesis_writes(Time(1)).unwrap();
        let mut government = Government::begin(&writes).unwrap();

        let mut state = government.state().clone();
        let mut ballot = WriteSet::default();
        ballot.put(&synod_kv::MapName::from_static("gov.ballots"), b"ballot", b"accept");
        state.apply(&ballot, Seqno(2));
        government.push(LogIndex(5), state.clone()).unwrap();
        let (before, after) = (&government.committed, government.tip());
        assert!(Arc::ptr_eq(&before.actors, &after.actors) && Arc::ptr_eq(&before.adapters, &after.adapters));
        assert_eq!(after.last_change, before.last_change);

        state.apply(&writes, Seqno(3));
        government.push(LogIndex(6), state).unwrap();
        let (before, after) = (&government.committed, government.tip());
        assert!(!Arc::ptr_eq(&before.actors, &after.actors) && !Arc::ptr_eq(&before.adapters, &after.adapters));
        assert_ne!(after.last_change, before.last_change);
        assert_eq!(after.actors, before.actors);
    }
}
