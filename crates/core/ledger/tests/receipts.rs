//! Receipts: what they prove, and what is refused.
#![allow(clippy::unwrap_used, reason = "unwrap belongs to tests")]

mod common;

use common::{Network, call, content, moment, request};
use proptest::prelude::*;
use synod_crypto::{ServiceKey, sha256};
use synod_ledger::{Content, Receipt, ReceiptRefused, ServiceHistory, open};
use synod_types::{Digest, Seqno, TxId, View};

/// A receipt of transaction 2.4, the third of five.
fn receipt(network: &Network) -> Vec<u8> {
    let (_, opening) = network.elect(1, &network.genesis.tip);
    let tip = opening.tip;
    let made = network.node(1).application(&tip, moment(&tip, View(2)), &content(5)).unwrap();
    let opened = open(&made.block, &network.keys).unwrap();
    Receipt::build(&made.block, &opened, Seqno(4), &network.keys).unwrap().to_cose(network.service.verifying_key())
}

#[test]
fn a_receipt_proves_transaction_write_set_claims_and_root() {
    let network = Network::new();
    let (_, opening) = network.elect(1, &network.genesis.tip);
    let tip = opening.tip;
    let calls = (0..7).map(|i| call(&i.to_string(), (i % 2 == 0).then_some(Digest([i + 1; 32])))).collect();
    let content = Content { requests: vec![request(1, calls)], ..Content::default() };
    let made = network.node(1).application(&tip, moment(&tip, View(2)), &content).unwrap();
    let opened = open(&made.block, &network.keys).unwrap();
    for i in 0..7u8 {
        let seqno = Seqno(2 + u64::from(i));
        let receipt = Receipt::build(&made.block, &opened, seqno, &network.keys).unwrap();
        let verified =
            Receipt::verify(&receipt.to_cose(network.service.verifying_key()), network.service.verifying_key())
                .unwrap();
        assert_eq!(verified.txid, TxId::new(View(2), seqno));
        assert_eq!(verified.write_set, sha256(&[format!("writes {i}").as_bytes()]));
        assert_eq!(verified.claims, (i % 2 == 0).then_some(Digest([i + 1; 32])));
        assert_eq!(verified.root, made.tip.root);
    }
    for outside in [Seqno(0), Seqno(1), Seqno(9), Seqno(u64::MAX)] {
        assert_eq!(Receipt::build(&made.block, &opened, outside, &network.keys), None);
    }
}

#[test]
fn a_receipt_of_another_service_is_refused() {
    let other = ServiceKey::from_seed(&[99; 32]);
    assert_eq!(Receipt::verify(&receipt(&Network::new()), other.verifying_key()), Err(ReceiptRefused::OtherService));
}

/// The keys that the service had: key 1 up to transaction 2.5, in which members decided for another.
#[test]
fn a_key_speaks_for_the_transactions_of_its_time_and_no_others() {
    let network = Network::new();
    let (_, opening) = network.elect(1, &network.genesis.tip);
    let tip = opening.tip;
    let made = network.node(1).application(&tip, moment(&tip, View(2)), &content(5)).unwrap();
    let opened = open(&made.block, &network.keys).unwrap();
    let (first, next) = (network.service.verifying_key(), ServiceKey::from_seed(&[42; 32]));
    let receipt = |seqno| Receipt::build(&made.block, &opened, Seqno(seqno), &network.keys).unwrap().to_cose(first);
    let decided = |view, seqno| {
        let mut history = ServiceHistory::new(first.clone());
        history.push(next.verifying_key().clone(), TxId::new(View(view), Seqno(seqno)));
        history
    };
    // Transactions 2 to 6 are in the block.
    for (seqno, is_good) in [(2, true), (5, true), (6, false)] {
        let judged = decided(2, 5).verify(&receipt(seqno)).map(|(receipt, place)| (receipt.txid.seqno, place));
        let refused = ReceiptRefused::KeyNotInForce { txid: TxId::new(View(2), Seqno(seqno)) };
        assert_eq!(judged, if is_good { Ok((Seqno(seqno), 0)) } else { Err(refused) });
    }
    let of_a_later_view = decided(1, 100).verify(&receipt(2));
    assert!(matches!(of_a_later_view, Err(ReceiptRefused::KeyNotInForce { .. })), "no such transaction came before");

    // The other end of a key's time.
    let mut later = ServiceHistory::new(next.verifying_key().clone());
    later.push(first.clone(), TxId::new(View(2), Seqno(4)));
    for (seqno, is_good) in [(4, false), (5, true)] {
        assert_eq!(later.verify(&receipt(seqno)).is_ok(), is_good, "transaction {seqno}");
    }
    let unknown = ServiceHistory::new(next.verifying_key().clone());
    assert_eq!(unknown.verify(&receipt(2)), Err(ReceiptRefused::OtherService));
}

#[test]
fn evidence_made_without_the_session_key_proves_nothing() {
    // A host has blocks and leaves, not the evidence: whatever string it invents leads to another root.
    let network = Network::new();
    let (_, opening) = network.elect(1, &network.genesis.tip);
    let tip = opening.tip;
    let made = network.node(1).application(&tip, moment(&tip, View(2)), &content(5)).unwrap();
    let opened = open(&made.block, &network.keys).unwrap();
    let guessed = common::session_keys(77);
    let forged = Receipt::build(&made.block, &opened, Seqno(4), &guessed).unwrap();
    let service = network.service.verifying_key();
    assert_eq!(Receipt::verify(&forged.to_cose(service), service), Err(ReceiptRefused::SignatureInvalid));
}

#[test]
fn every_changed_byte_and_every_truncation_is_refused() {
    let network = Network::new();
    let service = network.service.verifying_key();
    let whole = receipt(&network);
    assert!(Receipt::verify(&whole, service).is_ok());
    for at in 0..whole.len() {
        assert!(Receipt::verify(&whole[..at], service).is_err(), "cut at {at}");
        for change in [1, 0x20, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            assert!(Receipt::verify(&changed, service).is_err(), "byte {at}, change {change:#x}");
        }
    }
    let longer = [&whole[..], &[0xf6]].concat();
    assert_eq!(Receipt::verify(&longer, service), Err(ReceiptRefused::Malformed { what: "COSE" }));
    let large = vec![0; 1 << 20];
    assert_eq!(Receipt::verify(&large, service), Err(ReceiptRefused::TooLarge { size: 1 << 20 }));
}

/// Changing this vector breaks every verifier that is out there.
#[test]
fn the_bytes_of_a_receipt_are_these_apart_from_the_signature() {
    let network = Network::new();
    let whole = receipt(&network);
    let (rest, signature) = whole.split_at(whole.len() - 64);
    assert_eq!(signature.len(), 64);
    let hex: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, include_str!("receipt.hex").replace(char::is_whitespace, ""));
}

proptest! {
    #[test]
    fn no_bytes_make_the_verifier_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        keep in any::<prop::sample::Index>(),
    ) {
        let network = Network::new();
        let service = network.service.verifying_key();
        prop_assert!(Receipt::verify(&bytes, service).is_err());
        let mut whole = receipt(&network);
        let at = at.index(whole.len());
        let until = (at + keep.index(40)).min(whole.len());
        whole.splice(at..until, bytes);
        let _ = Receipt::verify(&whole, service);
    }
}
