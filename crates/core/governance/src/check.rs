//! What must hold of the constitution as a whole: looked at after all actions of a proposal, and of genesis.

use std::collections::BTreeMap;

use synod_types::NodeId;
use synod_types::limits::{BLOCK_TRANSACTIONS_MAX, NODES_MAX};

use crate::actions::key_name;
use crate::entries::{Durability, NodeEntry, Quorums, Rules, Settings};
use crate::limits::{BLOCK_DELAY_US_MAX, BLOCKS_UNCOMMITTED_MAX, PERIOD_SECONDS_MAX};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::tables::{POLICIES, Read, Tables};

/// Every reason against these tables.
pub(crate) fn check(tables: Tables<'_>) -> Read<Vec<Reason>> {
    let mut reasons = Vec::new();
    check_policies(tables, &mut reasons)?;
    check_nodes(tables, &mut reasons)?;
    check_settings(&tables.settings()?, &mut reasons);
    Ok(reasons)
}

/// Whether consensus could go on if none of the nodes came that the list names and did not name before, or names under
/// another key: then, whatever is wrong with them, members can decide something else.
///
/// A majority of the nodes before must stay as they are: any of them may be the ones that are up. Of two both are up, as
/// otherwise nothing is decided, so that one may go. And those that stay as they are must be a majority of those that
/// stay, since a node with another key goes on counting.
pub(crate) fn check_kept(before: &BTreeMap<NodeId, NodeEntry>, after: &BTreeMap<NodeId, NodeEntry>) -> Option<Reason> {
    let stay = before.iter().filter_map(|(slot, node)| Some((node, after.get(slot)?)));
    let (count, kept) = stay
        .fold((0, 0), |(count, kept), (node, now)| (count + 1, kept + usize::from(node.public_key == now.public_key)));
    let is_enough = (2 * kept > before.len() || (before.len() == 2 && kept == 1)) && 2 * kept > count;
    (!is_enough).then_some(Reason::TooFewNodesStay { kept, before: before.len() })
}

fn check_policies(tables: Tables<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
    let members: Vec<_> = tables.members()?.into_keys().collect();
    if members.is_empty() {
        reasons.push(Reason::NoMember);
        return Ok(());
    }
    let mut check = |key: u8, policy: &Policy| {
        if let Err(why) = policy.check() {
            reasons.push(Reason::PolicyMalformed { of: key_name(key), why });
        } else if !policy.is_reachable(members.iter().copied()) {
            let policy = policy.to_string();
            reasons.push(Reason::PolicyUnreachable { of: key_name(key), policy, members: members.len() });
        }
    };
    for entry in POLICIES.range(tables.0, ..) {
        let (key, policy) = entry?;
        check(key, &policy);
    }
    Ok(())
}

fn check_nodes(tables: Tables<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
    let nodes = tables.nodes()?;
    if !(1..=NODES_MAX).contains(&nodes.len()) {
        reasons.push(Reason::NodeCount { count: nodes.len() });
    }
    for (slot, node) in &nodes {
        if tables.actor(&node.owner)?.is_none() {
            reasons.push(Reason::NodeWithoutOwner { node: *slot, name: node.name.clone(), owner: node.owner });
        }
    }
    if let Quorums::Sizes { commit, election } = tables.settings()?.quorums {
        reasons.extend(check_quorums(commit, election, nodes.len()));
    }
    Ok(())
}

/// Any quorum that elects must meet any that commits: Flexible Paxos (Howard et al., 2016), section 3.
fn check_quorums(commit: u32, election: u32, nodes: usize) -> Option<Reason> {
    let fits = |size: u32| (1..=nodes).contains(&(size as usize));
    if !fits(commit) || !fits(election) || commit as usize + election as usize <= nodes {
        return Some(Reason::QuorumsDoNotMeet { commit, election, nodes });
    }
    let majority = nodes / 2 + 1;
    (commit as usize != majority || election as usize != majority).then_some(Reason::QuorumsNotSupported {
        commit,
        election,
        nodes,
    })
}

