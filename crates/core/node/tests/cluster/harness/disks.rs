//! What a test does to disks: images of them, crashes in the middle of a write.

use synod_node::{StartError, StopReason};
use synod_types::View;

use super::*;

/// What a disk holds.
#[derive(Clone)]
pub struct Image {
    pub log: Vec<LogRecord>,
    pub vote: Option<Bytes>,
}

impl Cluster {
    pub fn image(&self, node: NodeId) -> Image {
        let machine = &self.machines[&node];
        Image { log: machine.log.clone(), vote: machine.vote.clone() }
    }

    /// What all disks hold, to tell whether any has changed.
    pub fn disks(&self) -> Vec<(usize, View, Option<Bytes>)> {
        let of = |(node, machine): (&NodeId, &Machine)| {
            let (entries, view) = self.disk_end(*node);
            (entries, view, machine.vote.clone())
        };
        self.machines.iter().map(of).collect()
    }

    /// The index and the view of the last entry on disk.
    pub fn disk_end(&self, node: NodeId) -> (usize, View) {
        let log = &self.machines[&node].log;
        (log.len(), log.last().unwrap().view)
    }

    /// Stops `node`, puts `image` on its disk, and starts it again.
    pub fn start_from(&mut self, node: NodeId, image: Image) -> Result<(), StartError> {
        self.stop(node);
        let machine = self.machines.get_mut(&node).unwrap();
        (machine.log, machine.vote) = (image.log, image.vote);
        self.try_start(node)
    }

    /// Why `node` stopped by itself.
    pub fn stop_reason(&self, node: NodeId) -> Option<StopReason> {
        self.stops.get(&node).copied()
    }

    /// The next time that `node` files entries, it crashes when the first `kept` of them are on disk.
    pub fn crash_in_next_append(&mut self, node: NodeId, kept: usize) {
        self.crash = Some((node, kept));
    }

    pub fn run_until_down(&mut self, node: NodeId) {
        self.run_until(|cluster| cluster.machines[&node].node.is_none().then_some(()));
    }

    /// Waits until one of `nodes` leads a view after `view`.
    pub fn run_until_one_leads(&mut self, nodes: &[NodeId], view: View) -> NodeId {
        let leads = |status: Status| status.role == Role::Leader && status.view > view;
        self.run_until(|cluster| cluster.nodes().find(|node| nodes.contains(node) && leads(cluster.status(*node))))
    }

    /// Has a client of `node` write, and does not wait for the answer.
    pub fn ask(&mut self, node: NodeId, call: Bytes) {
        let token = self.next_token();
        let (actor, request_id) = (self.member, RequestId(u128::from(token).to_le_bytes()));
        let request =
            ClientRequest { token, actor, proof: self.proof, request_id, adapter: AdapterId(0), calls: vec![call] };
        self.events.push_back((node, Event::Requests(vec![request])));
    }
}
