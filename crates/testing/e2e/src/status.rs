//! How the nodes are, by `synod node status --json`.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use synod_types::TxId;

use crate::Sandbox;

/// One node's line; `None` for what a node that does not answer cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its slot.
    pub id: u64,
    /// Its process.
    pub pid: Option<u32>,
    /// `leader`, `follower`, ...
    pub role: Option<String>,
    /// The view it is in.
    pub view: Option<u64>,
    /// The last transaction in its log.
    pub last: Option<TxId>,
    /// The last transaction it knows committed.
    pub committed: Option<TxId>,
    /// Its directory.
    pub dir: Option<PathBuf>,
}

/// Asks every node of the sandbox.
///
/// # Panics
/// If the answer is not of the documented form.
pub fn status(sandbox: &Sandbox) -> Vec<NodeStatus> {
    // A node that does not answer makes the exit status 1; its line is there all the same.
    let answer = sandbox.synod(&["node", "status", "--json"]).json();
    let nodes = answer["nodes"].as_array().unwrap_or_else(|| panic!("no nodes in {answer}"));
    nodes.iter().map(read_line).collect()
}

fn read_line(node: &Value) -> NodeStatus {
    for field in ["id", "url", "pid", "role", "view", "last", "committed", "dir"] {
        assert!(node.get(field).is_some(), "node status lacks {field}: {node}");
    }
    let txid = |field: &str| node[field].as_str().map(|text| text.parse().expect("a transaction id"));
    NodeStatus {
        id: node["id"].as_u64().expect("an id"),
        pid: node["pid"].as_u64().map(|pid| u32::try_from(pid).expect("a process id")),
        role: node["role"].as_str().map(str::to_owned),
        view: node["view"].as_u64(),
        last: txid("last"),
        committed: txid("committed"),
        dir: node["dir"].as_str().map(PathBuf::from),
    }
}

/// The leader, once there is one and all nodes agree on its view.
///
/// # Panics
/// If there is none for a long time.
pub fn leader(sandbox: &Sandbox) -> NodeStatus {
    wait_until("there is a leader", || {
        let nodes = status(sandbox);
        let newest = nodes.iter().filter_map(|node| node.view).max();
        nodes.into_iter().find(|node| node.role.as_deref() == Some("leader") && node.view == newest)
    })
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none within [`PATIENCE`].
pub fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "still not so after {PATIENCE:?}: {what}");
        thread::sleep(BETWEEN_QUESTIONS);
    }
}

/// How long something that must happen may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// Often enough to add little to what is waited for, rarely enough to leave the processors to the nodes.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);
