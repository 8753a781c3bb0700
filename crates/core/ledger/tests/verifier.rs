//! The offline verifier: what it reports, and that nothing changed goes unnoticed.
#![allow(clippy::unwrap_used, reason = "unwrap belongs to tests")]

mod common;

use bytes::Bytes;
use common::{Network, content, engine_record, files, moment, records};
use proptest::prelude::*;
use synod_crypto::ServiceKey;
use synod_ledger::{BlockRefused, Failure, FailureReason, LastKnown, Report, SealedBlock, TornTail, Verifier};
use synod_types::boundary::LogRecord;
use synod_types::chunk::{FILE_HEADER_SIZE, RECORD_OVERHEAD};
use synod_types::{Decode, Encode, LogIndex, TxId, View};

type Files = Vec<(String, Vec<u8>)>;

/// The ledger of [`records`] in files of three records each.
fn ledger(network: &Network) -> Files {
    files(network.genesis.tip.network, &records(network), 3)
}

fn verify(files: &Files) -> Result<Report, Failure> {
    Verifier::new().verify(files.iter().map(|(name, bytes)| (name.clone(), Bytes::copy_from_slice(bytes))))
}

/// A verifier that has seen `files`, all sound.
fn after(files: &[(String, Vec<u8>)]) -> Verifier {
    let mut verifier = Verifier::new();
    files.iter().for_each(|(name, bytes)| verifier.file(name, Bytes::copy_from_slice(bytes), |_| ()).unwrap());
    verifier
}

fn txid(text: &str) -> TxId {
    text.parse().unwrap()
}

