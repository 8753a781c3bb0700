//! Carrying out one governance request on the tables.
//!
//! [`execute`] is a function of the tables, the transaction's facts, the caller and the request, and of nothing else:
//! whoever has the ledger can call it again and must get the same write set, byte for byte. It is the only way in which
//! the tables change after genesis.
//!
//! A change of members or policies decides nothing by itself: open proposals are counted again, under the policies and
//! the members of then, when their next ballot comes. Otherwise one decision could set off a thousand others in one
//! transaction, and nobody could say beforehand what a vote does. A member whose ballot is in already can send it
//! again to have a proposal counted that has become decidable.

use std::collections::BTreeSet;

use synod_kv::{State, Tx, WriteSet};
use synod_types::{ActorId, Digest, Seqno, Time};

use crate::ballot::{vote, withdraw};
use crate::bounded::Blob;
use crate::decide::{close_expired, status_of};
use crate::entries::{ActorEntry, CrlEntry, Status};
use crate::event::Event;
use crate::identity::{Caller, check_crl, speaker};
use crate::limits::{CRL_BYTES_MAX, STATEMENT_BYTES_MAX};
use crate::macros::tagged;
use crate::propose::propose;
use crate::reason::Refused;
use crate::rules::{remove_rule, set_rule};
use crate::statement::{Body, StatementRefused, open};
use crate::tables::{ProposalId, REVOKED, Read, Tables};

/// The facts of the transaction that a request will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    /// The network.
    pub network: Digest,
    /// The transaction's seqno.
    pub seqno: Seqno,
    /// The ledger time.
    pub time: Time,
}

/// A signed statement, see [`crate::statement`].
pub type Statement = Blob<STATEMENT_BYTES_MAX>;

tagged! {
    /// What an actor asks for.
    pub enum Request {
        /// To consider a proposal: a signed [`crate::ProposalBody`].
        0 => Propose(Statement),
        /// To take a proposal back: a signed [`crate::WithdrawalBody`].
        1 => Withdraw(Statement),
        /// To count a ballot: a signed [`crate::BallotBody`].
        2 => Vote(Statement),
        /// To vote by a standing rule from now on: a signed [`crate::RuleBody`].
        3 => SetStandingRule(Statement),
        /// No longer to vote by a standing rule: a signed [`crate::RuleRemovalBody`].
        4 => RemoveStandingRule(Statement),
        /// To let leaves speak no longer: a revocation list, DER, signed with the actor's certificate.
        5 => Revoke(Blob<CRL_BYTES_MAX>),
        /// To close the proposals whose time is over. Every other request does so too, up to a number.
        6 => CloseExpired,
    }
}

impl Request {
    /// Whether this encoded request is one to let leaves speak no longer, if it is any.
    pub fn is_revocation(encoded: &[u8]) -> bool {
        encoded.first() == Some(&REVOKE)
    }
}

/// The first byte of [`Request::Revoke`].
const REVOKE: u8 = 5;

/// What a request did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it writes.
    pub writes: WriteSet,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The proposal that it was about.
    pub proposal: Option<ProposalId>,
    /// Where that proposal stands now.
    pub status: Option<Status>,
}

/// What a request works on.
pub(crate) struct Work<'s> {
    pub state: &'s State,
    pub env: &'s Env,
    pub tx: Tx<'s>,
    pub events: Vec<Event>,
}

impl Work<'_> {
    pub fn tables(&self) -> Tables<'_> {
        Tables(&self.tx)
    }
}

/// Carries `request` of `caller` out on the tables in `state`.
///
/// # Errors
/// Why it is refused. Nothing is to be written then.
pub fn execute(state: &State, env: &Env, caller: &Caller, request: &Request) -> Result<Outcome, Refused> {
    let mut work = Work { state, env, tx: Tx::new(state), events: Vec::new() };
    close_expired(&mut work)?;
    let proposal = match request {
        Request::Propose(statement) => Some(propose(&mut work, caller, statement)?),
        Request::Withdraw(statement) => Some(withdraw(&mut work, caller, statement)?),
        Request::Vote(statement) => Some(vote(&mut work, caller, statement)?),
        Request::SetStandingRule(statement) => done(set_rule(&mut work, caller, statement))?,
        Request::RemoveStandingRule(statement) => done(remove_rule(&mut work, caller, statement))?,
        Request::Revoke(crl) => done(revoke(&mut work, caller, crl))?,
        Request::CloseExpired if work.events.is_empty() => return Err(Refused::NothingExpired),
        Request::CloseExpired => None,
    };
    let status = match proposal {
        Some(id) => Some(status_of(&work, id)?),
        None => None,
    };
    Ok(Outcome { writes: work.tx.into_write_set(), events: work.events, proposal, status })
}

