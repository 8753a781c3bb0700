//! Who may ask for anything: the actors of the network, as the sessions see them.
//!
//! The table is replaced as a whole: by whoever applies committed governance, so at the start by
//! the replay of the ledger, and later by the manager with each committed change of actors, before
//! that change is answered. A session looks its actor up when it begins, and again for each
//! request, since the kind of an actor may change; [`Actors::gone`] ends the session of an actor
//! that is no longer there. What an actor may write is decided once more when a write is ordered.

use std::collections::HashMap;

use synod_types::ActorId;
use synod_worker::ActorFacts;
use tokio::sync::watch;

/// The actors that are served. Shared between threads.
#[derive(Default)]
pub struct Actors(watch::Sender<HashMap<ActorId, ActorFacts>>);

impl Actors {
    /// From now on these actors and no others are served.
    pub fn replace(&self, actors: impl IntoIterator<Item = ActorFacts>) {
        self.0.send_replace(actors.into_iter().map(|facts| (facts.id, facts)).collect());
    }

    /// What is known of `actor`, if it is served.
    pub fn find(&self, actor: ActorId) -> Option<ActorFacts> {
        self.0.borrow().get(&actor).copied()
    }

    /// Returns once `actor` is not served (any more).
    pub async fn gone(&self, actor: ActorId) {
        let mut table = self.0.subscribe();
        // It fails only when the table has been dropped, and then nobody is served.
        let _ = table.wait_for(|table| !table.contains_key(&actor)).await;
    }
}

#[cfg(test)]
mod tests {
    use synod_worker::ActorKind;

    use super::*;
    use crate::testing::settle;

    #[tokio::test]
    async fn an_actor_is_gone_when_a_table_comes_that_does_not_name_it() {
        let [one, two] = [1, 2].map(|byte| ActorId([byte; 32]));
        let facts = |id, kind| ActorFacts { id, kind };
        let actors = std::sync::Arc::<Actors>::default();
        actors.gone(one).await;
        actors.replace([facts(one, ActorKind::Participant), facts(two, ActorKind::Participant)]);
        let watched = std::sync::Arc::clone(&actors);
        let waiting = tokio::spawn(async move { watched.gone(one).await });
        settle().await;
        actors.replace([facts(one, ActorKind::Member)]);
        settle().await;
        assert!(!waiting.is_finished(), "another kind of actor is an actor");
        assert_eq!(actors.find(one).map(|facts| facts.kind), Some(ActorKind::Member));
        assert_eq!(actors.find(two), None);
        actors.replace([]);
        waiting.await.unwrap();
    }
}
