//! What people and programs are shown.

use serde_json::{Value, json};
use synod_governance::bounded::{Note, Set};
use synod_governance::entries::AutoVote;
use synod_governance::view::{AsOf, PROPOSALS_LISTED_MAX, ProposalList, Wanted, Which, event};
use synod_governance::*;
use synod_types::{ActorId, Seqno, Time, TxId, View};

use crate::world::{NETWORK, Org, World, constitution, name, node};

/// Transactions up to seqno 5 are of view 2, later ones of view 3.
fn txid_of(seqno: Seqno) -> Option<TxId> {
    Some(TxId::new(View(if seqno.0 <= 5 { 2 } else { 3 }), seqno))
}

fn as_of(world: &World) -> AsOf<'static> {
    AsOf { network: NETWORK, txid: txid_of(world.seqno).unwrap(), time: world.time, txid_of: &txid_of }
}

fn list(world: &World, wanted: &Wanted<'_>, reader: &Org) -> ProposalList {
    view::proposals(world.tables(), &as_of(world), wanted, Some(&reader.id())).unwrap()
}

fn ids(list: &ProposalList) -> Vec<ProposalId> {
    list.proposals.iter().map(|proposal| proposal.id).collect()
}

const ALL: Wanted<'_> = Wanted { which: Which::All, awaiting: None, after: 0, count_max: 100 };

fn lease(seconds: u64) -> Vec<Action> {
    vec![Action::SetLease(SetLease { seconds: Some(seconds) })]
}

/// Three members; proposal 1 is accepted, 2 rejected, 3 withdrawn, 4 over, 5 open with two votes, 6 open without any.
fn lived() -> (World, [Org; 3]) {
    let orgs = ["Alpha", "Beta", "Gamma"].map(Org::new);
    let [a, b, c] = &orgs;
    let mut world = World::genesis(&[a, b, c]);
    assert_eq!(world.decide(&[a, b], lease(60)), Status::Accepted);
    let id = world.propose(a, lease(61)).unwrap();
    for org in [b, c] {
        world.vote(org, id, Choice::Reject).unwrap();
    }
    let id = world.propose(b, lease(62)).unwrap();
    let digest = world.tables().proposal(id).unwrap().unwrap().digest;
    world.request(b, &Request::Withdraw(b.sign(NETWORK, &WithdrawalBody { proposal: id, digest }))).unwrap();
    let body = ProposalBody { expires: Some(world.time.0 + 1), ..world.body(a, lease(63)) };
    world.request(a, &Request::Propose(a.sign(NETWORK, &body))).unwrap();
    let note = Note::new("a \"quoted\"\nword").unwrap();
    let body = ProposalBody { note, ..world.body(c, vec![Action::AddNode(node("vn2", c.id()))]) };
    world.request(c, &Request::Propose(c.sign(NETWORK, &body))).unwrap();
    world.vote(a, 5, Choice::Accept).unwrap();
    world.vote(b, 5, Choice::Reject).unwrap();
    world.propose(a, lease(64)).unwrap();
    world.time = Time(world.time.0 + 1);
    (world, orgs)
}

