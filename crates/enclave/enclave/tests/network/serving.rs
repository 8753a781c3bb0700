//! Which nodes serve clients: not those that wait to join, and not those that were removed.

use std::sync::Arc;

use synod_governance::{Action, RemoveNode};
use synod_types::NodeId;
use tokio::time::timeout;

use crate::membership::{SOON, newcomer, until_it_is};
use crate::removal::decide;
use crate::world::{Client, MemoryHost, Network};

async fn for_applications(network: &Network, host: &Arc<MemoryHost>) -> Client {
    network.connect(host).await
}

async fn for_governance(network: &Network, host: &Arc<MemoryHost>) -> Client {
    network.connect_to_govern(vec![network.actor.0.der().to_vec()], &network.actor.1, host).await
}

/// Looks that a node tells of itself, and of nothing else: whoever asks for that hears this code.
async fn check_only_tells_of_itself(network: &Network, host: &Arc<MemoryHost>, code: &str) {
    let mut client = for_applications(network, host).await;
    let mut member = for_governance(network, host).await;
    let mut stranger = network.connect_stranger(host).await;
    let answers = [
        client.put(1, "to nobody").await,
        client.get("/app/log/1", "").await,
        client.get("/node/service", "").await,
        member.get("/gov/constitution", "").await,
        member.post("/gov/requests", b"").await,
        member.post("/gov/dry-run", b"{}").await,
        member.get("/gov/events", "").await,
        stranger.get("/app/log/1", "").await,
    ];
    for (status, _, body) in answers {
        assert_eq!((status, body.contains(&format!(r#""code":"{code}""#))), (503, true), "{body}");
    }
    for path in ["/node/status", "/node/commit", "/node/metrics", "/node/tx/2.2"] {
        assert_eq!(client.get(path, "").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn a_node_that_is_removed_ends_its_sessions_and_streams_and_tells_of_itself_only() {
    let network = Network::new(3);
    let hosts: Vec<_> = (1..=3).map(|id| network.start(id)).collect();
    let mut going_on = for_applications(&network, &hosts[0]).await;
    assert_eq!(going_on.put(1, "before").await.0, 200);
    let mut open = [for_applications(&network, &hosts[2]).await, for_governance(&network, &hosts[2]).await];
    assert_eq!(open[0].get("/app/log/1", "synod-consistency: linearizable\r\n").await.2, "before");
    let mut watching = for_governance(&network, &hosts[2]).await;
    assert_eq!(watching.begin_stream("/gov/events").await, 200);

    let remove = Action::RemoveNode(RemoveNode { node: NodeId(3) });
    timeout(SOON, decide(&network, &hosts[0], vec![remove])).await.unwrap();
    timeout(SOON, watching.ended()).await.unwrap();
    for open in &mut open {
        timeout(SOON, open.ended()).await.unwrap();
    }
    assert_eq!(going_on.put(1, "after").await.0, 200);
    check_only_tells_of_itself(&network, &hosts[2], "NodeRemoved").await;
    timeout(SOON, until_it_is(&network, &hosts[2], "removed")).await.unwrap();
}

#[tokio::test]
async fn a_node_that_waits_to_join_tells_of_itself_only_and_serves_once_it_has_joined() {
    let mut network = Network::new(1);
    let add = newcomer(&mut network, 2);
    let hosts = [network.start(1), network.start(2)];
    let mut client = for_applications(&network, &hosts[0]).await;
    assert_eq!(client.put(1, "before").await.0, 200);
    check_only_tells_of_itself(&network, &hosts[1], "NodeJoining").await;
    // A session that stands is served from when the node serves.
    let mut early = for_applications(&network, &hosts[1]).await;
    assert_eq!(early.get("/app/log/1", "").await.0, 503);

    timeout(SOON, decide(&network, &hosts[0], vec![add])).await.unwrap();
    timeout(SOON, until_it_is(&network, &hosts[1], "follower")).await.unwrap();
    assert_eq!(early.get("/app/log/1", "synod-consistency: linearizable\r\n").await.2, "before");
    let mut member = for_governance(&network, &hosts[1]).await;
    assert_eq!(member.get("/gov/constitution", "").await.0, 200);
}
