//! Receipts convince somebody who has no part in the network.

use std::process::Command;

use synod_e2e::{Finished, Sandbox, python_tools};

#[test]
fn a_receipt_is_verified_offline_by_synod_and_by_an_independent_package() {
    let sandbox = Sandbox::start();
    let txid = sandbox.synod(&["log", "put", "--key", "7", "--message", "hello"]).succeeded();
    let txid = txid.stdout.trim().to_owned();
    let file = sandbox.dir.join("receipt.cose");
    let path = file.to_str().expect("a plain path");
    sandbox.synod(&["receipt", "get", &txid, "--out", path]).succeeded();
    let service = sandbox.dir.join("service.crt");
    let service = service.to_str().expect("a plain path").to_owned();

    let stopped = sandbox.stop();
    let verify = |file: &str| synod_e2e::run(["receipt", "verify", file, "--service", &service]);
    let verified = verify(path).succeeded();
    assert!(verified.stdout.contains(&txid), "the receipt names its transaction: {}", verified.stdout);
    independent(path, &service, "hello").succeeded();
    assert_ne!(independent(path, &service, "hallo").status, 0, "the receipt is of this message and no other");

    let bytes = std::fs::read(&file).expect("the receipt is readable");
    for place in (0..bytes.len()).step_by(bytes.len() / 24) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        std::fs::write(&file, flipped).expect("the file is writable");
        assert_eq!(verify(path).status, 1, "a receipt with byte {place} flipped is refused");
    }
    drop(stopped);
}

/// Verifies with the Python package `ccf` that `message` was written at key 7.
fn independent(file: &str, service: &str, message: &str) -> Finished {
    let python = python_tools();
    let folder = python.ancestors().nth(3).expect("venv/bin/python lies in the tools' folder");
    let claimed = [&7_u64.to_be_bytes(), message.as_bytes()].concat();
    let claimed: String = claimed.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = Command::new(python);
    command.arg(folder.join("verify-receipt.py")).args([file, service, &claimed]);
    command.output().expect("python runs").into()
}
