//! Who took part, entry by entry: what members decide takes effect exactly at its transaction.

use std::collections::BTreeSet;

use synod_ledger::{BlockKind, GovernancePublic, SealedBlock, check_genesis};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::{Configuration, ConfigurationChange, Decode, NodeId};

use super::{Checked, Violation, violated};

/// Checks the committed entries: nobody takes part at a transaction, and nobody signs one, who is not listed at it.
/// Returns who is listed after the last, and who takes part.
///
/// # Errors
/// The first transaction at which somebody does.
pub fn check(committed: &[LogRecord]) -> Checked<(BTreeSet<NodeId>, Configuration)> {
    let (mut listed, mut configuration) = (BTreeSet::new(), Configuration::default());
    for record in committed {
        let seen = |what: String| format!("entry {}: {what}", record.index);
        let unreadable = |error| Violation { claim: "committed entries can be read", seen: seen(format!("{error}")) };
        match record.kind {
            EntryKind::Engine => continue,
            EntryKind::Configuration => {
                let change = ConfigurationChange::from_bytes(&record.payload).map_err(unreadable)?;
                let Some(next) = configuration.after(change) else {
                    return violated("who takes part changes by steps", seen(change.to_string()));
                };
                configuration = next;
                continue;
            }
            EntryKind::Block => {}
        }
        let block = SealedBlock::from_shared(&record.payload).map_err(unreadable)?;
        match block.header.kind {
            BlockKind::Genesis => {
                let (public, _) = check_genesis(&block)
                    .map_err(|error| Violation { claim: "the ledger begins with genesis", seen: error.to_string() })?;
                listed = public.keys.nodes.into_keys().collect();
                configuration = Configuration::of(listed.iter().copied());
            }
            BlockKind::ViewStart => {}
            BlockKind::Application | BlockKind::Governance => {
                let mut members = configuration.members().chain([block.header.signer]);
                if let Some(node) = members.find(|node| !listed.contains(node)) {
                    let what = seen(format!("node {node} takes part at seqno {}", block.header.first_seqno));
                    return violated("a removal takes effect exactly at its transaction", what);
                }
            }
        }
        if block.header.kind == BlockKind::Governance {
            let public = GovernancePublic::from_bytes(&block.public).map_err(unreadable)?;
            listed = public.nodes.map_or(listed, |nodes| nodes.into_keys().collect());
        }
    }
    Ok((listed, configuration))
}
