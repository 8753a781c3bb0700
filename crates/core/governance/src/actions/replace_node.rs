//! Changes what is said of a node.

use synod_kv::Tx;
use synod_types::{ActorId, NodeId};

use super::add_node::{check_node, subject};
use super::{ActionKind, Rule, Scene};
use crate::bounded::{Blob, Name};
use crate::document::short;
use crate::entries::{Address, Measurement, NodeEntry, Platform};
use crate::execute::Env;
use crate::limits::PUBLIC_KEY_BYTES_MAX;
use crate::macros::record;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{NODES, Read, Tables};

record! {
    /// Replaces what is said of a node; what is left out stays.
    pub struct ReplaceNode {
        /// Its slot.
        #[serde(with = "crate::shape::node")]
        pub node: NodeId,
        /// Its new name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub name: Option<Name>,
        /// Its new owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub owner: Option<Owner>,
        /// Its new key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub public_key: Option<Blob<PUBLIC_KEY_BYTES_MAX>>,
        /// Its new address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub address: Option<Address>,
        /// The code that it is to run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub code: Option<Measurement>,
        /// The platform that it is to run on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub platform: Option<Platform>,
    }
}

/// An actor's id that may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Owner(#[serde(with = "crate::shape::actor")] pub ActorId);

impl synod_types::Encode for Owner {
    fn encode(&self, out: &mut synod_types::Encoder) {
        self.0.encode(out);
    }
}

impl synod_types::Decode for Owner {
    fn decode(input: &mut synod_types::Decoder<'_>) -> Result<Self, synod_types::DecodeError> {
        ActorId::decode(input).map(Self)
    }
}

impl ReplaceNode {
    fn entry(&self, old: &NodeEntry) -> NodeEntry {
        NodeEntry {
            name: self.name.clone().unwrap_or_else(|| old.name.clone()),
            owner: self.owner.map_or(old.owner, |owner| owner.0),
            public_key: self.public_key.clone().unwrap_or_else(|| old.public_key.clone()),
            address: self.address.clone().unwrap_or_else(|| old.address.clone()),
            code: self.code.clone().or_else(|| old.code.clone()),
            platform: self.platform.or(old.platform),
        }
    }
}

impl Rule for ReplaceNode {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        let Some(old) = scene.tables.node(self.node)? else {
            reasons.push(Reason::NoSuchNode { node: self.node });
            return Ok(());
        };
        let new = self.entry(&old);
        if new == old {
            reasons.push(Reason::NothingChanges);
        }
        check_node(&new, Some(self.node), scene, reasons)
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        let old = Tables(tx).node(self.node)?.expect("checked: there is this node");
        NODES.put(tx, &self.node, &self.entry(&old));
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        let mut text = format!("replace node {}", self.node);
        let mut add = |what: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!(": {what} {value}"));
            }
        };
        add("name", self.name.as_ref().map(|name| format!("{:?}", name.as_str())));
        add("owner", self.owner.map(|owner| owner.0.to_hex()));
        add("key", self.public_key.as_ref().map(|key| synod_crypto::sha256(&[key]).to_hex()));
        add("address", self.address.as_ref().map(ToString::to_string));
        add("code", self.code.as_ref().map(|code| code.to_hex()));
        add("platform", self.platform.as_ref().map(short));
        text
    }

    fn subject(&self, tables: Tables<'_>) -> Read<Subject> {
        Ok(match tables.node(self.node)? {
            Some(old) => {
                let new = self.entry(&old);
                let taken_from = (new.owner != old.owner).then_some(old.owner);
                Subject { taken_from, ..subject(&new, taken_from.is_some()) }
            }
            None => Subject::default(),
        })
    }

    fn is_about(&self, actor: &ActorId, tables: Tables<'_>) -> Read<bool> {
        let is_owner = tables.node(self.node)?.is_some_and(|node| node.owner == *actor);
        Ok(is_owner && self.owner.is_none_or(|owner| owner.0 == *actor))
    }
}