fn done(result: Result<(), Refused>) -> Result<Option<ProposalId>, Refused> {
    result.map(|()| None)
}

/// Reads a statement that `caller` submits and its own certificate signed.
pub(crate) fn signed<B: Body>(
    work: &Work<'_>,
    caller: &Caller,
    bytes: &[u8],
) -> Result<(B, ActorId, ActorEntry), Refused> {
    if work.tables().actor(&caller.actor)?.is_none() {
        return Err(Refused::NotAnActor { id: caller.actor });
    }
    let (body, statement) = open::<B>(bytes)?;
    let unsigned = &statement.unsigned;
    if unsigned.network != work.env.network {
        return Err(Refused::OtherNetwork);
    }
    let (actor, entry, leaf) = speaker(work.tables(), &unsigned.chain, work.env.time)??;
    let signature = unsigned.algorithm.verify(&leaf.spki, &unsigned.to_be_signed(), &statement.signature);
    signature.map_err(|_| StatementRefused::Signature)?;
    if actor != caller.actor {
        return Err(Refused::SignerIsNotCaller);
    }
    Ok((body, actor, entry))
}

/// As [`signed`], by a member.
pub(crate) fn signed_by_member<B: Body>(
    work: &Work<'_>,
    caller: &Caller,
    bytes: &[u8],
) -> Result<(B, ActorId, ActorEntry), Refused> {
    if !work.tables().is_member(&caller.actor)? {
        return Err(Refused::NotAMember { id: caller.actor });
    }
    signed(work, caller, bytes)
}

/// What the tables keep of a statement: enough to tell that one is at hand which the ledger has. All of it would let
/// the tables grow by a certificate chain with every ballot.
pub(crate) fn statement_digest(statement: &Statement) -> Blob<32> {
    Blob::new(synod_crypto::sha256(&[statement]).0.to_vec()).expect("a digest of this size")
}

fn revoke(work: &mut Work<'_>, caller: &Caller, crl: &Blob<CRL_BYTES_MAX>) -> Result<(), Refused> {
    let id = caller.actor;
    let entry = work.tables().actor(&id)?.ok_or(Refused::NotAnActor { id })?;
    let known = work.tables().revoked(&id)?;
    let number = check_crl(&entry, known.as_ref(), crl, work.env.time).map_err(|why| Refused::Crl { why })?;
    REVOKED.put(&mut work.tx, &id, &CrlEntry { number, der: crl.clone() });
    work.events.push(Event::ActorChanged { id });
    Ok(())
}

/// What happened to actors between two states of the tables.
pub(crate) struct ActorChanges {
    pub events: Vec<Event>,
    /// Those who are not there any more as who they were.
    pub gone: BTreeSet<ActorId>,
}

/// What happened to these actors.
pub(crate) fn actor_changes(touched: &BTreeSet<ActorId>, before: Tables<'_>, after: Tables<'_>) -> Read<ActorChanges> {
    let (mut removed, mut others, mut gone) = (Vec::new(), Vec::new(), BTreeSet::new());
    for id in touched {
        let id = *id;
        match (before.actor(&id)?, after.actor(&id)?) {
            (Some(_), None) => {
                gone.insert(id);
                removed.push(Event::ActorRemoved { id });
            }
            (None, Some(_)) => others.push(Event::ActorAdded { id }),
            (Some(old), Some(new)) if old != new => {
                // Who left and came back within one proposal is somebody else.
                if old.since != new.since {
                    gone.insert(id);
                }
                others.push(Event::ActorChanged { id });
            }
            _ => {}
        }
    }
    removed.append(&mut others);
    Ok(ActorChanges { events: removed, gone })
}
