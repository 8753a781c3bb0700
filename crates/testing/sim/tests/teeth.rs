//! The checkers notice what they are there for: whatever breaks its contract around the nodes is found out.

use synod_sim::sabotage::Sabotage;
use synod_sim::{Swarm, simulate_swarm};

/// Within so many seeds each must be found.
const SEEDS: u64 = 300;

/// Runs seeds until one fails, which must be because one of `claims` is violated.
fn is_found_out(sabotage: Sabotage, claims: &[&str]) {
    let fails = |seed| {
        let swarm = Swarm { sabotage: Some(sabotage), ..Swarm::draw(seed) };
        simulate_swarm(seed, swarm, false).err()
    };
    let failure = (0..SEEDS).find_map(fails).unwrap_or_else(|| panic!("{sabotage:?} stays unnoticed"));
    assert!(claims.contains(&failure.violation.claim), "{sabotage:?}: {failure}");
}

/// What is lost by a disk that has not what it says it has.
const DURABILITY: [&str; 3] = [
    "a node commits only what it has synced",
    "what is committed lies on a quorum's disks",
    "only a disk that was rolled back is refused",
];

#[test]
fn a_host_that_does_not_sync_what_it_starts_from_is_found_out() {
    is_found_out(Sabotage::SyncsNothingAtStart, &DURABILITY);
}

#[test]
fn a_disk_that_tells_before_it_syncs_is_found_out() {
    is_found_out(Sabotage::TellsBeforeSync, &DURABILITY);
}

#[test]
fn a_disk_that_files_votes_late_is_found_out() {
    is_found_out(Sabotage::FilesVotesLate, &["a node starts from what a crash left"]);
}

#[test]
fn a_disk_that_forgets_votes_is_found_out() {
    let claims = ["a node starts from what a crash left", "only a disk that was rolled back is refused"];
    is_found_out(Sabotage::ForgetsVotes, &claims);
}

#[test]
fn an_enclave_whose_answers_overtake_its_worker_is_found_out() {
    is_found_out(Sabotage::AnswersOvertakeTheWorker, &["what was answered can be read"]);
}