#[test]
fn a_list_shows_those_that_are_wanted_in_pages() {
    let (world, [a, b, c]) = lived();
    let beta = b.id();
    let rows: [(Wanted<'_>, &[ProposalId], Option<ProposalId>); 8] = [
        (ALL, &[1, 2, 3, 4, 5, 6], None),
        // The fourth is over, although no transaction has closed it yet.
        (Wanted { which: Which::Open, ..ALL }, &[5, 6], None),
        (Wanted { which: Which::Closed, ..ALL }, &[1, 2, 3, 4], None),
        (Wanted { count_max: 4, ..ALL }, &[1, 2, 3, 4], Some(4)),
        (Wanted { count_max: 4, after: 4, ..ALL }, &[5, 6], None),
        (Wanted { which: Which::Open, count_max: 1, ..ALL }, &[5], Some(5)),
        (Wanted { which: Which::Closed, count_max: 0, ..ALL }, &[1], Some(1)),
        (Wanted { awaiting: Some(&beta), ..ALL }, &[6], None),
    ];
    for (wanted, expected, next) in rows {
        let found = list(&world, &wanted, &a);
        assert_eq!((ids(&found), found.next), (expected.to_vec(), next), "{wanted:?}");
    }
    let none = Vec::<ProposalId>::new();
    assert_eq!(ids(&list(&world, &Wanted { awaiting: Some(&c.id()), ..ALL }, &a)), [5, 6]);
    assert_eq!(
        ids(&list(&world, &Wanted { awaiting: Some(&ActorId([9; 32])), ..ALL }, &a)),
        none,
        "nobody waits for it"
    );
    assert_eq!(ids(&list(&world, &Wanted { after: u64::MAX, ..ALL }, &a)), none);

    let found = list(&world, &ALL, &b);
    let said: Vec<_> =
        found.proposals.iter().map(|p| (p.status, p.mine, p.votes.accepting, p.votes.rejecting)).collect();
    let (yes, no) = (Some(Choice::Accept), Some(Choice::Reject));
    let expected = [
        ("Accepted", yes, 2, 0),
        ("Rejected", no, 0, 2),
        ("Withdrawn", None, 0, 0),
        ("Expired", None, 0, 0),
        ("Open", no, 1, 1),
        ("Open", None, 0, 0),
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_list_counts_as_a_decision_would() {
    let (mut world, [a, b, c]) = lived();
    let count = |world: &World| list(world, &ALL, &a).proposals[4].votes;
    assert_eq!((count(&world).members, count(&world).accepting, count(&world).rejecting), (3, 1, 1));
    // Who leaves and comes back has not voted.
    let out_and_in = vec![Action::RemoveMember(RemoveActor { id: b.id() }), Action::AddMember(b.add())];
    assert_eq!(world.decide(&[&a, &c], out_and_in), Status::Accepted);
    assert_eq!((count(&world).members, count(&world).accepting, count(&world).rejecting), (3, 1, 0));
    let tally = world.tables().tally(5).unwrap();
    assert_eq!((tally.members(), tally.accepting(), tally.rejecting()), (3, 1, 0));
    assert_eq!(list(&world, &ALL, &b).proposals[4].mine, None);
}

#[test]
fn a_list_ends_where_statements_get_large_and_tells_where_to_go_on() {
    let orgs = ["Alpha"].map(Org::new);
    let mut world = World::genesis(&[&orgs[0]]);
    let note = Note::new("x".repeat(8 << 10)).unwrap();
    let actions = || {
        let name = |nth| name(&format!("{nth}{}", "x".repeat(240)));
        let add = |nth| Action::AddParticipant(AddActor { name: name(nth), ..Org::new(LABELS[nth]).add() });
        (0..LABELS.len()).map(add).collect::<Vec<_>>()
    };
    for _ in 0..600 {
        let body = ProposalBody { note: note.clone(), ..world.body(&orgs[0], actions()) };
        world.request(&orgs[0], &Request::Propose(orgs[0].sign(NETWORK, &body))).unwrap();
    }
    let (mut after, mut pages, mut seen) = (0, 0, 0);
    loop {
        let page = list(&world, &Wanted { after, count_max: usize::MAX, ..ALL }, &orgs[0]);
        assert!(serde_json::to_string(&page).unwrap().len() < 8 << 20);
        (pages, seen) = (pages + 1, seen + page.proposals.len());
        assert!(page.proposals.len() <= PROPOSALS_LISTED_MAX);
        let Some(next) = page.next else { break };
        after = next;
    }
    assert_eq!(seen, 600);
    assert!(pages >= 2, "{pages}");
}

const LABELS: [&str; 2] = ["P1", "P2"];

#[test]
fn a_proposal_in_full_is_this_document() {
    let (world, [a, b, c]) = lived();
    let found = view::proposal(world.tables(), &as_of(&world), 5, Some(&a.id())).unwrap().unwrap();
    let found = serde_json::to_value(&found).unwrap();
    let votes = json!({ "members": 3, "accepting": 1, "rejecting": 1 });
    let ballot = |org: &Org, choice: &str, txid: &str| {
        json!({ "member": org.id().to_hex(), "name": org.name, "choice": choice, "counter": 1, "txid": txid,
                "source": "signed", "rule": null })
    };
    let mut ballots = [ballot(&a, "accept", "3.12"), ballot(&b, "reject", "3.13")];
    ballots.sort_by_key(|ballot| ballot["member"].as_str().unwrap().to_owned());
    let digest = world.tables().proposal(5).unwrap().unwrap().digest.to_hex();
    let key: String = node("vn2", c.id()).public_key.to_hex();
    let expected = json!({
        "network": NETWORK.to_hex(), "txid": "3.14", "time": world.time.0,
        "id": 5, "digest": digest, "status": "Open", "proposer": c.id().to_hex(), "proposer_name": "Gamma",
        "kinds": ["add_node"],
        "summary": [format!("add node \"vn2\" of {} at vn2.example.org:7001", c.id())],
        "note": "a \"quoted\"\nword",
        "submitted": { "txid": "3.11", "time": world.time.0 - 1 },
        "expires": null, "votes": votes, "mine": "accept",
        "nonce": "00000000000000050000000000000005", "expires_signed": null,
        "actions": [{ "action": "add_node", "name": "vn2", "owner": c.id().to_hex(), "public_key": key,
                      "address": "vn2.example.org:7001" }],
        "policies": [{ "of": "default", "policy": "majority", "verdict": "open" }],
        "ballots": ballots,
        "decision": null,
    });
    assert_eq!(found, expected);
    // Whoever reads it can make the digest again that ballots name.
    let body = ProposalBody {
        proposer: ActorId::from_hex(found["proposer"].as_str().unwrap()).unwrap(),
        nonce: bounded::Blob::from_hex(found["nonce"].as_str().unwrap()).unwrap(),
        actions: serde_json::from_value(found["actions"].clone()).unwrap(),
        expires: serde_json::from_value(found["expires_signed"].clone()).unwrap(),
        note: serde_json::from_value(found["note"].clone()).unwrap(),
    };
    assert_eq!(statement::proposal_digest(&NETWORK, &body).to_hex(), digest);

    let found = view::proposal(world.tables(), &as_of(&world), 1, None).unwrap().unwrap();
    let found = serde_json::to_value(&found).unwrap();
    let decision = json!({
        "status": "Accepted", "txid": "2.4", "time": world.time.0 - 1,
        "count": { "members": 3, "accepting": 2, "rejecting": 0 },
        "policies": [{ "of": "default", "policy": "majority", "verdict": "accepted" }],
        "reasons": [],
    });
    assert_eq!(
        (&found["decision"], &found["policies"], &found["mine"]),
        (&decision, &decision["policies"], &Value::Null)
    );
    // Of a closed one the gist is shown: its actions lie in the ledger.
    assert_eq!((&found["actions"], &found["kinds"]), (&json!([]), &json!(["set_lease"])));
    assert_eq!(found["summary"].as_array().unwrap().len(), 1);
    assert_eq!(found["ballots"].as_array().unwrap().len(), 2);
    assert!(view::proposal(world.tables(), &as_of(&world), 7, None).unwrap().is_none());
}

#[test]
fn a_line_about_an_action_is_of_bounded_length_and_the_action_is_shown_as_a_whole() {
    let orgs = ["Alpha"].map(Org::new);
    let mut world = World::genesis(&[&orgs[0]]);
    let required = || Policy::Required(Members(Set::new([orgs[0].id()]).unwrap()));
    let policy = Policy::AnyOf(bounded::List::new((0..60).map(|_| required()).collect()).unwrap());
    let set = SetPolicy { kind: Some(ActionKind::AddNode), value: Some(policy) };
    let id = world.propose(&orgs[0], vec![Action::SetPolicy(set)]).unwrap();
    let shown = view::proposal(world.tables(), &as_of(&world), id, None).unwrap().unwrap();
    let line = &shown.summary.summary[0];
    assert!(line.len() == 1_000 && line.ends_with('…') && line.starts_with("decide add_node by"), "{line}");
    assert!(serde_json::to_string(&shown.actions).unwrap().len() > 60 * 64);
}

#[test]
fn the_constitution_is_shown_as_the_document_that_reads_back_as_itself() {
    let (world, [a, ..]) = lived();
    let found = view::constitution(world.tables(), &as_of(&world)).unwrap().unwrap();
    assert_eq!((found.network, found.txid.as_str(), found.time), (NETWORK.to_hex(), "3.14", world.time.0));
    let read = document::Document::parse(&found.toml).unwrap().constitution().clone();
    assert_eq!(read.lease_seconds, Some(60));
    assert_eq!(read.name_of(&a.id()), Some("Alpha"));
}

#[test]
fn rules_are_shown_with_the_counter_of_the_newest_statement() {
    let orgs = ["Alpha", "Beta"].map(Org::new);
    let (mut world, rule) = ruled(&orgs);
    let rules = |world: &World, org: &Org| view::rules(world.tables(), &as_of(world), &org.id()).unwrap();
    let found = serde_json::to_value(rules(&world, &orgs[1])).unwrap();
    let digest = statement::rule_digest(&rule);
    let expected = json!({
        "network": NETWORK.to_hex(), "txid": "2.2", "counter": 3,
        "rules": [{ "digest": digest.to_hex(), "rule": serde_json::to_value(&rule).unwrap(), "txid": "2.2" }],
    });
    assert_eq!(found, expected);
    let none = rules(&world, &orgs[0]);
    assert_eq!((none.counter, none.rules.len()), (0, 0));
    let removal = RuleRemovalBody { rule: digest, counter: 4 };
    world.request(&orgs[1], &Request::RemoveStandingRule(orgs[1].sign(NETWORK, &removal))).unwrap();
    let left = rules(&world, &orgs[1]);
    assert_eq!((left.counter, left.rules.len()), (4, 0), "the counter stays");
}

/// A network in which one ballot accepts leases, and Beta's rule gives it.
fn ruled(orgs: &[Org; 2]) -> (World, StandingRule) {
    let mut constitution = constitution(&[&orgs[0], &orgs[1]]);
    constitution.auto_votes = [(ActionKind::SetLease, AutoVote::default())].into();
    constitution.policies = [(PolicyKey::Kind(ActionKind::SetLease), Policy::OneOfN)].into();
    let mut world = World::of(&constitution);
    let kinds = Set::new([ActionKind::SetLease]).unwrap();
    let rule = StandingRule { kinds, condition: Condition::Is(Predicate::ProposerIsMember) };
    let body = RuleBody { rule: rule.clone(), counter: 3 };
    world.request(&orgs[1], &Request::SetStandingRule(orgs[1].sign(NETWORK, &body))).unwrap();
    (world, rule)
}

#[test]
fn events_have_names_and_those_of_somebody_who_left_are_from_before() {
    let (mut world, [a, b, c]) = lived();
    let before = world.state.clone();
    let id = world.propose(&a, vec![Action::RemoveMember(RemoveActor { id: c.id() })]).unwrap();
    world.accept(&a, id);
    world.accept(&b, id);
    let seen = world.events.iter().filter(|(place, _)| place.seqno > Seqno(14)).map(|(place, happened)| {
        let as_of = AsOf { txid: txid_of(place.seqno).unwrap(), ..as_of(&world) };
        let view = event(happened, Tables(&before), world.tables(), &as_of).unwrap();
        (view.name, serde_json::to_value(&view).unwrap())
    });
    let seen: Vec<_> = seen.collect();
    let names: Vec<_> = seen.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["closed", "proposed", "voted", "voted", "closed", "actor_removed"]);
    let time = world.time.0;
    assert_eq!((&seen[0].1["id"], &seen[0].1["status"]), (&json!(4), &json!("Expired")));
    let digest = world.tables().proposal(id).unwrap().unwrap().digest.to_hex();
    let summary = format!("remove member {}", c.id());
    let proposed = json!({
        "txid": "3.15", "time": time, "id": id, "digest": digest, "proposer": a.id().to_hex(),
        "proposer_name": "Alpha", "kinds": ["remove_member"], "summary": [summary], "note": "", "expires": null,
    });
    assert_eq!(seen[1].1, proposed);
    let voted = json!({
        "txid": "3.16", "time": time, "id": id, "member": a.id().to_hex(), "name": "Alpha", "choice": "accept",
        "source": "signed", "rule": null,
    });
    assert_eq!(seen[2].1, voted);
    let closed = &seen[4].1;
    assert_eq!((&closed["status"], &closed["decision"]["txid"]), (&json!("Accepted"), &json!("3.17")));
    let removed = json!({ "txid": "3.17", "time": time, "id": c.id().to_hex(), "name": "Gamma", "role": "member" });
    assert_eq!(seen[5].1, removed);
}

#[test]
fn what_was_missed_is_found_at_its_place_also_if_rules_decided_it_or_many_expired_at_once() {
    let (world, _) = lived();
    world.check_missed();

    let orgs = ["Alpha", "Beta"].map(Org::new);
    let (mut world, _) = ruled(&orgs);
    let start = world.time;
    for nth in 0..100 {
        // Expiry in another order than that of ids.
        let expires = Some(start.0 + 1_000 + (nth * 37) % 50);
        let actions = vec![Action::SetProposalExpiry(SetProposalExpiry { seconds: Some(100 + nth) })];
        let body = ProposalBody { expires, ..world.body(&orgs[0], actions) };
        world.request(&orgs[0], &Request::Propose(orgs[0].sign(NETWORK, &body))).unwrap();
    }
    world.time = Time(start.0 + 2_000);
    // Sixty-four expire with the first, the others with the second; both are decided by the rule at once.
    for seconds in [60, 61] {
        let id = world.propose(&orgs[0], lease(seconds)).unwrap();
        assert_eq!(world.status(id), Status::Accepted);
    }
    world.check_missed();
}

#[test]
fn all_reasons_are_listed_with_their_actions() {
    let (mut world, [a, ..]) = lived();
    let actions = vec![Action::RemoveNode(RemoveNode { node: synod_types::NodeId(9) }), Action::AddMember(a.add())];
    let Err(Refused::Actions { reasons }) = world.propose(&a, actions) else { panic!("it is refused") };
    let listed = view::reasons(&reasons);
    let codes: Vec<_> = listed.iter().map(|reason| (reason.action, reason.code)).collect();
    assert_eq!(codes, [(Some(0), "NoSuchNode"), (Some(1), "ActorExists"), (Some(1), "NameTaken")]);
    assert!(listed.iter().all(|reason| !reason.message.is_empty() && !reason.hint.is_empty()));
}
