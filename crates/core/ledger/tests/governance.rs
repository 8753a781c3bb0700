//! Governance blocks: who signs after them, what they show, and to whom.
#![allow(clippy::unwrap_used, reason = "unwrap belongs to tests")]

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::{Network, content, files, moment, records};
use synod_crypto::{AdminKey, NodeKey, ServiceKey, VerifyingKey, sha256};
use synod_ledger::{
    AdminRecord, BlockKind, BlockRefused, GovernancePublic, KeyHistory, OpenRefused, Receipt, Sealed, Sealer,
    SignerChange, Tip, Verifier, check, check_alone, open, open_admin,
};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::{ConfigurationChange, ConfigurationStep, Decode, Encode, NodeId, View};

fn admin() -> AdminRecord {
    AdminRecord { write_set: Bytes::from_static(b"who may do what"), detail: Bytes::from_static(b"who voted how") }
}

fn opened(network: &Network) -> Tip {
    network.elect(1, &network.genesis.tip).1.tip
}

fn governance(network: &Network, tip: &Tip, change: SignerChange) -> Sealed {
    network.node(1).governance(tip, moment(tip, tip.open_view), &admin(), change).unwrap()
}

/// The nodes of the network without `left`.
fn nodes_without(network: &Network, left: u64) -> BTreeMap<NodeId, VerifyingKey> {
    let mut nodes = network.node_keys().nodes;
    nodes.remove(&NodeId(left)).unwrap();
    nodes
}

#[test]
fn a_node_that_joins_signs_from_the_next_block_on() {
    let network = Network::new();
    let tip = opened(&network);
    let key = NodeKey::from_seed(&[77; 32]);
    let joined = Sealer::new(NodeId(4), NodeKey::from_seed(&[77; 32]), network.service.clone(), network.keys.clone());
    let elected = tip.after_engine_entry(tip.index.next(), View(3)).unwrap();
    let opening = joined.view_start(&elected, moment(&elected, View(3)), [3; 32]);
    assert_eq!(check(&opening.block, &elected), Err(BlockRefused::SignerUnknown { signer: NodeId(4) }));

    let mut nodes = network.node_keys().nodes;
    nodes.insert(NodeId(4), key.verifying_key().clone());
    let change = SignerChange { nodes: Some(nodes), service: None };
    let made = governance(&network, &tip, change);
    let tip = check(&made.block, &tip).unwrap();
    assert_eq!(tip, made.tip);
    let elected = tip.after_engine_entry(tip.index.next(), View(3)).unwrap();
    let opening = joined.view_start(&elected, moment(&elected, View(3)), [3; 32]);
    let tip = check(&opening.block, &elected).unwrap();
    let block = joined.application(&tip, moment(&tip, View(3)), &content(1)).unwrap().block;
    assert!(check(&block, &tip).is_ok());
}

#[test]
fn a_node_that_leaves_may_open_a_view_until_the_first_transaction_after_and_nothing_else() {
    let network = Network::new();
    let tip = opened(&network);
    let change = SignerChange { nodes: Some(nodes_without(&network, 2)), service: None };
    let left = check(&governance(&network, &tip, change).block, &tip).unwrap();

    // The engine elects it once more.
    let (elected, opening) = network.elect(2, &left);
    let led = check(&opening.block, &elected).unwrap();
    let refused = BlockRefused::SignerUnknown { signer: NodeId(2) };
    let block = network.node(2).application(&led, moment(&led, led.open_view), &content(1)).unwrap().block;
    assert_eq!(check(&block, &led), Err(refused.clone()));
    let block = network.node(2).governance(&led, moment(&led, led.open_view), &admin(), SignerChange::default());
    assert_eq!(check(&block.unwrap().block, &led), Err(refused.clone()));

    // After a transaction of those who stayed it may not even do that.
    let (elected, opening) = network.elect(3, &led);
    let tip = check(&opening.block, &elected).unwrap();
    let block = network.node(3).application(&tip, moment(&tip, tip.open_view), &content(1)).unwrap().block;
    let tip = check(&block, &tip).unwrap();
    let (elected, opening) = network.elect(2, &tip);
    assert_eq!(check(&opening.block, &elected), Err(refused));
}

