//! Who may ask for anything: the actors of the network, as the sessions see them.
//!
//! The table is replaced as a whole: by whoever applies committed governance, so at the start by
//! the replay of the ledger, and later by the manager with each committed change of actors, before
//! that change is answered. A session looks its actor up for each request, since the kind of an actor may change;
//! when a session ends with its actor is the business of [`crate::identity`]. What an actor may write is decided once
//! more when a write is ordered.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use synod_types::ActorId;
use synod_worker::ActorFacts;

/// The actors that are served. Shared between threads.
#[derive(Default)]
pub struct Actors(RwLock<HashMap<ActorId, ActorFacts>>);

impl Actors {
    /// From now on these actors and no others are served.
    pub fn replace(&self, actors: impl IntoIterator<Item = ActorFacts>) {
        let actors = actors.into_iter().map(|facts| (facts.id, facts)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = actors;
    }

    /// What is known of `actor`, if it is served.
    pub fn find(&self, actor: ActorId) -> Option<ActorFacts> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&actor).copied()
    }
}
