//! Governance: the constitution, the actors, proposals, ballots and policies.
//!
//! The constitution is data in tables named `gov.*`, readable in one sitting. It changes only by proposals that
//! members vote on; each proposal, ballot and decision is a transaction of its own in the ledger's administrative part.
//!
//! ```text
//! Request ──▶ execute(state, env, caller) ──▶ Outcome { writes, events } or Refused
//! ```
//!
//! [`execute()`] is a function: no clock, no randomness, nothing but the tables and its arguments. Whoever may read the
//! ledger calls it again on each request and must get the same write sets; that is what an audit is.
//!
//! Where to begin reading: [`Policy`] (which ballots accept), the `actions` folder (what a proposal can do),
//! `decide` (what happens when a ballot comes in), [`statement`] (what is signed), [`identity`] (who speaks for whom),
//! [`view`] (what people and programs are shown).

mod actions;
mod ballot;
pub mod bounded;
mod check;
mod constitution;
mod decide;
pub mod document;
pub mod entries;
mod event;
mod execute;
mod facts;
pub mod format;
pub mod identity;
mod level;
pub mod limits;
mod macros;
mod policy;
mod propose;
mod reason;
mod rules;
mod shape;
mod shared;
mod standing;
pub mod statement;
mod tables;
mod tally;
mod text;
pub mod view;

pub use actions::*;
pub use constitution::{Constitution, Flaw, Place};
pub use entries::{ActorEntry, NodeEntry, Pins, Role, Rules, Settings, Status};
pub use event::Event;
pub use execute::{Env, Outcome, Request, Statement, execute};
pub use identity::{Caller, Grounds, IdentityRefused, LastChange, identify};
pub use policy::{Members, Policy, PolicyRefused, Verdict};
pub use reason::{ActionReason, Reason, Refused};
pub use shared::Shared;
pub use standing::{Condition, Predicate, RuleRefused, StandingRule, Subject};
pub use statement::{BallotBody, ProposalBody, RuleBody, RuleRemovalBody, StatementRefused, WithdrawalBody};
pub use tables::{ProposalId, Read, Tables, settings_decided};
pub use tally::{Choice, Tally};
