//! Requests to governance that a leader refuses: it says so once it knows that it leads still.
//!
//! What a leader seals it answers when a quorum has it. A refusal is sealed nowhere, and a leader that was deposed without having
//! heard of it judges by tables that others may have changed meanwhile: who was let in by its successor would be
//! told that nobody knows it. So a refusal waits for what a linearizable read waits for, a majority's word
//! that there is no other leader, and for the entries that it was judged by. If leadership is lost before, the request goes to
//! whoever leads then.

use synod_types::LogIndex;

use crate::event::{Answer, Refusal};
use crate::inbox::{Lane, Waiting};
use crate::indexes::Asker;
use crate::node::{Engine, Node};

/// A request, and why it is not done.
#[derive(Debug)]
pub struct RefusedRequest {
    /// Who waits.
    pub waiting: Waiting,
    /// What it is to be told: governance's reasons, or the node's.
    pub result: Result<Answer, Refusal>,
    /// The last entry that it was judged by.
    pub judged_at: LogIndex,
}

impl Node {
    /// Refuses a request at its place in the order: one to an application once what it was judged by is committed.
    pub(crate) fn refuse(&mut self, waiting: Waiting, refusal: Refusal) {
        match Lane::of(&waiting.request) {
            Lane::Applications => self.answer_at_tip(waiting, Err(refusal)),
            Lane::Governance => self.refuse_as_leader(waiting, Err(refusal)),
        }
    }

    /// Tells `result` once it is sure that this node leads.
    pub(crate) fn refuse_as_leader(&mut self, waiting: Waiting, result: Result<Answer, Refusal>) {
        let Engine::Running(consensus) = &mut self.engine else { unreachable!("a leader's engine runs") };
        let (deadline, judged_at) = (waiting.deadline, self.chain.last().record.index);
        let asker = Asker::Refused(Box::new(RefusedRequest { waiting, result, judged_at }));
        let question = self.indexes.ask(deadline, asker).expect("it has its room in the inbox, and needs no other");
        if consensus.read_index(question).is_err()
            && let Some(Asker::Refused(refused)) = self.indexes.forget(question)
        {
            self.respond(refused.waiting, Err(Refusal::TooManyPending));
        }
    }

    /// Leadership is lost: what this node has refused and not told so is for others to judge.
    pub(crate) fn take_back_refused(&mut self) {
        let mut again = Vec::new();
        for (question, asker) in self.indexes.take_refused() {
            if let Engine::Running(consensus) = &mut self.engine {
                consensus.forget_read(question);
            }
            if let Asker::Refused(refused) = asker {
                again.push(refused.waiting);
            }
        }
        self.inbox.put_back(again.into_iter());
    }

    /// While nothing may be sealed, answers those requests to governance that wait and were done before: their answer is
    /// in the ledger. Somebody whom members have removed may take part for as long as a newcomer does not come.
    pub(crate) fn answer_done_governance(&mut self) {
        if self.inbox.front(Lane::Governance).is_none() || self.may_propose() {
            return;
        }
        let (government, requests, time) = (&self.government, &mut self.requests, self.chain.last().tip.time);
        let done = self.inbox.take_governance(|request| {
            government.actor(&request.actor).filter(|actor| government.holds(&request.proof, &actor.id, time))?;
            let key = requests.key(request.actor, request.request_id);
            requests.done(key, request).map(|seqno| (key, seqno))
        });
        for (waiting, (key, seqno)) in done {
            self.answer_again(waiting, key, seqno);
        }
    }
}
