//! How the parts of a block in the clear print: sizes, never content, seeds or names.

use std::fmt;

use synod_types::ByteCount;

use crate::content::{ActorRecord, AdminRecord, CallRecord, Content, RequestRecord};

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("requests", &self.requests)
            .field("setup", &self.setup.as_ref().map(ByteCount::of))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord")
            .field("adapter", &self.adapter)
            .field("actor", &self.actor)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ActorRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorRecord").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for CallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRecord")
            .field("input", &ByteCount::of(&self.input))
            .field("write_set", &self.write_set.as_ref().map(ByteCount::of))
            .field("reply", &ByteCount::of(&self.reply))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AdminRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminRecord")
            .field("write_set", &ByteCount::of(&self.write_set))
            .field("detail", &ByteCount::of(&self.detail))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_types::{ActorId, AdapterId, Digest, RequestId};

    use super::*;
    use crate::Opened;

    /// 32 bytes that are looked for as text, as numbers and in hexadecimal.
    const MARKER: &str = "the-planted-marker-of-this-test!";

    #[test]
    fn the_parts_of_a_block_in_the_clear_print_no_content() {
        let content = || Bytes::from_static(MARKER.as_bytes());
        let marker = *MARKER.as_bytes().first_chunk::<32>().unwrap();
        let call =
            CallRecord { input: content(), write_set: Some(content()), claims: Some(Digest(marker)), reply: content() };
        let request = RequestRecord {
            adapter: AdapterId(0),
            actor: ActorRecord { id: ActorId(marker), kind: 1 },
            request_id: RequestId(*marker.first_chunk().unwrap()),
            calls: vec![call],
        };
        let opened = Opened {
            content: Some(Content { seed: marker, requests: vec![request], setup: Some(content()) }),
            admin: Some(AdminRecord { write_set: content(), detail: content() }),
            leaves: Vec::new(),
        };
        let text = format!("{opened:?}");
        assert!(text.contains("<32 bytes>"));
        for found in [&MARKER[..8], "116, 104, 101", "746865"] {
            assert!(!text.contains(found), "{text}");
        }
    }
}
