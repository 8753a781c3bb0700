//! Adapters' settings on their way from the governance tables to the adapters.
//!
//! Members decide settings in governance blocks, which hold from the very next transaction on; adapters live in the worker.
//! So the leader has the worker hand each decision to its adapter, before anything else is executed and alone in a block
//! ([`synod_worker::Configure`]). Which decision was handed over last is in the log: whoever leads next goes on
//! from where it finds things, so that each is handed over once, whenever a leader is lost. A follower checks before it
//! acknowledges the block that members did decide that; what the adapter makes of it is the leader's to execute, as with
//! all calls. An adapter may refuse: that is written down as well ([`synod_worker::AdapterSettings`]), and counts as
//! handed over.

use std::sync::Arc;

use bytes::Bytes;
use synod_governance::{Tables, settings_decided};
use synod_kv::State;
use synod_ledger::{ActorRecord, CallRecord, Content, RequestRecord};
use synod_types::{AdapterId, Decode, Encode, RequestId, Seqno, TxId};
use synod_worker::{BlockEnv, Configure, DecidedSettings, Executed, ToWorker};

use crate::event::Action;
use crate::follower::answer_of;
use crate::layers::{Done, Layer};
use crate::node::Node;
use crate::request_digest::RequestDigest;
use crate::requests::Known;
use crate::sealing::moment;

/// By adapter: which decision on its settings was the last, and which was handed to it last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsProgress(Arc<[Progress]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// The transaction that decided what the tables hold.
    decided: Seqno,
    /// The transaction that decided what the adapter was handed last.
    handed: Seqno,
}

impl SettingsProgress {
    /// As genesis leaves it: it hands each adapter its settings.
    pub fn begin(tables: &State) -> Self {
        Self(settings_decided(tables).map(|decided| Progress { decided, handed: decided }).collect())
    }

    /// After a governance transaction that left these tables.
    #[must_use]
    pub fn governed(&self, tables: &State) -> Self {
        let decided = settings_decided(tables).zip(self.0.iter());
        Self(decided.map(|(decided, before)| Progress { decided, ..*before }).collect())
    }

    /// After a block that handed settings over.
    #[must_use]
    pub fn handed(&self, settings: &DecidedSettings) -> Self {
        let mut all = self.0.to_vec();
        if let Some(of) = all.get_mut(usize::from(settings.adapter.0)) {
            of.handed = settings.at;
        }
        Self(all.into())
    }

    /// Whether anything is to be handed over.
    pub fn is_due(&self) -> bool {
        self.0.iter().any(|of| of.decided != of.handed)
    }

    /// What is to be handed over next, by tables that hold what was decided.
    ///
    /// # Panics
    /// If the tables cannot be read, or are others: governance wrote them, and [`Self::governed`] has seen them.
    pub fn due(&self, tables: &State) -> Option<DecidedSettings> {
        let place = self.0.iter().position(|of| of.decided != of.handed)?;
        let adapters = Tables::new(tables).adapters().expect("governance has read and written the tables");
        let settings = Bytes::copy_from_slice(&adapters[place].settings);
        let adapter = AdapterId(u8::try_from(place).expect("adapters' ids are bytes"));
        Some(DecidedSettings { adapter, at: self.0[place].decided, settings })
    }
}

/// The settings that a block hands over; `None` if it is one of requests.
pub fn handed(content: &Content) -> Option<DecidedSettings> {
    let request = content.requests.first().filter(|request| request.adapter == AdapterId::SETTINGS)?;
    DecidedSettings::from_bytes(&request.calls.first()?.input).ok()
}

/// Whether a block that `content` is of hands over what was to be handed over next, and nothing but that; or is one of
/// requests, among which there is nothing of the kind.
pub fn is_as_decided(content: &Content, progress: &SettingsProgress, tables: &State) -> bool {
    let hands_over = |request: &RequestRecord| request.adapter == AdapterId::SETTINGS;
    if !content.requests.iter().any(hands_over) {
        return true;
    }
    content.requests.len() == 1
        && content.requests[0].calls.len() == 1
        && handed(content).is_some_and(|handed| progress.due(tables) == Some(handed))
}

impl Node {
    /// Whether settings are to be handed to an adapter before anything else is executed.
    pub(crate) fn settings_are_due(&self) -> bool {
        self.chain.last().settings.is_due()
    }

    /// Has the worker hand over what is due on the tip; `None` if nothing is.
    pub(crate) fn configure(&mut self, env: BlockEnv) -> Option<DecidedSettings> {
        let last = self.chain.last();
        let decided = last.settings.due(&last.tables)?;
        self.actions.push_back(Action::Worker(ToWorker::Configure(Configure { env, decided: decided.clone() })));
        Some(decided)
    }

