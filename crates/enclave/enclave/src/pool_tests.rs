use std::sync::mpsc::{Sender, channel};

use super::*;
use crate::testing::ACTOR;

/// A pool of one thread, which is busy until the sender is dropped.
fn busy_pool(office: &Arc<PostOffice>) -> (Pool, Sender<()>) {
    let pool = Pool::start("test", 1).unwrap();
    let (release, held) = channel::<()>();
    let (begun, has_begun) = channel();
    let busy = office.open();
    let hold = Box::new(move || {
        let _ = begun.send(());
        let _ = held.recv();
        Event::Reached
    });
    pool.run(ACTOR, Arc::clone(office), busy.token(0), hold, turn());
    has_begun.recv().unwrap();
    (pool, release)
}

fn turn() -> OwnedSemaphorePermit {
    Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
}

#[tokio::test]
async fn a_job_whose_session_has_ended_is_not_done() {
    let office = Arc::<PostOffice>::default();
    let (pool, release) = busy_pool(&office);
    let (done, log) = channel();
    let (ended, standing) = (office.open(), office.open());
    for (name, postbox) in [("ended", &ended), ("standing", &standing)] {
        let done = done.clone();
        let job = Box::new(move || {
            let _ = done.send(name);
            Event::Reached
        });
        pool.run(ACTOR, Arc::clone(&office), postbox.token(0), job, turn());
    }
    drop((ended, done, release));
    assert_eq!(log.iter().collect::<Vec<_>>(), ["standing"]);
    let mut events = Vec::new();
    std::future::poll_fn(|cx| standing.poll_take(cx, &mut events)).await;
    assert!(matches!(events[..], [(0, Event::Reached)]));
}

#[tokio::test]
async fn a_turn_is_free_again_when_the_event_of_its_job_arrives_even_if_it_panicked() {
    let office = Arc::<PostOffice>::default();
    let postbox = office.open();
    let pool = Pool::start("test", 1).unwrap();
    let mut turns = Turns::new(2);
    let panics = || -> Job { Box::new(|| panic!("as asked")) };
    for seq in 0..3 {
        turns.push(seq, panics());
    }
    for _ in 0..2 {
        let (seq, job, turn) = turns.next(|_| true).unwrap();
        pool.run(ACTOR, Arc::clone(&office), postbox.token(seq), job, turn);
    }
    let mut events = Vec::new();
    std::future::poll_fn(|cx| postbox.poll_take(cx, &mut events)).await;
    assert!(matches!(events[0], (0, Event::Failed)));
    assert!(matches!(turns.next(|_| true), Some((2, ..))));
    assert!(turns.next(|_| true).is_none());
}

#[tokio::test]
async fn an_actor_with_many_jobs_lets_others_have_their_turn() {
    let office = Arc::<PostOffice>::default();
    let (pool, release) = busy_pool(&office);
    let (done, log) = channel();
    let postbox = office.open();
    let other = ActorId([2; 32]);
    for (actor, name) in [(ACTOR, "one"), (ACTOR, "two"), (ACTOR, "three"), (other, "other")] {
        let done = done.clone();
        let job = Box::new(move || {
            let _ = done.send(name);
            Event::Reached
        });
        pool.run(actor, Arc::clone(&office), postbox.token(0), job, turn());
    }
    drop((done, release));
    assert_eq!(log.iter().collect::<Vec<_>>(), ["one", "other", "two", "three"]);
}
