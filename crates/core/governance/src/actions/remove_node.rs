//! Removes a node.

use synod_kv::Tx;
use synod_types::{ActorId, NodeId};

use super::{ActionKind, Rule, Scene};
use crate::execute::Env;
use crate::macros::record;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{NODES, Read, Tables};

record! {
    /// Removes a node.
    pub struct RemoveNode {
        /// Its slot.
        #[serde(with = "crate::shape::node")]
        pub node: NodeId,
    }
}

impl Rule for RemoveNode {
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()> {
        if scene.tables.node(self.node)?.is_none() {
            reasons.push(Reason::NoSuchNode { node: self.node });
        }
        Ok(())
    }

    fn apply(&self, _kind: ActionKind, _env: &Env, tx: &mut Tx<'_>) -> Read<()> {
        NODES.remove(tx, &self.node);
        Ok(())
    }

    fn summary(&self, _kind: ActionKind) -> String {
        format!("remove node {}", self.node)
    }

    fn subject(&self, tables: Tables<'_>) -> Read<Subject> {
        let node = tables.node(self.node)?;
        Ok(Subject { owner: node.map(|node| node.owner), ..Subject::default() })
    }

    fn is_about(&self, actor: &ActorId, tables: Tables<'_>) -> Read<bool> {
        Ok(tables.node(self.node)?.is_some_and(|node| node.owner == *actor))
    }
}
