//! Signed ballots used again: for another proposal, for another network, a second time, too late.

use std::fs;
use std::path::Path;

use serde_json::Value;
use synod_crypto::statement::Unsigned;
use synod_crypto::{ActorKey, Algorithm, Certificate};
use synod_types::{Digest, Time};

use crate::world::World;

/// A prepared ballot, as `synod ballot prepare` writes it.
struct Prepared(Value);

impl Prepared {
    fn of(world: &World, who: &Path, id: &str, choice: &str) -> Self {
        let out = world.path("ballot.tbs");
        world.run(who, &["ballot", "prepare", id, choice, "--out", out.to_str().unwrap()]).succeeded();
        let prepared: Value = serde_json::from_slice(&fs::read(world.path("ballot.json")).unwrap()).unwrap();
        let this = Self(prepared);
        assert_eq!(
            this.unsigned().to_be_signed(),
            fs::read(out).unwrap(),
            "the bytes to be signed are the statement's"
        );
        this
    }

    fn unsigned(&self) -> Unsigned {
        let text = |key: &str| self.0[key].as_str().unwrap();
        let pems = self.0["certificates"].as_array().unwrap();
        let der = |pem: &Value| Certificate::from_pem(pem.as_str().unwrap()).unwrap().der().to_vec();
        let digits: Vec<_> = text("payload").as_bytes().chunks(2).collect();
        let byte = |pair: &&[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        Unsigned {
            algorithm: Algorithm::Es256,
            content_type: text("content_type").into(),
            chain: pems.iter().map(der).collect(),
            created_at: Time(self.0["created_at"].as_u64().unwrap() * 1_000_000),
            network: Digest::from_hex(text("network")).unwrap(),
            payload: digits.iter().map(byte).collect(),
        }
    }

    /// Signs it as `who` and gives the command that submits it.
    fn signed(&self, world: &World, who: &Path, name: &str) -> Vec<String> {
        let key = ActorKey::from_pem(&fs::read_to_string(who.with_extension("key")).unwrap()).unwrap();
        let signature = key.sign(&self.unsigned().to_be_signed()).0;
        let signature = world.write(&format!("{name}.sig"), signature);
        let prepared = world.write(&format!("{name}.json"), self.0.to_string());
        let words =
            ["ballot", "submit", "--prepared", prepared.to_str().unwrap(), "--signature", signature.to_str().unwrap()];
        words.map(str::to_owned).to_vec()
    }
}

fn refused(world: &World, who: &Path, command: &[String], code: &str) {
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    world.refused(who, &command, code);
}

fn accepted(world: &World, who: &Path, command: &[String]) {
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    world.run(who, &command).succeeded();
}

#[test]
fn a_signed_ballot_is_good_for_one_proposal_of_one_network_once() {
    let world = World::start();
    let member = world.member(3);
    let (one, _) = world.propose("[[action]]\naction = 'set_proposal_expiry'\nseconds = 60\n");
    let (two, _) = world.propose("[[action]]\naction = 'set_proposal_expiry'\nseconds = 90\n");
    let accept = Prepared::of(&world, &member, &one, "accept");

    // The payload is a version byte, the proposal's id in eight bytes, its digest, the choice and the counter.
    let mut moved = Prepared(accept.0.clone());
    let payload = moved.0["payload"].as_str().unwrap().to_owned();
    assert!(payload.starts_with("010100000000000000"), "{payload}");
    moved.0["payload"] = format!("010{two}00000000000000{}", &payload[18..]).into();
    refused(&world, &member, &moved.signed(&world, &member, "moved"), "OtherProposal");

    let mut elsewhere = Prepared(accept.0.clone());
    elsewhere.0["network"] = "ab".repeat(32).into();
    refused(&world, &member, &elsewhere.signed(&world, &member, "elsewhere"), "OtherNetwork");

    // Signed by one member, submitted by another; and with a signature of another key.
    let signed = accept.signed(&world, &member, "accept");
    refused(&world, &world.member(2), &signed, "SignerIsNotCaller");
    let foreign = accept.signed(&world, &world.member(2), "foreign");
    let foreign: Vec<_> = foreign.iter().map(String::as_str).collect();
    let said = world.run(&member, &foreign);
    assert!(said.status == 1 && said.stderr.contains("the signature does not fit"), "{said:?}");

    // A ballot that was replaced does not come back.
    accepted(&world, &member, &signed);
    refused(&world, &member, &signed, "AlreadyVoted");
    world.run(&member, &["ballot", "submit", &one, "reject"]).succeeded();
    refused(&world, &member, &signed, "AlreadyVoted");
    let shown = world.run(&member, &["proposal", "show", &one, "--json"]).succeeded().json();
    assert_eq!((&shown["mine"], &shown["votes"]["rejecting"]), (&"reject".into(), &1.into()));

    // Nor after closing.
    let late = Prepared::of(&world, &member, &one, "accept").signed(&world, &member, "late");
    world.run(&world.member(1), &["proposal", "withdraw", &one]).succeeded();
    refused(&world, &member, &late, "ProposalClosed");
}

#[test]
fn a_proposal_signed_elsewhere_is_submitted_once() {
    let world = World::start();
    let member = world.member(1);
    let file = world.write("p.toml", "note = 'why'\n[[action]]\naction = 'set_proposal_expiry'\nseconds = 60\n");
    let out = world.path("p.tbs");
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    world.run(&member, &["proposal", "prepare", file, "--out", out, "--expires", "1h"]).succeeded();
    let key = member.with_extension("key");
    let sign = format!("openssl dgst -sha256 -sign '{}' -out '{out}.sig' '{out}'", key.display());
    world.sandbox.shell(&sign).succeeded();
    let submit = ["proposal", "submit", "--prepared", out, "--signature", &format!("{out}.sig")];
    let done = world.run(&member, &[&submit[..], &["--json"]].concat()).succeeded().json();
    assert_eq!((&done["proposal"], &done["status"]), (&1.into(), &"Open".into()));
    world.refused(&member, &submit, "ProposalKnown");
    // A prepared proposal is no ballot.
    let said = world.run(&member, &["ballot", "submit", "--prepared", out, "--signature", &format!("{out}.sig")]);
    assert!(said.status == 1 && said.stderr.contains("submit it with the command that prepared it"), "{said:?}");
}
