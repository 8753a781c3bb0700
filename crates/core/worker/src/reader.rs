//! Readers: what any thread may see of the worker, without waiting for it.

use std::sync::{Arc, PoisonError, RwLock};

use synod_kv::State;
use synod_types::{AdapterId, Seqno};

use crate::{AdapterKit, Frontend};

/// A committed snapshot. It never changes; the next commit publishes another.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The last seqno whose writes it holds.
    pub seqno: Seqno,
    /// The maps.
    pub state: State,
}

/// Reaches the latest committed snapshot and the adapters' frontends from any thread.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

struct Shared {
    /// Held for as long as it takes to copy or replace one pointer.
    latest: RwLock<Arc<Committed>>,
    frontends: Vec<(&'static str, Arc<dyn Frontend>)>,
}

impl Reader {
    pub(crate) fn new(adapters: &[AdapterKit]) -> Self {
        let frontends = adapters.iter().map(|kit| (kit.name, Arc::clone(&kit.frontend))).collect();
        Self { shared: Arc::new(Shared { latest: RwLock::default(), frontends }) }
    }

    pub(crate) fn publish(&self, committed: Committed) {
        let committed = Arc::new(committed);
        let before = {
            // Poisoning cannot leave a pointer half-written.
            let mut latest = self.shared.latest.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *latest, committed)
        };
        // Outside the lock: whoever holds the last reference frees the nodes that only this snapshot had.
        drop(before);
    }

    /// The latest committed snapshot.
    pub fn latest(&self) -> Arc<Committed> {
        Arc::clone(&self.shared.latest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The frontend of an adapter, if there is such an adapter.
    pub fn frontend(&self, adapter: AdapterId) -> Option<&dyn Frontend> {
        self.shared.frontends.get(usize::from(adapter.0)).map(|(_, frontend)| &**frontend)
    }

    /// The adapter of this name, as in a request's path.
    pub fn find(&self, name: &str) -> Option<AdapterId> {
        let place = self.shared.frontends.iter().position(|(known, _)| *known == name)?;
        u8::try_from(place).ok().map(AdapterId)
    }
}
