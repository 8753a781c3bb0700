use bytes::Bytes;

use crate::boundary::{EntryKind, LogRecord};
use crate::chunk::{
    Damage, DamageReason, FILE_HEADER_SIZE, FileHeader, RECORD_OVERHEAD, Scan, Tail, append_record, file_name,
    parse_file_name, read_record,
};
use crate::{Digest, LogIndex, Seqno, View};

fn record(index: u64, payload: &'static [u8]) -> LogRecord {
    LogRecord {
        index: LogIndex(index),
        view: View(3),
        kind: EntryKind::Block,
        first_seqno: Seqno(40 + index),
        count: 1,
        payload: Bytes::from_static(payload),
    }
}

fn records() -> Vec<LogRecord> {
    let engine = LogRecord { kind: EntryKind::Engine, count: 0, ..record(6, b"") };
    // A payload that ends in zeros is the hard case for telling a tail of zeros.
    vec![record(5, b"first"), engine, record(7, b"\0\0\0"), record(8, b"last\0\0\0\0")]
}

fn file() -> Vec<u8> {
    let mut file = FileHeader { network: Digest([0xab; 32]), first_index: LogIndex(5) }.to_bytes().to_vec();
    records().iter().for_each(|record| append_record(record, &mut file));
    file
}

/// The offsets at which records begin, and the end.
fn borders() -> Vec<usize> {
    let mut at = FILE_HEADER_SIZE;
    let mut borders = vec![at];
    for record in records() {
        at += RECORD_OVERHEAD + record.payload.len();
        borders.push(at);
    }
    borders
}

fn scan(file: Vec<u8>) -> Result<(Vec<LogRecord>, Tail), Damage> {
    let mut scan = Scan::new(Bytes::from(file))?;
    let records = scan.by_ref().map(|placed| placed.map(|p| p.record)).collect::<Result<_, _>>()?;
    Ok((records, scan.tail()))
}

#[test]
fn records_read_back_with_their_places() {
    let mut scan = Scan::new(Bytes::from(file())).unwrap();
    assert_eq!(scan.header().unwrap().first_index, LogIndex(5));
    let placed: Vec<_> = scan.by_ref().map(Result::unwrap).collect();
    assert_eq!(placed.iter().map(|p| p.offset).collect::<Vec<_>>(), borders()[..4]);
    assert_eq!(scan.tail(), Tail::Whole);
    assert_eq!(scan.next_index(), LogIndex(9));
    for (placed, expected) in placed.iter().zip(records()) {
        assert_eq!(placed.record, expected);
        let bytes = Bytes::from(file()).slice(placed.offset..placed.offset + placed.size);
        assert_eq!(read_record(&bytes), Ok(expected));
    }
}

#[test]
fn the_bytes_of_a_file_are_these() {
    let mut file = FileHeader { network: Digest([0xab; 32]), first_index: LogIndex(5) }.to_bytes().to_vec();
    append_record(&record(5, b"first"), &mut file);
    let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "53594e4f444c4f47",
        "0100",
        "000000000000",
        "0500000000000000",
        &"ab".repeat(32),
        "00000000",
        &hex[120..128],
        "53594e52",
        "05000000",
        "0500000000000000",
        "0300000000000000",
        "2d00000000000000",
        "01000000",
        "00",
        "000000",
        &hex[208..216],
        &hex[216..224],
        "6669727374",
        "454e440a",
    ];
    assert_eq!(hex, expected.concat());
    // CRC-32C of "123456789" is e3069283: the CRC's parameters are the usual ones.
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(hex[208..216], format!("{:08x}", crc32c::crc32c(b"first").swap_bytes()));
}

#[test]
fn every_truncation_is_a_torn_tail_and_keeps_every_whole_record() {
    let (whole, borders) = (file(), borders());
    for end in 0..whole.len() {
        let (read, tail) = scan(whole[..end].to_vec()).unwrap();
        let kept = borders.iter().filter(|border| **border <= end).count();
        assert_eq!(read, records()[..kept.saturating_sub(1)], "cut at {end}");
        let expected = match kept {
            0 => Tail::Torn { offset: 0 },
            _ if borders.contains(&end) => Tail::Whole,
            _ => Tail::Torn { offset: borders[kept - 1] },
        };
        assert_eq!(tail, expected, "cut at {end}");
    }
}

