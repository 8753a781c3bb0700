//! The maps, and what lies in them.

use synod_kv::Map;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Encode, Encoder, Time};

/// Auctions by id. A map's name begins with the adapter's.
pub static AUCTIONS: Map<u64, Auction> = Map::from_static("auction.auctions");

/// Bids by auction and bidder: one for each.
pub static BIDS: Map<(u64, ActorId), u64> = Map::from_static("auction.bids");

/// One auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auction {
    /// Who opened it. May not bid.
    pub seller: ActorId,
    /// From this time on it takes no bids and may be closed.
    pub closes_at: Time,
    /// Whether it was closed.
    pub is_closed: bool,
    /// Who won and what they pay; nothing if nobody bid.
    pub sale: Option<Sale>,
}

/// The outcome of a closed auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// The highest bidder; of equal ones the one whose id comes first.
    pub winner: ActorId,
    /// The second highest bid, or the only one.
    pub price: u64,
}

impl Auction {
    /// The outcome as JSON, the same for everyone: losing bids are not in it.
    pub fn to_json(&self) -> String {
        match (&self.sale, self.is_closed) {
            (_, false) => r#"{"open":true}"#.into(),
            (None, true) => r#"{"open":false,"winner":null}"#.into(),
            (Some(Sale { winner, price }), true) => {
                format!(r#"{{"open":false,"winner":"{winner}","price":{price}}}"#)
            }
        }
    }
}

impl Encode for Auction {
    fn encode(&self, out: &mut Encoder) {
        self.seller.encode(out);
        self.closes_at.encode(out);
        self.is_closed.encode(out);
        self.sale.encode(out);
    }
}

impl Decode for Auction {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            seller: ActorId::decode(input)?,
            closes_at: Time::decode(input)?,
            is_closed: bool::decode(input)?,
            sale: Option::decode(input)?,
        })
    }
}

impl Encode for Sale {
    fn encode(&self, out: &mut Encoder) {
        self.winner.encode(out);
        self.price.encode(out);
    }
}

impl Decode for Sale {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { winner: ActorId::decode(input)?, price: u64::decode(input)? })
    }
}
