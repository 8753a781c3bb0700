//! Blocks: sealed, checked by followers, opened, and refused.
#![allow(clippy::unwrap_used, reason = "unwrap belongs to tests")]

mod common;

use bytes::Bytes;
use common::{Network, content, moment, request, session_keys};
use proptest::prelude::*;
use synod_crypto::Signature;
use synod_ledger::{
    AdminRecord, BlockKind, BlockRefused, Content, KeyHistory, OpenRefused, Sealed, SealedBlock, SignerChange, Tip,
    chain_next, check, check_alone, check_genesis, engine_entry_digest, open,
};
use synod_types::limits::BLOCK_BYTES_MAX;
use synod_types::{Decode, Digest, Encode, Epoch, LogIndex, NodeId, Seqno, Time, View};

/// A network whose node 1 opened view 2.
fn opened() -> (Network, Tip) {
    let network = Network::new();
    let (_, opening) = network.elect(1, &network.genesis.tip);
    (network, opening.tip)
}

fn sealed(network: &Network, tip: &Tip, count: usize) -> Sealed {
    network.node(1).application(tip, moment(tip, tip.open_view), &content(count)).unwrap()
}

#[test]
fn a_follower_reaches_the_leaders_tip_through_every_kind_of_block() {
    let network = Network::new();
    let (public, genesis) = check_genesis(&network.genesis.block).unwrap();
    assert_eq!(genesis, network.genesis.tip);
    assert!(public.fits(&network.keys) && !public.fits(&session_keys(9)));

    let (elected, opening) = network.elect(2, &genesis);
    assert_eq!(elected.chain, chain_next(genesis.chain, engine_entry_digest(LogIndex(2), View(2))));
    let mut tip = check(&opening.block, &elected).unwrap();
    assert_eq!(tip, opening.tip);
    assert_eq!((tip.seqno, tip.tx_view, tip.root), (Seqno(1), View(1), genesis.root));

    for count in [1, 2, 7] {
        let made = network.node(2).application(&tip, moment(&tip, View(2)), &content(count)).unwrap();
        let before = tip.clone();
        tip = check(&made.block, &tip).unwrap();
        assert_eq!(tip, made.tip);
        assert_eq!(tip.seqno, before.seqno.plus(count as u64));
        assert_eq!(tip.chain, chain_next(before.chain, made.block.entry_digest()));
        assert_eq!(SealedBlock::from_bytes(&made.block.to_bytes()).as_ref(), Ok(&made.block));
    }
    let admin = AdminRecord { write_set: Bytes::from_static(b"w"), detail: Bytes::from_static(b"d") };
    let made = network.node(2).governance(&tip, moment(&tip, View(2)), &admin, SignerChange::default()).unwrap();
    assert_eq!(check(&made.block, &tip).as_ref(), Ok(&made.tip));
    assert_eq!(open(&made.block, &network.keys).unwrap().admin, Some(admin));
}

#[test]
fn a_block_known_by_its_place_is_checked_alone() {
    let (network, tip) = opened();
    let made = sealed(&network, &tip, 2);
    let keys = KeyHistory::new(&network.node_keys());
    assert_eq!(check_alone(&made.block, &keys), Ok(()));

    let bytes = made.block.to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let refused = SealedBlock::from_bytes(&changed).map_or(true, |block| check_alone(&block, &keys).is_err());
        assert!(refused, "byte {at}");
    }
}

#[test]
fn an_opened_block_gives_back_what_was_sealed() {
    let (network, tip) = opened();
    let content = content(5);
    let made = network.node(1).application(&tip, moment(&tip, View(2)), &content).unwrap();
    let opened = open(&made.block, &network.keys).unwrap();
    assert_eq!(opened.content.as_ref(), Some(&content));
    assert_eq!(opened.leaves.len(), 5);
    assert_eq!(opened.admin, None);

    let genesis = open(&network.genesis.block, &network.keys).unwrap();
    assert_eq!(genesis.content.unwrap().setup.unwrap(), "adapters' first writes");
    assert_eq!(genesis.admin.unwrap().detail, "genesis document");

    let (_, opening) = network.elect(1, &network.genesis.tip);
    let opening = open(&opening.block, &network.keys).unwrap();
    assert!(opening.content.is_none() && opening.admin.is_none() && opening.leaves.is_empty());
}

