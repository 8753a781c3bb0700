//! What happened, for those who are told.

use serde::Serialize;
use synod_types::ActorId;

use super::AsOf;
use super::proposal::{DecisionView, source};
use crate::actions::ActionKind;
use crate::entries::{Proposal, Role};
use crate::event::Event;
use crate::tables::{ProposalId, Read, Tables};
use crate::tally::Choice;

/// One thing that a governance transaction did.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// The kind of event, as in `proposed`; not a part of the document.
    #[serde(skip)]
    pub name: &'static str,
    /// The transaction.
    pub txid: String,
    /// Its ledger time.
    pub time: u64,
    /// What happened.
    #[serde(flatten)]
    pub fields: EventFields,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EventFields {
    /// `proposed`
    Proposed {
        /// The proposal.
        id: ProposalId,
        /// What ballots name.
        digest: String,
        /// Who proposed it.
        proposer: String,
        /// The proposer's name.
        proposer_name: String,
        /// The kind of each action, in order.
        kinds: Vec<ActionKind>,
        /// Each action in one line for people, in order.
        summary: Vec<String>,
        /// Why, for people.
        note: String,
        /// The ledger time from which on it is closed, if ever.
        expires: Option<u64>,
    },
    /// `voted`
    Voted {
        /// The proposal.
        id: ProposalId,
        /// The member.
        member: String,
        /// Its name.
        name: Option<String>,
        /// What it says.
        choice: Choice,
        /// How it came: `signed`, or by a `standing` rule.
        source: &'static str,
        /// The digest of the standing rule.
        rule: Option<String>,
    },
    /// `closed`
    Closed {
        /// The proposal.
        id: ProposalId,
        /// Where it stands, as in the decision.
        status: &'static str,
        /// Each of its actions in one line for people, in order.
        summary: Vec<String>,
        /// What became of it.
        decision: DecisionView,
    },
    /// `actor_added`, `actor_changed`, `actor_removed`
    Actor {
        /// The actor.
        id: String,
        /// Its name.
        name: Option<String>,
        /// What it may do, or might.
        role: Option<Role>,
    },
    /// `rule_set`, `rule_removed`
    Rule {
        /// The member.
        member: String,
        /// Its name.
        name: Option<String>,
        /// The digest of the rule.
        rule: String,
    },
}

/// An event of the transaction that led from the tables `before` to those `after`, which `as_of` names.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn event(event: &Event, before: Tables<'_>, after: Tables<'_>, as_of: &AsOf<'_>) -> Read<EventView> {
    let actor = |id: &ActorId| -> Read<(Option<String>, Option<Role>)> {
        // Who was removed had a name before.
        let entry = after.actor(id)?.map_or_else(|| before.actor(id), |entry| Ok(Some(entry)))?;
        Ok(entry.map_or((None, None), |entry| (Some(entry.name.as_str().to_owned()), Some(entry.role))))
    };
    let (name, fields) = match event {
        Event::Proposed { id, proposer, digest } => {
            let proposal = after.proposal(*id)?;
            let fields = EventFields::Proposed {
                id: *id,
                digest: digest.to_hex(),
                proposer: proposer.to_hex(),
                proposer_name: proposal.as_ref().map_or_else(String::new, |p| p.proposer_name.as_str().to_owned()),
                kinds: proposal.as_ref().map(Proposal::kinds).unwrap_or_default(),
                summary: proposal.as_ref().map(Proposal::lines).unwrap_or_default(),
                note: proposal.as_ref().map_or_else(String::new, |proposal| proposal.note.as_str().to_owned()),
                expires: proposal.as_ref().and_then(|proposal| proposal.expires),
            };
            ("proposed", fields)
        }
        Event::Voted { id, member, choice, source: how } => {
            let ((source, rule), name) = (source(how), actor(member)?.0);
            ("voted", EventFields::Voted { id: *id, member: member.to_hex(), name, choice: *choice, source, rule })
        }
        Event::Closed { id, decision } => {
            let summary = after.proposal(*id)?.map(|proposal| proposal.lines()).unwrap_or_default();
            let decision = DecisionView::new(decision, as_of);
            ("closed", EventFields::Closed { id: *id, status: decision.status, summary, decision })
        }
        Event::ActorAdded { id } => ("actor_added", actor_fields(id, actor(id)?)),
        Event::ActorChanged { id } => ("actor_changed", actor_fields(id, actor(id)?)),
        Event::ActorRemoved { id } => ("actor_removed", actor_fields(id, actor(id)?)),
        Event::RuleSet { member, rule } => {
            ("rule_set", EventFields::Rule { member: member.to_hex(), name: actor(member)?.0, rule: rule.to_hex() })
        }
        Event::RuleRemoved { member, rule } => {
            ("rule_removed", EventFields::Rule { member: member.to_hex(), name: actor(member)?.0, rule: rule.to_hex() })
        }
    };
    Ok(EventView { name, txid: as_of.txid.to_string(), time: as_of.time.0, fields })
}

fn actor_fields(id: &ActorId, (name, role): (Option<String>, Option<Role>)) -> EventFields {
    EventFields::Actor { id: id.to_hex(), name, role }
}
