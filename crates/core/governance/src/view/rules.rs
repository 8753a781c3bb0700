//! A member's standing rules.

use serde::Serialize;
use synod_types::ActorId;

use super::AsOf;
use crate::standing::StandingRule;
use crate::tables::{Read, Tables};

/// The standing rules of a member.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct RuleList {
    /// The network.
    pub network: String,
    /// The transaction as of which this holds.
    pub txid: String,
    /// The highest counter of the member's statements on standing rules: the next has to be above.
    pub counter: u64,
    /// The rules, by their digests.
    pub rules: Vec<RuleView>,
}

/// One standing rule.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// What ballots and removals name.
    pub digest: String,
    /// The rule.
    pub rule: StandingRule,
    /// The transaction that registered it.
    pub txid: Option<String>,
}

/// The standing rules of `member`; none if it is no member.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn rules(tables: Tables<'_>, as_of: &AsOf<'_>, member: &ActorId) -> Read<RuleList> {
    let rules = tables.standing_rules_of(member)?.into_iter().map(|(digest, record)| RuleView {
        digest: digest.to_hex(),
        rule: record.rule,
        txid: as_of.txid_text(record.seqno),
    });
    Ok(RuleList {
        network: as_of.network.to_hex(),
        txid: as_of.txid.to_string(),
        counter: tables.standing_counter(member)?,
        rules: rules.collect(),
    })
}