fn check_settings(settings: &Settings, reasons: &mut Vec<Reason>) {
    let Rules { block_calls_max, block_delay_us, blocks_uncommitted_max } = settings.rules;
    let mut within = |what, value: u64, min: u64, max: u64| {
        if !(min..=max).contains(&value) {
            reasons.push(Reason::RuleOutOfRange { what, value, range: format!("{min} to {max}") });
        }
    };
    within("block_calls_max", block_calls_max.into(), 1, BLOCK_TRANSACTIONS_MAX as u64);
    within("block_delay_us", block_delay_us, 0, BLOCK_DELAY_US_MAX);
    within("blocks_uncommitted_max", blocks_uncommitted_max.into(), 1, BLOCKS_UNCOMMITTED_MAX.into());
    let periods = [
        ("the length of an epoch", Some(settings.epochs.length_seconds)),
        ("the lifetime of session keys", Some(settings.epochs.key_lifetime_seconds)),
        ("the nodes' lease", settings.lease_seconds),
        ("the proposals' expiry", settings.proposal_expiry_seconds),
    ];
    for (what, seconds) in periods {
        if let Some(seconds) = seconds.filter(|seconds| !(1..=PERIOD_SECONDS_MAX).contains(seconds)) {
            reasons.push(Reason::PeriodOutOfRange { what, seconds });
        }
    }
    if settings.durability == Durability::Replicated {
        reasons.push(Reason::DurabilityNotSupported);
    }
}

#[cfg(test)]
mod tests {
    use crate::bounded::{Blob, Name};
    use crate::entries::Address;

    use super::*;

    /// How many nodes there were, those that there would be, and whether that may be.
    type Row = (usize, &'static [(u64, u8)], bool);

    /// Nodes by slot and the number of their key.
    fn nodes(keys: &[(u64, u8)]) -> BTreeMap<NodeId, NodeEntry> {
        let node = |key: u8| NodeEntry {
            name: Name::new("node").expect("a name"),
            owner: synod_types::ActorId([1; 32]),
            public_key: Blob::new(vec![key]).expect("short"),
            address: Address::new("127.0.0.1:7000").expect("an address"),
            code: None,
            platform: None,
        };
        keys.iter().map(|(slot, key)| (NodeId(*slot), node(*key))).collect()
    }

    #[test]
    fn a_majority_of_the_nodes_stays_under_its_keys() {
        let own: Vec<_> = (1..=9).map(|slot| (u64::from(slot), slot)).collect();
        let rows: &[Row] = &[
            (1, &[(1, 1), (2, 2), (3, 3)], true),
            (1, &[(2, 2)], false),
            (1, &[(1, 9)], false),
            (1, &[(1, 9), (2, 2)], false),
            (2, &[(2, 2)], true),
            (2, &[(1, 1), (3, 3)], true),
            (2, &[(1, 1), (2, 9)], false),
            (2, &[(3, 3), (4, 4)], false),
            (3, &[(2, 2), (3, 3)], true),
            (3, &[(2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)], true),
            (3, &[(1, 9), (2, 2), (3, 3)], true),
            (3, &[(2, 9), (3, 3)], false),
            (3, &[(3, 3), (4, 4)], false),
            (3, &[(1, 1), (2, 9), (3, 9)], false),
            (4, &[(1, 1), (2, 2), (3, 3)], true),
            (4, &[(1, 1), (2, 2), (5, 5)], false),
            (5, &[(1, 1), (2, 2), (3, 3), (4, 9), (5, 9)], true),
        ];
        for (before, after, may) in rows {
            let reason = check_kept(&nodes(&own[..*before]), &nodes(after));
            assert_eq!(reason.is_none(), *may, "{before} to {after:?}: {reason:?}");
        }
    }
}
