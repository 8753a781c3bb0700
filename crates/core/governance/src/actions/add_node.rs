//! Adds a node.

use synod_crypto::VerifyingKey;
use synod_kv::Tx;
use synod_types::{ActorId, NodeId, limits::NODES_MAX};

use super::{ActionKind, Rule, Scene};
use crate::entries::NodeEntry;
use crate::execute::Env;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{NODES, NODES_LAST, Read, Tables};

/// Adds a node in the next slot; slots are not used twice.
pub type AddNode = NodeEntry;

impl Rule for AddNode {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        let count = scene.tables.nodes()?.len() + 1;
        if count > NODES_MAX {
            reasons.push(Reason::NodeCount { count });
        }
        check_node(self, None, scene, reasons)
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let slot = NODES_LAST.get(tx, &())?.unwrap_or(0) + 1;
        NODES_LAST.put(tx, &(), &slot);
        NODES.put(tx, &NodeId(slot), self);
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        format!("add node {:?} of {} at {}", self.name.as_str(), self.owner, self.address)
    }

    fn subject(&self, _tables: Tables<'_>) -> Read<Subject> {
        Ok(subject(self, true))
    }

    fn is_about(&self, actor: &ActorId, _tables: Tables<'_>) -> Read<bool> {
        Ok(self.owner == *actor)
    }
}

/// Adds every reason against `node` in the node list, where it is to lie in the slot `slot` if that is taken now.
pub(crate) fn check_node(
    node: &NodeEntry,
    slot: Option<NodeId>,
    scene: &Scene<'_>,
    reasons: &mut Vec<Reason>,
) -> Read<()> {
    if VerifyingKey::from_spki_der(&node.public_key).is_err() {
        reasons.push(Reason::NodeKeyRefused { name: node.name.clone() });
    }
    if scene.tables.actor(&node.owner)?.is_none() {
        reasons.push(Reason::NoSuchActor { role: "actor", id: node.owner });
    }
    for (id, other) in scene.tables.nodes()?.into_iter().filter(|(id, _)| Some(*id) != slot) {
        if other.name == node.name {
            reasons.push(Reason::NameTaken { name: node.name.clone() });
        }
        if other.public_key == node.public_key {
            reasons.push(Reason::NodeTaken { node: id, what: "key" });
        }
        if other.address == node.address {
            reasons.push(Reason::NodeTaken { node: id, what: "address" });
        }
    }
    if let Some(code) = &node.code
        && !scene.tables.is_code_approved(code)?
    {
        reasons.push(Reason::CodeNotApproved { name: node.name.clone() });
    }
    if let Some(platform) = node.platform
        && !scene.tables.tee_rule(platform)?.is_some_and(|rule| rule.allowed)
    {
        reasons.push(Reason::PlatformNotAllowed { name: node.name.clone(), platform });
    }
    Ok(())
}

pub(super) fn subject(node: &NodeEntry, adds_node: bool) -> Subject {
    Subject {
        owner: Some(node.owner),
        taken_from: None,
        adds_node,
        code: node.code.clone(),
        platform: node.platform,
        name: Some(node.name.clone()),
        host: Some(node.address.host().to_owned()),
    }
}
