//! The reckoning at the end of a run: everything that was promised against everything that is on disk.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_governance::Tables;
use synod_ledger::{BlockKind, Content, Receipt, RequestRecord, SealedBlock, VerifiedEntry, Verifier, open};
use synod_node::TxStatus;
use synod_types::{AdapterId, Decode, Digest, Encode, NodeId, RequestId, Seqno, TxId};
use synod_worker::{ActorFacts, Apply, Method, Plan, Reader, Reply, Request, ToWorker, Worker};

use super::history::{Call, History};
use super::secrecy;
use super::services::Services;
use super::truth::Truth;
use super::{Checked, Violation, violated};
use crate::consortium::{Consortium, kits, session_keys};
use crate::disk::Disk;
use crate::governor::{Governor, READABLE};

/// What one committed request led to.
#[derive(Debug)]
struct Done {
    txid: TxId,
    replies: Vec<Reply>,
}

/// What the offline verifier saw.
#[derive(Debug, Default)]
pub struct Verified {
    /// The blocks.
    pub blocks: Vec<SealedBlock>,
    /// Each key of the service, with the first transaction that it signs.
    pub services: Services,
}

/// All that an audit looks at.
#[derive(Clone, Copy)]
pub struct Audit<'a> {
    /// The network.
    pub consortium: &'a Consortium,
    /// What was decided.
    pub truth: &'a Truth,
    /// What was said.
    pub history: &'a History,
    /// What members asked for.
    pub governor: &'a Governor,
}

impl Audit<'_> {
    /// Checks that a node's disk holds exactly what is committed, and then perhaps more; and that none of it is plain.
    ///
    /// # Errors
    /// If it does not.
    pub fn disk(&self, node: NodeId, disk: &Disk) -> Checked {
        disk.durable().try_for_each(|record| secrecy::check_record(node, record))?;
        let mut filed = disk.durable();
        for committed in self.truth.committed() {
            if filed.next() != Some(committed) {
                let seen = format!("the disk of node {node} does not hold entry {}", committed.index);
                return violated("all nodes end with the same ledger", seen);
            }
        }
        Ok(())
    }

    /// Runs the offline verifier over a node's files, and checks what it says; returns what it verified.
    ///
    /// # Errors
    /// If it refuses them, or sees another ledger than the nodes agreed on.
    pub fn verify(&self, node: NodeId, disk: &Disk) -> Checked<Verified> {
        let refused = |seen: String| Violation { claim: "the offline verifier accepts each node's files", seen };
        let mut verifier = Verifier::expecting(self.consortium.service().clone());
        let mut verified = Verified::default();
        for (name, bytes) in disk.files() {
            let gather = |entry: &VerifiedEntry<'_>| {
                let Some(block) = entry.block else { return };
                verified.services.note(block.header.first_seqno, entry.service);
                verified.blocks.push(block.clone());
            };
            verifier.file(&name, bytes, gather).map_err(|failure| refused(format!("node {node}: {failure}")))?;
        }
        let report = verifier.finish().map_err(|failure| refused(format!("node {node}: {failure}")))?;
        if report.torn_tail.is_some() || report.last_signed < self.truth.last() {
            return Err(refused(format!("node {node}: it reports {report:?}, committed is {}", self.truth.last())));
        }
        Ok(verified)
    }

    /// Replays verified blocks on a fresh worker; compares every answer, read, state and key of the service with it.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn replay(&self, verified: &Verified) -> Checked {
        verified.services.check(self.truth)?;
        let mut replay = Replay::new(self, &verified.services);
        for block in &verified.blocks {
            if block.header.last_seqno() > self.truth.last().seqno {
                break;
            }
            replay.block(block)?;
        }
        replay.finish()
    }

    /// Checks receipts that were handed out: each verifies under the key of the service that signed there.
    fn receipts(&self, claims: &BTreeMap<Seqno, Option<Digest>>, services: &Services) -> Checked {
        for (txid, receipt) in &self.history.receipts {
            let Some(service) = services.at(txid.seqno) else {
                return violated("receipts verify", format!("nothing signs {txid}"));
            };
            match Receipt::verify(receipt, service) {
                Ok(proved) if proved.txid == *txid && claims.get(&txid.seqno) == Some(&proved.claims) => {}
                other => {
                    return violated("receipts verify", format!("that of {txid} gives {other:?}"));
                }
            }
        }
        Ok(())
    }

    fn statuses(&self) -> Checked {
        for (node, txid, status) in &self.history.statuses {
            let committed = self.truth.view_of(txid.seqno) == Some(txid.view);
            let fits = match status {
                TxStatus::Committed => committed,
                TxStatus::Invalid => !committed,
                TxStatus::Unknown | TxStatus::Pending => true,
            };
            if !fits {
                let seen = format!("node {node} said {} of {txid}", status.name());
                return violated("Committed and Invalid are final", seen);
            }
        }
        Ok(())
    }
}

