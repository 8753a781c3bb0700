//! Keeps node processes alive, and stops them in good order.
//!
//! Each node holds the other end of a pipe as its standard input and stops when that closes: when
//! the supervisor wants it to, and when the supervisor itself is gone, however it went.

use std::fs::OpenOptions;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::layout::NodeDir;

/// The processes of all nodes.
pub struct Supervisor {
    stop: watch::Sender<bool>,
    keepers: JoinSet<()>,
}

impl Supervisor {
    /// Starts every node, and again whenever one dies.
    pub fn start(nodes: Vec<NodeDir>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut keepers = JoinSet::new();
        for node in nodes {
            keepers.spawn(keep(node, stopped.clone()));
        }
        Self { stop, keepers }
    }

    /// Stops every node in good order and waits until all are gone.
    pub async fn stop(mut self) {
        // Nobody listens any more if every keeper has ended already.
        let _ = self.stop.send(true);
        while self.keepers.join_next().await.is_some() {}
    }
}

async fn keep(node: NodeDir, mut stop: watch::Receiver<bool>) {
    let mut pause = PAUSE_FIRST;
    while !*stop.borrow() {
        let since = Instant::now();
        let end = match spawn(&node) {
            Ok(child) => match watch_over(child, &mut stop).await {
                Some(end) => end,
                None => return,
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
}

/// Waits until the node ends by itself, and says how; or stops it.
async fn watch_over(mut child: Child, stop: &mut watch::Receiver<bool>) -> Option<String> {
    // Taken out because waiting for a child closes the standard input that it still has.
    let held = child.stdin.take();
    tokio::select! {
        status = child.wait() => Some(status.map_or_else(|error| format!("cannot be watched: {error}"), describe)),
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

fn describe(status: ExitStatus) -> String {
    format!("ended ({status})")
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

/// A node that ran this long is not one that cannot start: that shows within milliseconds.
const STEADY_AFTER: Duration = Duration::from_secs(1);

/// A node finishes what is in flight, which takes a commit or two.
const STOP_WITHIN: Duration = Duration::from_secs(10);
