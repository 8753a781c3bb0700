//! Who is served, by the certificates that it presents.

use std::sync::Arc;

use rcgen::{KeyUsagePurpose, date_time_ymd};
use synod_governance::bounded::{Name, Set};
use synod_governance::{Pins, Role};

use crate::house::{Holder, House, ca, leaf, leaf_but};
use crate::world::{MemoryHost, Network};

/// A network in which an organisation with a CA is a participant, by leaves of one unit.
pub fn network_of(nodes: u64, house: &House) -> Network {
    Network::with_actors(nodes, |genesis| {
        genesis.add_actor(Role::Participant, "House", &house.actor.certificate).unwrap();
        let unit = Set::new([Name::new("gov").unwrap()]).unwrap();
        genesis.constitution.actors.last_mut().unwrap().1.pins = Pins { organizational_unit: unit, ..Pins::default() };
    })
}

/// What somebody with this chain hears.
async fn ask(network: &Network, host: &Arc<MemoryHost>, leaf: &Holder, chain: Vec<Vec<u8>>) -> (u16, String) {
    let mut client = network.connect_with(chain, &leaf.key, host).await;
    let (status, _, body) = client.put(7, "hello").await;
    (status, body)
}

#[tokio::test]
async fn any_leaf_of_the_actors_is_served_and_every_other_is_told_what_is_wrong_with_it() {
    let house = House::new("house");
    let network = network_of(1, &house);
    let host = network.start(1);
    for label in ["clerk", "another clerk"] {
        let clerk = leaf(label, &house.treasury, "gov");
        let (status, body) = ask(&network, &host, &clerk, house.chain(&clerk, &house.treasury)).await;
        assert_eq!(status, 200, "{body}");
    }

    let elsewhere = ca("elsewhere", None);
    let of_elsewhere = leaf("clerk of elsewhere", &elsewhere, "gov");
    let expired = leaf_but("late clerk", &house.treasury, "gov", |params| params.not_after = date_time_ymd(2024, 1, 1));
    let encrypting = leaf_but("secret clerk", &house.treasury, "gov", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    });
    let sibling = leaf("cook", &house.kitchen, "cooks");
    let refused = [
        (&expired, house.chain(&expired, &house.treasury), "CertificateExpired", "the leaf's certificate has expired"),
        (
            &of_elsewhere,
            vec![of_elsewhere.der(), elsewhere.der(), house.actor.der()],
            "NotAuthorized",
            "neither a member nor a participant",
        ),
        (
            &of_elsewhere,
            vec![of_elsewhere.der(), elsewhere.der()],
            "NotAuthorized",
            "neither a member nor a participant",
        ),
        (
            &sibling,
            house.chain(&sibling, &house.kitchen),
            "CertificatePinned",
            "the leaf lacks the organisational unit that the actor pins",
        ),
        (
            &encrypting,
            house.chain(&encrypting, &house.treasury),
            "CertificateUsage",
            "the leaf's certificate is not for digital signatures",
        ),
    ];
    for (leaf, chain, code, message) in refused {
        let (status, body) = ask(&network, &host, leaf, chain).await;
        assert_eq!(status, 403, "{body}");
        assert!(body.contains(&format!(r#""code":"{code}""#)) && body.contains(message), "{code}: {body}");
        assert!(body.contains(r#""hint":""#), "{body}");
    }
}