/// A replay in progress.
struct Replay<'a> {
    audit: &'a Audit<'a>,
    services: &'a Services,
    worker: Worker,
    reader: Reader,
    done: BTreeMap<RequestId, Done>,
    /// What the views' keys are derived with.
    salts: BTreeSet<[u8; 32]>,
    claims: BTreeMap<Seqno, Option<Digest>>,
    /// Carries out again what members decided.
    governance: synod_node::Audit,
    /// Places of observations, by the seqno of their snapshot.
    observations: BTreeMap<Seqno, Vec<usize>>,
}

impl<'a> Replay<'a> {
    fn new(audit: &'a Audit<'a>, services: &'a Services) -> Self {
        let worker = Worker::new(&kits());
        let mut observations: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, observation) in audit.history.observations.iter().enumerate() {
            observations.entry(observation.seqno).or_default().push(place);
        }
        let reader = worker.reader();
        Self {
            audit,
            services,
            worker,
            reader,
            done: BTreeMap::new(),
            salts: BTreeSet::new(),
            claims: BTreeMap::new(),
            governance: synod_node::Audit::new(Some(session_keys().admin)),
            observations,
        }
    }

    /// Carries a governance transaction out again; the worker has nothing of it.
    fn governance(&mut self, block: &SealedBlock) -> Checked {
        let header = &block.header;
        let seen = |what: String| format!("the governance transaction at seqno {}: {what}", header.first_seqno);
        let differs =
            |refused: String| Violation { claim: "members' requests give what is written", seen: seen(refused) };
        self.governance.block(block).map_err(|refused| differs(refused.to_string()))?;
        if self.audit.truth.tables_digest(header.first_seqno) != Some(self.governance.tables().digest()) {
            return Err(differs("nodes told other tables".into()));
        }
        let opened = open(block, &session_keys()).map_err(|refused| differs(refused.to_string()))?;
        let detail = opened.admin.map(|admin| admin.detail).unwrap_or_default();
        let request = RequestRecord::from_shared(&detail).map_err(|error| differs(error.to_string()))?;
        let Some(asked) = self.audit.governor.asked.get(&request.request_id) else {
            return violated("only what was asked for is done", seen("nobody asked for it".into()));
        };
        if asked.actor != request.actor.id || !request.calls.iter().map(|call| &call.input).eq([&asked.call]) {
            return violated("only what was asked for is done", seen("it was asked otherwise".into()));
        }
        let txid = TxId::new(header.view, header.first_seqno);
        let replies = request.calls.iter().map(|call| Reply::from_bytes(&call.reply)).collect::<Result<Vec<_>, _>>();
        let replies = replies.map_err(|error| differs(error.to_string()))?;
        if asked.answer.as_ref().is_some_and(|answer| answer.txid != txid || answer.replies != replies) {
            return violated("the ledger holds what was answered", seen("it was answered otherwise".into()));
        }
        if self.done.insert(request.request_id, Done { txid, replies }).is_some() {
            return violated("a request is done at most once", seen("a second time".into()));
        }
        self.claims.insert(header.first_seqno, Some(synod_crypto::sha256(&[&block.public])));
        self.apply(block, &[synod_kv::WriteSet::default().to_bytes().into()])?;
        self.check_state(header.last_seqno())
    }

    fn block(&mut self, block: &SealedBlock) -> Checked {
        let header = &block.header;
        if header.kind == BlockKind::ViewStart && !self.salts.insert(header.salt) {
            return violated("each view has a salt of its own", format!("view {} has that of another", header.view));
        }
        if header.count == 0 {
            return Ok(());
        }
        if header.kind == BlockKind::Governance {
            return self.governance(block);
        }
        if header.kind == BlockKind::Genesis {
            let audited = self.governance.block(block);
            audited.map_err(|refused| Violation { claim: "genesis is in order", seen: refused.to_string() })?;
        }
        let opened = open(block, &session_keys()).map_err(|refused| Violation {
            claim: "each block opens under the session keys",
            seen: format!("that of entry {}: {refused}", header.index),
        })?;
        let content = opened.content.expect("blocks of the simulation have an application part");
        let write_sets = match &content.setup {
            Some(setup) => vec![setup.clone()],
            None => content.writing_calls().filter_map(|call| call.write_set.clone()).collect::<Vec<_>>(),
        };
        self.apply(block, &write_sets)?;
        self.requests(block, &content)?;
        self.check_state(header.last_seqno())
    }

    fn apply(&mut self, block: &SealedBlock, write_sets: &[Bytes]) -> Checked {
        let header = &block.header;
        let apply = Apply::from_encoded(header.first_seqno, write_sets);
        let apply = apply.map_err(|refused| Violation {
            claim: "each write set can be read",
            seen: format!("one of entry {}: {refused}", header.index),
        })?;
        self.worker.handle(ToWorker::Apply(apply));
        self.worker.handle(ToWorker::Commit { upto: header.last_seqno() });
        Ok(())
    }

    fn requests(&mut self, block: &SealedBlock, content: &Content) -> Checked {
        let mut seqno = Seqno(block.header.first_seqno.0 - 1);
        for record in &content.requests {
            let seen = |what: &str| format!("request {} in entry {}: {what}", record.request_id, block.header.index);
            let Some(asked) = self.audit.history.by_id(record.request_id) else {
                return violated("only what was asked for is done", seen("nobody asked for it"));
            };
            let inputs = record.calls.iter().map(|call| &call.input);
            if record.actor.id != asked.actor.id || !inputs.eq(&asked.planned) {
                return violated("only what was asked for is done", seen("it was asked otherwise"));
            }
            let tables = Tables::new(self.governance.tables());
            if tables.actor(&record.actor.id).expect(READABLE).is_none() {
                return violated("only actors of the network act", seen("a stranger's"));
            }
            for call in record.calls.iter().filter(|call| call.write_set.is_some()) {
                seqno = seqno.next();
                self.claims.insert(seqno, call.claims);
            }
            let replies = record.calls.iter().map(|call| Reply::from_bytes(&call.reply)).collect::<Result<_, _>>();
            let replies =
                replies.map_err(|error| Violation { claim: "replies can be read", seen: seen(&error.to_string()) })?;
            let done = Done { txid: TxId::new(block.header.view, seqno), replies };
            if self.done.insert(record.request_id, done).is_some() {
                return violated("a request is done at most once", seen("a second time"));
            }
        }
        Ok(())
    }

    fn check_state(&mut self, seqno: Seqno) -> Checked {
        let snapshot = self.reader.latest();
        let digest = snapshot.state.digest();
        if self.audit.truth.state_at(seqno).is_some_and(|known| known != digest) {
            return violated("states equal a replay of the ledger", format!("they differ at seqno {seqno}"));
        }
        for place in self.observations.remove(&seqno).unwrap_or_default() {
            let observation = &self.audit.history.observations[place];
            let expected = read(&self.reader, &self.audit.consortium.actors[0], observation.key);
            if expected != observation.found {
                let seen = format!("node {} at seqno {seqno}, key {}", observation.node, observation.key);
                return violated("reads see what is committed", seen);
            }
        }
        Ok(())
    }

    fn finish(self) -> Checked {
        if let Some((seqno, places)) = self.observations.first_key_value() {
            let node = self.audit.history.observations[places[0]].node;
            let seen = format!("node {node} showed a snapshot at seqno {seqno}, where no committed block ends");
            return violated("snapshots show committed blocks", seen);
        }
        for (id, asked) in &self.audit.governor.asked {
            if asked.answer.is_some() && !self.done.contains_key(id) {
                return violated("what was acknowledged is in the ledger", format!("the members' request {id} is not"));
            }
        }
        for asked in self.audit.history.asked() {
            let Some(answer) = asked.answer.as_ref().filter(|_| asked.writes()) else { continue };
            let seen = |what: &str| format!("request {}, answered with {}: {what}", asked.request_id, answer.txid);
            match self.done.get(&asked.request_id) {
                None => return violated("what was acknowledged is in the ledger", seen("it is not")),
                Some(done) if done.txid != answer.txid || done.replies != answer.replies => {
                    let what = format!("the ledger says {} and {:?}", done.txid, done.replies);
                    return violated("the ledger holds what was answered", seen(&what));
                }
                Some(_) => {}
            }
            self.check_random(asked.calls.iter().zip(&answer.replies), answer.txid)?;
        }
        self.audit.receipts(&self.claims, self.services)?;
        self.audit.statuses()
    }

    /// What a random draw answered is what its receipt claims to have written.
    fn check_random<'c>(&self, calls: impl Iterator<Item = (&'c Call, &'c Reply)>, last: TxId) -> Checked {
        let writes: Vec<_> = calls.filter(|(call, _)| **call != Call::Malformed).collect();
        for (back, (call, reply)) in writes.iter().rev().enumerate() {
            let seqno = Seqno(last.seqno.0 - back as u64);
            let claimed = match call {
                Call::Put { key, message } => synod_log::claims(*key, message.as_bytes()),
                Call::Random { key } => {
                    let drawn = std::str::from_utf8(&reply.body).ok().and_then(Digest::from_hex).unwrap_or_default();
                    synod_log::claims(*key, &drawn.0)
                }
                Call::Malformed => continue,
            };
            if self.claims.get(&seqno) != Some(&Some(claimed)) {
                return violated("a receipt claims what was written", format!("that of seqno {seqno} does not"));
            }
        }
        Ok(())
    }
}

/// What a client reads at `key` from the latest snapshot.
pub fn read(reader: &Reader, actor: &ActorFacts, key: u64) -> Reply {
    let frontend = reader.frontend(AdapterId(0)).expect("the simulation has one adapter");
    let path = key.to_string();
    match frontend.plan(actor, &Request { method: Method::Get, path: &path, query: "", body: b"" }) {
        Plan::Read(query) => frontend.read(&reader.latest().state, actor, &query),
        other => panic!("the log reads what is asked for by GET, not {other:?}"),
    }
}
