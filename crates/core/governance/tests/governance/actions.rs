//! Each kind of action, carried out by vote: what it sets, what it changes, and that taking it back leaves nothing behind.

use std::collections::BTreeSet;

use synod_governance::bounded::{Blob, List, TextBlob};
use synod_governance::document::{Change, Document, diff, dry_run, to_toml};
use synod_governance::entries::{
    AdapterEntry, Address, AuditorEntry, AutoVote, CodeEntry, CodeVerdict, Durability, Epochs, Part, Platform,
    Proposers, Quorums, TcbComponent, TeeRule,
};
use synod_governance::*;
use synod_types::{Digest, NodeId};

use crate::world::{NETWORK, Org, World, constitution, name, node};

/// One thing that a constitution says, and decisions that change it one after the other.
struct Row {
    /// What a dry run calls it.
    what: String,
    /// What the constitution of the beginning says of it.
    at_first: Option<String>,
    /// Actions, each with what the constitution says after it.
    steps: Vec<(Action, Option<String>)>,
}

impl Row {
    /// Of something that is not there at first.
    fn new(what: impl Into<String>, steps: Vec<(Action, Option<&str>)>) -> Self {
        let steps = steps.into_iter().map(|(action, after)| (action, after.map(str::to_owned)));
        Self { what: what.into(), at_first: None, steps: steps.collect() }
    }
}

/// After each step the tables, the dry run and the document say the same, and nothing else has changed. A row whose
/// last step says what was there at first leaves the very tables' contents of the beginning.
#[test]
fn each_kind_of_action_sets_changes_and_takes_back_what_it_says_and_nothing_else() {
    let orgs = ["Alpha", "Beta", "Gamma"].map(Org::new);
    let [a, b, c] = &orgs;
    let genesis = genesis(&[a, b, c]);
    let mut executed = BTreeSet::new();
    for row in actors().into_iter().chain(nodes()).chain(code()).chain(voting()).chain(settings()).chain(rest()) {
        let mut world = World::of(&genesis);
        let mut said = row.at_first.clone();
        for (action, after) in &row.steps {
            let what = format!("{}: {}", row.what, action.summary());
            let before = shown(&world);
            let change = Change { what: row.what.clone(), before: said, after: after.clone() };
            let env = Env { network: NETWORK, seqno: world.seqno.next(), time: world.time };
            let changes = dry_run(&world.state, &env, std::slice::from_ref(action)).unwrap();
            assert_eq!(changes, Ok(vec![change.clone()]), "{what}");
            assert_eq!(shown(&world), before, "{what}: a dry run writes nothing");

            assert_eq!(world.decide(&[a, b, c], vec![action.clone()]), Status::Accepted, "{what}");
            let now = shown(&world);
            assert_eq!(diff(&before, &now), [change], "{what}");
            let document = Document::parse(&to_toml(&now)).unwrap_or_else(|problems| panic!("{what}: {problems:?}"));
            assert_eq!(document.constitution(), &now, "{what}");
            executed.insert(action.kind());
            said = after.clone();

            let again = world.propose(a, vec![action.clone()]).map(|_| ());
            if action.kind() != ActionKind::RotateServiceIdentity {
                let Err(Refused::Actions { reasons }) = again else { panic!("{what}: said again: {again:?}") };
                let codes: Vec<_> = reasons.iter().map(|reason| reason.reason.code()).collect();
                assert!(codes.iter().any(|code| AGAIN.contains(code)), "{what}: said again: {codes:?}");
            }
        }
        if said == row.at_first {
            assert_eq!(shown(&world), genesis, "{}: taken back", row.what);
        } else {
            assert_eq!(row.what, "service identity", "all else can be taken back");
        }
    }
    let all: BTreeSet<_> = ActionKind::ALL.iter().copied().collect();
    assert_eq!(executed, all, "each kind has its row");
}

/// Why an action is refused that was carried out just now.
const AGAIN: [&str; 6] = ["NothingChanges", "NodeTaken", "ActorExists", "NoSuchActor", "NoSuchEntry", "NoSuchNode"];

