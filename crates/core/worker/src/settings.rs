//! Adapters' settings: what members decided, what an adapter runs under, what it refused.
//!
//! The first settings are those of genesis. Later ones are decided by governance, which knows nothing of adapters; the
//! leader then has the worker hand them to their adapter ([`Configure`]), each decision once and alone in a block, so that no
//! block of the adapter's own is open meanwhile. What came of it lies in a map of the worker's, beside what the adapter
//! wrote: also that it refused, and then everything goes on under the settings before. Other nodes apply
//! what was written, like all writes.

use bytes::Bytes;
use synod_kv::{EntryRefused, Lookup, Map, State, Tx, WriteSet};
use synod_types::codec::DecodeReason;
use synod_types::{AdapterId, Decode, DecodeError, Decoder, Encode, Encoder, Seqno, limits};

use crate::block::{CALL_BYTES_MAX, assert_own};
use crate::{Adapter, BlockEnv, Outcome, Reply, SetupError};

/// Settings to be handed to their adapter, as a block of one transaction.
#[derive(Clone, Debug)]
pub struct Configure {
    /// The block's facts. `env.first_seqno` is the tip's seqno plus one.
    pub env: BlockEnv,
    /// What is handed to which adapter.
    pub decided: DecidedSettings,
}

/// Settings that members decided, as the ledger keeps them where they are handed to their adapter.
#[derive(Clone, PartialEq, Eq)]
pub struct DecidedSettings {
    /// The adapter.
    pub adapter: AdapterId,
    /// The transaction that decided them.
    pub at: Seqno,
    /// The settings, in the adapter's own form.
    pub settings: Bytes,
}

/// Where an adapter stands with its settings.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AdapterSettings {
    /// The settings under which it runs.
    pub in_force: Bytes,
    /// The transaction that decided them.
    pub decided_at: Seqno,
    /// What was decided after them and refused, if that was the last.
    pub refused: Option<SettingsRefused>,
}

/// Settings that members decided and their adapter refused.
#[derive(Clone, PartialEq, Eq)]
pub struct SettingsRefused {
    /// The transaction that decided them.
    pub decided_at: Seqno,
    /// The adapter's reason.
    pub reason: String,
}

/// The version of both forms below.
const FORMAT: u8 = 1;

/// What names of the worker's own maps begin with, before a dot; no adapter has this name.
pub const WORKER: &str = "worker";

/// Where each adapter stands, by its name.
const SETTINGS: Map<String, AdapterSettings> = Map::from_static("worker.settings");

/// How much of an adapter's reason is kept, in characters: a sentence for each of many things that are wrong.
pub const REASON_CHARS_MAX: usize = 4_000;

impl AdapterSettings {
    /// The settings of the adapter `name`; `None` if the network began without it.
    ///
    /// # Errors
    /// If another version of the code wrote them.
    pub fn of(view: &impl Lookup, name: &str) -> Result<Option<Self>, EntryRefused> {
        SETTINGS.get(view, &name.to_owned())
    }

    /// What the adapter `name` refused, if members decided that last. The settings themselves are not copied.
    pub fn refused(view: &impl Lookup, name: &str) -> Option<SettingsRefused> {
        let stored = view.get(SETTINGS.name(), name.as_bytes())?;
        let mut input = Decoder::new(stored.as_slice());
        check_format(&mut input).ok()?;
        input.bytes(limits::VALUE_BYTES_MAX).ok()?;
        Seqno::decode(&mut input).ok()?;
        Option::decode(&mut input).ok()?
    }

    /// Notes the settings with which an adapter begins.
    pub(crate) fn begin(tx: &mut Tx<'_>, name: &str, settings: &[u8]) {
        let in_force = Bytes::copy_from_slice(settings);
        SETTINGS.put(tx, &name.to_owned(), &Self { in_force, decided_at: Seqno(1), refused: None });
    }
}

