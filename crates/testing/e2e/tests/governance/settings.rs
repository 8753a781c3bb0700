//! Members change the settings of the Ethereum adapter, and stock tools see it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use synod_e2e::{Finished, Sandbox, npm_tools, run, status, wait_until};

use crate::world::World;

/// PUSH1 1, CLZ (EIP-7939, Osaka), PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN, as creation code.
const COUNT_LEADING_ZEROS: &str = "0x60011e5f5260205ff3";

#[test]
fn members_add_a_second_chain_and_take_up_a_fork_by_vote_and_tools_see_it_through_the_gateway() {
    let world = World::with_nodes(3);
    let accounts: Value = serde_json::from_slice(&fs::read(world.sandbox.dir.join("accounts.json")).unwrap()).unwrap();
    let [address, key] = ["address", "private_key"].map(|field| accounts[0][field].as_str().unwrap().to_owned());
    let create = ["send", "--json", "--private-key", &key, "--create", COUNT_LEADING_ZEROS];
    let first = settings(&world);
    assert_eq!(chain_id(&world.sandbox, ""), Some("31337".into()));
    assert_eq!(chain_id(&world.sandbox, "second"), None);
    assert_ne!(cast(&world.sandbox, "", &create).status, 0, "it cannot be estimated under the first fork");

    // What cannot change is refused before anybody votes, with the adapter's words.
    let mut other = first.clone();
    other["instances"][0]["chain_id"] = json!(1338);
    other["instances"].as_array_mut().unwrap().push(json!({"name": "Second", "chain_id": 4242}));
    let file = propose_file(&world, &other);
    for more in [&[][..], &["--dry-run"]] {
        let submit = [&["proposal", "submit", &file], more].concat();
        let said = world.refused(&world.member(1), &submit, "Actions");
        assert!(said.contains("instance main exists, so that chain_id cannot change"), "{said}");
        assert!(said.contains("instance name \"Second\""), "every reason: {said}");
    }

    let mut second = first;
    second["instances"][0]["fork"] = json!("osaka");
    let alloc = json!({&address: {"balance": "0x2a"}});
    second["instances"].as_array_mut().unwrap().push(json!({"name": "second", "chain_id": 4242, "alloc": alloc}));
    propose_file(&world, &second);
    world.decide("[[action]]\naction = 'set_adapter'\nname = 'evm'\nsettings_file = 'evm.json'\n");
    assert_eq!(settings(&world), second);
    wait_until("the second chain answers", || chain_id(&world.sandbox, "second").filter(|id| id == "4242"));
    let words =
        |instance, arguments: &[&str]| cast(&world.sandbox, instance, arguments).succeeded().stdout.trim().to_owned();
    assert_eq!(words("second", &["balance", &address]), "42");
    let sent =
        cast(&world.sandbox, "second", &["send", "--json", "--private-key", &key, "--value", "2", &other_address()]);
    assert_eq!(sent.succeeded().json()["status"], "0x1");
    assert_eq!(cast(&world.sandbox, "", &create).succeeded().json()["status"], "0x1", "under the later fork");
    assert_eq!(words("", &["nonce", &address]), "1");

    let stopped = world.sandbox.stop();
    for node in 1..=3 {
        let ledger = stopped.dir.join(format!("node-{node}"));
        run(["ledger".as_ref(), "verify".as_ref(), ledger.as_os_str()]).succeeded();
        let key = stopped.dir.join("auditor/admin.key");
        run(["ledger".as_ref(), "audit".as_ref(), "--key".as_ref(), key.as_os_str(), ledger.as_os_str()]).succeeded();
    }
    let sandbox = stopped.resume();
    wait_until("a leader", || status(&sandbox).into_iter().find(|node| node.role.as_deref() == Some("leader")));
    wait_until("the second chain is back", || chain_id(&sandbox, "second"));
    assert_eq!(cast(&sandbox, "second", &["balance", &other_address()]).succeeded().stdout.trim(), "2");
    assert_eq!(cast(&sandbox, "", &create).succeeded().json()["status"], "0x1");
}

/// The settings of the adapter, as the constitution in force shows them.
fn settings(world: &World) -> Value {
    let constitution: toml::Table = toml::from_str(&world.constitution()).unwrap();
    let adapters = constitution["adapter"].as_array().unwrap();
    let evm = adapters.iter().find(|adapter| adapter["name"].as_str() == Some("evm")).unwrap();
    serde_json::from_str(evm["settings"].as_str().unwrap()).unwrap()
}

/// Writes settings, and a proposal that names their file.
fn propose_file(world: &World, settings: &Value) -> String {
    world.write("evm.json", settings.to_string());
    let action = "[[action]]\naction = 'set_adapter'\nname = 'evm'\nsettings_file = 'evm.json'\n";
    world.write("settings.toml", action).to_str().unwrap().to_owned()
}

fn other_address() -> String {
    format!("0x{}", "09".repeat(20))
}

/// What `cast` says of the chain of an instance, if there is one.
fn chain_id(sandbox: &Sandbox, instance: &str) -> Option<String> {
    let asked = cast(sandbox, instance, &["chain-id"]);
    (asked.status == 0).then(|| asked.stdout.trim().to_owned())
}

fn cast(sandbox: &Sandbox, instance: &str, arguments: &[&str]) -> Finished {
    let mut cast = Command::new(npm_tools().join("node_modules/.bin/cast"));
    cast.args(arguments).env("ETH_RPC_URL", format!("{}/{instance}", sandbox.rpc_url));
    cast.output().unwrap().into()
}