/// With a build and a platform that nodes may name.
fn genesis(members: &[&Org]) -> Constitution {
    let mut genesis = constitution(members);
    let build = CodeEntry {
        verdict: CodeVerdict::Approved,
        framework: name("1"),
        adapter: name("log"),
        adapter_version: name("1"),
        source_commit: Blob::default(),
    };
    genesis.code.insert(Blob::new(vec![1; 32]).unwrap(), build);
    let rule = TeeRule { allowed: true, tcb_min: List::default(), advisories_denied: List::default() };
    genesis.tees.insert(Platform::Tdx, rule);
    genesis
}

fn shown(world: &World) -> Constitution {
    Constitution::from_state(&world.state).unwrap().unwrap()
}

/// What a dry run says of an actor's credentials.
fn credentials(org: &Org, more: &str) -> Option<String> {
    let certificate = synod_crypto::sha256(&[org.certificate.der()]);
    Some(format!("key {}, certificate {certificate}{more}", org.id().to_hex()))
}

fn actors() -> Vec<Row> {
    type Adds = fn(AddActor) -> Action;
    type Replaces = fn(ReplaceActor) -> Action;
    type Removes = fn(RemoveActor) -> Action;
    let member: (&str, Adds, Replaces, Removes) =
        ("member", Action::AddMember, Action::ReplaceMember, Action::RemoveMember);
    let participant: (&str, Adds, Replaces, Removes) =
        ("participant", Action::AddParticipant, Action::ReplaceParticipant, Action::RemoveParticipant);
    let row = |(role, add, replace, remove): (&str, Adds, Replaces, Removes)| {
        let (first, renewed) = (Org::new("Delta"), Org { name: "Delta", ..Org::new("Delta's new key") });
        let same = |org: &Org| ReplaceActor { id: org.id(), name: None, certificate: None, pins: None };
        let pins = Pins { organizational_unit: bounded::Set::new([name("Desk")]).unwrap(), ..Pins::default() };
        let pinned = ReplaceActor { pins: Some(pins), ..same(&first) };
        let rekeyed =
            ReplaceActor { certificate: Some(renewed.add().certificate), pins: Some(Pins::default()), ..same(&first) };
        let steps = vec![
            (add(first.add()), credentials(&first, "")),
            (replace(pinned), credentials(&first, PINNED)),
            (replace(rekeyed), credentials(&renewed, "")),
            (remove(RemoveActor { id: renewed.id() }), None),
        ];
        Row { what: format!("{role} \"Delta\""), at_first: None, steps }
    };
    vec![row(member), row(participant)]
}

const PINNED: &str = ", pins { organizational_unit = [\"Desk\"] }";

fn nodes() -> Vec<Row> {
    let [a, b] = ["Alpha", "Beta"].map(Org::new);
    let entry = node("vn2", a.id());
    let key = synod_crypto::sha256(&[&entry.public_key]);
    let replace = ReplaceNode {
        node: NodeId(2),
        owner: None,
        name: None,
        public_key: None,
        address: None,
        code: None,
        platform: None,
    };
    let moved = ReplaceNode { address: Some(Address::new("192.0.2.7:7001").unwrap()), ..replace.clone() };
    let built =
        ReplaceNode { code: Some(Blob::new(vec![1; 32]).unwrap()), platform: Some(Platform::Tdx), ..replace.clone() };
    let given = ReplaceNode { owner: Some(Owner(b.id())), name: Some(name("two")), ..replace };
    let code = "01".repeat(32);
    let steps = vec![
        (Action::AddNode(entry), format!("\"vn2\" of \"Alpha\" at vn2.example.org:7001, key {key}")),
        (Action::ReplaceNode(moved), format!("\"vn2\" of \"Alpha\" at 192.0.2.7:7001, key {key}")),
        (
            Action::ReplaceNode(built),
            format!("\"vn2\" of \"Alpha\" at 192.0.2.7:7001, key {key}, code {code}, platform \"tdx\""),
        ),
        (
            Action::ReplaceNode(given),
            format!("\"two\" of \"Beta\" at 192.0.2.7:7001, key {key}, code {code}, platform \"tdx\""),
        ),
    ];
    let removed = (Action::RemoveNode(RemoveNode { node: NodeId(2) }), None);
    let steps = steps.into_iter().map(|(action, after)| (action, Some(after))).chain([removed]).collect();
    vec![Row { what: "node 2".into(), at_first: None, steps }]
}

