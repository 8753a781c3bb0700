//! Keeps node processes alive, and stops them in good order.
//!
//! Each node holds the other end of a pipe as its standard input and stops when that closes: when
//! the supervisor wants it to, and when the supervisor itself is gone, however it went.
//!
//! A node that dies is started again, unless its exit status says that this would do harm.

use std::fs::OpenOptions;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::layout::NodeDir;
use crate::command::run_node::{DISK_FAILED, REFUSED};

/// The processes of all nodes.
pub struct Supervisor {
    stop: watch::Sender<bool>,
    keepers: JoinSet<()>,
    given_up: Arc<AtomicUsize>,
}

impl Supervisor {
    /// Starts every node, and again whenever one dies that may be started again.
    pub fn start(nodes: Vec<NodeDir>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let given_up = Arc::new(AtomicUsize::new(0));
        let mut keepers = JoinSet::new();
        for node in nodes {
            let (given_up, stopped) = (Arc::clone(&given_up), stopped.clone());
            keepers.spawn(async move {
                if let Kept::GivenUp(why) = keep(&node, stopped, spawn).await {
                    eprintln!("node {} {why}; it is not started again", node.id());
                    eprintln!("hint: the end of {} says more", node.log().display());
                    given_up.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { stop, keepers, given_up }
    }

    /// How many nodes are not started again.
    pub fn given_up(&self) -> usize {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Stops every node in good order and waits until all are gone.
    pub async fn stop(mut self) {
        // Nobody listens any more if every keeper has ended already.
        let _ = self.stop.send(true);
        while self.keepers.join_next().await.is_some() {}
    }
}

/// Why a node is not kept any longer.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    /// The supervisor was told to stop, and so was the node.
    Stopped,
    /// Its exit status says that it must not be started again: why.
    GivenUp(&'static str),
}

async fn keep(node: &NodeDir, mut stop: watch::Receiver<bool>, spawn: impl Fn(&NodeDir) -> io::Result<Child>) -> Kept {
    let mut pause = PAUSE_FIRST;
    while !*stop.borrow() {
        let since = Instant::now();
        let end = match spawn(node) {
            Ok(child) => match watch_over(child, &mut stop).await {
                Some(Ok(status)) => match final_end(status) {
                    Some(why) => return Kept::GivenUp(why),
                    None => format!("ended ({status})"),
                },
                Some(Err(error)) => format!("cannot be watched: {error}"),
                None => break,
            },
            Err(error) => format!("could not be started: {error}"),
        };
        if since.elapsed() > STEADY_AFTER {
            pause = PAUSE_FIRST;
        }
        eprintln!("node {} {end}; starting it again in {} ms", node.id(), pause.as_millis());
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.changed() => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Kept::Stopped
}

/// Waits until the node ends by itself, and says how; or stops it.
async fn watch_over(mut child: Child, stop: &mut watch::Receiver<bool>) -> Option<io::Result<ExitStatus>> {
    // Taken out because waiting for a child closes the standard input that it still has.
    let held = child.stdin.take();
    tokio::select! {
        status = child.wait() => Some(status),
        _ = stop.changed() => {
            drop(held);
            if timeout(STOP_WITHIN, child.wait()).await.is_err() {
                // It had its time; its ledger is as safe as after a loss of power.
                let _ = child.kill().await;
            }
            None
        }
    }
}

/// What an exit status says that forbids another start.
fn final_end(status: ExitStatus) -> Option<&'static str> {
    match u8::try_from(status.code()?) {
        Ok(DISK_FAILED) => Some("ended because a sync of its disk failed"),
        Ok(REFUSED) => {
            Some("ended because it is refused: its disk was rolled back, or bears the mark of an earlier refusal")
        }
        _ => None,
    }
}

fn spawn(node: &NodeDir) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(node.log())?;
    Command::new(std::env::current_exe()?)
        .args(["node", "run", "--supervised", "--dir"])
        .arg(node.path())
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own: Ctrl-C on the terminal is for the supervisor, which stops the nodes in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Short: a network of three that lost one node wants it back.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// A node that cannot start should not keep the machine busy trying.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A node that ran this long is not one that cannot start: reading the ledger and asking the peers what they
/// saw of it, a second if one of them is silent, are behind it by then.
const STEADY_AFTER: Duration = Duration::from_secs(3);

/// A node finishes what is in flight, which takes a commit or two.
const STOP_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::sandbox::layout::NetworkDir;

    /// Keeps a node whose processes end with these statuses, one after the other, and tells how often it was started.
    async fn kept(statuses: &[u8]) -> (Kept, usize) {
        let dir = tempfile::tempdir().unwrap();
        let node = NetworkDir::lock(dir.path()).unwrap().node(1);
        let (_stop, stopped) = watch::channel(false);
        let starts = Cell::new(0);
        let spawn = |_: &NodeDir| {
            let status = statuses[starts.get()];
            starts.set(starts.get() + 1);
            Command::new("sh").args(["-c", &format!("exit {status}")]).stdin(Stdio::piped()).spawn()
        };
        (keep(&node, stopped, spawn).await, starts.get())
    }

    #[tokio::test]
    async fn a_node_is_started_again_until_its_exit_status_forbids_it() {
        for (statuses, word) in [([1, DISK_FAILED], "sync"), ([0, REFUSED], "rolled back")] {
            let (kept, starts) = kept(&statuses).await;
            assert_eq!(starts, 2);
            assert!(matches!(kept, Kept::GivenUp(why) if why.contains(word)), "{kept:?}");
        }
    }

    #[tokio::test]
    async fn a_node_that_is_told_to_stop_is_not_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let node = NetworkDir::lock(dir.path()).unwrap().node(1);
        let (stop, stopped) = watch::channel(false);
        let spawn = |_: &NodeDir| {
            stop.send(true).unwrap();
            // As a node does, it goes on until its standard input ends.
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
        };
        assert_eq!(keep(&node, stopped, spawn).await, Kept::Stopped);
    }
}
