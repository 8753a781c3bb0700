//! The constitution as a document: both ways, with what is wrong named by line.

use std::collections::BTreeMap;

use synod_governance::bounded::{Blob, List, Name, Set, TextBlob};
use synod_governance::document::{Document, diff, dry_run, to_toml};
use synod_governance::entries::{
    AdapterEntry, AdminPart, AuditorEntry, AutoVote, CodeEntry, CodeVerdict, Durability, Epochs, NetworkEntry, Part,
    Platform, Proposers, Quorums, ReleaseRule, ServiceEntry, TcbComponent, TeeRule,
};
use synod_governance::*;
use synod_types::{Digest, NodeId};

use crate::world::{NETWORK, Org, START, World, constitution, name, node};

/// A constitution that says something of everything.
fn full() -> Constitution {
    let [a, b, p] = ["Alpha", "Beta", "O'Papa \"the\" \\ third"].map(Org::new);
    let measurement = |byte| Blob::new(vec![byte; 48]).unwrap();
    let entry = |verdict| CodeEntry {
        verdict,
        framework: name("synod 0.1"),
        adapter: name("evm"),
        adapter_version: name("0.1.0"),
        source_commit: Blob::new(vec![7; 20]).unwrap(),
    };
    let required = Policy::Required(Members(Set::new([b.id()]).unwrap()));
    let nested =
        Policy::AtLeast { k: 2, of: List::new(vec![required.clone(), Policy::Majority, Policy::MOfN(1)]).unwrap() };
    let pins = Pins {
        san: Set::new([name("dns:gov.example.org")]).unwrap(),
        sub_ca: Set::new([Blob::new(vec![3; 32]).unwrap()]).unwrap(),
        ..Pins::default()
    };
    let tee = TeeRule {
        allowed: true,
        tcb_min: List::new(vec![TcbComponent { component: name("snp"), version_min: 23 }]).unwrap(),
        advisories_denied: List::new(vec![name("AMD-SB-3019")]).unwrap(),
    };
    let require = vec![
        Predicate::ActorNodesFewerThan(3),
        Predicate::OwnerIsActor,
        Predicate::ProposerIs(Members(Set::new([a.id()]).unwrap())),
    ];
    Constitution {
        network: NetworkEntry { name: name("harbour"), admin: AdminPart::Public },
        actors: vec![
            (Role::Member, AddActor { pins, ..a.add() }),
            (Role::Member, b.add()),
            (Role::Participant, p.add()),
        ],
        nodes: BTreeMap::from([
            (
                NodeId(2),
                NodeEntry { code: Some(measurement(1)), platform: Some(Platform::SevSnp), ..node("vn2", p.id()) },
            ),
            (NodeId(7), node("vn7", b.id())),
        ]),
        adapters: vec![
            AdapterEntry { name: name("log"), settings: TextBlob::default() },
            AdapterEntry { name: name("evm"), settings: TextBlob::new("{\n  \"instances\": []\n}").unwrap() },
            AdapterEntry { name: name("other"), settings: TextBlob::new(vec![0xff, 0, 1]).unwrap() },
            AdapterEntry {
                name: name("odd"),
                settings: TextBlob::new("a '''quoted''' \"\"\" text\n\\ of lines'").unwrap(),
            },
        ],
        code: BTreeMap::from([
            (measurement(1), entry(CodeVerdict::Approved)),
            (measurement(2), entry(CodeVerdict::Denied)),
        ]),
        releases: vec![ReleaseRule { key: Digest([4; 32]), product: name("synod"), svn_min: 3 }],
        tees: BTreeMap::from([(Platform::SevSnp, tee)]),
        policies: BTreeMap::from([
            (PolicyKey::Default, Policy::Fraction { num: 2, den: 3 }),
            (PolicyKey::Kind(ActionKind::AddMember), nested),
            (PolicyKey::Kind(ActionKind::DenyCode), Policy::OneOfN),
        ]),
        proposers: BTreeMap::from([(ActionKind::AddParticipant, Proposers::Actors)]),
        auto_votes: BTreeMap::from([
            (ActionKind::AddNode, AutoVote { require: List::new(require).unwrap() }),
            (ActionKind::ApproveCode, AutoVote::default()),
        ]),
        rules: Some(Rules { block_calls_max: 7, ..Rules::default() }),
        epochs: Some(Epochs { length_seconds: 60, key_lifetime_seconds: 120 }),
        quorums: Some(Quorums::Sizes { commit: 2, election: 2 }),
        durability: Some(Durability::Synced),
        lease_seconds: Some(86_400),
        proposal_expiry_seconds: Some(3_600),
        auditors: vec![AuditorEntry {
            name: name("Eve"),
            certificate: Org::new("Eve").add().certificate,
            part: Part::Both,
        }],
        service: ServiceEntry { rotations: 2 },
    }
}

