//! A queue in which each actor has its turn, so that no number of one actor's jobs keeps those of others waiting.

use std::collections::{HashMap, VecDeque};

use synod_types::ActorId;

/// Jobs of actors: of one actor in the order in which they came, of all actors in turn.
#[derive(Debug)]
pub struct Fair<T> {
    /// No queue is empty.
    jobs: HashMap<ActorId, VecDeque<T>>,
    /// Whoever has jobs, once, in the order of their turns.
    turns: VecDeque<ActorId>,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self { jobs: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<T> Fair<T> {
    /// Adds a job of `actor`.
    pub fn push(&mut self, actor: ActorId, job: T) {
        let jobs = self.jobs.entry(actor).or_default();
        if jobs.is_empty() {
            self.turns.push_back(actor);
        }
        jobs.push_back(job);
    }

    /// Takes the next job.
    pub fn pop(&mut self) -> Option<T> {
        let actor = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&actor).expect("whoever has a turn has jobs");
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&actor);
        } else {
            self.turns.push_back(actor);
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_actors_jobs_are_done_in_order_and_those_of_others_in_between() {
        let mut queue = Fair::default();
        let [busy, other] = [1, 2].map(|byte| ActorId([byte; 32]));
        (0..4).for_each(|job| queue.push(busy, job));
        assert_eq!(queue.pop(), Some(0));
        (10..12).for_each(|job| queue.push(other, job));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [1, 10, 2, 11, 3]);
        assert!(queue.jobs.is_empty() && queue.turns.is_empty(), "nothing is kept of who has no jobs");
        queue.push(busy, 4);
        assert_eq!(queue.pop(), Some(4));
    }
}