#[test]
fn a_tail_of_zeros_is_torn_wherever_it_begins() {
    let (whole, borders) = (file(), borders());
    for from in 0..whole.len() - 1 {
        for longer in [0, 1, 4096] {
            let mut zeroed = whole.clone();
            zeroed[from..].fill(0);
            zeroed.resize(whole.len() + longer, 0);
            let (read, tail) = scan(zeroed).unwrap_or_else(|damage| panic!("zeros from {from}: {damage}"));
            // A record whose own last bytes are these zeros is whole all the same; none here is: END is not zero.
            let kept = borders.iter().filter(|border| **border <= from).count();
            assert_eq!(read, records()[..kept.saturating_sub(1)], "zeros from {from}");
            let offset = if kept == 0 { 0 } else { borders[kept - 1] };
            assert_eq!(tail, Tail::Torn { offset }, "zeros from {from}, {longer} longer");
        }
    }
}

#[test]
fn every_changed_byte_is_damage_named_by_where_it_lies() {
    let whole = file();
    for at in 0..whole.len() {
        for change in [1, 0x80, 0xff, whole[at]] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            if changed == whole {
                continue;
            }
            let damage = scan(changed).expect_err(&format!("byte {at} changed by {change:#x}"));
            assert!((damage.offset..damage.offset + damage.size).contains(&at), "{at}: {damage}");
        }
    }
}

#[test]
fn damage_before_a_torn_tail_is_still_damage() {
    let (whole, borders) = (file(), borders());
    for at in 0..borders[2] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        changed[borders[3]..].fill(0);
        assert!(scan(changed.clone()).is_err(), "zeros, byte {at}");
        changed.truncate(borders[3] + 10);
        assert!(scan(changed).is_err(), "truncated, byte {at}");
    }
}

#[test]
fn a_record_out_of_order_or_with_values_never_written_is_damage() {
    let refused = |bad: LogRecord| {
        let mut file = FileHeader { network: Digest([0; 32]), first_index: LogIndex(5) }.to_bytes().to_vec();
        append_record(&bad, &mut file);
        scan(file).unwrap_err().reason
    };
    let out_of_order = DamageReason::IndexOutOfOrder { expected: LogIndex(5), found: LogIndex(6) };
    assert_eq!(refused(record(6, b"")), out_of_order);
    let not_allowed = DamageReason::HeaderFieldNotAllowed;
    assert_eq!(refused(LogRecord { kind: EntryKind::Engine, ..record(5, b"") }), not_allowed);
    assert_eq!(refused(LogRecord { kind: EntryKind::Engine, count: 0, ..record(5, b"x") }), not_allowed);
    // After which readers could not count on.
    assert_eq!(refused(LogRecord { index: LogIndex(u64::MAX), ..record(5, b"") }), not_allowed);
    assert_eq!(refused(LogRecord { first_seqno: Seqno(u64::MAX), count: 1, ..record(5, b"") }), not_allowed);
}

#[test]
fn one_record_alone_reads_back_only_whole_and_unchanged() {
    let mut bytes = Vec::new();
    append_record(&record(5, b"payload"), &mut bytes);
    for end in 0..bytes.len() {
        assert!(read_record(&Bytes::copy_from_slice(&bytes[..end])).is_err());
        let mut changed = bytes.clone();
        changed[end] ^= 1;
        assert!(read_record(&Bytes::from(changed)).is_err());
    }
    bytes.push(0);
    assert!(read_record(&Bytes::from(bytes)).is_err());
}

#[test]
fn only_names_of_the_one_form_are_chunk_files() {
    for index in [0, 1, 42, u64::MAX] {
        assert_eq!(parse_file_name(&file_name(LogIndex(index))), Some(LogIndex(index)));
    }
    for name in [
        "",
        "ledger_1.chunk",
        "ledger_00000000000000000001",
        "ledger_+0000000000000000001.chunk",
        "ledger_99999999999999999999.chunk",
        "ledger_000000000000000000001.chunk",
        "x/ledger_00000000000000000001.chunk",
    ] {
        assert_eq!(parse_file_name(name), None, "{name}");
    }
}

#[test]
fn random_and_mutated_files_never_panic() {
    // A small generator of our own: this crate has no other need of a test dependency.
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let whole = file();
    for _ in 0..20_000 {
        let mut changed = whole.clone();
        for _ in 0..draw() % 8 {
            let at = draw() % changed.len();
            changed[at] = draw() as u8;
        }
        changed.truncate(draw() % (changed.len() + 1));
        let _ = scan(changed);
        let random: Vec<u8> = (0..draw() % 200).map(|_| draw() as u8).collect();
        let _ = scan(random.clone());
        let _ = read_record(&Bytes::from(random));
    }
}