#[test]
fn a_document_reads_back_as_the_constitution_that_it_was_written_from() {
    for constitution in [full(), constitution(&[&Org::new("Alpha")])] {
        let text = to_toml(&constitution);
        let document = Document::parse(&text).unwrap_or_else(|problems| panic!("{problems:?} in\n{text}"));
        assert_eq!(document.constitution(), &constitution, "{text}");
        let world = World::of(&constitution);
        let shown = Constitution::from_state(&world.state).unwrap().unwrap();
        assert_eq!(shown, constitution, "the tables hold it all");
        assert_eq!(document.genesis_writes(START).unwrap(), constitution.genesis_writes(START).unwrap());
    }
    assert_eq!(Constitution::from_state(&synod_kv::State::default()), Ok(None));
}

/// Shown on the comment that is nearest above each.
#[test]
fn what_this_version_records_and_does_not_act_on_says_so_beside_it() {
    let text = to_toml(&full());
    for recorded in ["[[code]]", "[[release]]", "[[tee]]", "[[auditor]]", "epochs = {", "lease_seconds = "] {
        let (before, _) = text.split_once(&format!("\n{recorded}")).unwrap_or_else(|| panic!("{recorded}: {text}"));
        let above = before.trim_end().rsplit('\n').next().unwrap();
        assert!(above.starts_with("# ") && above.contains("(recorded: "), "{recorded}: {above}");
    }
}

/// The document of [`full`] with one text replaced.
fn changed(from: &str, to: &str) -> String {
    let text = to_toml(&full());
    assert!(text.contains(from), "{from} is not in\n{text}");
    text.replacen(from, to, 1)
}

fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}

#[test]
fn a_document_of_another_form_is_refused_with_the_line() {
    let rows = [
        ("name = \"harbour\"", "name = \"harbour\"\ncolour = 1", "colour", "unknown field `colour`"),
        ("lease_seconds = 86400", "leese = 1", "leese", "unknown field `leese`"),
        ("lease_seconds = 86400", "lease_seconds = \"1\"", "lease_seconds = \"1\"", "invalid type"),
        ("default = { fraction", "default = { fractoin", "fractoin", "unknown variant `fractoin`"),
        ("deny_code = \"one_of_n\"", "deny_cod = \"one_of_n\"", "deny_cod ", "no kind of action \"deny_cod\""),
        ("deny_code = \"one_of_n\"", "default = \"one_of_n\"", "default = \"one_of_n\"", "duplicate key"),
        ("owner = \"Beta\"", "owner = \"Betta\"", "owner = \"Betta\"", "no actor \"Betta\""),
        ("required = [\"Beta\"]", "required = [\"Betta\"]", "Betta", "no actor \"Betta\""),
        ("slot = 7", "slot = 2", "", "the slot 2 is taken"),
        ("address = \"vn7.example.org:7001\"", "address = \"vn7\"", "address = \"vn7\"", "an address is"),
        ("verdict = \"approved\"", "verdict = \"perhaps\"", "perhaps", "unknown variant `perhaps`"),
        ("admin = \"public\"", "admin = \"open\"", "admin = \"open\"", "unknown variant `open`"),
        ("-----BEGIN CERTIFICATE-----", "-----BEGIN NOTHING-----", "", "not a certificate in PEM"),
        ("[network]", "[network", "[network", ""),
    ];
    for (from, to, at, reason) in rows {
        let text = changed(from, to);
        let problems = Document::parse(&text).map(|_| ()).unwrap_err();
        assert!(problems[0].reason.contains(reason), "{to}: {problems:?}");
        if !at.is_empty() {
            // The last line with it: a duplicate key is the second.
            let lines = text.lines().enumerate().filter(|(_, line)| line.contains(at) && !line.starts_with('#'));
            assert_eq!(problems[0].line, lines.last().unwrap().0 + 1, "{to}: {problems:?}");
        }
    }
}

