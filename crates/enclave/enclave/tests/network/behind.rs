//! A node that is kept behind, and who would use that.

use std::sync::Arc;
use std::time::Duration;

use synod_governance::Request;
use synod_governance::bounded::Blob;
use synod_node::Times;
use synod_types::Encode;
use tokio::time::{sleep, timeout};

use crate::house::{Holder, House, leaf};
use crate::identity::network_of;
use crate::membership::SOON;
use crate::world::{Client, put};

/// How many requests a node has been handed to be ordered.
async fn handed(client: &mut Client) -> u64 {
    let (_, _, text) = client.get("/node/metrics", "").await;
    let line = text.lines().find(|line| line.starts_with("synod_writes_total ")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_revoked_leaf_writes_nothing_through_a_node_that_has_not_heard_of_it() {
    let house = House::new("house");
    let network = network_of(3, &house);
    let mut hosts: Vec<_> = (1..=2).map(|id| network.start(id)).collect();
    // It follows whoever leads, however long it hears nothing.
    let mut setup = network.setup(3);
    let patience = (Duration::from_secs(300), Duration::from_secs(600));
    setup.times = Some(Times { election_timeout: patience, heartbeat: Duration::from_millis(100) });
    hosts.push(network.try_start(3, setup).unwrap());
    let behind = Arc::clone(&hosts[2]);
    let (lost, kept) = (leaf("lost", &house.actor, "gov"), leaf("kept", &house.actor, "gov"));
    let chain = |leaf: &Holder| vec![leaf.der(), house.actor.der()];
    let mut thief = network.connect_with(chain(&lost), &lost.key, &behind).await;
    assert_eq!(thief.put(1, "before").await.0, 200);
    let mut own = network.connect_with(chain(&kept), &kept.key, &behind).await;

    behind.hold_back();
    let crl = Request::Revoke(Blob::new(house.actor.crl(1, &[&lost])).unwrap());
    let mut revoking = network.connect_to_govern(chain(&kept), &kept.key, &hosts[0]).await;
    let (status, _, body) = revoking.post("/gov/requests", &crl.to_bytes()).await;
    assert_eq!(status, 200, "{body}");
    let before = handed(&mut own).await;
    thief.send(&put(1, "after")).await;
    while handed(&mut own).await == before {
        sleep(Duration::from_millis(2)).await;
    }
    behind.let_go();
    timeout(SOON, thief.ended()).await.unwrap();
    // This goes the same way, after it.
    assert_eq!(timeout(SOON, own.put(2, "later")).await.unwrap().0, 200);
    let (_, _, found) = own.get("/app/log/1", "synod-consistency: linearizable\r\n").await;
    assert_eq!(found, "before");
}