fn code() -> Vec<Row> {
    let measurement = || Blob::new(vec![0xab; 48]).unwrap();
    let approve = |version| {
        Action::ApproveCode(ApproveCode {
            measurement: measurement(),
            framework: name("1.2"),
            adapter: name("log"),
            adapter_version: name(version),
            source_commit: Blob::new(vec![7; 20]).unwrap(),
        })
    };
    let deny = |called| Action::DenyCode(DenyCode { measurement: measurement(), name: called });
    let forget = || Action::ForgetCode(ForgetCode { measurement: measurement() });
    let said = |verdict: &str, version: &str| {
        let commit = "07".repeat(20);
        format!("\"{verdict}\", framework \"1.2\", adapter \"log\" \"{version}\", commit {commit}")
    };
    let what = format!("code {}", "ab".repeat(48));
    let unknown = "\"denied\", framework \"bad\", adapter \"bad\" \"bad\", commit ";
    let release = |svn_min: Option<u64>| {
        let value = svn_min.map(|svn_min| ReleaseValue { svn_min });
        Action::SetReleaseRule(SetReleaseRule { key: Digest([4; 32]), product: name("synod"), value })
    };
    let tee = |allowed, version_min| {
        let component = TcbComponent { component: name("snp"), version_min };
        let value = TeeRule {
            allowed,
            tcb_min: List::new(vec![component]).unwrap(),
            advisories_denied: List::new(vec![name("AMD-SB-3019")]).unwrap(),
        };
        Action::SetTeeRule(SetTeeRule { platform: Platform::SevSnp, value: Some(value) })
    };
    let trusted = |allowed, version| {
        format!(
            "{{ advisories_denied = [\"AMD-SB-3019\"], allowed = {allowed}, \
             tcb_min = [{{ component = \"snp\", version_min = {version} }}] }}"
        )
    };
    let no_tee = Action::SetTeeRule(SetTeeRule { platform: Platform::SevSnp, value: None });
    vec![
        Row::new(
            &what,
            vec![
                (approve("0.4"), Some(&said("approved", "0.4"))),
                (approve("0.5"), Some(&said("approved", "0.5"))),
                (deny(None), Some(&said("denied", "0.5"))),
                (approve("0.5"), Some(&said("approved", "0.5"))),
                (forget(), None),
            ],
        ),
        Row::new(&what, vec![(deny(Some(name("bad"))), Some(unknown)), (forget(), None)]),
        Row::new(
            format!("releases of \"synod\" by {}", "04".repeat(32)),
            vec![(release(Some(3)), Some("from 3 on")), (release(Some(4)), Some("from 4 on")), (release(None), None)],
        ),
        Row::new(
            "platform \"sev_snp\"",
            vec![
                (tee(true, 23), Some(&trusted(true, 23))),
                (tee(false, 24), Some(&trusted(false, 24))),
                (no_tee, None),
            ],
        ),
    ]
}

fn voting() -> Vec<Row> {
    let policy = |kind, value| Action::SetPolicy(SetPolicy { kind, value });
    let of_all = |kind| {
        vec![
            (policy(kind, Some(Policy::MOfN(2))), Some("2 of all members")),
            (policy(kind, Some(Policy::Unanimous)), Some("unanimous")),
            (policy(kind, None), None),
        ]
    };
    let kind = ActionKind::AddParticipant;
    let proposers = |value| Action::SetProposers(SetProposers { kind, value });
    let limit = |require| {
        let require = List::new(require).unwrap();
        Action::SetAutoVote(SetAutoVote { kind: ActionKind::AddNode, value: Some(AutoVote { require }) })
    };
    let no_limit = Action::SetAutoVote(SetAutoVote { kind: ActionKind::AddNode, value: None });
    let fewer = || Predicate::ActorNodesFewerThan(3);
    vec![
        Row::new("policy default", of_all(None)),
        Row::new("policy deny_code", of_all(Some(ActionKind::DenyCode))),
        Row::new(
            "proposers of add_participant",
            vec![
                (proposers(Some(Proposers::Actors)), Some("\"actors\"")),
                (proposers(Some(Proposers::Members)), Some("\"members\"")),
                (proposers(None), None),
            ],
        ),
        Row::new(
            "automatic votes on add_node",
            vec![
                (limit(vec![fewer()]), Some("{ require = [{ actor_nodes_fewer_than = 3 }] }")),
                (
                    limit(vec![fewer(), Predicate::OwnerIsActor]),
                    Some("{ require = [{ actor_nodes_fewer_than = 3 }, \"owner_is_actor\"] }"),
                ),
                (no_limit, None),
            ],
        ),
    ]
}