#[test]
fn a_service_key_is_endorsed_by_the_one_before_and_signs_from_the_next_block_on() {
    let network = Network::new();
    let tip = opened(&network);
    let next = ServiceKey::from_seed(&[42; 32]);
    let change = SignerChange { nodes: None, service: Some(next.verifying_key().clone()) };
    let made = governance(&network, &tip, change);
    let rotated = check(&made.block, &tip).unwrap();

    let old = network.node(1).application(&rotated, moment(&rotated, View(2)), &content(1)).unwrap().block;
    assert_eq!(check(&old, &rotated), Err(BlockRefused::ServiceSignatureInvalid));
    let sealer = Sealer::new(NodeId(1), NodeKey::from_seed(&[2; 32]), next, network.keys.clone());
    let block = sealer.application(&rotated, moment(&rotated, View(2)), &content(1)).unwrap().block;
    assert!(check(&block, &rotated).is_ok());

    // Whoever knows the old key learns the new one from a receipt.
    let opened = open(&made.block, &network.keys).unwrap();
    let receipt = Receipt::build(&made.block, &opened, made.tip.seqno, &network.keys).unwrap();
    let service = network.service.verifying_key();
    let verified = Receipt::verify(&receipt.to_cose(service), service).unwrap();
    assert_eq!(verified.claims, Some(sha256(&[&made.block.public])));
}

#[test]
fn a_public_part_that_claims_what_the_block_does_not_say_is_refused() {
    let network = Network::new();
    let tip = opened(&network);
    let block = governance(&network, &tip, SignerChange::default()).block;
    for public in
        [Bytes::new(), Bytes::from_static(b"\x02\0\0\0"), Bytes::from_static(b"\x01\0\0\x01\x01\0\0\0\0\0\0\0\0")]
    {
        let mut changed = block.clone();
        changed.header.public = sha256(&[&public]);
        changed.public = public;
        let refused = check(&changed, &tip).unwrap_err();
        let named = matches!(refused, BlockRefused::ShapeNotAllowed { .. } | BlockRefused::PublicPartUnreadable(_));
        assert!(named, "{refused}");
    }
}

#[test]
fn a_sealed_network_refuses_a_public_constitution_and_a_public_one_a_sealed() {
    for (network, other) in [(Network::new(), Network::public()), (Network::public(), Network::new())] {
        let tip = opened(&network);
        let as_other = Tip { admin_is_public: other.genesis.tip.admin_is_public, ..tip.clone() };
        let block = governance(&network, &as_other, SignerChange::default()).block;
        assert_eq!(check(&block, &tip), Err(BlockRefused::ShapeNotAllowed { kind: BlockKind::Governance }));
        assert!(check(&governance(&network, &tip, SignerChange::default()).block, &tip).is_ok());
    }
}

#[test]
fn an_administrative_part_is_read_with_its_key_alone_or_with_none_where_it_is_public() {
    let sealed = Network::new();
    let tip = opened(&sealed);
    let block = governance(&sealed, &tip, SignerChange::default()).block;
    assert_eq!(open_admin(&block, Some(&sealed.keys.admin)).unwrap(), Some(admin()));
    assert_eq!(open_admin(&block, None), Err(OpenRefused::NoKey));
    assert!(matches!(open_admin(&block, Some(&AdminKey::new([1; 32]))), Err(OpenRefused::Sealed(_))));
    let genesis = open_admin(&sealed.genesis.block, Some(&sealed.keys.admin)).unwrap().unwrap();
    assert_eq!(genesis.detail, "genesis document");
    let application = sealed.node(1).application(&tip, moment(&tip, tip.open_view), &content(1)).unwrap().block;
    assert_eq!(open_admin(&application, None), Ok(None));

    let public = Network::public();
    let tip = opened(&public);
    let block = governance(&public, &tip, SignerChange::default()).block;
    assert!(block.admin.is_empty());
    assert_eq!(GovernancePublic::from_bytes(&block.public).unwrap().admin, Some(admin()));
    assert_eq!(open_admin(&block, None), Ok(Some(admin())));
    assert_eq!(open(&block, &public.keys).unwrap().admin, Some(admin()));
    assert_eq!(open_admin(&public.genesis.block, None).unwrap().unwrap().detail, "genesis document");
}

