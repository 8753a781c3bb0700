//! Members have the service take another key, and nobody who pinned the old one is locked out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use synod_e2e::{Finished, Sandbox, decide, join_node, run, status, wait_until};

/// Through the command line, as members, clients and auditors have it.
#[test]
fn the_service_takes_another_key_by_vote_and_clients_receipts_joiners_and_audits_go_on() {
    let sandbox = Sandbox::start();
    let old = sandbox.dir.join("service.crt");
    let mut early = sandbox.client(0);
    let before = write(&sandbox, 1, "before");
    let before = receipt(&sandbox, &before, "before.cose");
    assert_eq!(service(&sandbox, &[]).json()["rotated"], false);

    rotate(&sandbox);
    let first = in_force(&sandbox, "first.crt");
    let after = write(&sandbox, 2, "after, by a client that pins the old certificate");
    let after = receipt(&sandbox, &after, "after.cose");
    verify(&before, &old).succeeded();
    verify(&after, &first).succeeded();
    let refused = verify(&after, &old);
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("another service") && refused.stderr.contains("synod node service"));
    // The new file tells of the old key as well, and until when it was the service's.
    let by_old = verify(&before, &first).succeeded().stdout;
    assert!(by_old.contains("the service's key until "), "{by_old}");
    assert!(!verify(&after, &first).succeeded().stdout.contains("until"));
    assert_eq!(early.put("/app/log/3", "over a session of before").expect("it answers").status, 200);

    // A client may pin the new one, and a node that joins is made from a directory of before.
    let pinned = sandbox.dir.join("pinned.json");
    let network = fs::read_to_string(&sandbox.network_file).expect("it can be read");
    fs::write(&pinned, network.replace("service.crt", "first.crt")).expect("a file can be written");
    let pinned = pinned.display().to_string();
    sandbox.synod(&["log", "put", "--key", "4", "--message", "pinned anew", "--nodes", &pinned]).succeeded();
    assert_eq!(service(&sandbox, &["--nodes", &pinned]).json()["rotated"], false);
    let (joining, add) = join_node(&sandbox, 4, "the-new-node.example.org:7000");
    verify(&after, &joining.join("service.crt")).succeeded();
    decide(&sandbox, &add);

    let stopped = sandbox.stop();
    check_ledgers(&stopped.dir, 1..=3);
    let sandbox = stopped.resume();
    wait_until("the node that joined has caught up", || {
        status(&sandbox)
            .into_iter()
            .find(|node| node.id == 4)?
            .role
            .filter(|role| role == "follower" || role == "leader")
    });
    let again = write(&sandbox, 5, "after a restart of all");
    verify(&receipt(&sandbox, &again, "again.cose"), &first).succeeded();
    verify(&receipt(&sandbox, &write(&sandbox, 6, "of before the restart"), "more.cose"), &first).succeeded();

    rotate(&sandbox);
    let second = in_force(&sandbox, "second.crt");
    let last = receipt(&sandbox, &write(&sandbox, 7, "under the third key"), "last.cose");
    verify(&last, &second).succeeded();
    assert_eq!(verify(&last, &first).status, 1);
    let by_first = service(&sandbox, &["--nodes", &pinned]).json();
    assert_eq!(by_first["rotated"], true, "the first new key endorses the second");
    assert_eq!(by_first["endorsements"].as_array().map(Vec::len), Some(2));
    for pinned in [&old, &first, &second] {
        let seen = openssl(&sandbox, pinned);
        assert!(seen.stdout.contains("Verify return code: 0 (ok)"), "{}: {}", pinned.display(), seen.stdout);
    }
    let stopped = sandbox.stop();
    check_ledgers(&stopped.dir, 1..=4);
}

/// Members decide; waits until nodes tell of another key.
fn rotate(sandbox: &Sandbox) {
    let digest = || service(sandbox, &[]).json()["service_digest"].clone();
    let before = digest();
    let proposal = sandbox.dir.join("rotate.toml");
    fs::write(&proposal, "[[action]]\naction = 'rotate_service_identity'\n").expect("a file can be written");
    decide(sandbox, &proposal);
    // All nodes are asked, and the one that answered the ballot knows.
    assert_ne!(digest(), before);
}

/// `synod node service --json` with more arguments.
fn service(sandbox: &Sandbox, more: &[&str]) -> Finished {
    sandbox.synod(&[&["node", "service", "--json"], more].concat()).succeeded()
}

fn in_force(sandbox: &Sandbox, name: &str) -> PathBuf {
    let file = sandbox.dir.join(name);
    let path = file.display().to_string();
    sandbox.synod(&["node", "service", "--out", &path]).succeeded();
    file
}

fn write(sandbox: &Sandbox, key: u64, message: &str) -> String {
    let put = sandbox.synod(&["log", "put", "--key", &key.to_string(), "--message", message]).succeeded();
    put.stdout.trim().to_owned()
}

fn receipt(sandbox: &Sandbox, txid: &str, name: &str) -> PathBuf {
    let file = sandbox.dir.join(name);
    sandbox.synod(&["receipt", "get", txid, "--out", &file.display().to_string()]).succeeded();
    file
}

fn verify(receipt: &Path, service: &Path) -> Finished {
    run(["receipt".as_ref(), "verify".as_ref(), receipt.as_os_str(), "--service".as_ref(), service.as_os_str()])
}

/// Connects with a TLS library that has no part in the network's and goes other ways from certificate to certificate.
fn openssl(sandbox: &Sandbox, pinned: &Path) -> Finished {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_3", "-connect", &sandbox.nodes[0].address, "-CAfile"]).arg(pinned);
    for (option, file) in [("-cert", "participant-1.crt"), ("-key", "participant-1.key")] {
        command.arg(option).arg(sandbox.dir.join("participants").join(file));
    }
    command.stdin(Stdio::null()).output().expect("openssl runs").into()
}

fn check_ledgers(dir: &Path, nodes: std::ops::RangeInclusive<u64>) {
    let key = dir.join("auditor/admin.key");
    for node in nodes {
        let ledger = dir.join(format!("node-{node}"));
        run(["ledger".as_ref(), "verify".as_ref(), ledger.as_os_str()]).succeeded();
        run(["ledger".as_ref(), "audit".as_ref(), ledger.as_os_str(), "--key".as_ref(), key.as_os_str()]).succeeded();
    }
}
