//! What `synod ledger show` prints of both ledgers.

use serde_json::Value;
use synod_e2e::run;

use crate::world::World;

/// One line of `synod ledger show --json`: its kind, its first seqno, and what governance it tells of.
fn shown(line: &str) -> Option<(String, u64, Value)> {
    let line: Value = serde_json::from_str(line).unwrap();
    let block = &line["block"];
    let is_work = ["application", "governance"].map(Value::from).contains(&block["kind"]);
    is_work.then(|| {
        (block["kind"].as_str().unwrap().into(), block["first_seqno"].as_u64().unwrap(), line["governance"].clone())
    })
}

/// A member does each in turn, and each is acknowledged with its transaction before the next begins.
#[test]
fn governance_and_applications_stand_in_their_one_order_and_governance_is_told_to_who_has_the_key() {
    let world = World::start();
    let mut expected: Vec<(&str, u64, &str)> = Vec::new();
    let seqno = |printed: &str| printed.trim().rsplit(['.', ' ']).next().unwrap().parse().unwrap();
    let file = world.write("proposal.toml", "[[action]]\naction = 'set_lease'\nseconds = 60\n");
    let steps: [(&[&str], u64, &str); 3] = [
        (&["proposal", "submit", file.to_str().unwrap()], 1, "proposal 1 by \"member-1\""),
        (&["ballot", "submit", "1", "accept"], 1, "\"member-1\" accepts proposal 1"),
        (&["ballot", "submit", "1", "accept"], 2, "proposal 1 accepted: 2 of 3 members accept, 0 reject"),
    ];
    for (arguments, who, told) in steps {
        let put = world.sandbox.synod(&["log", "put", "--key", "1", "--message", "between"]).succeeded();
        expected.push(("application", seqno(&put.stdout), ""));
        expected.push(("governance", seqno(&world.run(&world.member(who), arguments).succeeded().stdout), told));
    }
    let stopped = world.sandbox.stop();
    let (node, key) = (&stopped.nodes[0].dir, stopped.dir.join("auditor/admin.key"));
    let show = ["ledger", "show", node.to_str().unwrap()];
    let with_key = [&show[..], &["--key", key.to_str().unwrap()]].concat();

    for (arguments, is_open) in [(&show[..], false), (&with_key, true)] {
        let output = run([arguments, &["--json"]].concat()).succeeded().stdout;
        let lines: Vec<_> = output.lines().filter_map(shown).collect();
        let found: Vec<_> = lines.iter().map(|(kind, seqno, _)| (kind.as_str(), *seqno)).collect();
        assert_eq!(found, expected.iter().map(|(kind, seqno, _)| (*kind, *seqno)).collect::<Vec<_>>());
        let tells = |governance: &Value| !governance.is_null();
        let told: Vec<_> = lines.iter().map(|(_, _, governance)| tells(governance)).collect();
        assert_eq!(told, expected.iter().map(|(_, _, told)| is_open && !told.is_empty()).collect::<Vec<_>>());

        let text = run(arguments).succeeded().stdout;
        let mut rest = text.lines();
        for (kind, seqno, told) in &expected {
            let seqno = seqno.to_string();
            let is_row = |line: &str| line.contains(kind) && line.split_whitespace().any(|word| word == seqno);
            assert!(rest.any(is_row), "{kind} {seqno} is not where it belongs in\n{text}");
            if is_open && !told.is_empty() {
                assert!(rest.by_ref().take(2).any(|line| line.trim() == *told), "{told} is not below it in\n{text}");
            }
        }
        assert_eq!(text.contains("member-1"), is_open, "{text}");
    }
}