#[test]
fn the_first_thing_that_does_not_fit_names_why_a_block_is_refused() {
    type Change = fn(&mut SealedBlock);
    type Expected = fn(&BlockRefused) -> bool;
    let rows: &[(Change, Expected)] = &[
        (|b| b.header.network.0[0] ^= 1, |r| *r == BlockRefused::OtherNetwork),
        (|b| b.header.index.0 += 1, |r| matches!(r, BlockRefused::IndexOutOfOrder { .. })),
        (|b| b.header.view = View(1), |r| matches!(r, BlockRefused::ViewBackwards { .. })),
        (|b| b.header.view = View(3), |r| matches!(r, BlockRefused::ViewNotBegun { view: View(3) })),
        (|b| b.header.kind = BlockKind::ViewStart, |r| matches!(r, BlockRefused::ViewOpenedTwice { .. })),
        (|b| b.header.kind = BlockKind::Genesis, |r| matches!(r, BlockRefused::ShapeNotAllowed { .. })),
        (|b| b.header.kind = BlockKind::Governance, |r| matches!(r, BlockRefused::ShapeNotAllowed { .. })),
        (|b| b.header.first_seqno.0 += 1, |r| matches!(r, BlockRefused::SeqnoOutOfOrder { .. })),
        (|b| b.header.chain.0[0] ^= 1, |r| *r == BlockRefused::OtherHistory),
        (|b| b.header.parent_root.0[0] ^= 1, |r| *r == BlockRefused::OtherParentRoot),
        (|b| b.header.epoch = Epoch(2), |r| matches!(r, BlockRefused::OtherEpoch { .. })),
        (|b| b.header.time = Time(1), |r| matches!(r, BlockRefused::TimeBackwards { .. })),
        (|b| b.header.committed = Seqno(2), |r| matches!(r, BlockRefused::CommittedOutOfRange { .. })),
        (|b| b.header.salt[0] ^= 1, |r| *r == BlockRefused::OtherSalt),
        (|b| b.header.count -= 1, |r| matches!(r, BlockRefused::ShapeNotAllowed { .. })),
        (|b| b.header.root.0[0] ^= 1, |r| *r == BlockRefused::LeavesChanged),
        (|b| b.leaves.swap(0, 1), |r| *r == BlockRefused::LeavesChanged),
        (|b| b.leaves.truncate(1), |r| matches!(r, BlockRefused::ShapeNotAllowed { .. })),
        (|b| b.public = Bytes::from_static(b"x"), |r| matches!(r, BlockRefused::ShapeNotAllowed { .. })),
        (|b| b.header.public.0[0] ^= 1, |r| *r == BlockRefused::PublicPartChanged),
        (|b| b.application = Bytes::from_static(b"x"), |r| *r == BlockRefused::ApplicationPartChanged),
        (|b| b.application = Bytes::new(), |r| matches!(r, BlockRefused::ShapeNotAllowed { .. })),
        (|b| b.admin = Bytes::from_static(b"x"), |r| matches!(r, BlockRefused::ShapeNotAllowed { .. })),
        (|b| b.header.admin.0[0] ^= 1, |r| *r == BlockRefused::AdminPartChanged),
        (|b| b.header.signer = NodeId(4), |r| matches!(r, BlockRefused::SignerUnknown { signer: NodeId(4) })),
        (|b| b.header.signer = NodeId(2), |r| matches!(r, BlockRefused::NodeSignatureInvalid { signer: NodeId(2) })),
        (|b| b.header.time.0 += 1, |r| matches!(r, BlockRefused::NodeSignatureInvalid { .. })),
        (|b| b.node_signature = b.service_signature, |r| matches!(r, BlockRefused::NodeSignatureInvalid { .. })),
        (|b| b.service_signature = b.node_signature, |r| *r == BlockRefused::ServiceSignatureInvalid),
    ];
    let (network, tip) = opened();
    let block = sealed(&network, &tip, 3).block;
    for (row, (change, expected)) in rows.iter().enumerate() {
        let mut changed = block.clone();
        change(&mut changed);
        let refused = check(&changed, &tip).unwrap_err();
        assert!(expected(&refused), "row {row}: {refused}");
    }
}

