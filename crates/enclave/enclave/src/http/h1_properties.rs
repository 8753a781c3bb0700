//! Whatever bytes come, and in whatever pieces: the answers are the same, and no session panics.

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::Session;
use crate::identity::Speaker;
use crate::mailbox::Event;
use crate::purpose::Purpose;
use crate::testing::{ACTOR, World, settle};

/// Parts of requests, good and bad, and bytes of any kind.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &'static str| Just(text.as_bytes().to_vec());
    prop_oneof![
        6 => text("GET /app/box/a HTTP/1.1\r\nhost: a\r\n\r\n"),
        6 => text("PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
        6 => text("PUT /app/box/b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nt: 1\r\n\r\n"),
        2 => text("PUT /app/box/c HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nxy"),
        2 => text("GET /node/commit?x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"),
        1 => text("GET /app/box/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
        1 => text("BREW /pot HTTP/1.1\r\nhost: a\r\nsynod-at-least: x\r\n\r\n"),
        1 => text("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n"),
        1 => text("PUT /app/box/a HTTP/1.1\r\nhost: a\r\ncontent-length: 8388609\r\n\r\n"),
        1 => text("\r\n"),
        1 => text("ffffffffffffffff\r\n"),
        1 => vec(any::<u8>(), 0..40),
    ]
}

/// Parts one after the other, with a few bytes changed.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop_oneof![2 => Just(Vec::new()), 1 => vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)];
    (vec(part(), 1..8), changes).prop_map(|(parts, changes)| {
        let mut bytes = parts.concat();
        for (place, byte) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        bytes
    })
}

/// What came of the input: the answers without interim ones, and the calls that the node was handed.
async fn outcome(pieces: &[&[u8]]) -> (String, Vec<Vec<Bytes>>) {
    let world = World::new();
    let (mut far, near) = duplex(1 << 20);
    let session = tokio::spawn(
        Session::new(near, Arc::clone(&world.service), Speaker::known(ACTOR), Purpose::Applications).run(),
    );
    for piece in pieces {
        // A session that has refused something takes no more.
        if far.write_all(piece).await.is_err() {
            break;
        }
        settle().await;
    }
    far.shutdown().await.unwrap();
    settle().await;
    let requests = world.submitted().concat();
    requests.iter().for_each(|request| world.commit(request));
    for token in world.service.waits.take_expired(std::time::Instant::now() + crate::waits::WAIT_TIME_MAX) {
        world.service.office.deliver(token, Event::Expired);
    }
    let mut answers = Vec::new();
    far.read_to_end(&mut answers).await.unwrap();
    session.await.expect("no input makes a session panic").unwrap();
    let answers = String::from_utf8_lossy(&answers).replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    (answers, requests.into_iter().map(|request| request.calls).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_are_answered_as_in_one_piece(
        input in input(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let whole = runtime.block_on(outcome(&[&input]));
        let cut = runtime.block_on(outcome(&pieces));
        prop_assert!(whole.0.is_empty() || whole.0.starts_with("HTTP/1.1 "));
        prop_assert_eq!(whole, cut);
    }
}
