//! Who speaks for an organisation, at the door and under a statement.

use std::path::Path;
use std::process::Command;

use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

use crate::certificates::{Authority, GOOD, Leaf};
use crate::world::World;

/// A member whose certificate is an authority and which pins a department.
fn organisation(world: &World) -> Authority {
    let authority = Authority::new("Org");
    world.write("org.crt", authority.pem());
    world.decide(
        "[[action]]\naction = 'add_member'\nname = 'Org'\ncertificate_file = 'org.crt'\n\
         pins = { organizational_unit = ['Governance'] }\n",
    );
    authority
}

/// Leaves that do not speak for the organisation: how they are refused at the door, and what is said of them.
fn strangers(world: &World, authority: &Authority) -> [(&'static str, &'static str, &'static str); 5] {
    authority.issue(world, "expired", Leaf { expired: true, ..GOOD });
    authority.issue(world, "sibling", Leaf { unit: "Sales", ..GOOD });
    authority.issue(world, "wrong-usage", Leaf { usage: KeyUsagePurpose::KeyAgreement, ..GOOD });
    authority.issue(world, "server-only", Leaf { extended: ExtendedKeyUsagePurpose::ServerAuth, ..GOOD });
    // Another authority of the same name; the chain shows the real one, which did not sign the leaf.
    Authority::new("Org").issue(world, "wrong-authority", GOOD);
    let leaf = std::fs::read_to_string(world.path("wrong-authority.crt")).unwrap();
    let end = leaf.find("-----END CERTIFICATE-----").unwrap();
    world.write("wrong-authority.crt", format!("{}-----END CERTIFICATE-----\n{}", &leaf[..end], authority.pem()));
    [
        ("expired", "CertificateExpired", "has expired"),
        ("sibling", "CertificatePinned", "organisational unit"),
        ("wrong-usage", "CertificateUsage", "not for"),
        ("server-only", "CertificateUsage", "not for"),
        ("wrong-authority", "NotAuthorized", ""),
    ]
}

#[test]
fn only_a_leaf_that_fits_connects_or_signs_for_an_organisation() {
    let world = World::start();
    let authority = organisation(&world);
    authority.issue(&world, "good", GOOD);
    let good = world.path("good");
    world.run(&good, &["proposal", "list"]).succeeded();
    let (id, _) = world.propose("[[action]]\naction = 'set_proposal_expiry'\nseconds = 60\n");
    for (name, code, said) in strangers(&world, &authority) {
        let leaf = world.path(name);
        let heard = world.refused(&leaf, &["proposal", "list"], code);
        assert!(heard.contains(said), "{name}: {heard}");
        // The same leaf signs a ballot, and one that may connects with it.
        prepare(&world, &good, &id, &leaf);
        let heard = world.refused(&good, &submit(&world), "Identity");
        assert!(heard.contains(said), "{name}: {heard}");
    }
    prepare(&world, &good, &id, &world.path("good"));
    world.run(&good, &submit(&world)).succeeded();
}

#[test]
fn a_revoked_leaf_is_refused_from_the_transaction_on_and_its_sibling_is_not() {
    let world = World::start();
    let authority = organisation(&world);
    authority.issue(&world, "one", GOOD);
    authority.issue(&world, "two", Leaf { serial: 2, ..GOOD });
    let (one, two) = (world.path("one"), world.path("two"));
    let (id, _) = world.propose("[[action]]\naction = 'set_proposal_expiry'\nseconds = 60\n");
    prepare(&world, &two, &id, &one);

    let other = world.write("other.crl", Authority::new("Org").revoke(1, 7));
    world.refused(&two, &["revoke", other.to_str().unwrap()], "Crl");
    let list = world.write("list.crl", authority.revoke(1, 7));
    let done = world.run(&two, &["revoke", list.to_str().unwrap(), "--json"]).succeeded().json();
    assert!(done["txid"].as_str().unwrap().parse::<synod_types::TxId>().is_ok());
    world.refused(&one, &["proposal", "list"], "CertificateRevoked");
    world.refused(&two, &submit(&world), "Identity");
    world.run(&two, &["proposal", "list"]).succeeded();
    world.refused(&two, &["revoke", list.to_str().unwrap()], "Crl");
}

#[test]
fn a_certificate_that_cannot_be_an_actors_is_not_proposed() {
    let world = World::start();
    let authority = Authority::new("Org");
    authority.issue(&world, "old", Leaf { expired: true, ..GOOD });
    authority.issue(&world, "usage", Leaf { usage: KeyUsagePurpose::KeyAgreement, ..GOOD });
    for (name, reason) in [("old", "CertificateUnusable"), ("usage", "CertificateUnusable")] {
        let file = world.write(
            "proposal.toml",
            format!("[[action]]\naction = 'add_member'\nname = 'New'\ncertificate_file = '{name}.crt'\n"),
        );
        let said = world.refused(&world.member(1), &["proposal", "submit", file.to_str().unwrap()], "Actions");
        assert!(said.contains(reason), "{name}: {said}");
    }
}

/// Prepares a ballot as `who`, to be signed by `signer`, and signs it with openssl as an HSM would.
fn prepare(world: &World, who: &Path, id: &str, signer: &Path) {
    let (tbs, certificate) = (world.path("vote.tbs"), signer.with_extension("crt"));
    let (out, leaf) = (tbs.to_str().unwrap(), certificate.to_str().unwrap());
    world.run(who, &["ballot", "prepare", id, "accept", "--out", out, "--signer", leaf]).succeeded();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-sign"]).arg(signer.with_extension("key"));
    openssl.arg("-out").arg(world.path("vote.sig")).arg(&tbs);
    assert!(openssl.status().expect("openssl is installed").success());
}

/// The command that submits it.
fn submit(world: &World) -> [&'static str; 6] {
    let text = |name: &str| -> &'static str { world.path(name).to_str().unwrap().to_owned().leak() };
    ["ballot", "submit", "--prepared", text("vote.json"), "--signature", text("vote.sig")]
}
