//! Answers about governance, made of the committed tables.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use synod_governance::bounded::List;
use synod_governance::limits::ACTIONS_MAX;
use synod_governance::view::{self, AsOf, Wanted};
use synod_governance::{Action, ProposalId, Refused, Tables};
use synod_node::governance_refusal;
use synod_types::{ActorId, TxId};
use synod_worker::Reply;

use super::route::Listed;
use super::settings;
use crate::bodies::Room;
use crate::government::Governing;
use crate::http::error::Failure;
use crate::service::Service;

/// What somebody wants to know of governance.
pub enum Asked {
    /// The constitution in force.
    Constitution,
    /// Proposals.
    Proposals(Listed),
    /// One proposal in full.
    Proposal(ProposalId),
    /// A member's standing rules; of the one who asks if it is `None`.
    Rules(Option<ActorId>),
    /// What actions would change: JSON with a list `actions`, and the room that it takes.
    DryRun { body: Bytes, _room: Arc<Room> },
}

impl Asked {
    /// The answer for `reader`, and as of which transaction it holds. May take some tens of milliseconds.
    pub fn answer(&self, service: &Service, reader: &ActorId) -> (Reply, TxId) {
        // In this order: governance transactions are taken into the tables before they are published.
        let (_, published) = service.snapshot();
        let governing = service.government.latest();
        let reply = self.reply(service, &governing, reader);
        let reply = reply.unwrap_or_else(|unreadable| governance_refusal(&unreadable.into()));
        (reply, [published, governing.txid].into_iter().max_by_key(|txid| txid.seqno).unwrap_or_default())
    }

    fn reply(&self, service: &Service, governing: &Governing, reader: &ActorId) -> synod_governance::Read<Reply> {
        let network = service.governance.network;
        let Governing { txid, time, state, .. } = governing;
        let txid_of = |seqno| service.governance.txid_of(seqno);
        let (tables, as_of) = (Tables(state), AsOf { network, txid: *txid, time: *time, txid_of: &txid_of });
        Ok(match self {
            Self::Constitution => match governing.constitution.get() {
                Some(reply) => reply.clone(),
                None => {
                    let reply = found(view::constitution(tables, &as_of)?.as_ref());
                    governing.constitution.get_or_init(|| reply).clone()
                }
            },
            Self::Proposals(Listed { which, awaiting_mine, after, count_max }) => {
                let awaiting = awaiting_mine.then_some(reader);
                let wanted = Wanted { which: *which, awaiting, after: *after, count_max: *count_max };
                json(&view::proposals(tables, &as_of, &wanted, Some(reader))?)
            }
            Self::Proposal(id) => match view::proposal(tables, &as_of, *id, Some(reader))? {
                Some(proposal) => json(&proposal),
                None => governance_refusal(&Refused::NoSuchProposal { id: *id }),
            },
            Self::Rules(member) => json(&view::rules(tables, &as_of, member.as_ref().unwrap_or(reader))?),
            Self::DryRun { body, .. } => {
                let actions = match serde_json::from_slice::<Actions>(body) {
                    Ok(Actions { actions }) if actions.is_empty() => {
                        return Ok(governance_refusal(&Refused::NoActions));
                    }
                    Ok(Actions { actions }) => actions,
                    Err(error) => return Ok(not_actions(&error).reply()),
                };
                match settings::try_out(service, governing, &actions)? {
                    Ok(changes) => json(&view::changes(changes, &as_of)),
                    Err(reasons) => governance_refusal(&Refused::Actions { reasons }),
                }
            }
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Actions {
    actions: List<Action, ACTIONS_MAX>,
}

fn not_actions(error: &serde_json::Error) -> Failure {
    // What is wrong may quote what was sent.
    let error: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
    let message = format!("the body is not JSON with a list `actions` of governance actions: {error}");
    Failure::new(400, "ActionsNotValid", message, "write actions as in the constitution's reference")
}

fn found(document: Option<&impl Serialize>) -> Reply {
    let missing =
        || Failure::new(500, "InternalError", "the network has no constitution", "report this to the operator");
    document.map_or_else(|| missing().reply(), json)
}

fn json(document: &impl Serialize) -> Reply {
    match serde_json::to_string(document) {
        Ok(text) => Reply::json(200, text),
        Err(_) => Failure::new(500, "InternalError", "an entry cannot be shown", "report this to the operator").reply(),
    }
}

/// How much is told of what is wrong with a body: it may quote all of it.
const ERROR_CHARS_MAX: usize = 500;
