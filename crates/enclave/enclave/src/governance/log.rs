//! The latest events of governance, ready to be sent.
//!
//! Each is kept as the text that streams carry (the HTML standard, section 9.2), so that it is made once however many
//! watch, and names are those of its time. The log is bounded; what is older is found in the tables, as far as it is
//! about proposals: see [`synod_governance::view::missed`].

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use synod_governance::view::{AsOf, EventPlace, event};
use synod_governance::{Event, Read, Tables};
use synod_types::Seqno;

/// One event as it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where it lies among all.
    pub place: EventPlace,
    /// Id, kind and document.
    pub text: Bytes,
}

/// Prints the place only: what happened is private.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({}/{})", self.place.seqno, self.place.place)
    }
}

/// The latest events. Shared between threads.
#[derive(Debug)]
pub struct Log {
    contents: Mutex<Contents>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Contents {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// All events of this transaction and of later ones are there.
    complete_from: Seqno,
}

/// What comes after a place.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// These events, in order, and perhaps more.
    Frames(Vec<Frame>),
    /// Nothing yet.
    Nothing,
    /// Events that are not there any more: those before this transaction.
    Older(Seqno),
}

impl Log {
    /// An empty log that keeps up to so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { contents: Mutex::default(), bytes_max }
    }

    /// Takes in the events of a transaction, which are later than all before.
    pub fn push(&self, frames: Vec<Frame>) {
        let mut contents = self.lock();
        contents.bytes += frames.iter().map(Frame::size).sum::<usize>();
        contents.frames.extend(frames);
        while contents.bytes > self.bytes_max
            && let Some(seqno) = contents.frames.front().map(|frame| frame.place.seqno)
        {
            contents.drop_transaction(seqno);
        }
    }

    /// The events after `place`: some [`PAGE_BYTES`] of them, at least one if there is any.
    pub fn after(&self, place: EventPlace) -> After {
        let contents = self.lock();
        let is_whole = place.seqno >= contents.complete_from || place == EventPlace::end_of(place.seqno);
        if place.seqno.next() < contents.complete_from || !is_whole {
            return After::Older(contents.complete_from);
        }
        let first = contents.frames.partition_point(|frame| frame.place <= place);
        let frames = page(contents.frames.range(first..).cloned().map(Ok::<_, std::convert::Infallible>));
        match frames {
            Ok(frames) if frames.is_empty() => After::Nothing,
            Ok(frames) => After::Frames(frames),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn drop_transaction(&mut self, seqno: Seqno) {
        while let Some(frame) = self.frames.pop_front_if(|frame| frame.place.seqno == seqno) {
            self.bytes -= frame.size();
        }
        self.complete_from = seqno.next();
    }
}

impl Frame {
    /// An event of the transaction that led from the tables `before` to those `after`, which `as_of` names.
    ///
    /// # Errors
    /// If another version of the code wrote the tables.
    pub fn of(
        happened: &Event,
        place: EventPlace,
        (before, after): (Tables<'_>, Tables<'_>),
        as_of: &AsOf<'_>,
    ) -> Read<Self> {
        let view = event(happened, before, after, as_of)?;
        let data = serde_json::to_string(&view).expect("an event is made of texts and numbers, in maps with text keys");
        // Line ends are escaped in JSON, so that the document is one line.
        let text = format!("id: {}/{}\nevent: {}\ndata: {data}\n\n", as_of.txid, place.place, view.name);
        Ok(Self { place, text: text.into() })
    }

    fn size(&self) -> usize {
        self.text.len() + FRAME_BYTES
    }
}

/// Takes frames up to some [`PAGE_BYTES`], at least one if there is any.
///
/// # Errors
/// If making a frame fails.
pub fn page<E>(frames: impl Iterator<Item = Result<Frame, E>>) -> Result<Vec<Frame>, E> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for frame in frames {
        let frame = frame?;
        bytes += frame.text.len();
        taken.push(frame);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(taken)
}

/// How many bytes of events the log keeps: tens of thousands of votes, or two thousand proposals with a page of reasons.
pub const LOG_BYTES_MAX: usize = 16 << 20;

/// How much is sent to one who watches before the log is looked at again.
const PAGE_BYTES: usize = 64 << 10;

/// What a frame takes besides its text.
const FRAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(seqno: u64, place: u32, size: usize) -> Frame {
        Frame { place: EventPlace { seqno: Seqno(seqno), place }, text: vec![b'x'; size].into() }
    }

    fn places(after: After) -> Vec<(u64, u32)> {
        match after {
            After::Frames(frames) => frames.iter().map(|frame| (frame.place.seqno.0, frame.place.place)).collect(),
            After::Nothing => Vec::new(),
            After::Older(from) => panic!("older than {from}"),
        }
    }

    #[test]
    fn what_comes_after_a_place_is_told_in_order_in_pages() {
        let log = Log::new(LOG_BYTES_MAX);
        assert_eq!(log.after(EventPlace::default()), After::Nothing);
        log.push(vec![frame(2, 1, 10), frame(2, 2, 10)]);
        log.push(vec![frame(5, 1, PAGE_BYTES), frame(5, 2, 10)]);
        assert_eq!(places(log.after(EventPlace::default())), [(2, 1), (2, 2), (5, 1)]);
        assert_eq!(places(log.after(EventPlace { seqno: Seqno(2), place: 1 })), [(2, 2), (5, 1)]);
        assert_eq!(places(log.after(EventPlace::end_of(Seqno(2)))), [(5, 1)]);
        assert_eq!(places(log.after(EventPlace { seqno: Seqno(5), place: 1 })), [(5, 2)]);
        assert_eq!(log.after(EventPlace { seqno: Seqno(5), place: 2 }), After::Nothing);
        assert_eq!(log.after(EventPlace::end_of(Seqno(9))), After::Nothing);
    }

    #[test]
    fn the_oldest_transactions_are_dropped_whole_and_whoever_is_before_them_is_told_so() {
        let log = Log::new(4 * (100 + FRAME_BYTES));
        log.push(vec![frame(2, 1, 100), frame(2, 2, 100), frame(2, 3, 100)]);
        log.push(vec![frame(5, 1, 100), frame(5, 2, 100)]);
        for place in [EventPlace::default(), EventPlace { seqno: Seqno(2), place: 3 }, EventPlace::end_of(Seqno(1))] {
            assert_eq!(log.after(place), After::Older(Seqno(3)), "{place:?}");
        }
        assert_eq!(places(log.after(EventPlace::end_of(Seqno(2)))), [(5, 1), (5, 2)]);
        log.push(vec![frame(6, 1, 1_000)]);
        assert_eq!(
            log.after(EventPlace::end_of(Seqno(2))),
            After::Older(Seqno(7)),
            "one that is too large is not kept"
        );
        assert_eq!(log.after(EventPlace::end_of(Seqno(6))), After::Nothing);
        assert_eq!(log.lock().bytes, 0);
    }
}
