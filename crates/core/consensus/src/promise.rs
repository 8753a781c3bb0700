//! What a node's word binds it to, as another node remembers it.
//!
//! A node that acknowledges an entry in a view says: my log is that view's leader's up to here, and this is on my
//! disk. For as long as it stays in that view it can never lose that again: a leader appends only, and a
//! follower replaces only what its leader does not hold (Raft dissertation, section 3.5). In a later view
//! another leader may replace it, by a log that is shorter, or that ends in an earlier view. So a promise
//! binds in the view in which it was *given*, and the log's end alone, in whatever order, says nothing.
//!
//! A node that was seen in a view has that view on disk, and a vote too, before it says so.

use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder, LogIndex, NodeId, View};

use crate::effect::Vote;

/// All that one node saw another one promise: of acknowledgements the last, since it implies those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// The last view in which the node was seen.
    pub view: View,
    /// The last entry that it acknowledged in that view; 0 if none.
    pub index: LogIndex,
    /// The view of that entry.
    pub entry_view: View,
    /// The last view in which it voted for the one who remembers.
    pub voted: View,
}

/// How a disk breaks a promise: it was rolled back, or lost what it said it had synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It remembers no view as late as the one in which its node was seen.
    View,
    /// It lacks the entry that was acknowledged.
    Entry,
    /// It does not remember the vote.
    Vote,
}

impl Promise {
    /// A node was seen in `view`.
    pub fn seen_in(view: View) -> Self {
        Self { view, ..Self::default() }
    }

    /// A node acknowledged, in `view`, the entry `index` of `entry_view` and all before it.
    pub const fn acknowledged(view: View, index: LogIndex, entry_view: View) -> Self {
        Self { view, index, entry_view, voted: View(0) }
    }

    /// A node voted, in `view`, for the one who remembers.
    pub const fn voted(view: View) -> Self {
        Self { view, index: LogIndex(0), entry_view: View(0), voted: view }
    }

    /// Adds what was seen besides.
    pub fn add(&mut self, other: Self) {
        if (other.view, other.index) > (self.view, self.index) {
            (self.view, self.index, self.entry_view) = (other.view, other.index, other.entry_view);
        }
        self.voted = self.voted.max(other.voted);
    }

    /// How a node breaks this promise to `witness`, if it does, when its disk holds `vote` and a log whose entries are
    /// of the views that `view_at` tells. An honest node's never does, whatever moment a crash chooses.
    pub fn broken_by(&self, witness: NodeId, vote: Vote, view_at: impl Fn(LogIndex) -> Option<View>) -> Option<Broken> {
        let forgot_vote = self.voted == vote.view && vote.voted_for != Some(witness);
        if self.view > vote.view {
            Some(Broken::View)
        } else if self.index > LogIndex(0) && self.view == vote.view && view_at(self.index) != Some(self.entry_view) {
            Some(Broken::Entry)
        } else if self.voted > View(0) && (self.voted > vote.view || forgot_vote) {
            Some(Broken::Vote)
        } else {
            None
        }
    }
}

impl Encode for Promise {
    fn encode(&self, out: &mut Encoder) {
        self.view.encode(out);
        self.index.encode(out);
        self.entry_view.encode(out);
        self.voted.encode(out);
    }
}

impl Decode for Promise {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let view = View::decode(input.reading("promise of a node"))?;
        let index = LogIndex::decode(input)?;
        Ok(Self { view, index, entry_view: View::decode(input)?, voted: View::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITNESS: NodeId = NodeId(7);

    /// A log of these views, from entry 1 on.
    fn log(views: &[u64]) -> impl Fn(LogIndex) -> Option<View> {
        let views = views.to_vec();
        move |index| views.get(usize::try_from(index.0).ok()?.checked_sub(1)?).map(|view| View(*view))
    }

    fn vote(view: u64, voted_for: Option<u64>) -> Vote {
        Vote { view: View(view), voted_for: voted_for.map(NodeId) }
    }

    #[test]
    fn an_acknowledgement_binds_in_the_view_in_which_it_was_given_and_in_no_later_one() {
        let promise = Promise::acknowledged(View(3), LogIndex(4), View(2));
        for (views, view, broken) in [
            (&[1, 2, 2, 2][..], 3, None),
            (&[1, 2, 2, 2, 3], 3, None),
            (&[1, 2, 2], 3, Some(Broken::Entry)),
            // As long, but what a leader of view 3 had replaced is there again.
            (&[1, 1, 1, 1, 1], 3, Some(Broken::Entry)),
            (&[1, 2, 2, 2], 2, Some(Broken::View)),
            // A later leader replaced it: by a shorter log, by one that ends in an earlier view, or not all is there yet.
            (&[1, 2, 2, 4], 4, None),
            (&[1, 2, 2], 4, None),
            (&[1, 1, 1, 1, 1], 4, None),
        ] {
            assert_eq!(promise.broken_by(WITNESS, vote(view, None), log(views)), broken, "{views:?} in view {view}");
        }
    }

    #[test]
    fn a_vote_is_kept_until_a_later_view_and_for_whom_it_was_given() {
        let promise = Promise::voted(View(3));
        let check = |vote| promise.broken_by(WITNESS, vote, log(&[1]));
        assert_eq!(check(vote(3, Some(7))), None);
        assert_eq!(check(vote(4, None)), None);
        assert_eq!(check(vote(3, None)), Some(Broken::Vote), "the view is remembered and the vote is not");
        assert_eq!(check(vote(3, Some(8))), Some(Broken::Vote));
        assert_eq!(check(vote(2, Some(7))), Some(Broken::View));
    }

    #[test]
    fn of_what_was_seen_the_last_counts_and_a_vote_besides() {
        let mut all = Promise::default();
        assert_eq!(all.broken_by(WITNESS, Vote::default(), log(&[])), None, "nothing was seen");
        all.add(Promise::voted(View(3)));
        all.add(Promise::acknowledged(View(3), LogIndex(9), View(3)));
        all.add(Promise::acknowledged(View(3), LogIndex(8), View(2)));
        all.add(Promise::seen_in(View(2)));
        assert_eq!(all, Promise { view: View(3), index: LogIndex(9), entry_view: View(3), voted: View(3) });
        all.add(Promise::seen_in(View(5)));
        assert_eq!(all, Promise { view: View(5), voted: View(3), ..Promise::default() });
    }
}