    /// Seals and proposes what came of it.
    pub(crate) fn propose_settings(&mut self, decided: &DecidedSettings, executed: Executed) {
        let env = executed.env;
        let record = record(decided, executed);
        let (txid, asked) = (TxId::new(env.view, env.first_seqno), RequestDigest::of_record(&record));
        // Nobody asks for it under this id; it is noted as by those who apply the block.
        let key = self.requests.key(record.actor.id, record.request_id);
        let done = Done { key, answer: answer_of(&record, txid), waiting: Vec::new() };
        let content = Content { seed: env.seed, requests: vec![record], setup: None };
        let moment = moment(&env, self.history.committed().seqno);
        let block = self.seals.seal(self.chain.last(), moment, &content, &mut *self.probe);
        let block = block.expect("the worker bounds what settings write, far below a block");
        self.requests.push(block.age, [(key, Known { seqno: txid.seqno, asked })]);
        let index = self.propose(block);
        self.layers.push(Layer { index, upto: txid, requests: vec![done], readers: Vec::new() });
    }
}

/// What the ledger keeps: on behalf of nobody, under an id that no other decision has.
fn record(decided: &DecidedSettings, executed: Executed) -> RequestRecord {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&decided.at.0.to_le_bytes());
    id[8] = decided.adapter.0;
    let call = |outcome: synod_worker::Outcome| CallRecord {
        input: decided.to_bytes().into(),
        write_set: outcome.write_set,
        claims: outcome.claims,
        reply: outcome.reply.to_bytes().into(),
    };
    RequestRecord {
        adapter: AdapterId::SETTINGS,
        actor: ActorRecord::default(),
        request_id: RequestId(id),
        calls: executed.outcomes.into_iter().map(call).collect(),
    }
}

#[cfg(test)]
mod tests {
    use synod_types::Time;

    use super::*;
    use crate::genesis::Genesis;

    /// The tables of a network with two adapters, `seqno` having decided their settings.
    fn tables(settings: &str, seqno: u64) -> State {
        let mut genesis = Genesis::new("network", Time(1)).unwrap();
        let validity = synod_crypto::x509::Validity { from: Time(0), until: Time(4_000_000_000_000_000) };
        let key = synod_crypto::ActorKey::from_seed(&[1; 32]);
        let certificate = synod_crypto::x509::actor_certificate(&key, "Port of Antwerp", validity);
        genesis.add_actor(synod_governance::Role::Member, "Port of Antwerp", &certificate).unwrap();
        let key = synod_crypto::NodeKey::from_seed(&[3; 32]).verifying_key().clone();
        genesis.add_node(synod_types::NodeId(1), "node 1", certificate.actor_id(), &key, "127.0.0.1:7001").unwrap();
        genesis.add_adapter("log", settings).unwrap();
        genesis.add_adapter("evm", settings).unwrap();
        let mut state = State::default();
        state.apply(&genesis.constitution.genesis_writes(Time(1)).unwrap(), Seqno(seqno));
        state
    }

    fn decided(adapter: u8, at: u64, settings: &'static str) -> DecidedSettings {
        DecidedSettings { adapter: AdapterId(adapter), at: Seqno(at), settings: settings.into() }
    }

    fn content(handed: &[DecidedSettings]) -> Content {
        let env = BlockEnv { view: synod_types::View(2), first_seqno: Seqno(9), time: Time(1), seed: [0; 32] };
        let outcome =
            || synod_worker::Outcome { write_set: None, claims: None, reply: synod_worker::Reply::text(200, "") };
        let executed = || Executed { env, outcomes: vec![outcome()] };
        let requests = handed.iter().map(|handed| record(handed, executed())).collect();
        Content { requests, ..Content::default() }
    }

    #[test]
    fn each_decision_is_due_until_it_is_handed_over_and_only_what_is_due_is_acknowledged() {
        let begun = SettingsProgress::begin(&tables("first", 1));
        assert!(!begun.is_due() && begun.due(&tables("first", 1)).is_none());

        let later = tables("second", 7);
        let progress = begun.governed(&later);
        assert!(progress.is_due());
        assert_eq!(progress.due(&later), Some(decided(0, 7, "second")));
        let check = |handed: &[DecidedSettings], expected| {
            assert_eq!(is_as_decided(&content(handed), &progress, &later), expected, "{handed:?}");
        };
        check(&[], true);
        check(&[decided(0, 7, "second")], true);
        check(&[decided(0, 7, "other")], false);
        check(&[decided(0, 1, "second")], false);
        check(&[decided(1, 7, "second")], false);
        check(&[decided(9, 7, "second")], false);
        check(&[decided(0, 7, "second"), decided(1, 7, "second")], false);
        let with_a_request = |at| {
            let mut content = content(&[decided(0, 7, "second")]);
            content.requests.insert(at, RequestRecord { adapter: AdapterId(0), ..content.requests[0].clone() });
            is_as_decided(&content, &progress, &later)
        };
        assert!(!with_a_request(0) && !with_a_request(1));

        let progress = progress.handed(&decided(0, 7, "second"));
        assert_eq!(progress.due(&later), Some(decided(1, 7, "second")));
        let progress = progress.handed(&decided(1, 7, "second"));
        assert!(!progress.is_due());
        assert!(!is_as_decided(&content(&[decided(1, 7, "second")]), &progress, &later), "once only");
    }
}
