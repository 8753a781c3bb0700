//! A planned body, on its way from planning to the answer.

use synod_types::codec::DecodeReason;
use synod_types::limits::{REQUEST_BODY_BYTES_MAX, REQUEST_CALLS_MAX};
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use crate::instance::NAME_SIZE_MAX;

/// A planned body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) instance: String,
    /// Whether the body was one request, not an array of them.
    pub(crate) is_single: bool,
    pub(crate) items: Vec<Item>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The id as JSON; `None` for a notification.
    pub(crate) id: Option<String>,
    pub(crate) work: Work,
}

/// Where the answer to a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The next call's reply.
    Call,
    /// The receipt of the transaction that the next call's reply names.
    CallReceipt,
    /// A read of a committed snapshot.
    Read {
        /// The method.
        method: String,
        /// The parameters as JSON.
        params: Option<String>,
    },
    /// Nowhere: it is known, as the member `"result"` or `"error"`.
    Answer(String),
}

impl Batch {
    /// Whether answering takes more than a few look-ups.
    pub(crate) fn takes_long(&self) -> bool {
        let is_long = |item: &Item| match &item.work {
            Work::Read { method, .. } => ["eth_call", "eth_estimateGas", "eth_getLogs"].contains(&method.as_str()),
            Work::Call | Work::CallReceipt | Work::Answer(_) => false,
        };
        self.items.len() > QUICK_ITEMS_MAX || self.items.iter().any(is_long)
    }
}

/// Up to so many look-ups are made at once.
const QUICK_ITEMS_MAX: usize = 16;

impl Encode for Batch {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.instance.as_bytes());
        self.is_single.encode(out);
        out.list(&self.items);
    }
}

impl Decode for Batch {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let instance = text(input.reading("batch"), NAME_SIZE_MAX)?;
        Ok(Self { instance, is_single: bool::decode(input)?, items: input.list(REQUEST_CALLS_MAX)? })
    }
}

impl Encode for Item {
    fn encode(&self, out: &mut Encoder) {
        put_text(out, self.id.as_deref());
        match &self.work {
            Work::Call => 0u8.encode(out),
            Work::Read { method, params } => {
                1u8.encode(out);
                out.bytes(method.as_bytes());
                put_text(out, params.as_deref());
            }
            Work::Answer(member) => {
                2u8.encode(out);
                out.bytes(member.as_bytes());
            }
            Work::CallReceipt => 3u8.encode(out),
        }
    }
}

impl Decode for Item {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let id = optional_text(input)?;
        let work = match u8::decode(input)? {
            0 => Work::Call,
            1 => Work::Read { method: text(input, REQUEST_BODY_BYTES_MAX)?, params: optional_text(input)? },
            2 => Work::Answer(text(input, REQUEST_BODY_BYTES_MAX)?),
            3 => Work::CallReceipt,
            _ => return Err(input.error(DecodeReason::ValueNotAllowed)),
        };
        Ok(Self { id, work })
    }
}

fn put_text(out: &mut Encoder, text: Option<&str>) {
    text.is_some().encode(out);
    if let Some(text) = text {
        out.bytes(text.as_bytes());
    }
}

fn text(input: &mut Decoder<'_>, size_max: usize) -> Result<String, DecodeError> {
    let refused = input.error(DecodeReason::ValueNotAllowed);
    let bytes = input.bytes(size_max)?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| refused)
}

fn optional_text(input: &mut Decoder<'_>) -> Result<Option<String>, DecodeError> {
    if bool::decode(input)? { text(input, REQUEST_BODY_BYTES_MAX).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_run_code_or_are_many_take_long() {
        let read = |method: &str| Work::Read { method: method.into(), params: None };
        let takes_long = |works: Vec<Work>| {
            let items = works.into_iter().map(|work| Item { id: None, work }).collect();
            Batch { instance: "main".into(), is_single: false, items }.takes_long()
        };
        assert!(!takes_long(vec![read("eth_getBalance"), Work::Call]));
        assert!(takes_long(vec![Work::Call, read("eth_call")]));
        assert!(takes_long(vec![read("eth_getLogs")]));
        assert!(!takes_long(vec![read("eth_chainId"); QUICK_ITEMS_MAX]));
        assert!(takes_long(vec![read("eth_chainId"); QUICK_ITEMS_MAX + 1]));
    }

    #[test]
    fn a_batch_reads_back_and_a_torn_one_is_refused() {
        let read = Work::Read { method: "eth_call".into(), params: Some("[]".into()) };
        let works = [Work::Call, Work::CallReceipt, read, Work::Answer("\"result\":1".into())];
        let items = works.map(|work| Item { id: Some("\"a\"".into()), work });
        let batch = Batch { instance: "main".into(), is_single: false, items: items.to_vec() };
        let encoding = batch.to_bytes();
        for torn in 0..encoding.len() {
            assert!(Batch::from_bytes(&encoding[..torn]).is_err(), "torn at {torn}");
        }
        assert_eq!(Batch::from_bytes(&encoding), Ok(batch));
    }
}