#[test]
fn a_ledger_is_reported_as_what_it_holds() {
    let network = Network::new();
    let files = ledger(&network);
    let report = verify(&files).unwrap();
    let tip_root = report.root;
    let expected = Report {
        network: network.genesis.tip.network,
        service: network.service.verifying_key().clone(),
        service_in_force: network.service.verifying_key().clone(),
        files: 4,
        blocks: 8,
        transactions: 9,
        engine_entries: 2,
        engine_entries_after_last_block: 0,
        last_index: LogIndex(10),
        last_signed: txid("3.9"),
        // The last block was built on 3.8, when its leader knew two less to be committed.
        last_known_committed: LastKnown::Transaction(txid("2.6")),
        root: tip_root,
        torn_tail: None,
    };
    assert_eq!(report, expected);

    let mut seen = Vec::new();
    let mut verifier = Verifier::expecting(network.service.verifying_key().clone());
    for (name, bytes) in &files {
        verifier
            .file(name, Bytes::copy_from_slice(bytes), |entry| {
                seen.push((entry.index.0, entry.block.map(|block| block.header.root)));
            })
            .unwrap();
    }
    assert_eq!(verifier.finish().unwrap(), expected);
    assert_eq!(seen.iter().map(|(index, _)| *index).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!(seen[1].1, None);
    assert_eq!(seen[9].1, Some(tip_root));
}

#[test]
fn how_records_are_spread_over_files_does_not_matter() {
    let network = Network::new();
    let records = records(&network);
    let whole = verify(&files(network.genesis.tip.network, &records, 100)).unwrap();
    for per_file in 1..=10 {
        let report = verify(&files(network.genesis.tip.network, &records, per_file)).unwrap();
        assert_eq!(Report { files: 1, ..report }, whole);
    }
}

/// Every byte of every file: headers, payloads, signatures, end marks, first and last record alike.
#[test]
fn one_changed_byte_anywhere_is_found_and_named_by_file_and_offset() {
    let network = Network::new();
    let whole = ledger(&network);
    for (file, (name, bytes)) in whole.iter().enumerate() {
        let before = after(&whole[..file]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let failure = before
                .clone()
                .file(name, Bytes::from(changed), |_| ())
                .expect_err(&format!("{name}: byte {at} changed unnoticed"));
            assert_eq!(&failure.file, name, "byte {at}: {failure}");
            let FailureReason::Damaged(damage) = &failure.reason else { panic!("byte {at}: {failure}") };
            assert!((damage.offset..damage.offset + damage.size).contains(&at), "byte {at}: {failure}");
        }
    }
}

/// As before, by someone who knows the file format and mends both CRCs.
#[test]
fn one_changed_byte_under_mended_checksums_is_found_and_named_by_its_record() {
    let network = Network::new();
    let whole = records(&network);
    let id = network.genesis.tip.network;
    for place in 0..whole.len() {
        let offset: usize = whole[place / 3 * 3..place].iter().map(|r| RECORD_OVERHEAD + r.payload.len()).sum();
        for at in 0..whole[place].payload.len() {
            let mut changed = whole.clone();
            let mut payload = changed[place].payload.to_vec();
            payload[at] ^= 1 << (at % 8);
            changed[place].payload = Bytes::from(payload);
            let failure = verify(&files(id, &changed, 3)).expect_err(&format!("record {place}, byte {at}"));
            assert_eq!(failure.file, files(id, &whole, 3)[place / 3].0, "record {place}, byte {at}");
            assert_eq!(failure.offset, (FILE_HEADER_SIZE + offset) as u64, "record {place}, byte {at}");
        }
    }
}

#[test]
fn what_a_record_says_of_its_block_is_checked() {
    let network = Network::new();
    let whole = records(&network);
    let changes: [fn(&mut LogRecord); 3] = [|r| r.view.0 += 1, |r| r.first_seqno.0 += 1, |r| r.count += 1];
    for place in 0..whole.len() {
        for (row, change) in changes.iter().enumerate() {
            let mut changed = whole.clone();
            change(&mut changed[place]);
            let is_engine = changed[place].payload.is_empty();
            if is_engine && row == 2 {
                continue; // Damage already: an engine entry has no transactions.
            }
            let failure = verify(&files(network.genesis.tip.network, &changed, 3)).unwrap_err();
            let covered = if is_engine && row == 0 { "another history" } else { "record and block differ" };
            let found = failure.reason.to_string();
            assert!(found.contains(covered) || found.contains("view"), "record {place}, row {row}: {found}");
        }
    }
}

#[test]
fn a_ledger_cut_anywhere_in_its_last_file_is_torn_and_not_tampered_with() {
    let network = Network::new();
    let whole = ledger(&network);
    let (name, last) = whole.last().unwrap();
    let before = verify(&whole[..whole.len() - 1].to_vec()).unwrap();
    for end in 0..last.len() {
        let mut cut = whole.clone();
        cut.last_mut().unwrap().1.truncate(end);
        let report = verify(&cut).unwrap_or_else(|failure| panic!("cut at {end}: {failure}"));
        let is_header_only = end == FILE_HEADER_SIZE;
        let offset = if end < FILE_HEADER_SIZE { 0 } else { FILE_HEADER_SIZE as u64 };
        let torn = (!is_header_only).then(|| TornTail { file: name.clone(), offset });
        let files = whole.len() as u64;
        assert_eq!(report, Report { torn_tail: torn, files, ..before.clone() }, "cut at {end}");
    }
}

#[test]
fn a_tail_of_zeros_is_torn_and_not_tampered_with() {
    let network = Network::new();
    let whole = files(network.genesis.tip.network, &records(&network), 5);
    for from in 0..whole[1].1.len() - 1 {
        let mut zeroed = whole.clone();
        zeroed[1].1[from..].fill(0);
        zeroed[1].1.extend_from_slice(&[0; 512]);
        let report = verify(&zeroed).unwrap_or_else(|failure| panic!("zeros from {from}: {failure}"));
        assert!(report.torn_tail.is_some_and(|torn| torn.offset <= from as u64), "zeros from {from}");
    }
}

#[test]
fn a_torn_file_that_another_follows_is_a_failure() {
    let network = Network::new();
    let mut files = ledger(&network);
    files[1].1.pop();
    let failure = verify(&files).unwrap_err();
    assert_eq!(failure.file, files[1].0);
    assert_eq!(failure.reason, FailureReason::EndsEarly { next: files[2].0.clone() });
}

#[test]
fn missing_doubled_and_swapped_files_are_found() {
    let network = Network::new();
    let whole = ledger(&network);
    let missing = |place: usize| {
        let mut files = whole.clone();
        files.remove(place);
        verify(&files)
    };
    let gap = |expected, found| FailureReason::RecordsMissing { expected: LogIndex(expected), found: LogIndex(found) };
    assert_eq!(missing(0).unwrap_err().reason, gap(1, 4));
    assert_eq!(missing(1).unwrap_err().reason, gap(4, 7));
    let mut doubled = whole.clone();
    doubled.insert(1, whole[0].clone());
    assert_eq!(verify(&doubled).unwrap_err().reason, gap(4, 1));
    let mut renamed = whole.clone();
    renamed[1].0.clone_from(&whole[2].0);
    assert_eq!(verify(&renamed).unwrap_err().reason, FailureReason::NameDiffers { found: LogIndex(4) });
    assert_eq!(verify(&Vec::new()).unwrap_err().reason, FailureReason::NoGenesis);
}

#[test]
fn removed_exchanged_and_replayed_records_are_found() {
    let network = Network::new();
    let whole = records(&network);
    let renumbered = |mut records: Vec<LogRecord>| {
        // Someone who mends the records' own numbers.
        for (record, index) in records.iter_mut().zip(1..) {
            record.index = LogIndex(index);
        }
        verify(&files(network.genesis.tip.network, &records, 3))
    };
    for place in 0..whole.len() - 1 {
        let mut removed = whole.clone();
        removed.remove(place);
        assert!(renumbered(removed).is_err(), "record {place} removed");
        let mut replayed = whole.clone();
        replayed.insert(place + 1, whole[place].clone());
        // An engine entry carries nothing, so that a second one is found by the next block.
        assert!(renumbered(replayed).is_err(), "record {place} twice");
        let mut exchanged = whole.clone();
        exchanged.swap(place, place + 1);
        assert!(renumbered(exchanged).is_err(), "records {place} and the next exchanged");
    }
}

#[test]
fn blocks_of_another_network_with_the_same_shape_are_found() {
    let (network, other) = (Network::new(), Network::seeded(2));
    let mut mixed = records(&network);
    let theirs = records(&other);
    mixed[3] = theirs[3].clone();
    let failure = verify(&files(network.genesis.tip.network, &mixed, 3)).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Refused(BlockRefused::OtherNetwork));

    let own = records(&network);
    let relabelled = files(other.genesis.tip.network, &own, 3);
    assert_eq!(verify(&relabelled).unwrap_err().reason, FailureReason::OtherNetwork);
    let mut second = files(network.genesis.tip.network, &own, 3);
    second[1] = relabelled[1].clone();
    assert_eq!(verify(&second).unwrap_err().reason, FailureReason::OtherNetwork);
}

