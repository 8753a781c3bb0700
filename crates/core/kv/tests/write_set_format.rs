//! The encoding of write sets: vectors, and everything that must be refused.

use proptest::prelude::*;
use synod_kv::{MapName, WriteSet};
use synod_types::codec::DecodeReason;
use synod_types::{Decode, Encode, limits};

const LOG: MapName = MapName::from_static("log.m");
const SHOP: MapName = MapName::from_static("shop");

fn example() -> WriteSet {
    let mut writes = WriteSet::default();
    writes.put(&SHOP, b"k", b"");
    writes.put(&LOG, b"\x02", b"hi");
    writes.remove(&LOG, b"\x01\xff");
    writes
}

/// The encoding of [`example`], piece by piece.
const EXAMPLE: &[&[u8]] = &[
    b"\x01",                 // format
    b"\x02\0\0\0",           // two maps
    b"\x05\0\0\0log.m",      // the first by name
    b"\x02\0\0\0",           // two entries
    b"\x02\0\0\0\x01\xff\0", // the first by key: removed
    b"\x01\0\0\0\x02\x01",   // the second: written
    b"\x02\0\0\0hi",         // its value
    b"\x04\0\0\0shop",       // the second map
    b"\x01\0\0\0",           // one entry
    b"\x01\0\0\0k\x01",      // written
    b"\0\0\0\0",             // with an empty value
];

fn refused(bytes: &[u8]) -> Option<DecodeReason> {
    WriteSet::from_bytes(bytes).err().map(|error| error.reason)
}

#[test]
fn the_encoding_is_the_vector() {
    assert_eq!(example().to_bytes(), EXAMPLE.concat());
    assert_eq!(example().encoded_size(), EXAMPLE.concat().len());
    assert_eq!(WriteSet::default().to_bytes(), b"\x01\0\0\0\0");
    assert_eq!(example().digest().to_hex(), "7dd65ade02913fbc7b14644be4f16e2e3d5cc3526321e83df8456a8d7b2d7379");
    assert_eq!(WriteSet::from_bytes(&EXAMPLE.concat()), Ok(example()));
    assert_eq!(WriteSet::from_bytes(b"\x01\0\0\0\0"), Ok(WriteSet::default()));
}

#[test]
fn an_encoding_cut_anywhere_or_followed_by_anything_is_refused() {
    let whole = EXAMPLE.concat();
    for size in 0..whole.len() {
        assert_eq!(refused(&whole[..size]), Some(DecodeReason::InputEndsEarly), "{size} bytes");
    }
    assert_eq!(refused(&[&whole[..], b"\0"].concat()), Some(DecodeReason::BytesLeftOver));
}

/// Puts `piece` in place `place` of the vector.
fn with(place: usize, piece: &[u8]) -> Vec<u8> {
    let mut pieces = EXAMPLE.to_vec();
    pieces[place] = piece;
    pieces.concat()
}

#[test]
fn what_the_encoder_would_not_write_is_refused() {
    use DecodeReason::{InputEndsEarly, LengthAboveLimit, ValueNotAllowed};
    let long_name = [&65u32.to_le_bytes()[..], &[b'x'; 65]].concat();
    let long_key = [&1025u32.to_le_bytes()[..], &[0; 1025], b"\0"].concat();
    let rows: [(&str, Vec<u8>, DecodeReason); 15] = [
        ("format 0", with(0, b"\0"), ValueNotAllowed),
        ("format 2", with(0, b"\x02"), ValueNotAllowed),
        ("more maps than bytes", with(1, b"\xff\xff\0\0"), InputEndsEarly),
        ("more maps than a block has bytes", with(1, b"\xff\xff\xff\xff"), LengthAboveLimit),
        ("a name with other characters", with(2, b"\x05\0\0\0Log.m"), ValueNotAllowed),
        ("a name that is not UTF-8", with(2, b"\x05\0\0\0log\xff\xff"), ValueNotAllowed),
        ("an empty name", with(2, b"\0\0\0\0"), ValueNotAllowed),
        ("a name that is too long", with(2, &long_name), LengthAboveLimit),
        ("names that descend", with(2, b"\x04\0\0\0z.gy"), ValueNotAllowed),
        ("a name twice", with(2, b"\x04\0\0\0shop"), ValueNotAllowed),
        ("a map without entries", with(3, b"\0\0\0\0"), ValueNotAllowed),
        ("keys that descend", with(4, b"\x02\0\0\0\x03\xff\0"), ValueNotAllowed),
        ("a key twice", with(4, b"\x01\0\0\0\x02\0"), ValueNotAllowed),
        ("a key that is too long", with(4, &long_key), LengthAboveLimit),
        ("neither written nor removed", with(4, b"\x02\0\0\0\x01\xff\x02"), ValueNotAllowed),
    ];
    for (what, bytes, reason) in rows {
        assert_eq!(refused(&bytes), Some(reason), "{what}");
    }
    let huge_value =
        [EXAMPLE[..9].concat(), b"\x01\0\0\0k\x01".to_vec(), (8_388_609u32).to_le_bytes().to_vec()].concat();
    assert_eq!(refused(&huge_value), Some(LengthAboveLimit));
}

#[test]
fn the_largest_key_and_value_read_back() {
    let mut writes = WriteSet::default();
    writes.put(&LOG, &vec![7; limits::KEY_BYTES_MAX][..], vec![8; limits::VALUE_BYTES_MAX]);
    assert_eq!(WriteSet::from_bytes(&writes.to_bytes()), Ok(writes));
}

#[test]
#[should_panic(expected = "a key has at most 1024 bytes, not 1025")]
fn a_key_above_the_limit_is_a_mistake_of_the_caller() {
    WriteSet::default().put(&LOG, [0; limits::KEY_BYTES_MAX + 1], b"");
}

#[test]
#[should_panic(expected = "a value has at most 8388608 bytes, not 8388609")]
fn a_value_above_the_limit_is_a_mistake_of_the_caller() {
    WriteSet::default().put(&LOG, b"k", vec![0; limits::VALUE_BYTES_MAX + 1]);
}

proptest! {
    /// Whatever is accepted is what the encoder would write.
    #[test]
    fn the_decoder_accepts_only_what_the_encoder_writes(
        bytes in prop::collection::vec(prop_oneof![4 => 0u8..4, 1 => any::<u8>()], 0..60),
        place in 0usize..200,
        flipped in any::<u8>(),
    ) {
        let mut damaged = EXAMPLE.concat();
        let size = damaged.len();
        damaged[place % size] ^= flipped;
        for bytes in [[&[1], &bytes[..]].concat(), damaged] {
            if let Ok(writes) = WriteSet::from_bytes(&bytes) {
                prop_assert_eq!(writes.to_bytes(), bytes);
            }
        }
    }
}
