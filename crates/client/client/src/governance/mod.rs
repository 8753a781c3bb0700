//! Governance: the constitution, proposals, ballots and standing rules, as one actor asks for them.
//!
//! Reading: [`Governance::constitution`], [`Governance::proposals`], [`Governance::proposal`], [`Governance::rules`],
//! [`Governance::events`]. Acting: make a statement with [`Speaker`] and [`synod_governance::statement`], sign it with
//! [`Identity::sign`] or elsewhere and [`finish`] it, then [`Governance::submit`] it.
//!
//! [`Identity::sign`]: crate::Identity::sign

mod events;
mod refusal;
mod sse;
mod statement;
mod views;

pub use events::EventStream;
pub use refusal::{GovernanceError, ReasonBody, Refusal};
pub use sse::ServerEvent;
pub use statement::{SignatureRefused, Speaker, TamperedProposal, check_proposal, finish};
pub use views::{
    Answer, BallotView, Change, Changes, ConstitutionView, DecisionView, PolicyView, ProposalView, Proposals, RuleView,
    Rules, Submitted, SubmittedAt, Summary, Votes,
};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use synod_governance::Action;
use synod_types::{ActorId, Encode, TxId};

use crate::{Client, Request, Response};

/// Which proposals to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Those on which members can vote.
    #[default]
    Open,
    /// Those on which this member can vote and has not.
    AwaitingMine,
    /// All, also those that are closed.
    All,
}

/// The governance of one network, as one actor asks for it.
#[derive(Clone, Debug)]
pub struct Governance {
    client: Client,
}

impl Governance {
    /// The governance of this client's network, over connections of its own.
    pub fn new(client: &Client) -> Self {
        Self { client: client.governance() }
    }

    /// The constitution in force.
    ///
    /// # Errors
    /// If no node answers, or one refuses.
    pub async fn constitution(&self) -> Result<Answer<ConstitutionView>, GovernanceError> {
        self.read("/gov/constitution".into()).await
    }

    /// Proposals after the id `after`, oldest first, as many as a node gives at once.
    ///
    /// # Errors
    /// If no node answers, or one refuses.
    pub async fn proposals(&self, which: Which, after: u64) -> Result<Answer<Proposals>, GovernanceError> {
        let which = match which {
            Which::Open => "status=open",
            Which::AwaitingMine => "status=open&awaiting=mine",
            Which::All => "status=all",
        };
        self.read(format!("/gov/proposals?{which}&after={after}&limit={PAGE}")).await
    }

    /// One proposal, with its ballots and what became of it.
    ///
    /// # Errors
    /// If no node answers, or there is no such proposal.
    pub async fn proposal(&self, id: u64) -> Result<Answer<ProposalView>, GovernanceError> {
        self.read(format!("/gov/proposals/{id}")).await
    }

    /// The standing rules of a member; of the one who asks if it is `None`.
    ///
    /// # Errors
    /// If no node answers, or one refuses.
    pub async fn rules(&self, member: Option<ActorId>) -> Result<Answer<Rules>, GovernanceError> {
        let query = member.map(|member| format!("?member={}", member.to_hex())).unwrap_or_default();
        self.read(format!("/gov/rules{query}")).await
    }

    /// What carrying these actions out now would change. Nothing is written.
    ///
    /// # Errors
    /// If no node answers, or one has reasons against the actions.
    pub async fn dry_run(&self, actions: &[Action]) -> Result<Answer<Changes>, GovernanceError> {
        let body = serde_json::json!({ "actions": actions }).to_string();
        understood(self.client.send(Request::post("/gov/dry-run", body)).await?)
    }

    /// Submits a request and waits until it is committed.
    ///
    /// # Errors
    /// If no node answers, or the request is refused; then nothing was written.
    pub async fn submit(&self, request: &synod_governance::Request) -> Result<Answer<Submitted>, GovernanceError> {
        understood(self.client.send(Request::post("/gov/requests", request.to_bytes())).await?)
    }

    /// What happens from now on; or, with the id of an event or a transaction, what happened after it, and then that.
    pub fn events(&self, after: Option<String>) -> EventStream {
        EventStream::new(self.client.clone(), after)
    }

    async fn read<T: DeserializeOwned>(&self, path: String) -> Result<Answer<T>, GovernanceError> {
        let mut request = Request::get(path);
        // People compare what they read here with what others tell them: nothing old will do.
        request.linearizable = true;
        understood(self.client.send(request).await?)
    }
}

fn understood<T: DeserializeOwned>(response: Response) -> Result<Answer<T>, GovernanceError> {
    if !response.is_success() {
        return Err(Refusal::of(&response).into());
    }
    let view = serde_json::from_slice(&response.body)
        .map_err(|error| GovernanceError::AnswerNotUnderstood { why: error.to_string() })?;
    let (txid, body): (Option<TxId>, Bytes) = (response.txid, response.body);
    Ok(Answer { view, txid, body })
}

/// How many proposals are asked for at once: as many as a node gives.
const PAGE: u32 = 1_000;
