//! Receipts as an independent verifier sees them: the Python package `ccf`, in a virtual environment that
//! this test makes below `target/` and keeps. Without Python the test says that it was skipped; without the
//! package it fails.
#![allow(clippy::unwrap_used, reason = "unwrap belongs to tests")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use common::{Network, call, content, moment, request};
use synod_crypto::sha256;
use synod_ledger::{AdminRecord, Content, NO_CLAIMS, Receipt, SealedBlock, SignerChange, open};
use synod_types::{Digest, Seqno};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
const REQUIREMENTS: &str = include_str!("ccf-requirements.txt");

#[test]
fn the_python_package_ccf_verifies_our_receipts() {
    let Some(python) = environment() else {
        eprintln!("SKIPPED: no python3 here, so receipts were not shown to the package ccf");
        return;
    };
    let network = Network::new();
    let mut input = format!("{}\n", json(&network.service.verifying_key().to_spki_pem()));
    cases(&network).iter().for_each(|case| case.write(&mut input));

    let mut child = Command::new(python)
        .arg(format!("{HERE}/verify_with_ccf.py"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("the environment's python starts");
    child.stdin.take().unwrap().write_all(input.as_bytes()).expect("the script reads to the end");
    assert!(child.wait().unwrap().success(), "the package ccf judged a receipt otherwise; see above");
}

struct Case {
    name: String,
    receipt: Vec<u8>,
    claims: Digest,
    valid: bool,
}

impl Case {
    fn write(&self, out: &mut String) {
        let hex = self.receipt.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (name, claims, valid) = (json(&self.name), self.claims, self.valid);
        writeln!(out, r#"{{"name": {name}, "receipt": "{hex}", "claims": "{claims}", "valid": {valid}}}"#).unwrap();
    }
}

/// A JSON string of a text that holds nothing but printable ASCII and line feeds.
fn json(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn cases(network: &Network) -> Vec<Case> {
    let service = network.service.verifying_key();
    let mut cases = Vec::new();
    let mut add = |what: &str, block: &SealedBlock, seqno: Seqno, claims: Digest| {
        let opened = open(block, &network.keys).unwrap();
        let receipt = Receipt::build(block, &opened, seqno, &network.keys).unwrap().to_cose(service);
        assert_eq!(Receipt::verify(&receipt, service).unwrap().claims.unwrap_or(NO_CLAIMS), claims);
        let name = format!("{what}, transaction {seqno}");
        let other_claims = Case {
            name: format!("{name}, other claims"),
            receipt: receipt.clone(),
            claims: Digest([0xee; 32]),
            valid: false,
        };
        cases.extend([Case { name, receipt, claims, valid: true }, other_claims]);
    };

    add("genesis", &network.genesis.block, Seqno(1), NO_CLAIMS);
    let (_, opening) = network.elect(1, &network.genesis.tip);
    let mut tip = opening.tip;
    for count in [1, 2, 3, 5, 8, 1000] {
        let made = network.node(1).application(&tip, moment(&tip, tip.open_view), &content(count)).unwrap();
        for place in [0, count / 2, count - 1] {
            add(&format!("block of {count}"), &made.block, tip.seqno.plus(place as u64 + 1), NO_CLAIMS);
        }
        tip = made.tip;
    }
    let claims = Digest([0xc1; 32]);
    let claiming =
        Content { requests: vec![request(1, vec![call("a", None), call("b", Some(claims))])], ..Content::default() };
    let made = network.node(1).application(&tip, moment(&tip, tip.open_view), &claiming).unwrap();
    add("block with claims", &made.block, tip.seqno.plus(2), claims);
    tip = made.tip;
    let admin = AdminRecord { write_set: Bytes::from_static(b"w"), detail: Bytes::new() };
    let made = network.node(1).governance(&tip, moment(&tip, tip.open_view), &admin, SignerChange::default()).unwrap();
    add("governance block", &made.block, tip.seqno.plus(1), sha256(&[&made.block.public]));

    // Each part of a receipt changed: what proves it to us proves it to them.
    let whole = cases[2].receipt.clone();
    for at in (0..whole.len()).step_by(7) {
        let mut receipt = whole.clone();
        receipt[at] ^= 1;
        assert!(Receipt::verify(&receipt, service).is_err(), "byte {at}");
        cases.push(Case { name: format!("byte {at} changed"), receipt, claims: NO_CLAIMS, valid: false });
    }
    cases
}

/// The python of an environment with the package, made on first use; `None` if there is no Python at all.
fn environment() -> Option<PathBuf> {
    let system = Command::new("python3").arg("--version").output();
    if system.is_err() {
        return None;
    }
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ready = root.join("python-ccf");
    let is_current = fs::read_to_string(ready.join("requirements.txt")).is_ok_and(|made_of| made_of == REQUIREMENTS);
    if !is_current {
        let fresh = root.join(format!("python-ccf.{}", std::process::id()));
        make_environment(&fresh);
        let _ = fs::remove_dir_all(&ready);
        fs::rename(&fresh, &ready).expect("the environment is moved into place");
    }
    Some(ready.join("bin/python"))
}

fn make_environment(at: &Path) {
    run(Command::new("python3").args(["-m", "venv"]).arg(at));
    // The package asks for Python 3.12; what is used of it here runs on 3.11 too, which Debian 12 has.
    run(Command::new(at.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--ignore-requires-python"])
        .args(["--no-deps", "--requirement"])
        .arg(format!("{HERE}/ccf-requirements.txt")));
    fs::write(at.join("requirements.txt"), REQUIREMENTS).expect("the environment can be written to");
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{command:?}: {status:?}\nhint: this test needs pip and venv (Debian: python3-venv) and a package index"
    );
}
