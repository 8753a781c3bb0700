//! What a disk holds, and what only the system's memory holds of it.
//!
//! A process sees all that was written. A loss of power leaves what was synced, and of the rest as much as chance
//! has it: appended bytes from their front up to some byte, perhaps followed by zeros; and a file begun, cut or
//! renamed as it was before or after. The death of a process takes nothing: what it wrote is still on its way to
//! the medium, and the next process reads it as if it were there.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_types::LogIndex;
use synod_types::chunk::file_name;

use crate::prng::Prng;

/// The files of a node and its vote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Chunk files, by the index of their first record.
    pub files: BTreeMap<LogIndex, Vec<u8>>,
    /// The vote record.
    pub vote: Option<Bytes>,
}

/// A disk with the system's memory before it.
#[derive(Debug, Default)]
pub struct Medium {
    /// What lies on the medium, but for a change that is not settled.
    image: Image,
    /// What was appended to the last file since it was synced.
    appended: Vec<u8>,
    /// What was there before a change that is not settled: a loss of power may bring it back.
    before: Option<(Image, Vec<u8>)>,
}

impl Medium {
    /// The vote record, as a process sees it.
    pub const fn vote(&self) -> Option<&Bytes> {
        self.image.vote.as_ref()
    }

    /// The files as a process sees them, in order.
    pub fn files(&self) -> impl Iterator<Item = (LogIndex, Bytes)> {
        let last = self.last_file();
        self.image.files.iter().map(move |(first, bytes)| {
            let appended = if Some(*first) == last { &self.appended[..] } else { &[] };
            (*first, Bytes::from([bytes, appended].concat()))
        })
    }

    /// The files by name, in order.
    pub fn named_files(&self) -> impl Iterator<Item = (String, Bytes)> {
        self.files().map(|(first, bytes)| (file_name(first), bytes))
    }

    /// The last file.
    pub fn last_file(&self) -> Option<LogIndex> {
        self.image.files.last_key_value().map(|(first, _)| *first)
    }

    /// The size of the last file, as a process sees it.
    pub fn last_file_size(&self) -> usize {
        self.synced_size() + self.appended.len()
    }

    /// How much of the last file was synced.
    pub fn synced_size(&self) -> usize {
        self.image.files.last_key_value().map_or(0, |(_, file)| file.len())
    }

    /// What is to be written at the end of the last file, to be appended to.
    pub const fn end(&mut self) -> &mut Vec<u8> {
        &mut self.appended
    }

    /// How many bytes were appended since the last sync.
    pub const fn unsynced(&self) -> usize {
        self.appended.len()
    }

    /// What would certainly survive.
    pub fn image(&self) -> Image {
        self.image.clone()
    }

    /// Whether the files differ from an image of them.
    pub fn differs_from(&self, image: &Image) -> bool {
        self.image.files != image.files
    }

    /// Everything that was written is on the medium from here on.
    pub fn sync(&mut self) {
        if let Some(mut file) = self.image.files.last_entry() {
            file.get_mut().append(&mut self.appended);
        }
        self.before = None;
    }

    /// Begins a file; to be settled by [`Medium::sync`].
    pub fn begin(&mut self, first: LogIndex, header: &[u8]) {
        self.sync();
        self.before = Some((self.image.clone(), Vec::new()));
        self.image.files.insert(first, header.to_vec());
    }

    /// Cuts a file off at a byte, and drops all after it; to be settled by [`Medium::sync`].
    pub fn cut(&mut self, file: LogIndex, offset: usize) {
        let before = (self.image.clone(), self.appended.clone());
        self.sync();
        self.image.files.retain(|first, _| *first <= file);
        self.image.files.get_mut(&file).expect("records lie in files").truncate(offset);
        self.before = Some(before);
    }

    /// Drops the last file; to be settled together with the cut before it.
    pub fn drop_last_file(&mut self) {
        self.image.files.pop_last();
    }

    /// Replaces the vote; to be settled by [`Medium::sync`]. Nothing may be on its way to the last file.
    pub fn replace_vote(&mut self, vote: Bytes) {
        self.before = Some((self.image.clone(), self.appended.clone()));
        self.image.vote = Some(vote);
    }

