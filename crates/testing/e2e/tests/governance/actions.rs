//! Each kind of action, as members write it into a file.

use std::fs;

use synod_e2e::join_node;

use crate::world::World;

/// What sets something, what changes it, and what takes it back; and what the constitution says after the first two.
struct Row {
    actions: [String; 3],
    shown: [&'static str; 2],
}

fn row(actions: [&str; 3], shown: [&'static str; 2]) -> Row {
    Row { actions: actions.map(str::to_owned), shown }
}

/// All of a column is one proposal. The rotation of the service's identity and the adapters' settings have tests of their
/// own.
#[test]
fn each_kind_of_action_is_submitted_by_file_changes_the_constitution_and_can_be_taken_back() {
    let world = World::with_nodes(3);
    for name in ["Delta", "Papa", "Papa, renewed", "Eve"] {
        let out = world.path(name);
        world.sandbox.synod(&["identity", "new", "--name", name, "--out", out.to_str().unwrap()]).succeeded();
    }
    let eve = world.sandbox.synod(&["identity", "show", world.path("Eve").to_str().unwrap(), "--json"]);
    let eve = eve.succeeded().json()["certificates"][0]["id"].as_str().unwrap().to_owned();
    let (_, joining) = join_node(&world.sandbox, 4, "the-new-node.example.org:7000");
    let joining = fs::read_to_string(joining).unwrap();
    let add_node = joining.split_once("[[action]]").unwrap().1.trim_start().to_owned();

    let at_first = world.constitution();
    let rows = rows(&add_node, &eve);
    for column in 0..3 {
        let actions: Vec<_> =
            rows.iter().map(|row| row.actions[column].as_str()).filter(|action| !action.is_empty()).collect();
        let file: String = actions.iter().map(|action| format!("[[action]]\n{action}\n\n")).collect();
        let path = world.write("proposal.toml", &file);
        let dry = ["proposal", "submit", path.to_str().unwrap(), "--dry-run", "--json"];
        let changes = world.run(&world.member(1), &dry).succeeded().json();
        assert_eq!(changes["changes"].as_array().unwrap().len(), actions.len(), "{changes:#}\n{file}");
        world.decide(&file);
        let constitution = world.constitution();
        for row in rows.iter().filter(|row| !row.actions[column].is_empty()) {
            let action = &row.actions[column];
            match row.shown.get(column) {
                Some(shown) => assert!(constitution.contains(shown), "{action}\n{shown}\n{constitution}"),
                None => assert!(row.shown.iter().all(|shown| !constitution.contains(shown)), "{action}"),
            }
        }
    }
    assert_eq!(world.constitution(), at_first, "all is taken back");
}

fn rows(add_node: &str, eve: &str) -> Vec<Row> {
    let digest = "04".repeat(32);
    let release = |value: &str| format!("action = 'set_release_rule'\nkey = '{digest}'\nproduct = 'synod'\n{value}");
    let measured = |action: &str| format!("action = '{action}'\nmeasurement = '{}'", "ab".repeat(48));
    let build = "framework = '1.2'\nadapter = 'log'\nadapter_version = '0.4'\nsource_commit = '0707'";
    let auditor =
        |part: &str| format!("action = 'grant_auditor'\nname = 'Eve'\ncertificate_file = 'Eve.crt'\npart = '{part}'");
    let revoke = format!("action = 'revoke_auditor'\nkey = '{eve}'");
    let tee = |value: &str| format!("action = 'set_tee_rule'\nplatform = 'sev_snp'\n{value}");
    let trusted = "value = { allowed = true, tcb_min = [{ component = 'snp', version_min = 23 }], \
                   advisories_denied = ['AMD-SB-3019'] }";
    vec![
        row(
            [
                "action = 'set_policy'\nvalue = { m_of_n = 2 }",
                "action = 'set_policy'\nvalue = { at_least = { k = 1, of = ['unanimous', { m_of_n = 2 }] } }",
                "action = 'set_policy'",
            ],
            ["default = { m_of_n = 2 }", "default = { at_least = { k = 1, of = [\"unanimous\", { m_of_n = 2 }] } }"],
        ),
        row(
            [
                "action = 'set_policy'\nkind = 'rotate_service_identity'\nvalue = { required = ['member-1'] }",
                "action = 'set_policy'\nkind = 'rotate_service_identity'\nvalue = { fraction = { num = 1, den = 2 } }",
                "action = 'set_policy'\nkind = 'rotate_service_identity'",
            ],
            [
                "rotate_service_identity = { required = [\"member-1\"] }",
                "rotate_service_identity = { fraction = { den = 2, num = 1 } }",
            ],
        ),
        row(
            [
                "action = 'add_member'\nname = 'Delta'\ncertificate_file = 'Delta.crt'",
                "action = 'replace_member'\nid = 'Delta'\npins = { organizational_unit = ['Desk'] }",
                "action = 'remove_member'\nid = 'Delta'",
            ],
            ["[[member]]\nname = \"Delta\"", "organizational_unit = [\"Desk\"]"],
        ),
        row(
            [
                "action = 'add_participant'\nname = 'Papa'\ncertificate_file = 'Papa.crt'",
                "action = 'replace_participant'\nid = 'Papa'\ncertificate_file = 'Papa, renewed.crt'",
                "action = 'remove_participant'\nid = 'Papa'",
            ],
            ["[[participant]]\nname = \"Papa\"", "[[participant]]\nname = \"Papa\""],
        ),
        row(
            [
                add_node,
                "action = 'replace_node'\nnode = 4\naddress = '192.0.2.7:7001'",
                "action = 'remove_node'\nnode = 4",
            ],
            ["address = \"the-new-node.example.org:7000\"", "address = \"192.0.2.7:7001\""],
        ),
        row(
            [&format!("{}\n{build}", measured("approve_code")), &measured("deny_code"), &measured("forget_code")],
            ["verdict = \"approved\"\nframework = \"1.2\"", "verdict = \"denied\"\nframework = \"1.2\""],
        ),
        row(
            [&release("value = { svn_min = 3 }"), &release("value = { svn_min = 4 }"), &release("")],
            ["product = \"synod\"\nsvn_min = 3", "product = \"synod\"\nsvn_min = 4"],
        ),
        row(
            [&tee(trusted), &tee("value = { allowed = false }"), &tee("")],
            ["platform = \"sev_snp\"\nallowed = true", "platform = \"sev_snp\"\nallowed = false"],
        ),
        row(
            [&auditor("administration"), &auditor("both"), &revoke],
            ["name = \"Eve\"\npart = \"administration\"", "name = \"Eve\"\npart = \"both\""],
        ),
        row(
            [
                "action = 'set_proposers'\nkind = 'add_participant'\nvalue = 'actors'",
                "action = 'set_proposers'\nkind = 'add_participant'\nvalue = 'members'",
                "action = 'set_proposers'\nkind = 'add_participant'",
            ],
            ["add_participant = \"actors\"", "add_participant = \"members\""],
        ),
        row(
            [
                "action = 'set_auto_vote'\nkind = 'add_node'\nvalue = { require = ['code_is_approved'] }",
                "action = 'set_auto_vote'\nkind = 'add_node'\nvalue = { require = ['owner_is_actor'] }",
                "action = 'set_auto_vote'\nkind = 'add_node'",
            ],
            ["add_node = { require = [\"code_is_approved\"] }", "add_node = { require = [\"owner_is_actor\"] }"],
        ),
        row(
            [
                "action = 'set_blocks'\nvalue = { block_calls_max = 7, block_delay_us = 2000, blocks_uncommitted_max = 8 }",
                "action = 'set_blocks'\nvalue = { block_calls_max = 9, block_delay_us = 2000, blocks_uncommitted_max = 8 }",
                "action = 'set_blocks'",
            ],
            ["\nblocks = { block_calls_max = 7,", "\nblocks = { block_calls_max = 9,"],
        ),
        row(
            [
                "action = 'set_epochs'\nvalue = { length_seconds = 60, key_lifetime_seconds = 90 }",
                "action = 'set_epochs'\nvalue = { length_seconds = 70, key_lifetime_seconds = 90 }",
                "action = 'set_epochs'",
            ],
            [
                "\nepochs = { key_lifetime_seconds = 90, length_seconds = 60 }",
                "\nepochs = { key_lifetime_seconds = 90, length_seconds = 70 }",
            ],
        ),
        // Of four nodes three are the majority, and this version knows no other sizes.
        row(
            [
                "action = 'set_quorums'\nvalue = 'majority'",
                "action = 'set_quorums'\nvalue = { sizes = { commit = 3, election = 3 } }",
                "action = 'set_quorums'",
            ],
            ["\nquorums = \"majority\"", "\nquorums = { sizes = { commit = 3, election = 3 } }"],
        ),
        row(
            ["action = 'set_durability'\nvalue = 'synced'", "", "action = 'set_durability'"],
            ["\ndurability = \"synced\"", "\ndurability = \"synced\""],
        ),
        row(
            ["action = 'set_lease'\nseconds = 60", "action = 'set_lease'\nseconds = 90", "action = 'set_lease'"],
            ["\nlease_seconds = 60", "\nlease_seconds = 90"],
        ),
        row(
            [
                "action = 'set_proposal_expiry'\nseconds = 60",
                "action = 'set_proposal_expiry'\nseconds = 90",
                "action = 'set_proposal_expiry'",
            ],
            ["\nproposal_expiry_seconds = 60", "\nproposal_expiry_seconds = 90"],
        ),
    ]
}