#[test]
fn a_view_must_be_opened_before_it_is_used() {
    let network = Network::new();
    let tip = network.genesis.tip.clone();
    // A leader without a view of its own would be a programming error: Sealer asserts it. A forged tip gets past that.
    let elected = tip.after_engine_entry(tip.index.next(), View(2)).unwrap();
    let forged = Tip { open_view: View(2), ..elected.clone() };
    let block = sealed(&network, &forged, 1).block;
    assert_eq!(check(&block, &elected), Err(BlockRefused::ViewNotOpened { view: View(2) }));
}

#[test]
fn a_view_begins_with_one_entry_of_the_engine_and_no_other() {
    let network = Network::new();
    let tip = network.genesis.tip.clone();
    let without_election = network.node(1).view_start(&tip, moment(&tip, View(2)), [2; 32]).block;
    assert_eq!(check(&without_election, &tip), Err(BlockRefused::ViewNotBegun { view: View(2) }));

    let (elected, opening) = network.elect(1, &tip);
    for within in [elected, opening.tip] {
        let twice = within.after_engine_entry(within.index.next(), View(2));
        assert_eq!(twice, Err(BlockRefused::ViewBegunTwice { view: View(2) }), "after entry {}", within.index);
        assert!(within.after_engine_entry(within.index.next(), View(4)).is_ok());
    }
    let before = tip.after_engine_entry(tip.index.next(), View(1));
    assert_eq!(before, Err(BlockRefused::ViewBegunTwice { view: View(1) }), "genesis stands in view 1");
}

#[test]
fn a_block_that_followers_would_refuse_for_its_size_is_not_sealed() {
    let (network, tip) = opened();
    let of_size = |size| {
        let call = synod_ledger::CallRecord { reply: Bytes::from(vec![7; size]), ..common::call("large", None) };
        let content = Content { requests: vec![request(1, vec![call])], ..Content::default() };
        network.node(1).application(&tip, moment(&tip, View(2)), &content)
    };
    let largest = of_size(BLOCK_BYTES_MAX - (9 << 10)).unwrap();
    let bytes = Bytes::from(largest.block.to_bytes());
    assert!(check(&SealedBlock::from_shared(&bytes).unwrap(), &tip).is_ok());
    assert!(of_size(BLOCK_BYTES_MAX - (8 << 10)).is_err());
}

#[test]
fn a_genesis_block_vouches_for_nothing_but_itself() {
    let network = Network::new();
    let other = Network::seeded(2);
    let genesis = &network.genesis.block;
    let refused = |change: &dyn Fn(&mut SealedBlock)| {
        let mut changed = genesis.clone();
        change(&mut changed);
        check_genesis(&changed).unwrap_err()
    };
    assert_eq!(refused(&|b| b.public = other.genesis.block.public.clone()), BlockRefused::OtherNetwork);
    assert_eq!(refused(&|b| b.header.salt[0] ^= 1), BlockRefused::OtherNetwork);
    assert_eq!(refused(&|b| b.header.index = LogIndex(2)), BlockRefused::NotAGenesisBlock);
    assert_eq!(refused(&|b| b.header.kind = BlockKind::Application), BlockRefused::NotAGenesisBlock);
    assert!(matches!(refused(&|b| b.public = Bytes::new()), BlockRefused::PublicPartUnreadable(_)));
    let unsigned = BlockRefused::NodeSignatureInvalid { signer: NodeId(0) };
    assert_eq!(refused(&|b| b.node_signature = other.genesis.block.node_signature), unsigned);
    assert_eq!(
        refused(&|b| b.service_signature = other.genesis.block.service_signature),
        BlockRefused::ServiceSignatureInvalid
    );
    assert!(check(genesis, &network.genesis.tip).is_err());
}

#[test]
fn digests_do_not_depend_on_signatures() {
    let (network, tip) = opened();
    let (one, two) = (sealed(&network, &tip, 3), sealed(&network, &tip, 3));
    assert_ne!(one.block.node_signature, two.block.node_signature);
    assert_eq!(one.tip, two.tip);
    assert_eq!(one.block.entry_digest(), two.block.entry_digest());
    let unsigned = |mut block: SealedBlock| {
        (block.node_signature, block.service_signature) = (Signature([0; 64]), Signature([0; 64]));
        block
    };
    assert_eq!(unsigned(one.block), unsigned(two.block));
}

