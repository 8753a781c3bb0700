//! What no proposal may do, and who may not vote.

use crate::world::World;

/// Each row is submitted, refused with the code and reasons, and leaves the constitution as it was.
#[test]
fn proposals_that_nobody_could_undo_are_refused_whole_with_every_reason() {
    let world = World::start();
    let before = world.constitution();
    let remove = |who: u64| format!("[[action]]\naction = 'remove_member'\nid = 'member-{who}'\n");
    let nodes = "[[action]]\naction = 'replace_node'\nnode = 1\nowner = 'participant-1'\n";
    let everybody = format!("{nodes}{}{}{}", remove(1), remove(2), remove(3));
    let threshold = |m: u64| format!("[[action]]\naction = 'set_policy'\nvalue = {{ m_of_n = {m} }}\n");
    let quorums = "[[action]]\naction = 'set_quorums'\nvalue = { sizes = { commit = 1, election = 0 } }\n";
    let expiry = "[[action]]\naction = 'set_proposal_expiry'\nseconds = 60\n";
    let nobody = format!("[[action]]\naction = 'remove_member'\nid = '{}'\n", "00".repeat(32));
    let rows: [(&str, String, &[&str]); 6] = [
        ("no member would be left", everybody, &["(NoMember)"]),
        ("a threshold above the members", threshold(4), &["(PolicyUnreachable)"]),
        (
            "a threshold that becomes unreachable",
            format!("{}{nodes}{}", threshold(3), remove(1)),
            &["(PolicyUnreachable)"],
        ),
        ("quorums that do not meet", quorums.to_owned(), &["(QuorumsDoNotMeet)"]),
        ("the second action is invalid", format!("{expiry}{nobody}"), &["action 2: ", "(NoSuchActor)"]),
        (
            "two reasons are both told",
            format!("{nobody}{expiry}[[action]]\naction = 'remove_node'\nnode = 9\n"),
            &["action 1: ", "(NoSuchActor)", "action 3: ", "(NoSuchNode)"],
        ),
    ];
    for (what, actions, reasons) in rows {
        let file = world.write("proposal.toml", actions);
        let file = file.to_str().unwrap();
        for arguments in [&["proposal", "submit", file][..], &["proposal", "submit", file, "--dry-run"]] {
            let said = world.refused(&world.member(1), arguments, "Actions");
            assert!(reasons.iter().all(|reason| said.contains(reason)), "{what}: {said}");
        }
    }
    assert_eq!(world.constitution(), before);
    let listed = world.run(&world.member(1), &["proposal", "list", "--all", "--json"]).succeeded().json();
    assert_eq!(listed["proposals"].as_array().unwrap().len(), 0, "nothing was submitted");
}

#[test]
fn who_is_no_member_any_more_or_never_was_does_not_vote_and_members_vote_once() {
    let world = World::start();
    let (id, _) = world.propose("[[action]]\naction = 'set_proposal_expiry'\nseconds = 60\n");
    let accept = ["ballot", "submit", &id, "accept"];
    world.refused(&world.participant(), &accept, "NotAMember");
    world.run(&world.member(3), &accept).succeeded();
    world.refused(&world.member(3), &accept, "AlreadyVoted");
    world.refused(&world.member(3), &["ballot", "submit", "9", "accept"], "NoSuchProposal");
    world.refused(&world.participant(), &["proposal", "withdraw", &id], "NotTheProposer");

    world.decide("[[action]]\naction = 'remove_member'\nid = 'member-3'\n");
    world.refused(&world.member(3), &["ballot", "submit", &id, "reject"], "NotAuthorized");
    // Its ballot does not count any more: both others have to accept.
    let shown = world.run(&world.member(1), &["proposal", "show", &id, "--json"]).succeeded().json();
    assert_eq!((&shown["votes"]["accepting"], &shown["votes"]["members"]), (&0.into(), &2.into()));
    world.run(&world.member(1), &accept).succeeded();
    world.run(&world.member(2), &accept).succeeded();
    world.refused(&world.member(2), &["ballot", "submit", &id, "reject"], "ProposalClosed");
}

#[test]
fn a_participant_proposes_its_own_nodes_only() {
    let world = World::start();
    let file = world.write("proposal.toml", "[[action]]\naction = 'set_proposal_expiry'\nseconds = 60\n");
    world.refused(&world.participant(), &["proposal", "submit", file.to_str().unwrap()], "MayNotPropose");
    let file = world.write("proposal.toml", "[[action]]\naction = 'remove_node'\nnode = 1\n");
    world.refused(&world.participant(), &["proposal", "submit", file.to_str().unwrap()], "MayNotPropose");
}

#[test]
fn a_standing_rule_beyond_the_constitutions_limits_is_refused() {
    let world = World::start();
    let rule = |condition: &str| format!("kinds = ['add_node']\n[condition]\n{condition}\n");
    let set = |text: &str| world.write("rule.toml", text).to_str().unwrap().to_owned();
    let file = set(&rule("is = 'owner_is_actor'"));
    let said = world.refused(&world.member(1), &["rule", "set", &file], "Rule");
    assert!(said.contains("allows no automatic votes on add_node"), "{said}");
    world.decide(
        "[[action]]\naction = 'set_auto_vote'\nkind = 'add_node'\n\
         value = { require = [{ actor_nodes_fewer_than = 2 }] }\n",
    );
    world.refused(&world.member(1), &["rule", "set", &file], "Rule");
    let file = set(&rule("is = { actor_nodes_fewer_than = 3 }"));
    world.refused(&world.member(1), &["rule", "set", &file], "Rule");
    let file = set(&rule("is = { actor_nodes_fewer_than = 2 }"));
    world.refused(&world.participant(), &["rule", "set", &file], "NotAMember");
    let done = world.run(&world.member(1), &["rule", "set", &file, "--json"]).succeeded().json();
    world.refused(&world.member(1), &["rule", "set", &file], "RuleKnown");
    let digest = done["rule"].as_str().unwrap();
    world.refused(&world.member(2), &["rule", "remove", digest], "NoSuchRule");
    world.run(&world.member(1), &["rule", "remove", digest]).succeeded();
}
