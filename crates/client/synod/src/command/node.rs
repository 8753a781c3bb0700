//! `synod node status`, and the door to `synod node run`.

use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;
use synod_client::{Client, ClientOptions, Network, NodeEntry, NodeStatus};

use crate::bench::pid;
use crate::cli::NetworkArgs;
use crate::failure::Failure;
use crate::output;

/// Every node of a network, as `synod node status --json` prints it. The fields are a contract with programs.
#[derive(Debug, PartialEq, Serialize)]
pub struct Nodes {
    /// The nodes, in the order of the network file.
    pub nodes: Vec<NodeLine>,
}

/// One node. What only a running node knows is null if it does not answer.
#[derive(Debug, PartialEq, Serialize)]
pub struct NodeLine {
    id: u64,
    url: String,
    pid: Option<u32>,
    role: Option<String>,
    view: Option<u64>,
    last: Option<String>,
    committed: Option<String>,
    dir: Option<String>,
}

impl NodeLine {
    fn new(entry: &NodeEntry, status: Option<NodeStatus>) -> Self {
        let (role, view, last, committed) = match status {
            Some(status) => (Some(status.role), Some(status.view), Some(status.last), Some(status.committed)),
            None => (None, None, None, None),
        };
        Self {
            id: entry.id.0,
            url: entry.url.clone(),
            pid: entry.dir.as_deref().and_then(pid),
            role,
            view,
            last,
            committed,
            dir: entry.dir.as_ref().map(|dir| dir.display().to_string()),
        }
    }

    fn text(&self) -> String {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or("-".into());
        let role = self.role.clone().unwrap_or("no answer".into());
        let pid = self.pid.map(|pid| pid.to_string());
        format!(
            "{:>4}  {:<10}  {:>4}  {:>12}  {:>12}  {:>7}  {}\n",
            self.id,
            role,
            or_dash(&self.view.map(|view| view.to_string())),
            or_dash(&self.last),
            or_dash(&self.committed),
            or_dash(&pid),
            self.url
        )
    }
}

/// Asks every node how it is. Exit status 1 if one does not answer.
///
/// # Errors
/// If the network file is of no use.
pub async fn status(args: NetworkArgs, json: bool) -> Result<ExitCode, Failure> {
    let options = ClientOptions { answer_within: ANSWER_WITHIN, ..ClientOptions::default() };
    let client = Client::with_options(Network::load(&args.network)?, options)?;
    let nodes = ask(&client).await;
    if json {
        output::json(&nodes)?;
    } else {
        output::text("node  role        view          last     committed      pid  url\n")?;
        nodes.nodes.iter().try_for_each(|node| output::text(&node.text()))?;
    }
    let silent = nodes.nodes.iter().filter(|node| node.role.is_none()).count();
    if silent > 0 {
        eprintln!(
            "hint: {silent} of {} nodes did not answer; see the file `log` in a node's directory",
            nodes.nodes.len()
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks every node how it is, all at once.
pub async fn ask(client: &Client) -> Nodes {
    let asked = client.nodes().into_iter().map(|entry| {
        let client = client.clone();
        tokio::spawn(async move {
            let status = client.status(entry.id).await.ok();
            NodeLine::new(&entry, status)
        })
    });
    let mut nodes = Vec::new();
    for line in asked.collect::<Vec<_>>() {
        nodes.push(line.await.expect("asking does not panic"));
    }
    Nodes { nodes }
}

impl Nodes {
    /// Whether every node answers, but for as many as are known not to run, and one of them leads; members may have
    /// removed others, or not have let them in.
    pub fn is_ready_but_for(&self, given_up: usize) -> bool {
        let role = |wanted: &str| self.nodes.iter().filter(|node| node.role.as_deref() == Some(wanted)).count();
        let settled = role("leader") + role("follower") + role("removed") + role("joining");
        role("leader") == 1 && settled + given_up >= self.nodes.len()
    }
}

/// A node that runs answers at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use synod_types::NodeId;

    use super::*;

    fn line(role: Option<&str>) -> NodeLine {
        let entry = NodeEntry {
            id: NodeId(2),
            url: "https://127.0.0.1:7".into(),
            address: "127.0.0.1:7".parse().unwrap(),
            dir: None,
        };
        let status = role.map(|role| NodeStatus {
            id: 2,
            role: role.into(),
            view: 3,
            leader: None,
            last: "3.9".into(),
            committed: "3.8".into(),
        });
        NodeLine::new(&entry, status)
    }

    #[test]
    fn the_json_has_exactly_the_fields_that_programs_rely_on() {
        let json = |line| serde_json::to_string(&Nodes { nodes: vec![line] }).unwrap();
        assert_eq!(
            json(line(Some("leader"))),
            r#"{"nodes":[{"id":2,"url":"https://127.0.0.1:7","pid":null,"role":"leader","view":3,"last":"3.9","committed":"3.8","dir":null}]}"#
        );
        assert_eq!(
            json(line(None)),
            r#"{"nodes":[{"id":2,"url":"https://127.0.0.1:7","pid":null,"role":null,"view":null,"last":null,"committed":null,"dir":null}]}"#
        );
    }

    #[test]
    fn a_network_is_ready_once_all_answer_and_one_leads() {
        let nodes = |roles: &[Option<&str>]| Nodes { nodes: roles.iter().map(|role| line(*role)).collect() };
        let ready = |roles: &[Option<&str>]| nodes(roles).is_ready_but_for(0);
        assert!(ready(&[Some("leader"), Some("follower"), Some("follower")]));
        assert!(ready(&[Some("leader")]));
        assert!(!ready(&[Some("follower"), Some("follower")]));
        assert!(!ready(&[Some("leader"), None]));
        assert!(!ready(&[Some("leader"), Some("resuming")]));
        assert!(ready(&[Some("removed"), Some("leader"), Some("joining")]));
        assert!(!ready(&[Some("removed")]));
        assert!(nodes(&[Some("leader"), Some("follower"), None]).is_ready_but_for(1));
        assert!(!nodes(&[Some("leader"), None, None]).is_ready_but_for(1));
        assert!(!nodes(&[Some("follower"), Some("follower"), None]).is_ready_but_for(1));
    }
}