fn settings() -> Vec<Row> {
    let blocks = |block_calls_max| {
        let value = Some(Rules { block_calls_max, ..Rules::default() });
        Action::SetBlocks(SetBlocks { value })
    };
    let epochs = |length_seconds| {
        let value = Some(Epochs { length_seconds, ..Epochs::default() });
        Action::SetEpochs(SetEpochs { value })
    };
    let quorums = |value| Action::SetQuorums(SetQuorums { value });
    let durability = |value| Action::SetDurability(SetDurability { value });
    let lease = |seconds| Action::SetLease(SetLease { seconds });
    let expiry = |seconds| Action::SetProposalExpiry(SetProposalExpiry { seconds });
    vec![
        Row::new(
            "rules for blocks",
            vec![
                (blocks(7), Some("{ block_calls_max = 7, block_delay_us = 2000, blocks_uncommitted_max = 8 }")),
                (blocks(9), Some("{ block_calls_max = 9, block_delay_us = 2000, blocks_uncommitted_max = 8 }")),
                (Action::SetBlocks(SetBlocks { value: None }), None),
            ],
        ),
        Row::new(
            "epochs",
            vec![
                (epochs(60), Some("{ key_lifetime_seconds = 604800, length_seconds = 60 }")),
                (epochs(90), Some("{ key_lifetime_seconds = 604800, length_seconds = 90 }")),
                (Action::SetEpochs(SetEpochs { value: None }), None),
            ],
        ),
        // This version knows the sizes of a majority only: of one node, one.
        Row::new(
            "quorums",
            vec![
                (quorums(Some(Quorums::Sizes { commit: 1, election: 1 })), Some(ONE_OF_ONE)),
                (quorums(Some(Quorums::Majority)), Some("\"majority\"")),
                (quorums(None), None),
            ],
        ),
        // And one durability.
        Row::new(
            "durability",
            vec![(durability(Some(Durability::Synced)), Some("\"synced\"")), (durability(None), None)],
        ),
        Row::new(
            "nodes' lease",
            vec![(lease(Some(60)), Some("60 s")), (lease(Some(90)), Some("90 s")), (lease(None), None)],
        ),
        Row::new(
            "proposals' expiry",
            vec![(expiry(Some(60)), Some("60 s")), (expiry(Some(90)), Some("90 s")), (expiry(None), None)],
        ),
    ]
}

const ONE_OF_ONE: &str = "{ sizes = { commit = 1, election = 1 } }";

fn rest() -> Vec<Row> {
    let eve = Org::new("Eve");
    let grant =
        |part| Action::GrantAuditor(AuditorEntry { name: name("Eve"), certificate: eve.add().certificate, part });
    let revoke = Action::RevokeAuditor(RevokeAuditor { key: Digest(eve.id().0) });
    let adapter = |text: &str| {
        Action::SetAdapter(AdapterEntry { name: name("log"), settings: TextBlob::new(text.to_owned()).unwrap() })
    };
    let settings =
        |text: &str| Some(format!("{} bytes, SHA-256 {}", text.len(), synod_crypto::sha256(&[text.as_bytes()])));
    let rotate = || Action::RotateServiceIdentity(RotateServiceIdentity {});
    vec![
        Row::new(
            format!("auditor {}", eve.id().to_hex()),
            vec![
                (grant(Part::Administration), Some("\"Eve\" reads \"administration\"")),
                (grant(Part::Both), Some("\"Eve\" reads \"both\"")),
                (revoke, None),
            ],
        ),
        Row {
            what: "adapter \"log\"".into(),
            at_first: settings(""),
            steps: ["{}", "{ }", ""].map(|text| (adapter(text), settings(text))).into(),
        },
        Row {
            what: "service identity".into(),
            at_first: Some("0 rotations".into()),
            steps: vec![(rotate(), Some("1 rotations".into())), (rotate(), Some("2 rotations".into()))],
        },
    ]
}