#[test]
fn contradictions_are_all_named_by_their_lines() {
    let text = changed("name = \"Beta\"", "name = \"Alpha\"").replacen("owner = \"Beta\"", "owner = \"Alpha\"", 1);
    let text =
        text.replacen("required = [\"Beta\"]", "required = [\"Alpha\"]", 1).replacen("vn7.example", "vn2.example", 1);
    let text = text.replacen("deny_code = \"one_of_n\"", "deny_code = { m_of_n = 9 }", 1);
    let problems = Document::parse(&text).unwrap().genesis_writes(START).unwrap_err();
    let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.reason.as_str())).collect();
    let line = |part| line_of(&text, part);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].1.contains("the name \"Alpha\" is taken") && found[1].1.contains("the same address"));
    assert!(line("vn7") > found[1].0 && found[1].0 > line("vn2"), "{found:?}");

    let text = changed("deny_code = \"one_of_n\"", "deny_code = { m_of_n = 9 }");
    let problems = Document::parse(&text).unwrap().genesis_writes(START).unwrap_err();
    assert_eq!(problems[0].line, line_of(&text, "deny_code = {"));
    assert!(problems[0].reason.contains("could never be fulfilled"), "{problems:?}");
}

#[test]
fn an_id_that_is_not_the_certificates_is_refused() {
    let id = Org::new("Beta").id().to_hex();
    let problems = Document::parse(&changed(&id, &Org::new("Gamma").id().to_hex())).map(|_| ()).unwrap_err();
    assert!(problems[0].reason.contains("not that of the certificate's key"), "{problems:?}");
}

#[test]
fn a_dry_run_says_what_would_change_and_writes_nothing() {
    let [a, b, d] = ["Alpha", "Beta", "Delta\\u{202e}"].map(Org::new);
    let mut constitution = constitution(&[&a, &b]);
    constitution.nodes.insert(NodeId(2), node("vn2", b.id()));
    let world = World::of(&constitution);
    let env = Env { network: NETWORK, seqno: world.seqno.next(), time: START };
    let actions = [
        Action::AddMember(d.add()),
        Action::SetPolicy(SetPolicy { kind: None, value: Some(Policy::MOfN(3)) }),
        Action::RemoveNode(RemoveNode { node: NodeId(1) }),
        Action::AddNode(node("vn3", d.id())),
    ];
    let changes = dry_run(&world.state, &env, &actions).unwrap().unwrap();
    let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let whats: Vec<_> = changes.iter().map(|change| change.what.as_str()).collect();
    assert_eq!(whats, ["member \"Delta\\\\u{202e}\"", "node 1", "node 3", "policy default"]);
    assert!(told[1].starts_with("- node 1: \"vn1\" of \"Alpha\" at vn1.example.org:7001"), "{told:?}");
    assert_eq!(told[3], "+ policy default: 3 of all members");

    let reasons =
        dry_run(&world.state, &env, &[Action::RemoveMember(RemoveActor { id: a.id() })]).unwrap().unwrap_err();
    assert_eq!(reasons[0].reason.code(), "NodeWithoutOwner");
    let full = full();
    assert_eq!(diff(&full, &full), []);
    assert!(Name::new("Delta\u{202e}").is_err());
}

#[test]
fn actions_have_a_form_in_json_and_toml_and_unknown_keys_are_refused() {
    let owner = Org::new("Alpha").id();
    let actions = vec![
        Action::AddMember(Org::new("Beta").add()),
        Action::AddNode(node("vn2", owner)),
        Action::SetPolicy(SetPolicy { kind: Some(ActionKind::AddNode), value: Some(Policy::MOfN(2)) }),
        Action::SetQuorums(SetQuorums { value: Some(Quorums::Majority) }),
        Action::SetLease(SetLease { seconds: None }),
        Action::RotateServiceIdentity(RotateServiceIdentity {}),
        Action::SetAdapter(AdapterEntry { name: name("log"), settings: TextBlob::new("{}").unwrap() }),
    ];
    for action in &actions {
        let json = serde_json::to_string(action).unwrap();
        assert_eq!(serde_json::from_str::<Action>(&json).unwrap(), *action, "{json}");
        let toml = toml::to_string(action).unwrap();
        assert_eq!(toml::from_str::<Action>(&toml).unwrap(), *action, "{toml}");
        let extra = json.replacen('{', "{\"colour\":1,", 1);
        assert!(serde_json::from_str::<Action>(&extra).is_err(), "{extra}");
    }
    let text = "action = \"set_policy\"\nkind = \"add_member\"\nvalue = { all_of = [\"majority\", { m_of_n = 2 }] }";
    let action: Action = toml::from_str(text).unwrap();
    assert_eq!(action.summary(), "decide add_member by all of (majority, 2 of all members)");
    assert!(toml::from_str::<Action>("action = \"set_world\"").is_err());
}