#[test]
fn a_ledger_of_another_service_than_the_expected_is_refused() {
    let network = Network::new();
    let files = ledger(&network).into_iter().map(|(name, bytes)| (name, Bytes::from(bytes)));
    let expected = ServiceKey::from_seed(&[99; 32]).verifying_key().clone();
    assert_eq!(Verifier::expecting(expected).verify(files).unwrap_err().reason, FailureReason::OtherService);
}

#[test]
fn engine_entries_after_the_last_block_are_reported_and_not_proven() {
    let network = Network::new();
    let mut records = records(&network);
    let last = SealedBlock::from_bytes(&records.last().unwrap().payload).unwrap();
    let tip = {
        // The tip after the last block, from a verifier's point of view.
        let mut tip = network.genesis.tip.clone();
        tip.index = last.header.index;
        tip.entry_view = last.header.view;
        tip.seqno = last.header.last_seqno();
        tip.after_engine_entry(LogIndex(11), View(4)).unwrap()
    };
    records.push(engine_record(&tip));
    let report = verify(&files(network.genesis.tip.network, &records, 3)).unwrap();
    assert_eq!((report.engine_entries, report.engine_entries_after_last_block), (3, 1));
    assert_eq!((report.last_index, report.last_signed), (LogIndex(11), txid("3.9")));
}

#[test]
fn a_second_signature_of_the_same_block_changes_no_digest() {
    // ECDSA signatures are not unique: whoever holds the key can sign twice, and nobody else can sign at all.
    let network = Network::new();
    let mut again = records(&network);
    let block = SealedBlock::from_bytes(&again[3].payload).unwrap();
    let tip = Verifier::new().verify(
        files(network.genesis.tip.network, &again[..3], 3).into_iter().map(|(name, bytes)| (name, Bytes::from(bytes))),
    );
    assert!(tip.is_ok());
    let (_, opening) = network.elect(1, &network.genesis.tip);
    let resealed = network.node(1).application(&opening.tip, moment(&opening.tip, View(2)), &content(1)).unwrap().block;
    assert_ne!(resealed.node_signature, block.node_signature);
    again[3].payload = Bytes::from(resealed.to_bytes());
    assert!(verify(&files(network.genesis.tip.network, &again, 3)).is_ok());
}

proptest! {
    #[test]
    fn no_file_makes_the_verifier_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        random in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let network = Network::new();
        let mut files = files(network.genesis.tip.network, &records(&network), 100);
        let bytes = &mut files[0].1;
        for (at, new) in edits {
            let at = at.index(bytes.len());
            bytes[at] = new;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let _ = verify(&files);
        let _ = verify(&vec![("random".to_owned(), random)]);
    }
}