#[test]
fn a_block_opens_only_with_the_keys_of_its_epoch_and_network() {
    let (network, tip) = opened();
    let block = sealed(&network, &tip, 2).block;
    assert!(matches!(open(&block, &session_keys(2)), Err(OpenRefused::Sealed(_))));
    let later = synod_crypto::SessionKeys { epoch: Epoch(2), ..network.keys.clone() };
    assert_eq!(open(&block, &later), Err(OpenRefused::OtherEpoch { block: Epoch(1), keys: Epoch(2) }));

    // With one of the two keys, only that part opens.
    let mixed = synod_crypto::SessionKeys { admin: session_keys(2).admin, ..network.keys.clone() };
    assert!(open(&block, &mixed).is_ok());
    assert!(matches!(open(&network.genesis.block, &mixed), Err(OpenRefused::Sealed(_))));
}

#[test]
fn sealed_parts_are_bound_to_their_header() {
    let (network, tip) = opened();
    let block = sealed(&network, &tip, 2).block;
    let changes: [fn(&mut SealedBlock); 5] = [
        |b| b.header.time.0 += 1,
        |b| b.header.root.0[0] ^= 1,
        |b| b.header.index.0 += 1,
        |b| b.header.first_seqno.0 += 1,
        |b| b.header.salt[0] ^= 1,
    ];
    for change in changes {
        let mut changed = block.clone();
        change(&mut changed);
        assert!(matches!(open(&changed, &network.keys), Err(OpenRefused::Sealed(_))));
    }
}

#[test]
fn a_leaf_that_its_content_does_not_give_is_refused() {
    let (network, tip) = opened();
    let mut block = sealed(&network, &tip, 2).block;
    block.leaves[1].0[0] ^= 1;
    assert_eq!(open(&block, &network.keys), Err(OpenRefused::LeavesDiffer { seqno: Seqno(3) }));
    block.leaves.pop();
    assert_eq!(open(&block, &network.keys), Err(OpenRefused::LeavesDiffer { seqno: Seqno(2) }));
}

/// Two clones lead one view at one tip: same key, same nonce. GCM-SIV leaves them nothing to leak but equality.
#[test]
fn clones_that_seal_different_blocks_at_one_place_leak_only_equality() {
    let (network, tip) = opened();
    let clone = Network::new();
    let at = moment(&tip, View(2));
    let ciphertext = |network: &Network, content: &Content| {
        network.node(1).application(&tip, at, content).unwrap().block.application
    };

    let secret = content(3);
    let mut other = secret.clone();
    other.seed[31] ^= 1;
    assert_eq!(ciphertext(&network, &secret), ciphertext(&clone, &secret), "equal blocks give equal ciphertexts");

    let (a, b) = (ciphertext(&network, &secret), ciphertext(&clone, &other));
    assert_eq!(a.len(), b.len());
    // With a stream cipher under a reused nonce, the plaintexts' one differing bit would be all that differs.
    // Unrelated ciphertexts differ in half of their bits: here 8 * 500 or so, standard deviation 32.
    let differing: u32 = a.iter().zip(&b).map(|(x, y)| (x ^ y).count_ones()).sum();
    let bits = 8 * a.len() as u32;
    assert!(differing.abs_diff(bits / 2) < bits / 10, "{differing} of {bits} bits differ");
    // And no byte at which the plaintexts agree shows: equal bytes are as rare as chance has them.
    let equal = a.iter().zip(&b).filter(|(x, y)| x == y).count();
    assert!(equal * 32 < a.len(), "{equal} of {} bytes are equal", a.len());
}

#[test]
fn nothing_private_is_in_a_sealed_block() {
    let (network, tip) = opened();
    let marker = "planted marker";
    let mut content = content(1);
    content.requests.push(request(0xee, vec![common::call(marker, Some(Digest([0xcd; 32])))]));
    content.seed = *b"planted seed of thirty-two bytes";
    let bytes = network.node(1).application(&tip, moment(&tip, View(2)), &content).unwrap().block.to_bytes();
    let evidence = synod_ledger::evidence("2.3".parse().unwrap(), &network.keys.application.evidence_key());
    for private in [marker.as_bytes(), &[0xee; 16], &[0xcd; 32], &content.seed, evidence.as_bytes()] {
        assert!(!bytes.windows(private.len()).any(|window| window == private), "{private:?}");
    }
    let write_set = synod_crypto::sha256(&[format!("writes {marker}").as_bytes()]);
    assert!(!bytes.windows(32).any(|window| window == write_set.0), "a write set's digest can be guessed");
}

