//! Members decide who is a node, and the channels between nodes follow.

use std::sync::Arc;
use std::time::Duration;

use synod_governance::bounded::{Blob, Name};
use synod_governance::entries::Address;
use synod_governance::{Action, NodeEntry, RemoveNode};
use synod_types::NodeId;
use tokio::time::{sleep, timeout};

use crate::removal::decide;
use crate::world::{MemoryHost, Network};

/// Makes a slot, and the action that adds it.
pub fn newcomer(network: &mut Network, slot: u64) -> Action {
    Action::AddNode(NodeEntry {
        name: Name::new(format!("newcomer {slot}")).unwrap(),
        owner: network.actor.0.actor_id(),
        public_key: Blob::new(network.add_slot()).unwrap(),
        address: Address::new(format!("127.0.0.1:{}", 7_000 + slot)).unwrap(),
        code: None,
        platform: None,
    })
}

/// Waits until the node says that it is in this role.
pub async fn until_it_is(network: &Network, host: &Arc<MemoryHost>, role: &str) {
    let mut client = network.connect(host).await;
    let expected = format!(r#""role":"{role}""#);
    while !client.get("/node/status", "").await.2.contains(&expected) {
        sleep(Duration::from_millis(20)).await;
    }
}

/// Longer than any of this needs.
pub const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_removed_node_keeps_its_channels_for_as_long_as_the_others_need_it() {
    // Both decide until the first is left out, which is not before the newcomers have had time to answer: many times
    // what a node has here that is not needed.
    let mut network = Network::new(2);
    network.removed_grace = Some(Duration::from_millis(1));
    let adds = [3, 4].map(|slot| newcomer(&mut network, slot));
    let hosts = [network.start(1), network.start(2)];
    let remove = Action::RemoveNode(RemoveNode { node: NodeId(1) });
    let actions = adds.into_iter().chain([remove]).collect();
    timeout(SOON, decide(&network, &hosts[1], actions)).await.unwrap();
    timeout(SOON, until_it_is(&network, &hosts[0], "removed")).await.unwrap();
    let newcomer = network.start(3);
    let all = async {
        let mut client = network.connect(&newcomer).await;
        while client.put(1, "without the first").await.0 != 200 {
            client = network.connect(&newcomer).await;
        }
        let mut other = network.connect(&hosts[1]).await;
        assert_eq!(other.get("/app/log/1", "synod-consistency: linearizable\r\n").await.2, "without the first");
    };
    timeout(SOON, all).await.unwrap();
}
