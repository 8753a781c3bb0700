//! A response with events, of any bytes: what a client makes of it does not depend on how they come.
//!
//! Run: `cargo +nightly fuzz run a_stream_of_events_is_the_same_however_it_is_cut`.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/client/client/src/governance/sse.rs"]
mod sse;

use sse::{Chunks, End, Parser, ServerEvent, read_head};

/// The status, the events, and whether the stream has ended or is refused.
type Made = (Option<u16>, Vec<ServerEvent>, Result<bool, &'static str>);

fn read<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Made {
    let (mut input, mut head, mut chunks, mut parser) = (BytesMut::new(), None, Chunks::default(), Parser::default());
    let mut end = Ok(false);
    for piece in pieces {
        input.extend_from_slice(piece);
        if head.is_none() {
            match read_head(&mut input) {
                Ok(found) => head = found,
                Err(why) => end = Err(why),
            }
        }
        if let (Some(head), Ok(false)) = (&head, end) {
            end = if head.is_chunked {
                chunks.take(&mut input, &mut parser).map(|end| end == End::Reached)
            } else {
                parser.push(&input.split()).map(|()| false)
            };
        }
        if end != Ok(false) {
            break;
        }
    }
    (head.map(|head| head.status), parser.events.into(), end)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, bytes)) = bytes.split_first() else { return };
    let whole = read(std::iter::once(bytes));
    let cut = read(bytes.chunks(1 + usize::from(size)));
    assert_eq!(whole, cut);
});
