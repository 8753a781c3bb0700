//! Nodes get other keys while they, or those that they know, are away.

use std::sync::Arc;
use std::time::Duration;

use synod_governance::bounded::Blob;
use synod_governance::{Action, ReplaceNode, RotateServiceIdentity};
use synod_types::NodeId;
use tokio::time::{sleep, timeout};

use crate::membership::{SOON, until_it_is};
use crate::removal::{decide, decide_next};
use crate::world::{MemoryHost, Network};

/// Makes another key for a slot, and the action that gives it that.
fn other_key(network: &mut Network, node: u64) -> Action {
    let public_key = Some(Blob::new(network.replace_key(node)).unwrap());
    let (name, owner, address, code, platform) = (None, None, None, None, None);
    Action::ReplaceNode(ReplaceNode { node: NodeId(node), name, owner, public_key, address, code, platform })
}

async fn write(network: &Network, host: &Arc<MemoryHost>, text: &str) {
    let all = async {
        while network.connect(host).await.put(1, text).await.0 != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, all).await.unwrap();
}

async fn check_reads(network: &Network, host: &Arc<MemoryHost>, text: &str) {
    let mut client = network.connect(host).await;
    assert_eq!(client.get("/app/log/1", "synod-consistency: linearizable\r\n").await.2, text);
}

/// It was down because its key was lost, say. What it has on its disk ends before the decision, and names the old key.
#[tokio::test]
async fn a_node_whose_key_is_replaced_while_it_is_away_comes_back_with_the_new_one_and_its_disk() {
    let mut network = Network::new(3);
    let hosts: Vec<_> = (1..=3).map(|id| network.start(id)).collect();
    write(&network, &hosts[2], "before").await;
    hosts[2].stop().await;
    let action = other_key(&mut network, 3);
    timeout(SOON, decide(&network, &hosts[0], vec![action])).await.unwrap();
    write(&network, &hosts[0], "meanwhile").await;

    let again = network.start_again(3, &hosts[2]);
    timeout(SOON, until_it_is(&network, &again, "follower")).await.unwrap();
    check_reads(&network, &again, "meanwhile").await;
    // It counts: the others cannot do without it.
    hosts[1].stop().await;
    write(&network, &again, "with the new key").await;
    check_reads(&network, &hosts[0], "with the new key").await;
}

/// Those who go on without it are all strangers to it, of a service whose key it does not know; and they need it.
#[tokio::test]
async fn a_node_that_was_away_takes_part_again_with_those_who_got_other_keys_since_also_from_a_service_that_did() {
    let mut network = Network::new(5);
    let mut hosts: Vec<_> = (1..=5).map(|id| network.start(id)).collect();
    write(&network, &hosts[4], "before").await;
    hosts[4].stop().await;
    let rotate = Action::RotateServiceIdentity(RotateServiceIdentity {});
    timeout(SOON, decide(&network, &hosts[3], vec![rotate])).await.unwrap();
    for (proposal, node) in [(2, 1), (3, 2)] {
        let action = other_key(&mut network, node);
        let place = node as usize - 1;
        timeout(SOON, decide_next(&network, &hosts[3], proposal, vec![action])).await.unwrap();
        let reason = timeout(SOON, hosts[place].until_stopped()).await.unwrap();
        assert!(reason.contains("was replaced"), "{reason}");
        hosts[place] = network.start_again(node, &hosts[place]);
        write(&network, &hosts[place], "meanwhile").await;
    }
    hosts[2].stop().await;
    hosts[3].stop().await;
    let again = network.start_again(5, &hosts[4]);
    write(&network, &hosts[0], "by three of five").await;
    timeout(SOON, async { write(&network, &again, "by the one that was away").await }).await.unwrap();
    check_reads(&network, &hosts[1], "by the one that was away").await;
}
