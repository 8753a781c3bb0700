//! Where raft's Figure 8 begins: two leaders in a row have each left entries on two of five disks.

use synod_sim::World;
use synod_sim::medium::Image;
use synod_sim::scenario::calm;
use synod_types::NodeId;

use crate::{ONE, OTHER};

/// Five nodes, of which the first two hold large entries of one view, and the second leader and one of the others
/// small ones of the next; none is committed. The first two hear each other, and so do those two; the last is alone.
pub struct Parted {
    pub world: World,
    /// The first leader and who followed it.
    pub first: [NodeId; 2],
    /// The second leader.
    pub second: NodeId,
    /// Who followed it, and who is alone.
    pub others: [NodeId; 2],
    /// The disk of who followed it, as it was before all that.
    pub image: Image,
}

pub fn parted() -> Parted {
    let mut world = calm(5);
    let leader = world.await_leader();
    let others = world.others(leader);
    let (first, rest) = ([leader, others[0]], &others[1..]);
    let images: Vec<_> = rest.iter().map(|node| world.disk_image(*node)).collect();
    world.part(&first, rest, true);
    let held = world.synced(others[0]);
    for _ in 0..4 {
        world.ask_large_at(ONE, leader);
        world.run_for(20_000);
    }
    world.run_to("two disks hold what one message cannot", |world| world.synced(others[0]).0 == held.0 + 4);

    let second = world.await_successor(leader);
    let left: Vec<_> = rest.iter().copied().filter(|node| *node != second).collect();
    let (node, alone) = (left[0], left[1]);
    world.part(&[second, node], &[alone], true);
    assert_eq!(world.synced_view(alone), world.synced_view(node), "nothing of the second leader has arrived");
    let held = world.synced(node);
    world.ask_at(OTHER, second);
    world.run_to("the second leader's entries are on two disks", |world| world.synced(node).0 > held.0 + 2);
    world.run_for(100_000);
    let place = rest.iter().position(|one| *one == node).expect("it is one of them");
    Parted { world, first, second, others: [node, alone], image: images[place].clone() }
}
