//! An adapter whose settings change.

use std::ops::Bound;

use synod_kv::{Lookup, MapName, Tx};
use synod_types::NodeId;
use synod_worker::{Adapter, AdapterKit, AdapterSettings, CallContext, Reply, SetupError};

use super::Cluster;

/// The adapter `log` with settings that change: what they are and how often they did is in a map of its own. Those that
/// begin with `no` are refused.
pub fn kit() -> AdapterKit {
    AdapterKit { adapter: || Box::new(Settable((synod_log::kit().adapter)())), ..synod_log::kit() }
}

struct Settable(Box<dyn Adapter>);

const SETTINGS: MapName = MapName::from_static("log.settings");

impl Adapter for Settable {
    fn genesis(&mut self, tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), SetupError> {
        self.0.genesis(tx, settings)
    }

    fn configure(&mut self, tx: &mut Tx<'_>, old: &[u8], new: &[u8]) -> Result<(), SetupError> {
        if new.starts_with(b"no") {
            return Err(SetupError { adapter: "log", reason: "it says no".into() });
        }
        let changes = tx.range(&SETTINGS, (Bound::Unbounded, Bound::Unbounded)).count() as u64;
        tx.put(&SETTINGS, changes.to_be_bytes(), [old, b" -> ", new].concat());
        Ok(())
    }

    fn execute(&mut self, tx: &mut Tx<'_>, context: &CallContext<'_>, input: &[u8]) -> Reply {
        self.0.execute(tx, context, input)
    }
}

impl Cluster {
    /// Where the adapter stands with its settings as committed at a node, and the changes that it has seen.
    pub fn settings(&self, node: NodeId) -> (AdapterSettings, Vec<String>) {
        let reader = self.machines[&node].worker.reader();
        let state = &reader.latest().state;
        let changes = state.range(&SETTINGS, (Bound::Unbounded, Bound::Unbounded));
        let changes = changes.map(|(_, value)| String::from_utf8(value.to_bytes().to_vec()).unwrap()).collect();
        (reader.settings().remove(0).1, changes)
    }
}
