//! Room for large bodies, over all connections, with a share for each actor.
//!
//! It is taken before a body comes in, and given back when nobody holds the body any more: also if it waits for a thread.
//! In the same way reads that wait for a thread are counted, each as one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use synod_types::ActorId;

/// Room for so many bytes.
#[derive(Debug)]
pub struct Bodies {
    bytes_max: usize,
    per_actor_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    /// No entry is 0.
    actors: HashMap<ActorId, usize>,
}

/// Room that a body has, until this is dropped.
#[derive(Debug)]
pub struct Room {
    bodies: Arc<Bodies>,
    actor: ActorId,
    bytes: usize,
}

impl Bodies {
    /// Room that nobody has taken.
    pub fn new(bytes_max: usize, per_actor_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, per_actor_max, taken: Mutex::default() })
    }

    /// Takes room for a body of `actor`, if there is any and it is within the actor's share.
    pub fn take(self: &Arc<Self>, actor: ActorId, bytes: usize) -> Option<Room> {
        let mut taken = self.lock();
        let share = taken.actors.get(&actor).copied().unwrap_or(0).checked_add(bytes)?;
        let all = taken.bytes.checked_add(bytes)?;
        if bytes == 0 || share > self.per_actor_max || all > self.bytes_max {
            return (bytes == 0).then(|| Room { bodies: Arc::clone(self), actor, bytes });
        }
        taken.bytes = all;
        taken.actors.insert(actor, share);
        Some(Room { bodies: Arc::clone(self), actor, bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.bodies.lock();
        taken.bytes -= self.bytes;
        if let Some(share) = taken.actors.get_mut(&self.actor) {
            *share -= self.bytes;
            if *share == 0 {
                taken.actors.remove(&self.actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_has_its_share_and_gets_it_back_and_all_together_have_a_bound() {
        let bodies = Bodies::new(10, 4);
        let [one, two, three] = [1, 2, 3].map(|byte| ActorId([byte; 32]));
        let first = bodies.take(one, 3).unwrap();
        assert!(bodies.take(one, 2).is_none(), "its share is taken");
        let _others = [bodies.take(one, 1).unwrap(), bodies.take(two, 4).unwrap()];
        assert!(bodies.take(three, 3).is_none(), "all is taken");
        assert!(bodies.take(three, 0).is_some());
        drop(first);
        let last = bodies.take(three, 4).unwrap();
        let taken = || {
            let taken = bodies.lock();
            (taken.bytes, taken.actors.len())
        };
        assert_eq!(taken(), (9, 3));
        drop(last);
        assert_eq!(taken(), (5, 2));
    }
}