    /// Puts everything back to an image.
    pub fn put_back(&mut self, image: Image) {
        *self = Self { image, ..Self::default() };
    }

    /// The power fails.
    pub fn lose_power(&mut self, prng: &mut Prng) {
        if let Some((image, appended)) = self.before.take()
            && prng.chance(500_000)
        {
            (self.image, self.appended) = (image, appended);
        }
        let kept = match prng.below(4) {
            0 => 0,
            1 => self.appended.len(),
            _ => prng.index(self.appended.len() + 1),
        };
        self.lose_power_keeping(kept, prng);
    }

    /// The power fails: the last change stays, and of what was appended the first `kept` bytes.
    ///
    /// # Panics
    /// If fewer were appended.
    pub fn lose_power_keeping(&mut self, kept: usize, prng: &mut Prng) {
        let appended = std::mem::take(&mut self.appended);
        self.before = None;
        let zeros = if prng.chance(250_000) { prng.index(appended.len() - kept + 1) } else { 0 };
        // A single zero in place of the very last byte reads as one changed byte, which is damage by definition. It
        // takes a file whose last byte begins a sector.
        let zeros = if kept + zeros == appended.len() && zeros == 1 { 0 } else { zeros };
        if let Some(mut file) = self.image.files.last_entry() {
            file.get_mut().extend_from_slice(&appended[..kept]);
            file.get_mut().extend(std::iter::repeat_n(0, zeros));
        }
    }

    /// The process dies in the middle of a write.
    pub fn lose_process(&mut self, prng: &mut Prng) {
        self.appended.truncate(prng.index(self.appended.len() + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: LogIndex = LogIndex(1);

    /// A file of which `synced` is on the medium and `appended` is not.
    fn medium(synced: &[u8], appended: &[u8]) -> Medium {
        let mut medium = Medium::default();
        medium.begin(FIRST, synced);
        medium.sync();
        medium.end().extend_from_slice(appended);
        medium
    }

    fn seen(medium: &Medium) -> Bytes {
        medium.files().next().unwrap().1
    }

    #[test]
    fn a_process_that_dies_mid_write_leaves_a_beginning_and_a_loss_of_power_less() {
        let prng = &mut Prng::new(1, "medium");
        let (mut whole, mut shorter) = (0, 0);
        for _ in 0..100 {
            let mut medium = medium(b"old", b"new");
            medium.lose_process(prng);
            let left = seen(&medium);
            assert!(left.starts_with(b"old") && b"oldnew".starts_with(&left));
            medium.lose_power(prng);
            whole += u32::from(seen(&medium) == left);
            shorter += u32::from(seen(&medium).len() < left.len());
        }
        assert!(whole > 0 && shorter > 0);
    }

    #[test]
    fn nothing_takes_what_was_synced() {
        let prng = &mut Prng::new(2, "medium");
        for _ in 0..20 {
            let mut medium = medium(b"old", b"new");
            medium.sync();
            medium.lose_power(prng);
            assert_eq!(seen(&medium), &b"oldnew"[..]);
        }
    }

    #[test]
    fn a_loss_of_power_may_bring_back_what_was_cut_or_replaced_until_that_is_settled() {
        let prng = &mut Prng::new(3, "medium");
        let mut outcomes = std::collections::BTreeSet::new();
        for settles in [false, true] {
            for _ in 0..50 {
                let mut medium = medium(b"0123", b"");
                medium.replace_vote(Bytes::from_static(b"one"));
                medium.sync();
                medium.cut(FIRST, 2);
                if settles {
                    medium.sync();
                }
                medium.lose_power(prng);
                outcomes.insert((settles, seen(&medium)));
                assert_eq!(medium.vote(), Some(&Bytes::from_static(b"one")));
            }
        }
        let expected = [(false, &b"01"[..]), (false, b"0123"), (true, b"01")];
        assert_eq!(outcomes.into_iter().collect::<Vec<_>>(), expected.map(|(s, bytes)| (s, Bytes::from_static(bytes))));
    }
}
