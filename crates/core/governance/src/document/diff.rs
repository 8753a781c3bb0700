//! What a proposal would change.

use std::collections::BTreeMap;

use synod_kv::{State, Tx};

use super::write::short;
use crate::actions::{Action, PolicyKey};
use crate::constitution::Constitution;
use crate::decide::carry_out;
use crate::entries::Pins;
use crate::execute::Env;
use crate::reason::ActionReason;
use crate::tables::Read;

/// One difference between two constitutions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// What it is about, as in `member "Alpha"` or `policy add_member`.
    pub what: String,
    /// What it was; `None` if it was not there, or had its default.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(before) = &self.before {
            write!(f, "- {}: {before}", self.what)?;
        }
        if self.before.is_some() && self.after.is_some() {
            f.write_str("\n")?;
        }
        match &self.after {
            Some(after) => write!(f, "+ {}: {after}", self.what),
            None => Ok(()),
        }
    }
}

/// What differs between two constitutions, each thing once. Names are escaped.
pub fn diff(before: &Constitution, after: &Constitution) -> Vec<Change> {
    let (mut old, new) = (facts(before), facts(after));
    let mut changes = Vec::new();
    for (what, after) in new {
        match old.remove(&what) {
            Some(before) if before == after => {}
            before => changes.push(Change { what, before, after: Some(after) }),
        }
    }
    changes.extend(old.into_iter().map(|(what, before)| Change { what, before: Some(before), after: None }));
    changes.sort_by(|a, b| a.what.cmp(&b.what));
    changes
}

/// What carrying these actions out would change, or every reason against it. Nothing is written.
///
/// # Errors
/// If another version of the code wrote the tables.
pub fn dry_run(state: &State, env: &Env, actions: &[Action]) -> Read<Result<Vec<Change>, Vec<ActionReason>>> {
    let mut tx = Tx::new(state);
    let reasons = carry_out(&mut tx, env, actions)?;
    if !reasons.is_empty() {
        return Ok(Err(reasons));
    }
    let (before, after) = (Constitution::from_state(state)?, Constitution::from_state(&tx)?);
    Ok(Ok(before.zip(after).map(|(before, after)| diff(&before, &after)).unwrap_or_default()))
}

/// Everything that a constitution says, each thing under a name of its own.
fn facts(constitution: &Constitution) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut add = |what: String, value: String| drop(facts.insert(what, value));
    add(
        "network".into(),
        format!("{:?}, administration {}", constitution.network.name.as_str(), short(&constitution.network.admin)),
    );
    for (role, actor) in &constitution.actors {
        let id = actor.certificate.actor_id().map_or_else(String::new, |id| id.to_hex());
        let certificate = synod_crypto::sha256(&[actor.certificate.as_slice()]);
        let pins = if actor.pins == Pins::default() { String::new() } else { format!(", pins {}", short(&actor.pins)) };
        add(format!("{role} {:?}", actor.name.as_str()), format!("key {id}, certificate {certificate}{pins}"));
    }
    let names = constitution.names();
    for (slot, node) in &constitution.nodes {
        let owner = names.get(&node.owner).map_or_else(|| node.owner.to_hex(), |name| format!("{name:?}"));
        let key = synod_crypto::sha256(&[&node.public_key]);
        let code = node.code.as_ref().map_or_else(String::new, |code| format!(", code {}", code.to_hex()));
        let platform = node.platform.map_or_else(String::new, |platform| format!(", platform {}", short(&platform)));
        let name = node.name.as_str();
        add(format!("node {slot}"), format!("{name:?} of {owner} at {}, key {key}{code}{platform}", node.address));
    }
    for adapter in &constitution.adapters {
        let digest = synod_crypto::sha256(&[&adapter.settings]);
        add(
            format!("adapter {:?}", adapter.name.as_str()),
            format!("{} bytes, SHA-256 {digest}", adapter.settings.len()),
        );
    }
    for (measurement, entry) in &constitution.code {
        let [framework, adapter, version] =
            [&entry.framework, &entry.adapter, &entry.adapter_version].map(|name| format!("{:?}", name.as_str()));
        let text = format!(
            "{}, framework {framework}, adapter {adapter} {version}, commit {}",
            short(&entry.verdict),
            entry.source_commit.to_hex()
        );
        add(format!("code {}", measurement.to_hex()), text);
    }
    for release in &constitution.releases {
        add(
            format!("releases of {:?} by {}", release.product.as_str(), release.key),
            format!("from {} on", release.svn_min),
        );
    }
    for (platform, rule) in &constitution.tees {
        add(format!("platform {}", short(platform)), short(rule));
    }
    for (key, policy) in &constitution.policies {
        let key = match key {
            PolicyKey::Default => "default",
            PolicyKey::Kind(kind) => kind.name(),
        };
        add(format!("policy {key}"), policy.to_string());
    }
    for (kind, proposers) in &constitution.proposers {
        add(format!("proposers of {kind}"), short(proposers));
    }
    for (kind, limit) in &constitution.auto_votes {
        add(format!("automatic votes on {kind}"), short(limit));
    }
    let mut setting = |what: &str, value: Option<String>| value.map_or((), |value| add(what.into(), value));
    setting("rules for blocks", constitution.rules.map(|value| short(&value)));
    setting("epochs", constitution.epochs.map(|value| short(&value)));
    setting("quorums", constitution.quorums.map(|value| short(&value)));
    setting("durability", constitution.durability.map(|value| short(&value)));
    setting("nodes' lease", constitution.lease_seconds.map(|seconds| format!("{seconds} s")));
    setting("proposals' expiry", constitution.proposal_expiry_seconds.map(|seconds| format!("{seconds} s")));
    setting("service identity", Some(format!("{} rotations", constitution.service.rotations)));
    for auditor in &constitution.auditors {
        let key = auditor.certificate.actor_id().map_or_else(String::new, |id| id.to_hex());
        add(format!("auditor {key}"), format!("{:?} reads {}", auditor.name.as_str(), short(&auditor.part)));
    }
    facts
}
