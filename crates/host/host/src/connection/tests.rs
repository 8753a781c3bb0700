use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinHandle;

use super::*;

struct World {
    far: DuplexStream,
    commands: UnboundedSender<Command>,
    seen: Arc<Mutex<Vec<ToEnclave>>>,
    activity: Arc<Activity>,
    done: JoinHandle<()>,
}

/// A pump between a stream whose pipe holds `pipe` bytes and a list of messages.
fn world(pipe: usize) -> World {
    let (far, stream) = tokio::io::duplex(pipe);
    let (commands, receiver) = mpsc::unbounded_channel();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink_seen = Arc::clone(&seen);
    let activity = Arc::new(Activity::default());
    let pump = Pump {
        id: ConnectionId(2),
        stream,
        commands: receiver,
        sink: Arc::new(move |message| sink_seen.lock().unwrap().push(message)),
        activity: Arc::clone(&activity),
        tick: Arc::new(AtomicU64::new(7)),
    };
    World { far, commands, seen, activity, done: tokio::spawn(pump.run()) }
}

impl World {
    fn received(&self) -> usize {
        let size = |message: &ToEnclave| match message {
            ToEnclave::Received { bytes, .. } => bytes.size(),
            _ => 0,
        };
        self.seen.lock().unwrap().iter().map(size).sum()
    }

    fn written(&self) -> usize {
        let size = |message: &ToEnclave| match message {
            ToEnclave::Written { size, .. } => *size,
            _ => 0,
        };
        self.seen.lock().unwrap().iter().map(size).sum()
    }

    fn told_end(&self) -> bool {
        matches!(self.seen.lock().unwrap().last(), Some(ToEnclave::Ended { .. }))
    }

    fn closed(&self) -> bool {
        matches!(self.seen.lock().unwrap().last(), Some(ToEnclave::Closed { .. }))
    }
}

/// Lets every task run until none can go on.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_more_than_the_window_is_read_before_the_enclave_consumes() {
    let mut world = world(4 * CONNECTION_WINDOW_BYTES);
    world.far.write_all(&vec![1; 2 * CONNECTION_WINDOW_BYTES]).await.unwrap();
    settle().await;
    assert_eq!(world.received(), CONNECTION_WINDOW_BYTES);
    world.commands.send(Command::Consumed(1000)).unwrap();
    settle().await;
    assert_eq!(world.received(), CONNECTION_WINDOW_BYTES + 1000);
}

#[tokio::test]
async fn what_the_other_side_does_not_take_is_not_reported_as_written() {
    let mut world = world(100);
    world.commands.send(Command::Write(Bytes::from(vec![1; 150]))).unwrap();
    world.commands.send(Command::Write(Bytes::from(vec![2; 50]))).unwrap();
    settle().await;
    assert_eq!(world.written(), 100);
    assert_eq!(world.activity.stage(), Stage::Waiting);
    let mut all = [0; 200];
    world.far.read_exact(&mut all).await.unwrap();
    settle().await;
    assert_eq!((world.written(), all[149], all[150]), (200, 1, 2));
    assert_eq!(world.activity.stage(), Stage::Quiet);
    assert_eq!(world.activity.moved.load(Ordering::Relaxed), 7);
}

#[tokio::test]
async fn close_sends_what_is_left_and_takes_what_still_arrives() {
    let mut world = world(100);
    world.commands.send(Command::Write(Bytes::from(vec![1; 150]))).unwrap();
    world.commands.send(Command::Close).unwrap();
    let mut all = Vec::new();
    world.far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 150);
    world.far.write_all(&[0; 500]).await.unwrap();
    settle().await;
    assert!(!world.done.is_finished(), "it lingers until the other side ends");
    assert_eq!(world.activity.stage(), Stage::Lingering);
    drop(world.far);
    world.done.await.unwrap();
    let closed = world.seen.lock().unwrap().iter().any(|message| matches!(message, ToEnclave::Closed { .. }));
    assert!(!closed, "the enclave closed it and need not be told");
}

#[tokio::test]
async fn who_sends_no_more_is_still_sent_what_the_enclave_has_for_it() {
    let mut world = world(100);
    world.far.write_all(b"last question").await.unwrap();
    world.far.shutdown().await.unwrap();
    settle().await;
    assert_eq!(world.received(), 13);
    assert!(world.told_end());
    assert_eq!(world.activity.stage(), Stage::Waiting, "nobody waits for ever");
    world.commands.send(Command::Write(Bytes::from(vec![1; 150]))).unwrap();
    world.commands.send(Command::Close).unwrap();
    let mut all = Vec::new();
    world.far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 150);
    // Both directions have ended: there is nothing to linger for.
    world.done.await.unwrap();
    assert!(!world.seen.lock().unwrap().iter().any(|message| matches!(message, ToEnclave::Closed { .. })));
}

#[tokio::test]
async fn who_is_gone_is_noticed_with_the_next_answer() {
    let mut world = world(100);
    drop(std::mem::replace(&mut world.far, tokio::io::duplex(1).0));
    settle().await;
    assert!(world.told_end());
    world.commands.send(Command::Write(Bytes::from_static(b"answer"))).unwrap();
    world.done.await.unwrap();
    assert!(matches!(world.seen.lock().unwrap().last(), Some(ToEnclave::Closed { .. })));
}

#[tokio::test]
async fn a_kill_is_told_to_the_enclave() {
    let killed = world(100);
    killed.commands.send(Command::Kill).unwrap();
    settle().await;
    assert!(killed.closed());
}
