//! The frontend: what a request asks for, decided without state, on any thread of any node.

use bytes::Bytes;
use synod_kv::State;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder};
use synod_worker::{ActorFacts, Frontend, Method, Plan, Reply, Request, Then};

use crate::Refusal;
use crate::store::{AUCTIONS, BIDS};

/// The stateless part.
pub struct Requests;

/// A call, for the ordered part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The auction.
    pub auction: u64,
    /// What to do with it.
    pub act: Act,
}

/// What to do with an auction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Open it, for so many seconds.
    Open(u64),
    /// Bid so much.
    Bid(u64),
    /// Close it.
    Close,
}

impl Frontend for Requests {
    fn plan(&self, _actor: &ActorFacts, request: &Request<'_>) -> Plan {
        plan(request).unwrap_or_else(|refusal| Plan::Answer(refusal.reply()))
    }

    fn read(&self, state: &State, actor: &ActorFacts, query: &[u8]) -> Reply {
        read(state, actor, query).unwrap_or_else(Refusal::reply)
    }
}

fn plan(request: &Request<'_>) -> Result<Plan, Refusal> {
    let (id, rest) = request.path.split_once('/').unwrap_or((request.path, ""));
    let auction = number(id.as_bytes())?;
    let execute = |act| {
        let call = Call { auction, act }.to_bytes();
        Ok(Plan::Execute { calls: vec![call.into()], then: Then::Reply })
    };
    match (request.method, rest) {
        (Method::Put, "") => execute(Act::Open(number(request.body)?)),
        (Method::Post, "bids") => execute(Act::Bid(number(request.body)?)),
        (Method::Post, "close") => execute(Act::Close),
        (Method::Get, "") => Ok(query(auction, false)),
        (Method::Get, "bids/mine") => Ok(query(auction, true)),
        _ => Err(Refusal::PathUnknown),
    }
}

fn query(auction: u64, is_own_bid: bool) -> Plan {
    let mut out = Encoder::default();
    auction.encode(&mut out);
    is_own_bid.encode(&mut out);
    Plan::Read(Bytes::from(out.finish()))
}

fn read(state: &State, actor: &ActorFacts, query: &[u8]) -> Result<Reply, Refusal> {
    let (auction, is_own_bid) = parse_query(query).map_err(|_| Refusal::CallMalformed)?;
    // What this adapter wrote, it can read: an error here would mean that another version wrote it.
    if is_own_bid {
        let bid = BIDS.get(state, &(auction, actor.id)).ok().flatten().ok_or(Refusal::NoBid)?;
        return Ok(Reply::text(200, bid.to_string()));
    }
    let auction = AUCTIONS.get(state, &auction).ok().flatten().ok_or(Refusal::AuctionUnknown)?;
    Ok(Reply::json(200, auction.to_json()))
}

fn parse_query(query: &[u8]) -> Result<(u64, bool), DecodeError> {
    let mut input = Decoder::new(query);
    Ok((u64::decode(&mut input)?, bool::decode(&mut input)?))
}

fn number(digits: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(digits).map_err(|_| Refusal::NumberNotValid)?.trim();
    // `parse` alone would accept a leading plus sign.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(Refusal::NumberNotValid)
}

impl Encode for Call {
    fn encode(&self, out: &mut Encoder) {
        let (kind, number) = match self.act {
            Act::Open(seconds) => (0_u8, seconds),
            Act::Bid(amount) => (1, amount),
            Act::Close => (2, 0),
        };
        self.auction.encode(out);
        kind.encode(out);
        number.encode(out);
    }
}

impl Decode for Call {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let auction = u64::decode(input.reading("auction call"))?;
        let (kind, number) = (u8::decode(input)?, u64::decode(input)?);
        let act = match kind {
            0 => Act::Open(number),
            1 => Act::Bid(number),
            2 => Act::Close,
            _ => return Err(input.error(synod_types::codec::DecodeReason::ValueNotAllowed)),
        };
        Ok(Self { auction, act })
    }
}
