//! What must hold of the constitution as a whole: looked at after all actions of a proposal, and of genesis.

use synod_types::limits::{BLOCK_TRANSACTIONS_MAX, NODES_MAX};

use crate::actions::key_name;
use crate::entries::{Durability, Quorums, Rules, Settings};
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