#[test]
fn keys_of_the_past_still_tell_an_authentic_block_from_a_forged_one() {
    let network = Network::new();
    let tip = opened(&network);
    let old = network.node(2).application(&tip, moment(&tip, View(2)), &content(1)).unwrap().block;
    let mut history = KeyHistory::new(&network.node_keys());
    let change = SignerChange { nodes: Some(nodes_without(&network, 2)), service: None };
    let next = check(&governance(&network, &tip, change).block, &tip).unwrap();
    history.note(next.signers.keys());
    assert_eq!(check_alone(&old, &history), Ok(()));
    let forged = Sealer::new(NodeId(2), NodeKey::from_seed(&[99; 32]), network.service.clone(), network.keys.clone());
    let forged = forged.application(&tip, moment(&tip, View(2)), &content(1)).unwrap().block;
    assert_eq!(check_alone(&forged, &history), Err(BlockRefused::NodeSignatureInvalid { signer: NodeId(2) }));
}

#[test]
fn a_verifier_without_keys_follows_changes_of_nodes_and_service() {
    let network = Network::new();
    let mut all = records(&network);
    let genesis = all.remove(0);
    let tip = network.genesis.tip.clone();
    let (elected, opening) = network.elect(1, &tip);
    let next = ServiceKey::from_seed(&[42; 32]);
    let change = SignerChange { nodes: Some(nodes_without(&network, 3)), service: Some(next.verifying_key().clone()) };
    let changed = governance(&network, &opening.tip, change);
    let sealer = Sealer::new(NodeId(1), NodeKey::from_seed(&[2; 32]), next.clone(), network.keys.clone());
    let block = sealer.application(&changed.tip, moment(&changed.tip, View(2)), &content(2)).unwrap();
    let records = [
        genesis,
        common::engine_record(&elected),
        opening.block.to_record(),
        changed.block.to_record(),
        block.block.to_record(),
    ];
    let (first, next) = (network.service.verifying_key().clone(), next.verifying_key().clone());
    let mut verifier = Verifier::expecting(first.clone());
    let mut keys = Vec::new();
    for (name, bytes) in files(tip.network, &records, 2) {
        verifier.file(&name, Bytes::from(bytes), |entry| keys.push(entry.service.clone())).unwrap();
    }
    // The key of before signs the block that names the next one.
    assert_eq!(keys, [&first, &first, &first, &first, &next].map(Clone::clone));
    let report = verifier.finish().unwrap();
    assert_eq!((report.transactions, report.service), (4, first));
    assert_eq!(report.service_in_force, next);
}

#[test]
fn the_configuration_changes_only_towards_the_node_list_and_the_chain_covers_it() {
    use ConfigurationStep::{AddLearner, Promote, Remove};
    let network = Network::new();
    let tip = opened(&network);
    let change = |step, node| ConfigurationChange { step, node: NodeId(node) };
    let after = |tip: &Tip, change| tip.after_configuration_entry(tip.index.next(), tip.open_view, change);
    for refused in [change(AddLearner, 4), change(Promote, 4), change(Remove, 2)] {
        assert_eq!(after(&tip, refused), Err(BlockRefused::ConfigurationNotGoverned { change: refused }));
    }
    let signers = SignerChange { nodes: Some(nodes_without(&network, 2)), service: None };
    let tip = governance(&network, &tip, signers).tip;
    let removed = after(&tip, change(Remove, 2)).unwrap();
    assert_ne!(removed.chain, after(&tip, change(Remove, 9)).unwrap().chain);
    assert!(after(&tip, change(AddLearner, 2)).is_err());
    let other_view = tip.after_configuration_entry(tip.index.next(), View(3), change(Remove, 2));
    assert_eq!(other_view, Err(BlockRefused::ViewNotOpened { view: View(3) }));

    let record = LogRecord {
        kind: EntryKind::Configuration,
        payload: change(Remove, 2).to_bytes().into(),
        ..common::engine_record(&removed)
    };
    let (elected, opening) = network.elect(1, &network.genesis.tip);
    let signers = SignerChange { nodes: Some(nodes_without(&network, 2)), service: None };
    let governed = governance(&network, &opening.tip, signers);
    let block = network.node(1).application(&removed, moment(&removed, View(2)), &content(1)).unwrap();
    let genesis = network.genesis.block.to_record();
    let blocks = [genesis, common::engine_record(&elected), opening.block.to_record(), governed.block.to_record()];
    let verify = |record: LogRecord| {
        let records = [&blocks[..], &[record, block.block.to_record()]].concat();
        let files = files(tip.network, &records, 9).into_iter().map(|(name, bytes)| (name, Bytes::from(bytes)));
        Verifier::new().verify(files)
    };
    assert_eq!(verify(record.clone()).unwrap().transactions, 3);
    let other = LogRecord { payload: change(Remove, 9).to_bytes().into(), ..record };
    assert!(verify(other).unwrap_err().to_string().contains("another history"));
}
