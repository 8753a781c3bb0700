//! Readers: what any thread may see of the worker, without waiting for it.

use std::sync::{Arc, PoisonError, RwLock};

use synod_kv::State;
use synod_types::{AdapterId, Seqno};

use crate::settings::try_settings;
use crate::{Adapter, AdapterKit, AdapterSettings, Frontend, SettingsRefused, SetupError};

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
    adapters: Vec<AdapterKit>,
}

impl Reader {
    pub(crate) fn new(adapters: &[AdapterKit]) -> Self {
        Self { shared: Arc::new(Shared { latest: RwLock::default(), adapters: adapters.to_vec() }) }
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
        self.shared.adapters.get(usize::from(adapter.0)).map(|kit| &*kit.frontend)
    }

    /// The adapter of this name, as in a request's path.
    pub fn find(&self, name: &str) -> Option<AdapterId> {
        let place = self.shared.adapters.iter().position(|kit| kit.name == name)?;
        u8::try_from(place).ok().map(AdapterId)
    }

    /// Where each adapter stands with its settings, by its name, as far as that can be read.
    pub fn settings(&self) -> Vec<(&'static str, AdapterSettings)> {
        let state = &self.latest().state;
        let of = |kit: &AdapterKit| Some((kit.name, AdapterSettings::of(state, kit.name).ok()??));
        self.shared.adapters.iter().filter_map(of).collect()
    }

    /// What adapters refused of their settings, if it was what members decided last, by the adapters' names.
    pub fn refused_settings(&self) -> impl Iterator<Item = (&'static str, SettingsRefused)> + '_ {
        let latest = self.latest();
        let of = move |kit: &AdapterKit| Some((kit.name, AdapterSettings::refused(&latest.state, kit.name)?));
        self.shared.adapters.iter().filter_map(of)
    }

    /// Whether the adapter `name` would take these settings on the latest committed snapshot. Nothing comes of it. May take
    /// some tens of milliseconds.
    ///
    /// # Errors
    /// If it would not. Of an adapter that there is not, nobody can tell.
    pub fn try_settings(&self, name: &str, settings: &[u8]) -> Result<(), SetupError> {
        let Some(kit) = self.shared.adapters.iter().find(|kit| kit.name == name) else { return Ok(()) };
        let mut adapter: Box<dyn Adapter> = (kit.adapter)();
        try_settings((kit.name, &mut *adapter), &self.latest().state, settings).map(drop)
    }
}