/// What it would write to hand `settings` to an adapter on this state.
///
/// # Errors
/// If the adapter refuses them, or would write more than a block holds.
pub fn try_settings(
    (name, adapter): (&'static str, &mut dyn Adapter),
    state: &State,
    settings: &[u8],
) -> Result<WriteSet, SetupError> {
    let refused = |reason: &str| SetupError { adapter: name, reason: reason.into() };
    let known = AdapterSettings::of(state, name).map_err(|_| refused("the settings in force cannot be read"))?;
    let in_force = known.unwrap_or_default().in_force;
    let mut tx = Tx::new(state);
    if in_force != settings {
        adapter
            .configure(&mut tx, &in_force, settings)
            .map_err(|refused| SetupError { reason: cut(&refused.reason), ..refused })?;
    }
    let writes = tx.into_write_set();
    assert_own(name, &writes);
    if writes.encoded_size() + settings.len() > CALL_BYTES_MAX {
        return Err(refused("they would write more than a block can hold"));
    }
    Ok(writes)
}

/// As much of a reason as is kept and told.
fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

/// Hands settings to an adapter on the state `tip`. Returns what that writes, at least where the adapter stands, and the
/// answer that the ledger keeps.
pub fn configure(
    (name, adapter): (&'static str, &mut dyn Adapter),
    tip: &State,
    decided: &DecidedSettings,
) -> (WriteSet, Reply) {
    let (writes, stands, reply) = match try_settings((name, adapter), tip, &decided.settings) {
        Ok(writes) => {
            let in_force = decided.settings.clone();
            (writes, AdapterSettings { in_force, decided_at: decided.at, refused: None }, Reply::text(200, ""))
        }
        Err(SetupError { reason, .. }) => {
            let known = AdapterSettings::of(tip, name).ok().flatten().unwrap_or_default();
            let reply = Reply::text(422, reason.clone());
            let refused = Some(SettingsRefused { decided_at: decided.at, reason });
            (WriteSet::default(), AdapterSettings { refused, ..known }, reply)
        }
    };
    let mut tx = Tx::resume(tip, writes);
    SETTINGS.put(&mut tx, &name.to_owned(), &stands);
    (tx.into_write_set(), reply.with_writes())
}

/// What the manager is told of settings that were handed over.
pub fn outcome(writes: &WriteSet, reply: Reply) -> Outcome {
    Outcome { write_set: Some(Bytes::from(writes.to_bytes())), claims: None, reply }
}

fn check_format(input: &mut Decoder<'_>) -> Result<(), DecodeError> {
    let other = input.reading("settings of an adapter").error(DecodeReason::ValueNotAllowed);
    if u8::decode(input)? == FORMAT { Ok(()) } else { Err(other) }
}

impl Encode for DecidedSettings {
    fn encode(&self, out: &mut Encoder) {
        FORMAT.encode(out);
        self.adapter.encode(out);
        self.at.encode(out);
        out.bytes(&self.settings);
    }
}

impl Decode for DecidedSettings {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        check_format(input)?;
        Ok(Self {
            adapter: AdapterId::decode(input)?,
            at: Seqno::decode(input)?,
            settings: Bytes::copy_from_slice(input.bytes(limits::VALUE_BYTES_MAX)?),
        })
    }
}

impl Encode for AdapterSettings {
    fn encode(&self, out: &mut Encoder) {
        FORMAT.encode(out);
        out.bytes(&self.in_force);
        self.decided_at.encode(out);
        self.refused.encode(out);
    }
}

impl Decode for AdapterSettings {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        check_format(input)?;
        Ok(Self {
            in_force: Bytes::copy_from_slice(input.bytes(limits::VALUE_BYTES_MAX)?),
            decided_at: Seqno::decode(input)?,
            refused: Option::decode(input)?,
        })
    }
}

impl Encode for SettingsRefused {
    fn encode(&self, out: &mut Encoder) {
        self.decided_at.encode(out);
        out.bytes(self.reason.as_bytes());
    }
}

impl Decode for SettingsRefused {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let decided_at = Seqno::decode(input)?;
        let not_text = input.error(DecodeReason::ValueNotAllowed);
        let reason = std::str::from_utf8(input.bytes(4 * REASON_CHARS_MAX)?).map_err(|_| not_text)?.to_owned();
        Ok(Self { decided_at, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Encode + Decode + std::fmt::Debug + PartialEq>(value: T, vector: &[u8]) {
        assert_eq!(value.to_bytes(), vector);
        for size in 0..vector.len() {
            assert!(T::from_bytes(&vector[..size]).is_err(), "{size} bytes");
        }
        assert!(T::from_bytes(&[&[FORMAT + 1], &vector[1..]].concat()).is_err(), "a later form is not guessed at");
        assert_eq!(T::from_bytes(vector), Ok(value));
    }

    #[test]
    fn settings_are_written_as_their_vectors_and_read_back() {
        let in_force = || Bytes::from_static(b"{}");
        let decided = DecidedSettings { adapter: AdapterId(2), at: Seqno(9), settings: in_force() };
        check(decided, b"\x01\x02\x09\0\0\0\0\0\0\0\x02\0\0\0{}");
        let refused = Some(SettingsRefused { decided_at: Seqno(9), reason: "no".into() });
        let stands = AdapterSettings { in_force: in_force(), decided_at: Seqno(1), refused };
        check(stands, b"\x01\x02\0\0\0{}\x01\0\0\0\0\0\0\0\x01\x09\0\0\0\0\0\0\0\x02\0\0\0no");
    }
}