#[test]
fn every_truncation_of_a_block_is_refused_and_every_changed_byte_is_found() {
    let (network, tip) = opened();
    let whole = Bytes::from(sealed(&network, &tip, 2).block.to_bytes());
    assert!(check(&SealedBlock::from_shared(&whole).unwrap(), &tip).is_ok());
    for at in 0..whole.len() {
        assert!(SealedBlock::from_shared(&whole.slice(..at)).is_err(), "cut at {at}");
        let mut changed = whole.to_vec();
        changed[at] ^= 0x10;
        let changed = Bytes::from(changed);
        let found = SealedBlock::from_shared(&changed).map_or(true, |block| check(&block, &tip).is_err());
        assert!(found, "byte {at} changed unnoticed");
    }
    let longer = Bytes::from([&whole[..], &[0]].concat());
    assert!(SealedBlock::from_shared(&longer).is_err());
}

/// Changing this vector is a change of format: see `BLOCK_FORMAT`.
#[test]
fn the_digests_of_a_fixed_block_are_these() {
    let (network, tip) = opened();
    let made = sealed(&network, &tip, 3);
    assert_eq!(
        [
            network.genesis.tip.network.to_hex(),
            network.genesis.block.header.digest().to_hex(),
            made.block.header.digest().to_hex(),
            made.tip.root.to_hex(),
            made.tip.chain.to_hex(),
        ],
        [
            "edd6fc89b371f8e2b84aff47bf76766a0402507b0e0c90434d814a0dc8b95ac5",
            "1455b6da1259c640d40f2f50b8de29f38986742edcc0f9f646f14f4541a41f84",
            "c7ff3f049af3af61007bf037b6bcb0a73923d495dcdab9e559e002ab74700823",
            "b2d3284168059b95a717786a858c9cd1480e1e755dff5d62365eb911bd652a41",
            "421d5f3587b9e5cc80aaa3634eb0849761bc60f60461b7aea232432ddde7ce4c",
        ]
    );
}

proptest! {
    #[test]
    fn any_content_seals_checks_and_opens(
        requests in prop::collection::vec(
            (any::<u8>(), prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..40), any::<Option<[u8; 32]>>(), any::<bool>()), 1..5)),
            1..6),
        seed in any::<[u8; 32]>(),
    ) {
        let (network, tip) = opened();
        let mut requests: Vec<_> = requests.into_iter().map(|(id, calls)| request(id, calls.into_iter().map(
            |(bytes, claims, writes)| synod_ledger::CallRecord {
                input: Bytes::from(bytes.clone()),
                write_set: writes.then(|| Bytes::from(bytes.clone())),
                claims: claims.map(Digest),
                reply: Bytes::from(bytes),
            }).collect())).collect();
        requests[0].calls[0].write_set = Some(Bytes::new());
        let content = Content { seed, requests, setup: None };
        let made = network.node(1).application(&tip, moment(&tip, View(2)), &content).unwrap();
        prop_assert_eq!(check(&made.block, &tip), Ok(made.tip.clone()));
        let again = SealedBlock::from_shared(&Bytes::from(made.block.to_bytes())).unwrap();
        prop_assert_eq!(open(&again, &network.keys).unwrap().content, Some(content));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), at in any::<prop::sample::Index>()) {
        let _ = SealedBlock::from_bytes(&bytes);
        let _ = synod_ledger::GenesisPublic::from_bytes(&bytes);
        let (network, tip) = opened();
        let mut block = sealed(&network, &tip, 2).block.to_bytes();
        let at = at.index(block.len());
        for (byte, new) in block[at..].iter_mut().zip(&bytes) {
            *byte = *new;
        }
        if let Ok(block) = SealedBlock::from_bytes(&block) {
            let _ = check(&block, &tip);
            let _ = check_genesis(&block);
            let _ = open(&block, &network.keys);
        }
    }
}
