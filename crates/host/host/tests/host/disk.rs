//! What is filed, and what a failed disk or a refusal leaves.

use std::io::{Read, Write};
use std::net::TcpListener;

use bytes::Bytes;
use synod_host::{Host, HostError, LedgerError};
use synod_types::Seqno;
use synod_types::boundary::{Append, LedgerRange, Restart, Ticket, ToEnclave, ToHost};

use crate::world::{config, record, start, start_in};

#[test]
fn records_are_filed_before_they_are_reported_and_are_there_after_a_restart() {
    for durability in ["disk", "memory"] {
        let settings = format!("durability = '{durability}'\n");
        let world = start(&settings);
        let vote = Some(Bytes::from_static(b"vote"));
        world.port.send(ToHost::Append(Append {
            ticket: Ticket(5),
            truncate_from: None,
            records: vec![record(1), record(2)],
            vote,
        }));
        assert!(matches!(world.next(), ToEnclave::Persisted { ticket: Ticket(5) }));
        world.port.send(ToHost::ReadLedger { ticket: Ticket(6), range: LedgerRange::Covering(Seqno(2)) });
        let ToEnclave::LedgerRead { ticket: Ticket(6), records: Ok(read) } = world.next() else { panic!("not read") };
        assert_eq!(read[0].clone().check(Ok::<_, ()>).unwrap(), record(2));
        world.port.send(ToHost::ReadLedger { ticket: Ticket(7), range: LedgerRange::Covering(Seqno(3)) });
        assert!(matches!(world.next(), ToEnclave::LedgerRead { ticket: Ticket(7), records: Err(_) }));

        let (reason, directory) = world.stop();
        assert_eq!(reason, "as asked");
        let host = Host::open(config(&directory, &settings)).unwrap();
        let records: Vec<_> = host.records().map(|record| record.unwrap().check(Ok::<_, ()>).unwrap()).collect();
        assert_eq!(records, [record(1), record(2)]);
        assert_eq!(host.vote().unwrap().unwrap().check(Ok::<_, ()>), Ok(Bytes::from_static(b"vote")));
    }
}

#[test]
fn a_failed_write_stops_the_host_and_is_not_reported_as_persisted() {
    let world = start("");
    // A record that does not continue the ledger is the failure at hand that needs no broken disk.
    world.port.send(ToHost::Append(Append { ticket: Ticket(1), records: vec![record(1)], ..Append::default() }));
    assert!(matches!(world.next(), ToEnclave::Persisted { .. }));
    world.port.send(ToHost::Append(Append { ticket: Ticket(2), records: vec![record(7)], ..Append::default() }));
    assert!(matches!(world.ended.join().unwrap(), Err(HostError::Ledger(_))));
    assert!(world.messages.try_iter().next().is_none());
}

#[test]
fn after_a_failed_sync_the_directory_is_not_started_from_until_the_mark_is_removed() {
    // What is written to /dev/null cannot be synced: shown for the vote, and for the chunk that is appended to.
    let vote = Append { vote: Some(Bytes::from_static(b"vote")), ..Append::default() };
    let records = Append { records: vec![record(2)], ..Append::default() };
    for (file, append) in [("vote.new", vote), ("ledger_00000000000000000001.chunk", records)] {
        let world = start("");
        world.port.send(ToHost::Append(Append { records: vec![record(1)], ..Append::default() }));
        assert!(matches!(world.next(), ToEnclave::Persisted { .. }));
        let (_, directory) = world.stop();
        let ledger = directory.path().join("ledger");
        let whole = std::fs::read(ledger.join("ledger_00000000000000000001.chunk")).unwrap();

        let world = start_in(directory, "", None);
        let _ = std::fs::remove_file(ledger.join(file));
        std::os::unix::fs::symlink("/dev/null", ledger.join(file)).unwrap();
        world.port.send(ToHost::Append(append));
        let error = world.ended.join().unwrap().unwrap_err();
        assert!(matches!(error, HostError::Ledger(LedgerError::SyncFailed { .. })) && error.is_final(), "{error}");
        assert!(world.messages.try_iter().next().is_none(), "not persisted");

        std::fs::remove_file(ledger.join(file)).unwrap();
        std::fs::write(ledger.join("ledger_00000000000000000001.chunk"), whole).unwrap();
        let error = Host::open(config(&world.directory, "")).unwrap_err();
        assert!(matches!(&error, HostError::StartForbidden { text, .. } if text.contains("cannot sync")), "{error}");
        std::fs::remove_file(ledger.join("refused")).unwrap();
        start_in(world.directory, "", None).stop();
    }
}

#[test]
fn a_node_that_the_network_refuses_is_not_started_from_the_same_disk_again() {
    let world = start("");
    let reason = "the disk was rolled back".to_owned();
    world.port.send(ToHost::Stopped { reason, restart: Restart::Refused });
    let error = world.ended.join().unwrap().unwrap_err();
    assert!(matches!(&error, HostError::SlotRefused { reason } if reason == "the disk was rolled back"), "{error}");
    let error = Host::open(config(&world.directory, "")).unwrap_err();
    assert!(matches!(&error, HostError::StartForbidden { text, .. } if text.contains("rolled back")), "{error}");
}

#[test]
fn two_hosts_do_not_share_a_directory_and_a_taken_port_is_named() {
    let world = start("");
    assert!(matches!(Host::open(config(&world.directory, "")), Err(HostError::Ledger(_))));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut settings = config(&tempfile::tempdir().unwrap(), "");
    settings.client_address.clone_from(&address);
    let error = Host::open(settings).unwrap_err();
    assert!(matches!(&error, HostError::AddressNotAvailable { address: named, .. } if *named == address), "{error}");
}

#[test]
fn what_crosses_the_boundary_is_recorded_if_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("boundary");
    let world = start(&format!("record_boundary = '{}'\n", file.display()));
    let (mut client, connection) = world.connect();
    client.write_all(b"came in").unwrap();
    world.received(connection, 7);
    world.write(connection, "went out");
    world.port.send(ToHost::Append(Append { ticket: Ticket(1), records: vec![record(1)], ..Append::default() }));
    client.read_exact(&mut [0; 8]).unwrap();
    world.stop();
    let recorded = std::fs::read(&file).unwrap();
    for bytes in [&b"came in"[..], b"went out", b"block 1"] {
        assert!(recorded.windows(bytes.len()).any(|window| window == bytes), "{bytes:?}");
    }
}
