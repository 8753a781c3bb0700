//! The ordered part: what happens, one call after the other.

use std::time::Duration;

use synod_kv::Tx;
use synod_types::{ActorId, Decode};
use synod_worker::{Adapter, CallContext, Reply, SetupError};

use crate::request::{Act, Call};
use crate::store::{AUCTIONS, Auction, BIDS, Sale};
use crate::{NAME, Refusal};

/// The ordered part. It holds nothing: everything lies in the maps.
pub struct Auctions;

impl Adapter for Auctions {
    fn genesis(&mut self, _tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), SetupError> {
        if settings.is_empty() {
            Ok(())
        } else {
            Err(SetupError { adapter: NAME, reason: "there is nothing to set".into() })
        }
    }

    fn configure(&mut self, tx: &mut Tx<'_>, _old: &[u8], new: &[u8]) -> Result<(), SetupError> {
        self.genesis(tx, new)
    }

    fn execute(&mut self, tx: &mut Tx<'_>, context: &CallContext<'_>, input: &[u8]) -> Reply {
        let Ok(Call { auction, act }) = Call::from_bytes(input) else { return Refusal::CallMalformed.reply() };
        let done = match act {
            Act::Open(seconds) => open(tx, context, auction, seconds),
            Act::Bid(amount) => bid(tx, context, auction, amount),
            Act::Close => close(tx, context, auction),
        };
        done.unwrap_or_else(Refusal::reply)
    }
}

fn open(tx: &mut Tx<'_>, context: &CallContext<'_>, id: u64, seconds: u64) -> Result<Reply, Refusal> {
    if AUCTIONS.has(tx, &id) {
        return Err(Refusal::AuctionExists);
    }
    let closes_at = context.block.time.after(Duration::from_secs(seconds));
    let auction = Auction { seller: context.actor.id, closes_at, is_closed: false, sale: None };
    AUCTIONS.put(tx, &id, &auction);
    Ok(Reply::json(200, auction.to_json()).with_writes())
}

fn bid(tx: &mut Tx<'_>, context: &CallContext<'_>, id: u64, amount: u64) -> Result<Reply, Refusal> {
    let auction = find(tx, id)?;
    if auction.is_closed || context.block.time >= auction.closes_at {
        return Err(Refusal::AuctionIsOver);
    }
    if auction.seller == context.actor.id {
        return Err(Refusal::SellerMayNotBid);
    }
    BIDS.put(tx, &(id, context.actor.id), &amount);
    Ok(Reply::text(200, amount.to_string()).with_writes())
}

fn close(tx: &mut Tx<'_>, context: &CallContext<'_>, id: u64) -> Result<Reply, Refusal> {
    let mut auction = find(tx, id)?;
    if auction.is_closed {
        return Err(Refusal::AuctionIsOver);
    }
    if context.block.time < auction.closes_at {
        return Err(Refusal::AuctionIsNotOver);
    }
    auction.is_closed = true;
    auction.sale = settle(bids(tx, id));
    AUCTIONS.put(tx, &id, &auction);
    Ok(Reply::json(200, auction.to_json()).with_writes())
}

fn find(tx: &Tx<'_>, id: u64) -> Result<Auction, Refusal> {
    AUCTIONS.get(tx, &id).ok().flatten().ok_or(Refusal::AuctionUnknown)
}

/// All bids of one auction, by bidder: keys are ordered as their parts are.
fn bids(tx: &Tx<'_>, id: u64) -> Vec<(ActorId, u64)> {
    let all = BIDS.range(tx, (id, ActorId([0; 32]))..=(id, ActorId([0xff; 32])));
    all.filter_map(Result::ok).map(|((_, bidder), amount)| (bidder, amount)).collect()
}

fn settle(mut bids: Vec<(ActorId, u64)>) -> Option<Sale> {
    // Stable: of equal bids the one whose bidder comes first by id stays first.
    bids.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
    let (winner, highest) = *bids.first()?;
    let price = bids.get(1).map_or(highest, |(_, second)| *second);
    Some(Sale { winner, price })
}
