//! Certificates that a byte string falsifies: shared by the property test and the fuzz target.
//!
//! The script's bytes choose, step by step, what somebody does to sound certificates and a sound revocation list who has
//! no key of their issuers: bytes are changed, put in, taken out, copied from elsewhere; certificates are exchanged,
//! doubled, left out. Whatever comes of it is read or refused; and nobody speaks for the actor whose certificate is
//! not, byte for byte up to its signature, one that was issued and not revoked.

use std::sync::LazyLock;

use synod_crypto::{Certificate, chain, slot};
use synod_types::Time;

/// What scripts made happen, to show that they reach far.
#[derive(Debug, Default)]
pub struct Reached {
    /// Chains that were accepted.
    pub chains: u64,
    /// Revocation lists that were accepted.
    pub lists: u64,
    /// Refusals of chains.
    pub refused: std::collections::BTreeSet<String>,
}

/// An actor, its department, a leaf of that, a leaf that the actor revoked, and the actor's revocation list.
static HOUSE: LazyLock<[Vec<u8>; 5]> = LazyLock::new(|| {
    let mut blocks = include_str!("house.pem").split("-----BEGIN").skip(1).map(|block| {
        let lines = block.lines().skip(1).take_while(|line| !line.starts_with('-'));
        decode(&lines.collect::<String>())
    });
    std::array::from_fn(|_| blocks.next().expect("the file holds five"))
});

const ACTOR: usize = 0;
const LEAF: usize = 2;
const REVOKED: usize = 3;
const LIST: usize = 4;

/// A time at which all are valid: 2027-06-01.
const NOW: Time = Time(1_811_808_000_000_000);

/// Falsifies the house as `script` says, and checks what is made of it.
pub fn play(script: &[u8]) -> Reached {
    let mut script = Script { bytes: script };
    let mut house = HOUSE.clone();
    let mut presented = vec![if script.byte().is_multiple_of(4) { REVOKED } else { LEAF }, 1];
    while !script.bytes.is_empty() {
        match script.byte() {
            0..224 => change(&mut script, &mut house),
            224..234 => presented.push(script.place(LIST)),
            234..244 => drop(presented.pop()),
            _ => {
                let (a, b) = (script.place(presented.len() + 1), script.place(presented.len() + 1));
                if a.max(b) < presented.len() {
                    presented.swap(a, b);
                }
            }
        }
    }
    let presented: Vec<_> = presented.into_iter().map(|place| house[place].clone()).collect();
    check(&house, &presented)
}

/// Changes some bytes of one of them.
fn change(script: &mut Script<'_>, house: &mut [Vec<u8>; 5]) {
    let from = house[script.place(house.len())].clone();
    let bytes = &mut house[script.place(5)];
    let (at, size) = (script.place(bytes.len()), script.place(32));
    match script.byte() % 5 {
        0 => bytes.insert(at, script.byte()),
        1 => drop(bytes.drain(at..bytes.len().min(at + size))),
        2 => {
            let begin = script.place(from.len());
            let part = &from[begin..from.len().min(begin + size)];
            bytes.splice(at..bytes.len().min(at + part.len()), part.iter().copied());
        }
        _ => {
            let byte = script.byte();
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
        }
    }
}

fn check(house: &[Vec<u8>; 5], presented: &[Vec<u8>]) -> Reached {
    let mut reached = Reached::default();
    let sound = &*HOUSE;
    for der in house {
        let _ = chain::check_anchor(der, NOW);
        let _ = chain::leads_to(der, presented);
        let _ = chain::verify(der, presented, NOW, None);
        let _ = slot::slot_of(der);
        if let Ok(certificate) = Certificate::from_der(der.clone()) {
            assert_eq!(certificate.der(), der);
            let read = Certificate::from_pem(&certificate.to_pem()).expect("it was just written");
            assert_eq!((read.der(), read.actor_id()), (certificate.der(), certificate.actor_id()));
        }
    }
    let list = &house[LIST];
    let accepted = chain::check_crl(&sound[ACTOR], list, NOW);
    if let Ok(number) = accepted {
        assert!(number == 8 && holds(list, signed_part(&sound[LIST])), "a list that the actor did not sign");
        reached.lists += 1;
    }
    for list in [None, accepted.is_ok().then_some(list.as_slice())] {
        match chain::verify(&sound[ACTOR], presented, NOW, list) {
            Ok(leaf) => {
                let issued = [LEAF, REVOKED].into_iter().find(|at| holds(&presented[0], signed_part(&sound[*at])));
                // Or the actor's own, as it stands.
                let is_actors = presented[0] == sound[ACTOR];
                assert!(issued.is_some() || is_actors, "a leaf that nobody issued");
                assert!(list.is_none() || issued != Some(REVOKED), "a leaf that was revoked");
                assert!(!leaf.spki.is_empty());
                assert!(chain::leads_to(&sound[ACTOR], presented), "what is verified has a path");
                reached.chains += 1;
            }
            Err(refused) => drop(reached.refused.insert(format!("{refused:?}"))),
        }
    }
    reached
}

/// What is under the signature: the first element of the outer sequence.
fn signed_part(der: &[u8]) -> &[u8] {
    let (head, _) = sizes(der);
    let inner = &der[head..];
    let (head, content) = sizes(inner);
    &inner[..head + content]
}

/// How long the head of an element is, and its content.
fn sizes(der: &[u8]) -> (usize, usize) {
    match der[1] {
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        0x81 => (3, usize::from(der[2])),
        size => (2, usize::from(size)),
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Base64 (RFC 4648, section 4) of what the file holds.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<_> = text.bytes().filter_map(|byte| ALPHABET.iter().position(|digit| *digit == byte)).collect();
    let bits =
        |group: &[usize]| group.iter().fold(0_u32, |bits, digit| bits << 6 | *digit as u32) << (6 * (4 - group.len()));
    digits.chunks(4).flat_map(|group| bits(group).to_be_bytes()[1..group.len()].to_vec()).collect()
}

struct Script<'a> {
    bytes: &'a [u8],
}

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *byte
    }

    /// A place below `count`.
    fn place(&mut self, count: usize) -> usize {
        let number = usize::from(self.byte()) << 8 | usize::from(self.byte());
        number % count.max(1)
    }
}
